"""Golden values of every recipe: the published expression computed literally, with its own means, sums and units.

recipes.py FOLDER [--check]. Each case names our recipe with the *converted* coefficient; its loss and weight gradients
must be those of the published one (divided by `scale`, where a paper sums what we average).
"""
import math

import torch
import torch.nn.functional as F

import networks
import streams
from golden import fill, gradients, store
from hashed_numbers import tensor

torch.set_default_dtype(torch.float64)
torch.set_num_threads(2)

N, K, SHAPE, SEED = 4, 10, (1, 28, 28), 5
D = 28 * 28
# epoch 1, step 2 of 10 per epoch: the twelfth step.
NUMBER = 12
CASE = "recipes"


def net(case, activation="softplus"):
    made = networks.build("lenet-small", activation)
    fill(made, case)
    return made


f, teacher = net(CASE), net(f"{CASE}/teacher")
r = net(CASE, "relu")
x = tensor(f"{CASE}/x", (N, *SHAPE), 0, 1)
y = torch.tensor([(3 * i + 1) % K for i in range(N)])
# The training set that class means and neighbours come from: three images per class, rows 100, 101, ...
train_x = tensor(f"{CASE}/train", (3 * K, *SHAPE), 0, 1)
train_y = torch.arange(3 * K) % K


def drawn(what, dims, draw):
    """What `Step` draws under that name: one stream per example and step."""
    key = streams.child(streams.named(streams.key(SEED, streams.RECIPE), what), NUMBER)
    return rows([streams.Stream(key, i, 0, 0) for i in range(N)], dims, draw)


def rows(each, dims, draw):
    count = 1
    for d in dims:
        count *= d
    return torch.tensor([[draw(s) for _ in range(count)] for s in each]).reshape(len(each), *dims)


def uniform(what, dims, low, high):
    return drawn(what, dims, lambda s: low + (high - low) * s.uniform())


def normal(what, dims):
    return drawn(what, dims, lambda s: s.normal())


def at_start(draw):
    """What an inner attack draws for its random start."""
    key = streams.child(streams.key(SEED, streams.RECIPE_ATTACK), NUMBER)
    return rows([streams.Stream(key, i, 0, 0) for i in range(N)], SHAPE, draw)


def leaf(t):
    return t.detach().clone().requires_grad_(True)


def input_gradient(values, at, graph=True):
    (g,) = torch.autograd.grad(values.sum(), at, create_graph=graph)
    return g


def ce_each(z, label=y):
    return F.cross_entropy(z, label, reduction="none")


def clean():
    at = leaf(x)
    z = f(at)
    return at, z, ce_each(z)


def fixed_gradient(at, label=y):
    at = leaf(at)
    return input_gradient(ce_each(f(at), label), at, graph=False)


def norm(v, p):
    return v.flatten(1).norm(p, dim=1)


def sum_each(v):
    return v.flatten(1).sum(1)


def cos(a, b):
    return F.cosine_similarity(a.flatten(1), b.flatten(1), dim=1)


def pgd(loss, steps, eps, alpha, start):
    """Sign steps on `loss(at)`, ball, then box; the start is clamped to the box only where the ball's draw is."""
    at = start
    for _ in range(steps):
        at = leaf(at)
        g = input_gradient(loss(at), at, graph=False)
        at = torch.min(torch.max(at + alpha * g.sign(), x - eps), x + eps).clamp(0, 1)
    return at.detach()


def noise_cases():
    gaussian = (x + 0.2 * normal("noise", SHAPE)).clamp(0, 1)
    uniform_ = (x + uniform("noise", SHAPE, -0.2, 0.2)).clamp(0, 1)
    sign = (x + 0.2 * uniform("noise", SHAPE, -1, 1).sign()).clamp(0, 1)
    for kind, at in [("gaussian", gaussian), ("uniform", uniform_), ("sign", sign)]:
        yield {"name": "noise", "kind": kind, "size": "0.2"}, F.cross_entropy(f(at), y)


