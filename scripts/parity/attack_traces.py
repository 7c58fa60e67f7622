"""Writes or checks golden traces of published attacks, in f64: attack_traces.py FOLDER [--check].

The attacks are the authors' own or well-known code (pyautoattack, adv-lib, foolbox), imported and watched from
outside: every point at which they ask the model is kept as two dot products with hash vectors. Weights, images and
random numbers are gauntlet's, so that tests/attack_parity.rs can take the same steps.
"""
import contextlib
import math
import os
import sys
import types

import torch
from torch import nn

import networks
import streams
from golden import fill, store
from hashed_numbers import array, tensor

torch.set_default_dtype(torch.float64)
torch.set_num_threads(1)
# adv-lib imports it for plots that nobody asks for here.
sys.modules.setdefault("visdom", types.ModuleType("visdom")).Visdom = object

import foolbox
import torchattacks
from adv_lib.attacks import alma, carlini_wagner_l2, carlini_wagner_linf, ddn, fmn, pdpgd, sdf, sigma_zero, tr
from pyautoattack import autopgd_base, fab_projections
from pyautoattack.autopgd_base import APGDAttack, APGDAttack_targeted
from pyautoattack.fab_pt import FABAttack_PT
from pyautoattack.square import SquareAttack

SEED = 7
# Of fmn.rs.
FACTOR = 0.05
ORDER = {"Linf": math.inf, "L2": 2, "L1": 1}
SMALL, GREY, COLOUR = (1, 6, 6), (1, 28, 28), (3, 15, 15)


@contextlib.contextmanager
def patched(*changes):
    """(object, attribute, value) for as long as the block runs."""
    old = [(o, a, getattr(o, a)) for o, a, _ in changes]
    for o, a, v in changes:
        setattr(o, a, v)
    try:
        yield
    finally:
        for o, a, v in old:
            setattr(o, a, v)


def in_double():
    """The references cast to f32 by name in places (images, masks, DDN's radius, the L1 projection)."""
    return patched((torch.Tensor, "float", torch.Tensor.double), (torch, "float", torch.float64))


class Setup:
    """A network with hashed weights, hashed images (some pixels on the box) and its own predictions as labels."""

    def __init__(self, case, model, n, gain):
        shape = {"mlp": SMALL, "lenet-small": GREY, "mlp-colour": COLOUR}[model]
        if model == "lenet-small":
            net = networks.build(model, "relu")
        else:
            net = nn.Sequential(nn.Flatten(), nn.Linear(math.prod(shape), 1024), nn.ReLU(), nn.Linear(1024, 10))
        fill(net, case)
        with torch.no_grad():
            for p in net.parameters():
                if p.dim() > 1:
                    p.mul_(gain)
        self.net, self.n, self.shape = net.eval().requires_grad_(False), n, shape
        self.x = tensor(f"{case}/x", (n, *shape), -0.1, 1.1).clamp(0, 1)
        self.z = self.net(self.x)
        self.y = self.z.argmax(1)
        self.header = {
            "case": case, "model": model.split("-colour")[0], "shape": list(shape), "gain": gain,
            "labels": self.y.tolist(),
        }

    def targets(self, rank):
        """The class of the rank-th largest logit, from 1."""
        return self.z.sort(dim=1)[1][:, -rank]

    def wrong(self, x, i):
        return self.net(x[None]).argmax(1).item() != self.y[i].item()


class Watch(nn.Module):
    """The model as the references see it; keeps every point, with what `note` reads from the caller."""

    def __init__(self, net, note=lambda frame: None, scale=1.0):
        super().__init__()
        self.net, self.note, self.scale, self.asked = net, note, scale, []

    # Not `forward`: between it and the caller lie PyTorch's own frames.
    def __call__(self, x):
        z = self.net(x) * self.scale
        self.asked.append((x.detach().clone(), z.detach().clone(), self.note(sys._getframe(1))))
        return z


def short(v):
    """13 digits: the comparison has 9."""
    return float(f"{v:.12e}")


def shorten(v):
    return [shorten(e) for e in v] if isinstance(v, list) else short(v)


PROBES = {}


def dots(x):
    """Two numbers that stand for a point."""
    n = x.numel()
    if n not in PROBES:
        PROBES[n] = torch.stack([torch.from_numpy(array(f"probe/{k}", n)) * 2 - 1 for k in "ab"])
    return shorten((PROBES[n] @ x.flatten()).tolist())


