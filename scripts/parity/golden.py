"""Writes or checks the golden files: golden.py FOLDER [--check]."""
import json
import math
import os
import sys

import torch

import networks
from hashed_numbers import summary, tensor

torch.set_default_dtype(torch.float64)
torch.set_num_threads(2)


def fill(net, case):
    """Every parameter and buffer from the hash: uniform in ±1/sqrt(fan_in) for weights, off zero for the rest."""
    state = net.state_dict()
    for name, t in state.items():
        if name.endswith("num_batches_tracked"):
            continue
        key = f"{case}/{name}"
        if name.endswith("running_var"):
            state[name] = tensor(key, t.shape, 0.5, 1.5)
        elif t.dim() == 1:
            gamma = name.endswith("weight")
            state[name] = tensor(key, t.shape, 0.5, 1.5) if gamma else tensor(key, t.shape, -0.2, 0.2)
        else:
            bound = 1 / math.sqrt(t[0].numel())
            state[name] = tensor(key, t.shape, -bound, bound)
    net.load_state_dict(state)


def gradients(names, values):
    return {n: summary(n, v) for n, v in zip(names, values)}


def model_case(model, activation, mode, n, shape):
    case = f"{model}-{activation}-{mode}"
    net = networks.build(model, activation)
    fill(net, case)
    net.train(mode == "train")
    x = tensor(f"{case}/x", (n, *shape), 0, 1).requires_grad_(True)
    y = torch.tensor([(3 * i + 1) % 10 for i in range(n)])
    tau = tensor(f"{case}/tau", (1, *shape), -1, 1)
    names, params = zip(*net.named_parameters())
    z = net(x)
    ce = torch.nn.functional.cross_entropy(z, y, reduction="none")
    (g,) = torch.autograd.grad(ce.sum(), x, create_graph=True)
    flat = g.flatten(1)
    cos = torch.nn.functional.cosine_similarity(-flat, tau.flatten(1).expand_as(flat), dim=1)
    losses = {
        "ce": ce.mean(),
        "grad-norm-l2sq": ce.mean() + 0.1 * (flat**2).sum(1).mean(),
        "grad-norm-l1": ce.mean() + 0.01 * flat.abs().sum(1).mean(),
        "direction-matching": ce.mean() + 0.5 * (1 - cos).mean(),
    }
    weight_gradients = {}
    for name, loss in losses.items():
        found = torch.autograd.grad(loss, params, retain_graph=True)
        weight_gradients[name] = {"loss": loss.item(), "gradients": gradients(names, found)}
    return {
        "model": model, "activation": activation, "mode": mode, "n": n, "shape": list(shape),
        "logits": z.flatten().tolist(), "ce": ce.tolist(), "input_gradient": summary("x", g),
        "weight_gradients": weight_gradients,
    }


def slide(x, x0, g, eps, alpha, sparsity=0.99):
    """A step of SLIDE among the pixels with room in the box, then the nearest point of ball and box (Croce & Hein 2021)."""
    room = torch.where(g > 0, 1 - x, x)
    strength = torch.where(room > 1e-7, g.abs(), torch.zeros_like(g)).flatten(1)
    k = max(1, round((1 - sparsity) * strength.shape[1]))
    chosen = torch.zeros_like(strength).scatter_(1, strength.topk(k, dim=1).indices, 1.0).view_as(g)
    v = x + alpha / k * chosen * g.sign() - x0
    most = torch.where(v > 0, 1 - x0, x0)
    low, high = torch.zeros(len(x), 1, 1, 1), v.abs().amax(dim=(1, 2, 3), keepdim=True)
    moved = lambda threshold: torch.minimum((v.abs() - threshold).clamp(min=0), most)
    size = lambda threshold: moved(threshold).sum(dim=(1, 2, 3), keepdim=True)
    inside = size(low) <= eps
    for _ in range(200):
        middle = (low + high) / 2
        low, high = torch.where(size(middle) > eps, middle, low), torch.where(size(middle) > eps, high, middle)
    return x0 + moved(torch.where(inside, torch.zeros_like(high), high)) * v.sign()