def grad_norm_cases():
    lam = 0.37
    at, z, ce = clean()
    mean_gradient = input_gradient(ce.mean(), at)  # G: of the batch-mean loss
    g = input_gradient(ce, at)
    base = ce.mean()
    yield {"name": "grad-norm", "weight": lam / (2 * N)}, base + lam * 0.5 * (mean_gradient**2).sum()  # Ross
    yield {"name": "grad-norm", "weight": lam / N}, base + lam * (mean_gradient**2).sum()  # DEEPSEC
    yield {"name": "grad-norm", "weight": 0.5}, base + 0.5 * sum_each(g**2).mean()  # Drucker & LeCun
    # Simon-Gabriel: lambda d^(1 - 1/q) mean ||g||_q / 2
    yield {"name": "grad-norm", "norm": "l1", "weight": lam / 2}, base + lam * norm(g, 1).mean() / 2
    yield {"name": "grad-norm", "norm": "l2", "weight": lam * D**0.5 / 2}, base + lam * D**0.5 * norm(g, 2).mean() / 2
    yield {"name": "grad-norm", "norm": "linf", "weight": lam}, base + lam * norm(g, float("inf")).mean()
    # GradNorm 2024: .8 CE + 1.2 a (eps / std) mean ||std g||_1, a = 0.2 per epoch; divided by .8 here.
    a, eps, std = 0.2 * 1.2, 4 / 255, 0.225
    published = 0.8 * base + 1.2 * a * eps / std * norm(std * g, 1).mean()
    yield {"name": "grad-norm", "norm": "l1", "weight": 1.2 * eps / 0.8, "ramp": 5.0}, published / 0.8
    # Ross "insensitive": the gradient of the cross-entropy to the uniform distribution.
    u = input_gradient(-(F.log_softmax(z, 1)).mean(1), at)
    yield {"name": "grad-norm", "of": "uniform", "weight": lam}, base + lam * sum_each(u**2).mean()
    true = z.gather(1, y[:, None])[:, 0]
    others = z.masked_fill(F.one_hot(y, K).bool(), -float("inf"))
    yield {"name": "grad-norm", "of": "true-logit", "weight": lam}, base + lam * sum_each(input_gradient(true, at) ** 2).mean()
    margin = input_gradient(true - others.max(1).values, at)
    yield {"name": "grad-norm", "of": "margin", "norm": "l2", "weight": lam}, base + lam * norm(margin, 2).mean()
    every = sum(norm(input_gradient(z[:, k], at), 1) for k in range(K))
    yield {"name": "grad-norm", "of": "logits", "norm": "l1", "weight": 0.01}, base + 0.01 * every.mean()


def tulip_cases():
    lam, h = 0.3, 1e-2
    g = fixed_gradient(x)
    flat = g.flatten(1)
    one_hot = torch.zeros_like(flat)
    largest = flat.abs().argmax(1, keepdim=True)
    one_hot.scatter_(1, largest, flat.gather(1, largest).sign())
    directions = {"l2": flat / flat.norm(dim=1, keepdim=True), "l1": flat.sign() / D**0.5, "linf": one_hot}
    for name, v in directions.items():
        v = v.reshape(x.shape)
        ce, ahead, behind = ce_each(f(x)), ce_each(f(x + h * v)), ce_each(f(x - h * v))
        given = {"name": "grad-norm-fd", "norm": name, "weight": lam / 2}
        yield given, ce.mean() + lam * 0.5 * (((ahead - ce) / h) ** 2).mean()
        central = ((ahead - behind) / (2 * h)) ** 2
        yield {**given, "scheme": "central"}, ce.mean() + lam * 0.5 * central.mean()