def without_repeats(points):
    """Neighbours that are equal count once."""
    kept = []
    for p in points:
        if not kept or not torch.equal(kept[-1], p):
            kept.append(p)
    return kept


def drawn(setup, children=None, restart=0):
    """PyTorch's generator answers with gauntlet's numbers for random starts: one stream per example, under the child of
    the attack's key with that number.
    """
    of = streams.key(SEED)
    keys = [streams.child(of, c) for c in children] if children else [of] * setup.n

    def numbers(draw):
        each = []
        for i, key in enumerate(keys):
            stream = streams.Stream(key, i, restart, 0)
            each.append([draw(stream) for _ in range(setup.x[0].numel())])
        return torch.tensor(each).reshape(setup.x.shape)

    uniform, normal = numbers(streams.Stream.uniform), numbers(streams.Stream.normal)
    normals = [(torch, name, lambda *_: normal) for name in ("randn", "randn_like")]
    return patched((torch, "rand", lambda *_: uniform), *normals)


def clear_cut(project):
    """The L1 projection, refusing pixels on its threshold: rounding would decide whether they differ from the image."""

    def checked(x, moved, eps):
        correction = project(x, moved, eps)
        for before, after, clean in zip(moved.flatten(1), (moved + correction).flatten(1), x.flatten(1)):
            inside = (after.abs() > 1e-9) & (clean + after > 1e-9) & (clean + after < 1 - 1e-9)
            threshold = (before.abs() - after.abs())[inside].median() if inside.any() else torch.tensor(0.0)
            assert threshold < 1e-9 or ((before.abs() - threshold).abs() > 1e-9).all(), "a pixel on the threshold"
        return correction

    return autopgd_base, "L1_projection", checked


def apgd(case, model, norm, loss, eps, steps, n=4, gain=4.0, rank=None):
    """Points, losses, step sizes and returns to the best point of one run from gauntlet's own random start.

    Phases of the L1 schedule follow one another. `broken`: the first misclassified point (of the last phase), where
    gauntlet's walk ends.
    """
    setup = Setup(case, model, n, gain)
    sparse = norm == "L1"

    def note(frame):
        if frame.f_code.co_name != "attack_single_run":
            return None
        own = frame.f_locals
        # Changed in place later.
        size = own["step_size"].clone() if "step_size" in own else None
        return own["criterion_indiv"], size, own.get("x_adv_old")

    watch = Watch(setup.net, note)
    # `perturb` alone makes the L1 schedule; it takes the strongest target first.
    targets = setup.targets(rank).tolist() if rank else None
    common = dict(n_iter=steps, norm=norm, n_restarts=1, eps=eps, seed=0, use_largereps=sparse)
    # x + δ − δ is not x in floats: pixels that came back count as equal.
    same = (autopgd_base, "L0_norm", lambda d: (d.abs() > 1e-12).view(d.shape[0], -1).sum(-1))
    changes = patched(same, clear_cut(autopgd_base.L1_projection))
    with in_double(), drawn(setup, targets and [c + 1 for c in targets]), changes:
        if loss != "dlr-t":
            APGDAttack(watch, loss=loss, **common).perturb(setup.x, setup.y)
        elif sparse:
            assert rank == 2
            APGDAttack_targeted(watch, n_target_classes=1, **common).perturb(setup.x, setup.y)
        else:
            attack = APGDAttack_targeted(watch, **common)
            attack.init_hyperparam(setup.x)
            attack.y_target = setup.targets(rank)
            attack.attack_single_run(setup.x, setup.y)
        runs = [(x, z, *noted, noted[0](z, setup.y)) for x, z, noted in watch.asked if noted]
        for x, _, objective, *_ in runs:
            leaf = x.clone().requires_grad_(True)
            (gradient,) = torch.autograd.grad(objective(setup.net(leaf), setup.y).sum(), leaf)
            # One of rounding alone, as DLR's where the label ranks third, has no direction that could be compared.
            assert gradient.flatten(1).norm(dim=1).min() > 1e-6, f"{case}: the gradient vanishes"
    # A phase begins where no step has been taken yet.
    starts = [k for k, run in enumerate(runs) if run[3] is None]
    examples = []
    for i in range(n):
        sizes, back = [], []
        for k, (x, _, _, size, before, *_) in enumerate(runs):
            if k in starts:
                continue
            size = size.flatten()[i].item()
            if not sizes or sizes[-1][1] != short(size):
                sizes.append([k, short(size)])
            # Another CPU may round a point that came back to itself.
            if (before[i] - runs[k - 1][0][i]).abs().max() > 1e-9:
                back.append(k)
        wrong = [k for k, run in enumerate(runs) if k >= starts[-1] and run[1][i].argmax() != setup.y[i]]
        examples.append({
            "broken": wrong[0] if wrong else None,
            "points": [dots(run[0][i]) for run in runs],
            "losses": [short(run[-1][i].item()) for run in runs],
            "step_sizes": sizes, "back": back,
        })
    return setup.header | {
        "norm": norm.lower(), "loss": loss, "eps": eps, "steps": steps, "targets": targets, "phases": starts,
        "examples": examples,
    }