def pgd_case(norm):
    """Five iterates of PGD on lenet-small from a hash-chosen start; every iterate of every example."""
    case = f"pgd-{norm}"
    net = networks.build("lenet-small", "relu")
    fill(net, case)
    n, eps, alpha = 4, {"linf": 0.1, "l2": 1.5, "l1": 6.0}[norm], {"linf": 0.03, "l2": 0.5, "l1": 2.0}[norm]
    bounds = (-0.4, 1.4) if norm == "l1" else (0, 1)
    x0 = tensor(f"{case}/x", (n, 1, 28, 28), *bounds).clamp(0, 1)
    y = torch.tensor([(3 * i + 1) % 10 for i in range(n)])
    x, iterates = x0.clone(), []
    for _ in range(5):
        x.requires_grad_(True)
        loss = torch.nn.functional.cross_entropy(net(x), y, reduction="sum")
        (g,) = torch.autograd.grad(loss, x)
        with torch.no_grad():
            if norm == "l1":
                x = slide(x, x0, g, eps, alpha)
            elif norm == "linf":
                x = torch.clamp(x + alpha * g.sign(), x0 - eps, x0 + eps)
            else:
                length = g.flatten(1).norm(dim=1).view(-1, 1, 1, 1)
                delta = x + alpha * g / length - x0
                size = delta.flatten(1).norm(dim=1).view(-1, 1, 1, 1)
                x = x0 + delta * torch.clamp(eps / size, max=1.0)
            x = x.clamp(0, 1)
        iterates.append(summary(f"{case}/{len(iterates)}", x))
    return {"norm": norm, "eps": eps, "alpha": alpha, "n": n, "iterates": iterates}


def optimiser_case(name, make):
    p = torch.nn.Parameter(tensor("optimiser/p", (7, 3), -1, 1))
    optimiser, steps = make([p]), []
    for t in range(5):
        p.grad = tensor(f"optimiser/g{t}", (7, 3), -1, 1) + p.detach() * 0.1
        optimiser.step()
        steps.append(p.detach().flatten().tolist())
    return {"name": name, "steps": steps}


def operation_cases():
    """Operations at the places where conventions differ, with first and second derivatives."""
    x = torch.tensor([-30.0, -20.5, -2.0, -0.0, 0.0, 0.3, 1.0, 19.9, 20.0, 20.1, 30.0])
    functions = {
        "relu": torch.relu, "abs": torch.abs, "gelu": torch.nn.functional.gelu, "tanh": torch.tanh,
        "softplus": torch.nn.functional.softplus, "sigmoid": torch.sigmoid,
        "clamp": lambda v: v.clamp(-1.9, 0.9), "sqr": lambda v: v * v,
    }
    cases = {}
    for name, f in functions.items():
        v = x.clone().requires_grad_(True)
        out = f(v)
        (first,) = torch.autograd.grad(out.sum(), v, create_graph=True)
        (second,) = torch.autograd.grad(first.sum(), v) if first.requires_grad else (torch.zeros_like(v),)
        cases[name] = {"value": out.tolist(), "first": (torch.zeros_like(v) + first).tolist(), "second": (torch.zeros_like(v) + second).tolist()}
    z = torch.tensor([[800.0, -800.0, 0.0], [1e-3, 0.0, -1e-3], [5.0, 5.0, 5.0]], requires_grad=True)
    ce = torch.nn.functional.cross_entropy(z, torch.tensor([1, 0, 2]), reduction="none")
    (first,) = torch.autograd.grad(ce.sum(), z)
    pooled = torch.tensor([[[[1.0, 1.0, 0.0, 2.0], [1.0, 1.0, 2.0, 2.0]]]], requires_grad=True)
    (ties,) = torch.autograd.grad(torch.nn.functional.max_pool2d(pooled, 2).sum(), pooled)
    return {
        "x": x.tolist(), "functions": cases,
        "cross_entropy": {"value": ce.tolist(), "first": first.flatten().tolist()},
        "max_pool_ties": ties.flatten().tolist(),
    }