def direction_cases():
    def first(name):
        return streams.Stream(streams.named(streams.key(SEED, streams.RECIPE), name), 0, 0, 0)

    at, z, ce = clean()
    climb = -input_gradient(ce, at)
    log_p = F.log_softmax(z, 1)
    means = torch.stack([train_x[train_y == k].mean(0) for k in range(K)])
    fixed = rows([first("direction-matching.fixed")], SHAPE, lambda s: s.normal())
    stream = first("direction-matching.per-class")
    per_class = torch.cat([rows([stream], SHAPE, lambda s: s.normal()) for _ in range(K)])
    key = streams.named(streams.key(SEED, streams.RECIPE), "direction-matching.random")
    random = rows([streams.Stream(key, i, 0, 0) for i in range(N)], SHAPE, lambda s: s.normal())

    def nearest(classes):
        found = []
        for i in range(N):
            own = train_x[train_y == classes[i]]
            found.append(own[((own - x[i]) ** 2).flatten(1).sum(1).argmin()])
        return torch.stack(found)

    taus = {
        "fixed": fixed.expand_as(x), "random-per-class": per_class[y], "random": random, "class-mean": means[y] - x,
        "nearest-neighbour": nearest(y) - x,
    }
    tx = leaf(x)
    p_teacher = F.softmax(teacher(tx), 1).gather(1, y[:, None])
    taus["teacher"] = input_gradient(p_teacher, tx, graph=False)
    for name, tau in taus.items():
        given = {"name": "direction-matching", "direction": name, "weight": 0.8}
        yield given, ce.mean() + 0.8 * (1 - cos(climb, tau)).mean()
        yield {**given, "measure": "squared", "weight": 0.01}, ce.mean() + 0.01 * sum_each((climb - tau) ** 2).mean()
    # PAG: 1.5 * 10 * (1 - mean cosine over images and classes).
    similar = [cos(input_gradient(log_p[:, t], at), means[t] - x) for t in range(K)]
    pag = ce.mean() + 1.5 * 10 * (1 - torch.cat(similar).mean())
    yield {"name": "direction-matching", "classes": "all", "weight": 15.0}, pag
    u = uniform("direction-matching.class", (1,), 0, K - 1)[:, 0]
    other = (y + 1 + u.floor().long().clamp(max=K - 2)) % K
    towards = input_gradient(log_p.gather(1, other[:, None]), at)
    for direction, tau in [("class-mean", means[other] - x), ("nearest-neighbour", nearest(other) - x)]:
        yield ({"name": "direction-matching", "classes": "random", "direction": direction, "weight": 0.8},
               ce.mean() + 0.8 * (1 - cos(towards, tau)).mean())


def single_step_cases():
    eps = 0.1
    g = fixed_gradient(x)
    plain = 0.5 * F.cross_entropy(f(x), y) + 0.5 * F.cross_entropy(f(x + eps * g.sign()), y)  # Goodfellow: no clip
    yield {"name": "fgsm-aug", "eps": "0.1", "clip": False}, plain
    guess = f(x).argmax(1).detach()
    away = (x + 0.3 * fixed_gradient(x, guess).sign()).clamp(0, 1)
    yield {"name": "fgsm-aug", "eps": "0.3", "label": "predicted"}, (F.cross_entropy(f(x), y) + F.cross_entropy(f(away), y)) / 2
    # Wong's MNIST script: the start is not clamped to the box before the gradient; the CIFAR-10 script clamps it.
    for clamp in (False, True):
        delta = uniform("fgsm-rs", SHAPE, -eps, eps)
        if clamp:
            delta = torch.max(torch.min(delta, 1 - x), 0 - x)
        grad = fixed_gradient(x + delta)
        delta = torch.clamp(delta + 1.25 * eps * torch.sign(grad), -eps, eps)
        delta = torch.max(torch.min(1 - x, delta), 0 - x)
        yield {"name": "fgsm-rs", "eps": "0.1", "clamp_start": clamp}, F.cross_entropy(f(x + delta), y)
    # N-FGSM: noise of 2 eps inside the box, a step of eps, no clamp to eps.
    eta = uniform("n-fgsm", SHAPE, -2 * eps, 2 * eps)
    eta = torch.max(torch.min(eta, 1 - x), 0 - x)
    delta = eta + eps * torch.sign(fixed_gradient(x + eta))
    delta = torch.max(torch.min(delta, 1 - x), 0 - x)
    yield {"name": "n-fgsm", "eps": "0.1"}, F.cross_entropy(f(x + delta), y)
    # GradAlign: FGSM (1.25 eps clamped to eps), and the angle to the gradient at a point of the cube around x.
    for both in (False, True):
        delta = torch.clamp(1.25 * eps * torch.sign(g), -eps, eps)
        adv = F.cross_entropy(f((x + delta).clamp(0, 1)), y)
        at, _, ce = clean()
        here = input_gradient(ce, at) if both else g
        moved = leaf(x + uniform("grad-align", SHAPE, -eps, eps))
        there = input_gradient(ce_each(f(moved)), moved)
        given = {"name": "grad-align", "eps": "0.1", "weight": 0.2, "two_sided": both}
        yield given, adv + 0.2 * (1 - cos(here, there)).mean()


def free_case():
    """The second of two replays, the weights left alone in between."""
    eps = 0.1
    at = leaf(x.clamp(0, 1))
    g = input_gradient(ce_each(f(at)), at, graph=False)
    delta = torch.clamp(eps * g.sign(), -eps, eps)
    yield {"name": "free-at", "eps": "0.1"}, F.cross_entropy(f((x + delta).clamp(0, 1)), y)