def fab(case, model, norm, steps, n=4, gain=4.0, rank=None, restart=0):
    """The points that are looked at: where gradients are asked, and after every step.

    Nothing in FAB depends on the other examples of the batch.
    """
    setup = Setup(case, model, n, gain)
    attack = FABAttack_PT(setup.net, norm=norm, n_iter=steps)
    attack.target_class = rank
    looked = []

    def watched(name):
        inner = getattr(attack, name)

        def outer(x, *rest):
            looked.append(x.detach().clone())
            return inner(x, *rest)

        return attack, name, outer

    names = ["get_diff_logits_grads_batch", "get_diff_logits_grads_batch_targeted", "_get_predicted_label"]
    targets = setup.targets(rank).tolist() if rank else None
    children = [c + 1 for c in targets] if targets else [0] * n
    with in_double(), drawn(setup, children, restart), patched(*map(watched, names)):
        best = attack.attack_single_run(setup.x, setup.y, use_rand_start=restart > 0, is_targeted=rank is not None)
    sizes = (best - setup.x).flatten(1).norm(ORDER[norm], dim=1)
    examples = []
    for i in range(n):
        # The first one is for the clean label.
        points = without_repeats([x[i] for x in looked[1:]])
        found = setup.wrong(best[i], i)
        examples.append({"points": [dots(p) for p in points], "size": short(sizes[i].item()) if found else None})
    return setup.header | {
        "norm": norm.lower(), "steps": steps, "targets": targets, "restart": restart, "examples": examples,
    }


class Squares:
    """Square's random choices from gauntlet's streams: one stream per query, the start being query 0."""

    def __init__(self, example):
        self.key, self.example, self.query = streams.key(SEED), example, 0
        self.begin()

    def begin(self):
        self.stream = streams.Stream(self.key, self.example, 0, self.query)

    def next(self):
        self.query += 1
        self.begin()

    def random_int(self, low=0, high=1, shape=(1,)):
        return torch.tensor([low + self.stream.below(max(high - low, 1))])

    def random_choice(self, shape):
        return torch.tensor([self.stream.sign() for _ in range(math.prod(shape))]).reshape(*shape)

    # Asked for the transposition of a pattern alone.
    def rand(self, *_):
        return torch.tensor([1.0 if self.stream.sign() > 0 else 0.0])


def square_run(model, x, y, norm, eps, queries, example):
    choices = Squares(example)

    # x + δ − δ is not x in floats: the reference would take what rounding leaves in an empty window for a pattern.
    def as_before(point):
        return torch.where((point - x).abs() < 1e-12, x, point)

    def asked(frame):
        choices.next()

    watch = Watch(model, asked)
    attack = SquareAttack(watch, norm=norm, n_queries=queries, eps=eps, p_init=0.8, resc_schedule=False)
    attack.init_hyperparam(x)
    own = [(attack, name, getattr(choices, name)) for name in ("random_int", "random_choice")]
    with in_double(), patched(*own, (torch, "rand", choices.rand), (attack, "check_shape", as_before)):
        attack.attack_single_run(x, y)
    return [a[0][0] for a in watch.asked], attack


