"""The reference libraries behind one call, the images, and the judge of what the libraries return.

Adversarial images are judged in PyTorch: an example counts as broken if the returned image is misclassified, finite,
inside the box and, for attacks with a budget, inside the ball, with the tolerance that gauntlet's referee has.
"""
import hashlib
import io
import os
import sys
import tomllib
import types
import warnings
from importlib.metadata import version
from pathlib import Path

import numpy
import torch
from safetensors.torch import load_file

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "scripts" / "parity"))
import networks  # noqa: E402

BATCH = 250
PACKAGES = {
    "official": "pyautoattack", "torchattacks": "torchattacks", "foolbox": "foolbox",
    "art": "adversarial-robustness-toolbox", "adv-lib": "adv-lib",
}
# adv-lib imports a plotting client at load time and uses it only for callbacks, which nothing here asks for.
PATCHES = {"adv-lib": "an empty module stands in for `visdom`, its plotting client, which is never called"}
TOLERANCE = 1e-6


def versions():
    return {"torch": torch.__version__, **{name: version(package) for name, package in PACKAGES.items()}}


def rows(data, split, data_dir):
    """A split as its parquet file has it, after a look at the file's sha256; and the names of its two columns."""
    import pyarrow.parquet

    manifest = tomllib.loads((ROOT / "datasets" / f"{data}.toml").read_text())
    hub, (file,) = manifest["source"]["hub"], manifest[split]["files"]
    name = Path(file["path"])
    if data_dir:
        places = [data_dir / name, data_dir / hub["id"] / name, data_dir / name.name]
    else:
        home = Path(os.environ.get("HF_HOME", Path.home() / ".cache" / "huggingface"))
        cache = Path(os.environ.get("HF_HUB_CACHE", home / "hub"))
        places = [cache / f"datasets--{hub['id'].replace('/', '--')}" / "snapshots" / hub["revision"] / name]
    path = next((p for p in places if p.is_file()), None)
    if path is None:
        sys.exit(f"no {name} at any of {', '.join(map(str, places))}")
    if hashlib.sha256(path.read_bytes()).hexdigest() != file["sha256"]:
        sys.exit(f"{path} is not the file that datasets/{data}.toml names")
    return pyarrow.parquet.read_table(path), hub["image"], hub["label"]


def decoded(table, image, label):
    """Pixels byte/255 in f32, channels first, and labels."""
    from PIL import Image

    pixels = numpy.stack([numpy.asarray(Image.open(io.BytesIO(i["bytes"]))) for i in table[image].to_pylist()])
    x = torch.from_numpy(pixels.astype(numpy.float32) / numpy.float32(255))
    x = x.unsqueeze(1) if x.dim() == 3 else x.permute(0, 3, 1, 2).contiguous()
    return x, torch.tensor(table[label].to_pylist())


def images(data, take, data_dir, split="test"):
    """The first `take` rows of a split (None: all), in file order: pixels byte/255 in f32, and labels."""
    table, image, label = rows(data, split, data_dir)
    return decoded(table.slice(0, take), image, label)


def load(model, checkpoint):
    """The network as a careful user has it: eval mode, frozen weights."""
    net = networks.build(model, "relu")
    net.load_state_dict(load_file(checkpoint), strict=True)
    return net.eval().requires_grad_(False)


def peer(library, name, **arguments):
    """One attack of a library: its name there and its arguments there. `counts`: it takes part in "fastest"."""
    counts = arguments.pop("counts", True)
    return {"library": library, "name": name, "arguments": arguments, "counts": counts}


def said(one):
    """How the library is called."""
    return f"{one['name']}({', '.join(f'{k}={v}' for k, v in one['arguments'].items())})"