def multi_step_cases():
    eps, steps, alpha = 0.1, 3, 0.025
    start = (x + at_start(lambda s: (2 * s.uniform() - 1) * eps)).clamp(0, 1)
    madry = pgd(lambda at: ce_each(f(at)), steps, eps, alpha, start)
    attack = {"name": "pgd", "steps": steps, "alpha": "0.025"}
    summed = F.cross_entropy(f(madry), y, reduction="sum")
    yield {"name": "pgd-at", "eps": "0.1", "attack": attack}, summed / N
    # The start of TRADES and MART: 0.001 N(0, I).
    near = (x + 0.001 * at_start(lambda s: s.normal())).clamp(0, 1)
    p = F.softmax(f(x), 1).detach()
    divergence = torch.nn.KLDivLoss(reduction="sum")
    x_adv = pgd(lambda at: divergence(F.log_softmax(f(at), 1), p), steps, eps, alpha, near)
    kl = (1.0 / N) * divergence(F.log_softmax(f(x_adv), 1), F.softmax(f(x), 1))
    attack = {"name": "pgd", "steps": steps, "alpha": "0.025", "random_start": "0.001"}
    yield ({"name": "trades", "eps": "0.1", "beta": 6.0, "attack": {**attack, "objective": "kl"}},
           F.cross_entropy(f(x), y) + 6.0 * kl)
    x_adv = pgd(lambda at: ce_each(f(at)), steps, eps, alpha, near)
    logits, logits_adv = f(x), f(x_adv)
    adv_probs = F.softmax(logits_adv, dim=1)
    two = torch.argsort(adv_probs, dim=1)[:, -2:]
    new_y = torch.where(two[:, -1] == y, two[:, -2], two[:, -1])
    bce = F.cross_entropy(logits_adv, y) + F.nll_loss(torch.log(1.0001 - adv_probs + 1e-12), new_y)
    probs = F.softmax(logits, dim=1)
    true = probs.gather(1, y[:, None])[:, 0]
    each = torch.nn.KLDivLoss(reduction="none")(torch.log(adv_probs + 1e-12), probs).sum(1)
    robust = (1.0 / N) * torch.sum(each * (1.0000001 - true))
    yield {"name": "mart", "eps": "0.1", "beta": 5.0, "attack": attack}, bce + 5.0 * robust


def ascent(slope_of, steps, eps, alpha, start):
    """The published inner loops that no registered attack runs: sign steps on a loss of the logits."""
    return pgd(lambda at: slope_of(f(at)), steps, eps, alpha, start)


