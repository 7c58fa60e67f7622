"""Chooses FMN's first step in L2: robust accuracy of MNIST's last training images by factor, beside DDN's.

FMN as adversarial-library has it (sphere, cosines), but that the step sizes begin at a factor times |f|/‖∇f‖₂ at the image,
f = z_y − max z_k, and end at a hundredth of that; `none`: at 1 and 0.01 for every image. Checkpoints are safetensors of
lenet-small (relu). Python as made by scripts/parity/setup.sh, with pyarrow.

    python scripts/compare/fmn_step.py --data-dir DIR ce.safetensors grad-norm.safetensors pgd-at.safetensors
"""
import argparse
import math
import sys
import types
from pathlib import Path

import torch

import peers

EPS = (1, 2, 28)


def fmn(net, x0, y, factor, steps):
    """‖δ‖₂ of the smallest perturbation found per image, infinite where none was."""
    wide = lambda t: t.view(-1, 1, 1, 1)
    length = lambda t: t.flatten(1).norm(dim=1)
    most = length(torch.maximum(x0, 1 - x0))
    delta, best = torch.zeros_like(x0), torch.full((len(x0),), math.inf)
    radius, first = best.clone(), None
    for i in range(steps + 1):
        cosine = (1 + math.cos(math.pi * i / steps)) / 2
        delta.requires_grad_(True)
        z = net(x0 + delta)
        f = z.gather(1, y[:, None])[:, 0] - z.scatter(1, y[:, None], -math.inf).amax(1)
        (g,) = torch.autograd.grad(f.sum(), delta)
        delta, f, slope = delta.detach(), f.detach(), length(g).clamp(min=1e-12)
        size, fell = length(delta), z.argmax(1) != y
        best = torch.where(fell & (size < best), size, best)
        distance = torch.minimum(f.abs() / slope, most)
        if first is None:
            first = torch.ones_like(distance) if factor is None else factor * distance
        gamma = 0.001 + 0.049 * cosine
        found = torch.where(best.isfinite(), radius * (1 + gamma), size + f.abs() / slope)
        radius = torch.minimum(torch.where(fell, torch.minimum(radius * (1 - gamma), best), found), most)
        delta = delta - wide(first * (0.01 + 0.99 * cosine) / slope) * g
        delta = delta * wide(radius / length(delta).clamp(min=1e-12))
        delta = (x0 + delta).clamp(0, 1) - x0
    return best


def ddn(net, x0, y, steps):
    sys.modules.setdefault("visdom", types.ModuleType("visdom"))
    from adv_lib.attacks import ddn

    moved = ddn(net, x0, y, steps=steps)
    return torch.where(net(moved).argmax(1) != y, (moved - x0).flatten(1).norm(dim=1), math.inf)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoints", nargs="+", type=Path)
    parser.add_argument("--data-dir", type=Path, help="folder with MNIST's parquet files as on the hub")
    parser.add_argument("--take", type=int, default=1000, help="the last training images")
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--factors", nargs="+", type=float, default=[0.01, 0.02, 0.03, 0.05, 0.1, 0.2, 0.5, 1.0])
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    x, y = (t[-options.take:] for t in peers.images("mnist", None, options.data_dir, split="train"))
    print("robust accuracy in % at ε = " + ", ".join(map(str, EPS)))
    for checkpoint in options.checkpoints:
        net = peers.load("lenet-small", checkpoint)
        right = net(x).argmax(1) == y
        runs = {"ddn": lambda: ddn(net, x, y, options.steps)}
        for factor in [None, *options.factors]:
            name = "fmn none" if factor is None else f"fmn {factor}"
            runs[name] = lambda factor=factor: fmn(net, x, y, factor, options.steps)
        for name, run in runs.items():
            sizes = run()
            cells = "  ".join(f"{100 * ((sizes > eps) & right).float().mean():5.1f}" for eps in EPS)
            print(f"{checkpoint.stem:12} {name:10} {cells}", flush=True)


if __name__ == "__main__":
    main()