def prepare(one, net, eps, seed):
    """The attack as a function of a batch, everything that can be built beforehand built."""
    library, name, arguments = one["library"], one["name"], one["arguments"]
    if library == "official":
        return official(net, eps, seed, **arguments)
    if library == "torchattacks":
        with warnings.catch_warnings():  # its docstrings have escapes that are none
            warnings.simplefilter("ignore", SyntaxWarning)
            import torchattacks

        return getattr(torchattacks, name)(net, **arguments)
    if library == "foolbox":
        import foolbox

        model = foolbox.PyTorchModel(net, bounds=(0, 1), device="cpu")
        attack = getattr(foolbox.attacks, name)(**arguments)

        def run(x, y):
            found = attack(model, x, y, epsilons=eps)[1]
            if name == "L2CarliniWagnerAttack":  # a black image says that nothing was found
                found = torch.where(found.flatten(1).any(1).view(-1, 1, 1, 1), found, x)
            return found

        return run
    if library == "art":
        from art.attacks import evasion
        from art.estimators.classification import PyTorchClassifier

        classifier = PyTorchClassifier(
            net, torch.nn.CrossEntropyLoss(), (1, 28, 28), 10, clip_values=(0.0, 1.0), device_type="cpu")
        attack = getattr(evasion, name)(classifier, batch_size=BATCH, verbose=False, **arguments)
        return lambda x, y: torch.from_numpy(attack.generate(x.numpy(), y.numpy()))
    sys.modules.setdefault("visdom", types.ModuleType("visdom"))
    from adv_lib import attacks

    return lambda x, y: getattr(attacks, name)(net, x, y, **arguments)


def official(net, eps, seed, attack, steps=100, queries=5000):
    """AutoAttack `standard`, or one of its attacks alone on all correctly classified images."""
    ensemble = autoattack(net, "linf", eps, seed, "standard", steps, queries)
    if attack != "standard":
        ensemble.attacks_to_run = [attack]
    return lambda x, y: ensemble.run_standard_evaluation(x, y, batch_size=BATCH)[0]


def autoattack(net, norm, eps, seed, version, steps=100, queries=5000):
    """The official ensemble, as its version sets it, but for the steps and queries of a smoke run."""
    import pyautoattack

    name = {"linf": "Linf", "l2": "L2", "l1": "L1"}[norm]
    ensemble = pyautoattack.AutoAttack(net, norm=name, eps=eps, version=version, seed=seed, device="cpu")
    ensemble.apgd.n_iter = ensemble.apgd_targeted.n_iter = ensemble.fab.n_iter = steps
    ensemble.square.n_queries = queries
    for one in (ensemble.apgd, ensemble.apgd_targeted):  # windows that follow from the number of steps
        one.n_iter_2, one.n_iter_min = max(int(0.22 * steps), 1), max(int(0.06 * steps), 1)
        one.n_iter_orig, one.size_decr = steps, max(int(0.03 * steps), 1)
    return ensemble


def warm(net, x):
    """One forward and backward, so that no library pays for PyTorch's first."""
    x = x[:BATCH].clone().requires_grad_()
    torch.autograd.grad(net(x).sum(), x)


def classes(net, x):
    with torch.no_grad():
        return torch.cat([net(part) for part in x.split(BATCH)]).argmax(1)


def lengths(delta, norm):
    flat = delta.double().flatten(1)
    return flat.abs().amax(1) if norm == "linf" else flat.norm(dim=1, p={"l2": 2, "l1": 1}[norm])


def judge(net, x, y, adversarial, norm, eps):
    """Fates, one letter an example (wrong clean, robust, broken), the sizes, and how many proposals were invalid."""
    size = lengths(adversarial.double() - x.double(), norm)
    valid = adversarial.flatten(1).isfinite().all(1)
    valid &= ((adversarial >= -TOLERANCE) & (adversarial <= 1 + TOLERANCE)).flatten(1).all(1)
    if eps is not None:
        valid &= size <= eps + TOLERANCE * lengths(x, norm).clamp(min=1)
    correct, fooled = classes(net, x) == y, classes(net, adversarial) != y
    fates = ["w" if not c else "b" if f and v else "r" for c, f, v in zip(correct, fooled, valid)]
    return {
        "fates": "".join(fates), "invalid": int((correct & fooled & ~valid).sum()),
        "sizes": None if eps is not None else [round(float(s), 6) for s in size],
    }