def distillation_cases():
    """Answers of another network, and of the network itself in other epochs."""
    eps, steps, alpha = 0.1, 3, 0.025
    attack = {"name": "pgd", "steps": steps, "alpha": "0.025"}
    near = {**attack, "random_start": "0.001", "objective": "kl"}
    own = {"eps": "0.1", "steps": steps, "alpha": 0.25}
    kl_sum = torch.nn.KLDivLoss(reduction="sum")
    p = F.softmax(f(x), 1).detach()
    t = F.softmax(teacher(x), 1).detach()
    start = (x + 0.001 * at_start(lambda s: s.normal())).clamp(0, 1)
    x_kl = pgd(lambda at: kl_sum(F.log_softmax(f(at), 1), p), steps, eps, alpha, start)
    kl = kl_sum(F.log_softmax(f(x_kl), 1), F.softmax(f(x), 1)) / N
    # HAT: the helper's answer at x', learned at x + h (x' - x), which may leave the box.
    beyond = x + 3.5 * (x_kl - x)
    helped = teacher(x_kl).argmax(1).detach()
    yield ({"name": "hat", "eps": "0.1", "attack": near},
           F.cross_entropy(f(x), y) + 2.5 * kl + 0.5 * F.cross_entropy(f(beyond), helped))
    # IKL: the double sum as published, the classes' weights still uniform.
    z, z_adv = f(x), f(x_kl)
    delta, delta_adv = (v.view(-1, K, 1) - v.view(-1, 1, K) for v in (z, z_adv))
    w = torch.full((N, K), 1.0 / K)
    weight = w.view(-1, K, 1) @ w.view(-1, 1, K)
    mse = 0.25 * (torch.pow(delta - delta_adv, 2) * weight).sum() / N
    sce = -(F.softmax(z, 1).detach() * F.log_softmax(z_adv, 1)).sum(1).mean()
    yield {"name": "ikl", "eps": "0.1", "attack": near}, F.cross_entropy(z, y) + 20.0 * mse + 4.0 * sce
    # SCORE without label smoothing; its start is uniform.
    begin = (x + uniform("score", SHAPE, -eps, eps)).clamp(0, 1)
    x_adv = ascent(lambda z: ((F.softmax(z, 1) - p) ** 2).sum(), steps, eps, alpha, begin)
    nat, adv = F.softmax(f(x), 1), F.softmax(f(x_adv), 1)
    natural = torch.sum((nat - F.one_hot(y, K)) ** 2, dim=-1)
    yield {"name": "score", **own}, natural.mean() + 3.0 * torch.sum((adv - nat) ** 2, dim=-1).mean()
    # TE in its second epoch, from 1: the averages still hold this step's predictions alone.
    begin = (x + uniform("te", SHAPE, -eps, eps)).clamp(0, 1)
    soft = 0.9 * torch.zeros(N, K) + 0.1 * p
    soft = soft / soft.sum(1, keepdim=True)
    weight = 300 * torch.exp(torch.tensor(-5.0 * (1 - (2 - 1) / (5 - 1)) ** 2))
    te = lambda z: F.cross_entropy(z, y) + weight * ((F.softmax(z, 1) - soft) ** 2).mean()
    x_adv = ascent(te, steps, eps, alpha, begin)
    yield {"name": "te", "start": 1, "end": 5, **own}, te(f(x_adv))
    # ADR in its first step, whose average is the network itself: 12 of 30 steps on a half cosine.
    falls = 0.5 * (1 + math.cos(math.pi * NUMBER / 30))
    begin = (x + uniform("adr", SHAPE, -eps, eps)).clamp(0, 1)
    prob = F.softmax(f(x).detach() / (0.5 + falls * (1.5 - 0.5)), dim=1)
    target_prob, max_prob = prob.gather(1, y.unsqueeze(1)).squeeze(1), prob.max(1).values
    share = (0.95 + falls * (0.7 - 0.95) - (max_prob - target_prob)).clamp(0, 1).unsqueeze(1)
    rectified = share * prob + (1 - share) * F.one_hot(y, K)
    x_adv = ascent(lambda z: F.cross_entropy(z, rectified), steps, eps, alpha, begin)
    yield {"name": "adr", "temperature": 1.5, "last_temperature": 0.5, **own}, F.cross_entropy(f(x_adv), rectified)
    # ARD averages its divergence over classes, the cross-entropy not: alpha is converted, the whole divided by `scale`.
    start = (x + at_start(lambda s: (2 * s.uniform() - 1) * eps)).clamp(0, 1)
    x_adv = pgd(lambda at: ce_each(f(at)), steps, eps, alpha, start)
    heat, share = 30.0, 0.9
    distilled = torch.nn.KLDivLoss(reduction="mean")(F.log_softmax(f(x_adv) / heat, 1), F.softmax(teacher(x) / heat, 1).detach())
    published = share * heat**2 * distilled + (1 - share) * F.cross_entropy(f(x), y)
    scale = share / K + 1 - share
    yield {"name": "ard", "eps": "0.1", "alpha": share / K / scale, "attack": attack}, published / scale
    # RSLAD averages over classes too. Its 1e-5 inside the teacher's own logarithm is left out: it trains nothing.
    begin = (x + 0.001 * normal("rslad", SHAPE)).clamp(0, 1)
    x_adv = ascent(lambda z: kl_sum(F.log_softmax(z, 1), t), steps, eps, alpha, begin)
    each = lambda z: torch.mean(-F.log_softmax(z, 1) * t + torch.log(t) * t)
    yield {"name": "rslad", **own}, K * (5 / 6.0 * each(f(x_adv)) + 1 / 6.0 * each(f(x)))