def square(case, model, norm, eps, queries, n=3, gain=4.0):
    """Every proposal, batches of one: the reference shares windows across a batch."""
    setup = Setup(case, model, n, gain)
    examples = []
    for i in range(n):
        points, _ = square_run(setup.net, setup.x[i : i + 1], setup.y[i : i + 1], norm, eps, queries, i)
        examples.append({"broken": setup.wrong(points[-1], i), "points": [dots(p) for p in points]})
    return setup.header | {"norm": norm.lower(), "eps": eps, "queries": queries, "examples": examples}


# Queries around the places where p is halved.
SCHEDULE = [1, 2, *(q + k for q in (10, 50, 200, 500, 1000, 2000, 4000) for k in (0, 1, 2)), 1500, 3000, 4500, 5000]


def square_schedule(size, norm):
    """Proposals along 5000 queries of a model that no proposal impresses: p and the side of the windows."""
    constant = lambda x: torch.tensor([[1.0, 0.0]]).expand(len(x), 2) + 0 * x.sum()
    x, y = torch.full((1, 1, size, size), 0.5), torch.tensor([0])
    sides, inner = [], Squares.random_int

    def random_int(self, low=0, high=1, shape=(1,)):
        sides.append(size - high)
        return inner(self, low, high, shape)

    with patched((Squares, "random_int", random_int)):
        points, attack = square_run(constant, x, y, norm, 0.1 if norm == "Linf" else 2.0, 5000, 0)
    draws = 2 if norm == "Linf" else 4
    return {
        "size": size, "norm": norm.lower(), "eps": attack.eps, "queries": SCHEDULE,
        "p": [attack.p_selection(q - 1) for q in SCHEDULE], "sides": [sides[draws * (q - 1)] for q in SCHEDULE],
        "points": [dots(points[q]) for q in SCHEDULE],
    }


def plane_case(norm, k):
    """Onto ⟨w, v⟩ = ⟨w, t⟩ − gap inside the box: pixels on its boundary, zero weights, planes out of reach."""
    case, n = f"plane/{norm.lower()}/{k}", 5 + k % 8
    t = tensor(f"{case}/t", (n,), -0.3, 1.3).clamp(0, 1)
    w = tensor(f"{case}/w", (n,), -1, 1)
    lot = tensor(f"{case}/lot", (n,), 0, 1)
    w[lot < 0.2] = 0.0
    # Under L2 and L1 the reference leaves such pixels alone.
    w[lot > 0.9] *= 1e-9
    gap = tensor(f"{case}/gap", (1,), -2, 2).item()
    project = getattr(fab_projections, f"projection_{norm.lower()}")
    with in_double():
        d = project(t[None], w[None], torch.tensor([(w * t).sum().item() - gap]))[0]
    short_by = abs((w * d).sum().item() + gap) > 1e-9
    return {"n": n, "reached": not short_by, "step": shorten(d.tolist())}


def ball_case(k):
    """The projection onto an L1 ball inside the box."""
    case, n = f"ball/{k}", 5 + k % 8
    x = tensor(f"{case}/x", (n,), -0.3, 1.3).clamp(0, 1)
    moved = tensor(f"{case}/moved", (n,), -1.5, 1.5)
    eps = tensor(f"{case}/eps", (1,), 0.05, 4.0).item()
    with in_double():
        correction = autopgd_base.L1_projection(x[None], moved[None], eps)[0]
    return {"n": n, "eps": eps, "point": shorten((x + moved + correction).tolist())}


def deepfool(case, model, norm, n=4, gain=4.0):
    """foolbox adds 1e-8 to norms of gradients, and DeepFool is blind to the scale of the logits: large ones hide it."""
    setup = Setup(case, model, n, gain)
    watch = Watch(setup.net, scale=2.0**20)
    wrapped = foolbox.PyTorchModel(watch.eval(), bounds=(0, 1), device="cpu")
    attack = (foolbox.attacks.L2DeepFoolAttack if norm == "L2" else foolbox.attacks.LinfDeepFoolAttack)(
        steps=50, candidates=10, overshoot=0.02, loss="logits"
    )
    final = attack.run(wrapped, setup.x, foolbox.criteria.Misclassification(setup.y))
    examples = []
    for i in range(n):
        points = without_repeats([a[0][i] for a in watch.asked] + [final[i]])
        examples.append({"broken": setup.wrong(final[i], i), "points": [dots(p) for p in points]})
    return setup.header | {"norm": norm.lower(), "examples": examples}