def everything():
    grey, colour, small = (1, 28, 28), (3, 32, 32), (3, 16, 16)
    files = {"operations.json": operation_cases()}
    models = [
        ("linear", "relu", "eval", 3, grey), ("mlp", "relu", "eval", 3, grey), ("mlp", "softplus", "eval", 3, grey),
        ("lenet-small", "relu", "eval", 3, grey), ("lenet-small", "softplus", "eval", 3, grey),
        ("lenet-small", "gelu", "eval", 3, grey), ("cnn4", "relu", "eval", 3, colour), ("madry-cnn", "relu", "eval", 2, grey),
        ("madry-cnn", "softplus", "eval", 2, grey), ("trades-smallcnn", "relu", "eval", 2, grey),
        ("trades-smallcnn", "softplus", "eval", 2, grey), ("preactresnet18", "relu", "eval", 2, colour),
        ("preactresnet18", "softplus", "train", 3, colour),
        # Shortcuts that read the activation, as in the code of Rice et al.
        ("preactresnet18-activation", "relu", "eval", 2, colour), ("preactresnet18-activation", "softplus", "train", 3, colour),
        ("wideresnet-16-2", "relu", "eval", 2, colour), ("wideresnet-16-2", "softplus", "train", 3, colour),
        ("resnet18-8", "relu", "eval", 2, colour), ("resnet18-8", "silu", "train", 3, colour),
        ("resnet34-8", "leaky-relu", "eval", 2, colour), ("resnet50-8", "relu", "eval", 2, colour),
        ("resnet50-8", "elu", "train", 3, colour), ("vgg11-bn", "relu", "eval", 2, colour),
        ("vgg16-bn", "silu", "eval", 2, colour), ("vgg16-bn", "tanh", "train", 3, colour),
        ("cnn7-8-64", "relu", "eval", 2, colour), ("cnn7-8-64", "sigmoid", "train", 3, colour),
        ("preactresnet18-plain", "relu", "eval", 2, small), ("preactresnet18-deepmind", "silu", "eval", 2, small),
        ("wideresnet-deepmind-16-2", "silu", "eval", 2, colour), ("wideresnet-deepmind-16-2", "relu", "train", 3, colour),
        ("wideresnet-huang-10", "relu", "eval", 2, colour), ("resnext29-2-4", "relu", "eval", 2, small),
        ("resnet18-torchvision-8", "relu", "eval", 2, colour), ("resnet34-torchvision-8", "gelu", "eval", 2, colour),
        ("resnet50-torchvision-8", "silu", "train", 3, colour), ("resnet18-names-8", "relu", "eval", 2, colour),
        ("densenet121-4", "silu", "train", 3, colour),
        ("densenet121-torchvision-4", "relu", "eval", 2, colour),
    ]
    sgd, adam, adamw = torch.optim.SGD, torch.optim.Adam, torch.optim.AdamW
    optimisers = [
        optimiser_case("sgd", lambda p: sgd(p, lr=0.1)),
        optimiser_case("sgd-momentum", lambda p: sgd(p, lr=0.1, momentum=0.9, weight_decay=5e-4)),
        optimiser_case("sgd-nesterov", lambda p: sgd(p, lr=0.1, momentum=0.9, nesterov=True, weight_decay=5e-4)),
        optimiser_case("adam", lambda p: adam(p, lr=0.01, weight_decay=1e-3)),
        optimiser_case("adamw", lambda p: adamw(p, lr=0.01, weight_decay=0.1)),
    ]
    files |= {f"{m}-{a}-{mode}.json": model_case(m, a, mode, n, s) for m, a, mode, n, s in models}
    files["pgd.json"] = {"cases": [pgd_case(norm) for norm in ("linf", "l2", "l1")]}
    files["optimisers.json"] = {"cases": optimisers}
    return files


def same(a, b, where, scale=1.0):
    if isinstance(a, dict):
        assert a.keys() == b.keys(), f"{where}: keys differ"
        # What is said of a tensor is as exact as the tensor: a sum may be what is left of numbers as large as its norm.
        norm = a.get("norm")
        scale = max(1.0, norm) if isinstance(norm, float) else scale
        for k in a:
            same(a[k], b[k], f"{where}/{k}", scale)
    elif isinstance(a, list):
        assert len(a) == len(b), f"{where}: lengths differ"
        for i, (x, y) in enumerate(zip(a, b)):
            same(x, y, f"{where}/{i}", scale)
    elif isinstance(a, float) or isinstance(b, float):
        # Another machine sums in another order.
        assert abs(a - b) <= 1e-8 * max(scale, abs(a)), f"{where}: {a} now, {b} in the file"
    else:
        assert a == b, f"{where}: {a} now, {b} in the file"


def store(files):
    """Writes the files to the folder of the command line, or compares with what is there."""
    folder, check = sys.argv[1], "--check" in sys.argv[2:]
    os.makedirs(folder, exist_ok=True)
    for name, content in files.items():
        path = os.path.join(folder, name)
        if check:
            with open(path) as f:
                same(content, json.load(f), name)
        else:
            with open(path, "w") as f:
                json.dump(content, f, separators=(",", ":"))
                f.write("\n")
        print(("checked " if check else "wrote ") + name)


if __name__ == "__main__":
    store(everything())