def joint_cases():
    """LBGAT: the teacher's weights are those of the natural network, which is trained along. nn.MSELoss averages over classes."""
    near = {"name": "pgd", "steps": 3, "alpha": "0.025", "random_start": "0.001", "objective": "kl"}
    p = F.softmax(f(x), 1).detach()
    divergence = torch.nn.KLDivLoss(reduction="sum")
    start = (x + 0.001 * at_start(lambda s: s.normal())).clamp(0, 1)
    x_adv = pgd(lambda at: divergence(F.log_softmax(f(at), 1), p), 3, 0.1, 0.025, start)
    for beta in (0.0, 6.0):
        out_adv, out_natural, out = f(x_adv), f(x), teacher(x)
        loss_mse = torch.nn.MSELoss()(out_adv, out) + F.cross_entropy(out, y)
        loss_kl = (1.0 / N) * divergence(F.log_softmax(out_adv, 1), F.softmax(out_natural, 1))
        yield {"name": "lbgat", "eps": "0.1", "beta": beta, "attack": near}, loss_mse + beta * loss_kl


def curvature_cases():
    lam = 0.3
    at, z, ce = clean()
    for m in (1, 3):  # Hoffman: the mean over the batch, factor C, one half
        v = normal("jacobian", (m, K))
        v = v / v.norm(dim=2, keepdim=True)
        terms = [K * input_gradient((z * v[:, i]).sum(1), at).norm() ** 2 / (m * N) for i in range(m)]
        yield {"name": "jacobian", "projections": m, "weight": lam / 2}, ce.mean() + lam * 0.5 * sum(terms)
    full = sum(input_gradient(z[:, k], at).norm() ** 2 / N for k in range(K))
    yield {"name": "jacobian", "projections": 0, "weight": lam / 2}, ce.mean() + lam * 0.5 * full
    # CURE: gradients of the batch-mean loss, a sum over the batch divided by its size.
    h = 0.08
    u = fixed_gradient(x).sign()
    u = u / u.flatten(1).norm(dim=1).view(-1, 1, 1, 1)
    here = input_gradient(ce.mean(), at)
    moved = leaf(x + h * u)
    there = input_gradient(F.cross_entropy(f(moved), y), moved)
    cure = lam * norm(there - here, 2).sum() / N
    yield {"name": "cure", "weight": lam / N}, ce.mean() + cure
    # LLR by its definition, two ascent steps of eps / 2.
    eps = 0.1
    base, g = ce_each(f(x)).detach(), fixed_gradient(x)
    start = torch.min(torch.max(x + 0.001 * normal("llr", SHAPE), x - eps), x + eps).clamp(0, 1)
    furthest = pgd(lambda p: (ce_each(f(p)) - base - sum_each((p - x) * g)).abs(), 2, eps, eps / 2, start)
    rise = sum_each((furthest - x) * input_gradient(ce, at))
    gap = (ce_each(f(furthest)) - ce - rise).abs()
    yield {"name": "llr", "eps": "0.1"}, ce.mean() + 4 * gap.mean() + 3 * rise.abs().mean()
    # IGAM: inputs in [0, 255], the square summed over the batch.
    gamma = 10.0
    wide = leaf(255 * x)
    own = input_gradient(F.softmax(f(wide / 255), 1).gather(1, y[:, None]), wide)
    tx = leaf(255 * x)
    theirs = input_gradient(F.softmax(teacher(tx / 255), 1).gather(1, y[:, None]), tx, graph=False)
    match = gamma * ((own - theirs) ** 2).sum()
    yield {"name": "igam", "weight": gamma * N / 255**2}, F.cross_entropy(f(x), y) + match


def margin_rows():
    """The specification of CROWN-IBP: rows e_y - e_j of every other class j, (N, K - 1, K)."""
    rows = torch.eye(K)[y].unsqueeze(1) - torch.eye(K).unsqueeze(0)
    return rows[~torch.eye(K)[y].bool()].view(N, K - 1, K)


def interval_bounds(model, centre, eps):
    """Lower bounds of the margins by intervals, and the bounds of every layer's input on the way: middle and half of the width."""
    low, high = (centre - eps).clamp(0, 1), (centre + eps).clamp(0, 1)
    between = []
    for layer in model[:-1]:
        between.append((low, high))
        if isinstance(layer, (torch.nn.Conv2d, torch.nn.Linear)):
            mid, diff = (high + low) / 2, (high - low) / 2
            wide = layer.weight.abs()
            if isinstance(layer, torch.nn.Conv2d):
                deviation = F.conv2d(diff, wide, None, layer.stride, layer.padding)
            else:
                deviation = diff @ wide.t()
            mid = layer(mid)
            low, high = mid - deviation, mid + deviation
        else:
            low, high = layer(low), layer(high)
    between.append((low, high))
    last, c = model[-1], margin_rows()
    weight, bias = c @ last.weight, c @ last.bias
    mid, diff = (high + low) / 2, (high - low) / 2
    lower = (weight @ mid.unsqueeze(-1) - weight.abs() @ diff.unsqueeze(-1)).squeeze(-1) + bias
    return lower, between