def cw(case, model, searches, steps, c, lr, abort, confidence=0.0, n=3, gain=4.0):
    """Batches of one: the reference gives a search up for the whole batch."""
    setup = Setup(case, model, n, gain)
    examples = []
    for i in range(n):
        def note(frame):
            return frame.f_locals["outer_step"], frame.f_locals["c"].item()

        watch = Watch(setup.net, note)
        x = setup.x[i : i + 1]
        best = carlini_wagner_l2(
            watch, x, setup.y[i : i + 1], confidence=confidence, learning_rate=lr, initial_const=c,
            binary_search_steps=searches, max_iterations=steps, abort_early=abort,
        )
        runs = [[a for a in watch.asked if a[2][0] == s] for s in range(searches)]
        found = setup.wrong(best[0], i)
        examples.append({
            "size": short((best - x).norm().item()) if found else None,
            "searches": [{"c": short(run[0][2][1]), "points": [dots(a[0][0]) for a in run]} for run in runs],
        })
    return setup.header | {
        "searches": searches, "steps": steps, "c": c, "lr": lr, "abort": abort, "confidence": confidence,
        "examples": examples,
    }


def steps_of(attack, setup):
    """Points, batch-independent, and the smallest misclassified one."""
    watch = Watch(setup.net)
    with in_double():
        best = attack(watch)
    examples = []
    for i in range(setup.n):
        found = setup.wrong(best[i], i)
        examples.append({"points": [dots(a[0][i]) for a in watch.asked], "found": dots(best[i]) if found else None})
    return examples


def ddn_case(case, model, steps, levels, n=4, gain=4.0):
    setup = Setup(case, model, n, gain)
    examples = steps_of(lambda m: ddn(m, setup.x, setup.y, steps=steps, levels=levels), setup)
    return setup.header | {"steps": steps, "levels": levels or 0, "examples": examples}


def fmn_case(case, model, norm, steps, n=4, gain=4.0):
    setup = Setup(case, model, n, gain)
    examples = steps_of(lambda m: fmn(m, setup.x, setup.y, norm=ORDER[norm], steps=steps), setup)
    return setup.header | {"norm": norm.lower(), "steps": steps, "examples": examples}


def fmn_relative(case, model, steps, factor, n=3, gain=4.0):
    """FMN in L2 whose step sizes begin at a multiple of |f|/‖∇f‖₂ at the image, f = z_y − max z_k; images one by one."""
    setup = Setup(case, model, n, gain)
    x = setup.x.clone().requires_grad_(True)
    z = setup.net(x)
    rivals = z.scatter(1, setup.y[:, None], -math.inf).amax(1)
    (gradient,) = torch.autograd.grad((z.gather(1, setup.y[:, None])[:, 0] - rivals).sum(), x)
    margin = (z.gather(1, setup.y[:, None])[:, 0] - rivals).detach()
    alphas = factor * margin.abs() / gradient.flatten(1).norm(dim=1)
    examples = []
    for i in range(n):
        one = types.SimpleNamespace(net=setup.net, n=1, wrong=lambda point, _, i=i: setup.wrong(point, i))
        alpha = alphas[i].item()
        run = lambda m: fmn(m, setup.x[i : i + 1], setup.y[i : i + 1], norm=2, steps=steps, α_init=alpha)
        examples += steps_of(run, one)
    return setup.header | {"norm": "l2", "steps": steps, "factor": factor, "examples": examples}


def ead(case, model, searches, steps, c, beta, lr, n=2, gain=4.0):
    """Images one by one: the reference gives a search up for the whole batch."""
    setup = Setup(case, model, n, gain)
    examples = []
    for i in range(n):
        watch = Watch(setup.net)
        attack = foolbox.attacks.EADAttack(
            binary_search_steps=searches, steps=steps, initial_stepsize=lr, initial_const=c, regularization=beta,
            decision_rule="L1",
        )
        wrapped = foolbox.PyTorchModel(watch.eval(), bounds=(0, 1), device="cpu")
        best = attack.run(wrapped, setup.x[i : i + 1], setup.y[i : i + 1])[0]
        found = setup.wrong(best, i)
        examples.append({"points": [dots(a[0][0]) for a in watch.asked], "found": dots(best) if found else None})
    return setup.header | {
        "norm": "l1", "searches": searches, "steps": steps, "c": c, "beta": beta, "lr": lr, "examples": examples,
    }


def alma_case(case, model, norm, steps, first, n=3, gain=4.0):
    setup = Setup(case, model, n, gain)
    run = lambda m: alma(m, setup.x, setup.y, num_steps=steps, distance=norm, init_lr_distance=first)
    return setup.header | {"norm": norm, "steps": steps, "first": first, "examples": steps_of(run, setup)}


def one_by_one(setup, attack):
    """Points and what is found, image by image: the references let examples of a batch go that fall early."""
    examples = []
    for i in range(setup.n):
        watch = Watch(setup.net)
        with in_double():
            best = attack(watch, setup.x[i : i + 1].clone(), setup.y[i : i + 1])
        points = without_repeats([a[0][0] for a in watch.asked])
        found = setup.wrong(best[0], i)
        examples.append({"points": [dots(p) for p in points], "found": dots(best[0]) if found else None})
    return examples


def superdeepfool(case, model, steps, n=3, gain=4.0):
    setup = Setup(case, model, n, gain)
    run = lambda m, x, y: sdf(m, x, y, steps=steps, df_steps=50)
    return setup.header | {"norm": "l2", "steps": steps, "examples": one_by_one(setup, run)}


def trust_region(case, model, norm, steps, radius, adaptive, n=3, gain=4.0):
    setup = Setup(case, model, n, gain)
    run = lambda m, x, y: tr(m, x, y, iter=steps, adaptive=adaptive, p=ORDER[norm], eps=radius)
    header = {"norm": norm.lower(), "steps": steps, "radius": radius, "adaptive": adaptive}
    return setup.header | header | {"examples": one_by_one(setup, run)}


def pdpgd_case(case, model, norm, steps, n=3, gain=4.0):
    setup = Setup(case, model, n, gain)
    examples = steps_of(lambda m: pdpgd(m, setup.x, setup.y, norm=ORDER[norm], num_steps=steps), setup)
    return setup.header | {"norm": norm.lower(), "steps": steps, "examples": examples}


def sigma_zero_case(case, model, steps, n=3, gain=4.0):
    setup = Setup(case, model, n, gain)
    examples = steps_of(lambda m: sigma_zero(m, setup.x, setup.y, num_steps=steps), setup)
    return setup.header | {"norm": "l0", "steps": steps, "examples": examples}


def fmn_l0(case, model, steps, n=4, gain=4.0):
    setup = Setup(case, model, n, gain)
    examples = steps_of(lambda m: fmn(m, setup.x, setup.y, norm=0, steps=steps), setup)
    return setup.header | {"norm": "l0", "steps": steps, "examples": examples}


def jsma(case, model, n=3, gain=4.0):
    """Towards the second strongest class."""
    setup = Setup(case, model, n, gain)
    examples, targets = [], setup.targets(2)
    for i in range(n):
        watch = Watch(setup.net)
        attack = torchattacks.JSMA(watch.eval(), theta=1.0, gamma=1.0)
        attack.set_mode_targeted_by_label(quiet=True)
        attack.forward(setup.x[i : i + 1].clone(), targets[i : i + 1])
        examples.append({"points": [dots(p) for p in without_repeats([a[0][0] for a in watch.asked])]})
    return setup.header | {"norm": "l0", "targets": targets.tolist(), "examples": examples}


def cw_linf(case, model, steps, c, lr, n=2, gain=4.0):
    """Batches of one: the reference gives a run up for the whole batch."""
    setup = Setup(case, model, n, gain)
    examples = []
    for i in range(n):
        one = types.SimpleNamespace(net=setup.net, n=1, wrong=lambda point, _, i=i: setup.wrong(point, i))
        run = lambda m: carlini_wagner_linf(
            m, setup.x[i : i + 1], setup.y[i : i + 1], learning_rate=lr, max_iterations=steps, initial_const=c)
        examples += steps_of(run, one)
    return setup.header | {"norm": "linf", "steps": steps, "c": c, "lr": lr, "examples": examples}