def linear_bounds(model, between):
    """Lower bounds of the margins by lines from the last layer back, over the intervals of what lies between (rectifiers)."""
    last, c = model[-1], margin_rows()
    a, b = c @ last.weight, c @ last.bias
    for layer, (low, high) in reversed(list(zip(model[:-1], between))):
        if isinstance(layer, torch.nn.Linear):
            b = b + a @ layer.bias
            a = a @ layer.weight
        elif isinstance(layer, torch.nn.Flatten):
            a = a.view(N, K - 1, *low.shape[1:])
        elif isinstance(layer, torch.nn.Conv2d):
            b = b + torch.einsum("nkchw,c->nk", a, layer.bias)
            rows = a.reshape(N * (K - 1), *a.shape[2:])
            rows = F.conv_transpose2d(rows, layer.weight, None, layer.stride, layer.padding)
            a = rows.view(N, K - 1, *rows.shape[1:])
        else:
            low_r, high_r = low.clamp(max=0), high.clamp(min=0)
            high_r = torch.max(high_r, low_r + 1e-8)
            upper_d = high_r / (high_r - low_r)
            upper_b = -low_r * upper_d
            lower_d = (upper_d > 0.5).double()
            pos, neg = a.clamp(min=0), a.clamp(max=0)
            b = b + (neg * upper_b.unsqueeze(1)).flatten(2).sum(2)
            a = upper_d.unsqueeze(1) * neg + lower_d.unsqueeze(1) * pos
    low, high = between[0]
    mid, diff = ((high + low) / 2).unsqueeze(1), ((high - low) / 2).unsqueeze(1)
    return b + (a * mid).flatten(2).sum(2) - (a.abs() * diff).flatten(2).sum(2)


def robust_ce(lower):
    """Cross-entropy of the worst logits: 0 for the label in front of the negated margins."""
    logits = torch.cat([torch.zeros(N, 1), -lower], 1)
    return F.cross_entropy(logits, torch.zeros(N, dtype=torch.long))


def certified_cases():
    """Steps on the way: 1.2 epochs done, growth from 0.2 over 2, so half way."""
    grow = {"warm_up": 0.2, "ramp": 2.0}
    ce = F.cross_entropy(f(x), y)
    lower, _ = interval_bounds(f, x, 0.05)
    yield {"name": "ibp", "eps": "0.1", "kappa": 0.3, **grow}, 0.65 * ce + 0.35 * robust_ce(lower)
    # The smooth schedule as published: a t^4 up to a quarter, then its tangent.
    middle, end = 0.5, 2.0
    alpha = 1 / ((end - middle) * 4 * middle**3 + middle**4)
    share = alpha * middle**4 + 4 * alpha * middle**3 * (1.0 - middle)
    lower, _ = interval_bounds(f, x, share * 0.1)
    kappa = 1 - share * 0.5
    yield {"name": "ibp", "eps": "0.1", "schedule": "smooth", **grow}, kappa * ce + (1 - kappa) * robust_ce(lower)
    # SABR: a box of 0.4 of the radius around an example of the rest of it.
    attack = {"name": "pgd", "steps": 3, "alpha": "0.01", "random_start": False}
    x_adv = pgd(lambda at: ce_each(f(at)), 3, 0.6 * 0.05, 0.01, x)
    lower, _ = interval_bounds(f, x_adv, 0.4 * 0.05)
    yield ({"name": "sabr", "eps": "0.1", "kappa": 0.2, "attack": attack, **grow}, 0.6 * ce + 0.4 * robust_ce(lower))
    # MTL-IBP: one long step, cut to the ball.
    attack = {"name": "pgd", "steps": 1, "alpha": "eps/0.1", "random_start": False}
    x_adv = pgd(lambda at: ce_each(f(at)), 1, 0.05, 0.5, x)
    lower, _ = interval_bounds(f, x, 0.05)
    loss = 0.7 * F.cross_entropy(f(x_adv), y) + 0.3 * robust_ce(lower)
    yield {"name": "mtl-ibp", "eps": "0.1", "alpha": 0.3, "attack": attack, **grow}, loss