def transfer(case, model, name, steps=6, eps=0.06, alpha=0.01, n=3, gain=4.0, **options):
    """Every point that the model is asked about, and the last iterate. The neighbours are drawn by gauntlet's streams."""
    setup = Setup(case, model, n, gain)
    watch = Watch(setup.net)
    attack = getattr(torchattacks, name)(watch, eps=eps, alpha=alpha, steps=steps, decay=1.0, **options)
    if name == "TIFGSM":
        # In double precision; the images are not enlarged.
        kernel = torch.from_numpy(attack.gkern(attack.len_kernel, attack.nsig))
        attack.stacked_kernel, attack.diversity_prob = kernel.expand(3, 1, -1, -1), 0.0
    drawn = 0

    def uniform(like, low, high):
        nonlocal drawn
        step, k = divmod(drawn, options["N"])
        drawn += 1
        of = streams.child(streams.key(SEED), 1)
        each = [streams.Stream(of, i, 0, 1 + step * (1 + options["N"]) + 1 + k) for i in range(n)]
        return torch.tensor([[low + (high - low) * s.uniform() for _ in range(like[0].numel())] for s in each]).reshape(like.shape)

    with patched((torch.Tensor, "uniform_", uniform)):
        last = attack.forward(setup.x, setup.y)
    points = [[dots(a[0][i]) for a in watch.asked] + [dots(last[i])] for i in range(n)]
    header = setup.header | {"norm": "linf", "attack": name, "eps": eps, "alpha": alpha, "steps": steps, "options": options}
    return header | {"examples": [{"points": p} for p in points]}


def everything():
    grey, small = dict(model="lenet-small", gain=3.0), dict(model="mlp", gain=4.0)
    return {
        # Cases whose examples break at the start, midway and never.
        "attack-apgd.json": {"cases": [
            apgd("apgd/ce-linf/c", norm="Linf", loss="ce", eps=0.013, steps=100, **grey),
            apgd("apgd/ce-linf/e", norm="Linf", loss="ce", eps=0.02, steps=100, **grey),
            apgd("apgd/ce-linf-25/k", norm="Linf", loss="ce", eps=0.04, steps=25, **small),
            apgd("apgd/dlr-linf/b", norm="Linf", loss="dlr", eps=0.013, steps=100, n=3, **grey),
            apgd("apgd/t-linf/c", norm="Linf", loss="dlr-t", eps=0.1, steps=100, n=3, rank=3, **small),
            apgd("apgd/ce-l2/b", norm="L2", loss="ce", eps=0.2, steps=100, **grey),
            apgd("apgd/ce-l2-25/a", norm="L2", loss="ce", eps=0.4, steps=25, **small),
            apgd("apgd/dlr-l2/a", norm="L2", loss="dlr", eps=0.3, steps=100, n=3, **small),
            apgd("apgd/t-l2/d", norm="L2", loss="dlr-t", eps=0.2, steps=25, rank=3, **grey),
            apgd("apgd/ce-l1/c", norm="L1", loss="ce", eps=2.0, steps=100, n=3, **grey),
            apgd("apgd/dlr-l1/d", norm="L1", loss="dlr", eps=0.4, steps=50, **small),
            apgd("apgd/t-l1/b", norm="L1", loss="dlr-t", eps=2.0, steps=25, rank=2, **small),
            # Long enough for windows of several iterations, between which the best point can be an earlier one.
            apgd("apgd/ce-l1-long/b", norm="L1", loss="ce", eps=1.0, steps=200, n=3, **small),
        ]},
        "attack-fab.json": {"cases": [
            *(fab(f"fab/{norm}", norm=norm, steps=30, n=3, **small) for norm in ORDER),
            *(fab(f"fab/{norm}/t", norm=norm, steps=30, n=3, rank=3, **grey) for norm in ORDER),
            *(fab(f"fab/{norm}/restart", norm=norm, steps=20, n=2, restart=1, **small) for norm in ORDER),
            fab("fab/Linf/t-restart", norm="Linf", steps=20, n=2, rank=2, restart=1, **grey),
            fab("fab/Linf/t-100", norm="Linf", steps=100, n=2, rank=2, **grey),
            fab("fab/L2/100", norm="L2", steps=100, n=2, **grey),
            fab("fab/L1/t-100", norm="L1", steps=100, n=2, rank=2, **small),
        ]},
        "attack-square.json": {
            "cases": [
                square("square/Linf/h", "mlp-colour", "Linf", 0.02, 100),
                square("square/L2", "mlp-colour", "L2", 0.5, 100),
                square("square/L1/h", "mlp-colour", "L1", 3.0, 100),
                square("square/L2/grey", "lenet-small", "L2", 0.5, 60, n=2, gain=3.0),
            ],
            "schedules": [square_schedule(size, norm) for size in (28, 32) for norm in ("Linf", "L2")],
        },
        "attack-projections.json": {
            "planes": {norm.lower(): [plane_case(norm, k) for k in range(30)] for norm in ORDER},
            "balls": [ball_case(k) for k in range(30)],
        },
        "attack-shelf.json": {
            "ead": [
                ead("ead/a", searches=3, steps=30, c=1.0, beta=0.001, lr=0.02, **grey),
                ead("ead/b", searches=3, steps=20, c=5.0, beta=0.001, lr=0.02, **small),
                ead("ead/c", searches=4, steps=20, c=0.1, beta=0.01, lr=0.05, **small),
            ],
            "alma": [
                alma_case("alma/l2", norm="l2", steps=60, first=0.1, **grey),
                alma_case("alma/l1", norm="l1", steps=60, first=0.5, **small),
            ],
            "cw-linf": [
                cw_linf("cw-linf/a", steps=12, c=0.5, lr=0.02, **grey),
                cw_linf("cw-linf/b", steps=8, c=2.0, lr=0.05, **small),
            ],
            "superdeepfool": [superdeepfool(f"superdeepfool/{k}", steps=30, **which) for k, which in zip("ab", (small, grey))],
            "trust-region": [
                trust_region("trust-region/l2", norm="L2", steps=60, radius=0.01, adaptive=True, **small),
                trust_region("trust-region/linf", norm="Linf", steps=60, radius=0.001, adaptive=True, **grey),
                trust_region("trust-region/fixed", norm="L2", steps=40, radius=0.02, adaptive=False, **grey),
            ],
            "pdpgd": [
                pdpgd_case("pdpgd/l2", norm="L2", steps=40, **grey),
                pdpgd_case("pdpgd/linf", norm="Linf", steps=40, **small),
                pdpgd_case("pdpgd/l1", norm="L1", steps=40, **small),
            ],
            "sigma-zero": [sigma_zero_case(f"sigma-zero/{k}", steps=60, **which) for k, which in zip("ab", (small, grey))],
            "fmn-l0": [fmn_l0(f"fmn-l0/{k}", steps=40, **which) for k, which in zip("ab", (small, grey))],
            "jsma": [jsma("jsma/a", n=4, **small), jsma("jsma/b", n=2, **grey)],
            "transfer": [
                transfer("transfer/ni", name="NIFGSM", **grey),
                transfer("transfer/si", name="SINIFGSM", m=3, **grey),
                transfer("transfer/vmi", name="VMIFGSM", N=3, beta=1.5, **small),
                transfer("transfer/vni", name="VNIFGSM", N=2, beta=0.5, **grey),
                transfer("transfer/ti", model="mlp-colour", name="TIFGSM", len_kernel=7),
            ],
        },
        "attack-minimal.json": {
            "deepfool": [
                deepfool(f"deepfool/{norm}", norm=norm, **which) for norm in ("L2", "Linf") for which in (small, grey)
            ],
            "cw-l2": [
                cw("cw/a", searches=4, steps=40, c=0.1, lr=0.01, abort=False, n=2, **grey),
                cw("cw/b", searches=4, steps=40, c=0.1, lr=0.01, abort=True, **grey),
                cw("cw/c", searches=4, steps=40, c=0.1, lr=0.01, abort=True, confidence=0.3, **small),
                cw("cw/d", searches=10, steps=20, c=0.01, lr=0.02, abort=False, n=2, **small),
            ],
            "ddn": [
                ddn_case("ddn/256", steps=40, levels=256, **grey),
                ddn_case("ddn/none", steps=40, levels=None, **grey),
                ddn_case("ddn/small", steps=40, levels=256, **small),
            ],
            "fmn": [
                *(fmn_case(f"fmn/{norm}/a", norm=norm, steps=30, **small) for norm in ORDER),
                *(fmn_case(f"fmn/{norm}/grey", norm=norm, steps=30, n=3, **grey) for norm in ORDER),
                fmn_relative("fmn/relative/a", steps=30, factor=FACTOR, **small),
                fmn_relative("fmn/relative/grey", steps=30, factor=FACTOR, **grey),
            ],
        },
    }


if __name__ == "__main__":
    store(everything())