def rectified_cases():
    """Of the same weights with rectifiers, whose lines are published."""
    lower, between = interval_bounds(r, x, 0.05)
    both = 0.5 * linear_bounds(r, between) + 0.5 * lower
    given = {"name": "crown-ibp", "eps": "0.1", "kappa": 0.3, "warm_up": 0.2, "ramp": 2.0}
    yield given, 0.65 * F.cross_entropy(r(x), y) + 0.35 * robust_ce(both)


def mmr(model, centre, order, n_rb, gamma_rb, gamma_db):
    """Both terms of MMR by its definition: the map of all pixels to a layer's units, (N, D, units), is carried through the layers."""
    z, v = centre, torch.eye(D).view(D, *SHAPE)
    distances = []
    for layer in model:
        if isinstance(layer, torch.nn.Conv2d):
            z, v = layer(z), F.conv2d(v, layer.weight, None, layer.stride, layer.padding)
        elif isinstance(layer, torch.nn.Linear):
            z, v = layer(z), v @ layer.weight.t()
        elif isinstance(layer, torch.nn.Flatten):
            z, v = z.flatten(1), v.flatten(1)
        else:
            if v.shape[0] == D:
                v = v.repeat(N, *[1] * (v.dim() - 1))
            v = v.view(N, D, *z.shape[1:])
            distances.append((z.abs() / v.norm(p=order, dim=1)).flatten(1))
            v = (v * (z > 0).double().unsqueeze(1)).view(N * D, *z.shape[1:])
            z = layer(z)
    near = torch.cat(distances, 1).sort(dim=1).values[:, :n_rb]
    rb_term = torch.clamp(1 - near / gamma_rb, min=0).sum(1)
    # Decisions, as published: the label's own distance is put out of reach.
    v = v.view(N, D, K)
    diff = (v - v[torch.arange(N), :, y].unsqueeze(2)).abs()
    diff = diff + 1e-5 * (diff < 1e-5).double()
    margins = z.gather(1, y[:, None]) - z + 100.0 * F.one_hot(y, K)
    dist_db = margins / diff.norm(p=order, dim=1) + F.one_hot(y, K) * 2.0 * gamma_db
    return rb_term, torch.clamp(1 - dist_db / gamma_db, min=0).sum(1)


def region_cases():
    """In the second of three epochs; 3136 + 1568 + 100 hidden units, of which int(.1 n) at first and int(.02 n) at last count."""
    n_rb = int((96 - 480) / 3 * 2 + 480)
    for name, order, gamma_rb, gamma_db in [("linf", 1, 0.01, 0.05), ("l2", 2, 0.2, 1.0)]:
        rb, db = mmr(r, x, order, n_rb, gamma_rb, gamma_db)
        given = {"name": "mmr", "norm": name, "weight": 0.7, "gamma_rb": gamma_rb, "gamma_db": gamma_db}
        yield given, F.cross_entropy(r(x), y) + (0.7 * rb / n_rb).mean() + (0.7 * db / K).mean()


def everything():
    names, params = zip(*f.named_parameters())
    cases = [
        ({"name": "ce"}, F.cross_entropy(f(x), y)),
        ({"name": "ce", "smoothing": 0.1}, F.cross_entropy(f(x), y, label_smoothing=0.1)),
    ]
    for more in [noise_cases, grad_norm_cases, tulip_cases, direction_cases, single_step_cases, free_case,
                 multi_step_cases, distillation_cases, curvature_cases, certified_cases]:
        cases.extend(more())
    listed = []
    for given, loss in cases:
        found = torch.autograd.grad(loss, params, retain_graph=True)
        listed.append({"recipe": given, "loss": loss.item(), "gradients": gradients(names, found)})
    names, params = zip(*r.named_parameters())
    for given, loss in [*rectified_cases(), *region_cases()]:
        found = torch.autograd.grad(loss, params, retain_graph=True)
        listed.append({"recipe": given, "activation": "relu", "loss": loss.item(), "gradients": gradients(names, found)})
    names, params = zip(*[*f.named_parameters(), *((f"natural.{n}", p) for n, p in teacher.named_parameters())])
    for given, loss in joint_cases():
        found = torch.autograd.grad(loss, params, retain_graph=True)
        listed.append({"recipe": given, "loss": loss.item(), "gradients": gradients(names, found)})
    return {"recipes.json": {"cases": listed}}


if __name__ == "__main__":
    store(everything())
