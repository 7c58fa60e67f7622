"""TRADES' inner attack from a start that is clamped to the box and from one that is not, as the published code has it.

Ten steps of ε/4 on the KL divergence, MNIST training rows 59,000 to 59,255, two draws of the start: mean KL at the end and
accuracy. Checkpoints are safetensors of lenet-small (relu).

    python scripts/compare/trades_start.py --data-dir DIR ce.safetensors grad-norm.safetensors pgd-at.safetensors
"""
import argparse
from pathlib import Path

import torch
from torch.nn import functional as F

import peers


def ascend(net, x, start, eps):
    p = F.softmax(net(x), 1)
    point = start
    for _ in range(10):
        point.requires_grad_(True)
        kl = F.kl_div(F.log_softmax(net(point), 1), p, reduction="sum")
        (g,) = torch.autograd.grad(kl, point)
        point = torch.min(torch.max(point.detach() + eps / 4 * g.sign(), x - eps), x + eps).clamp(0, 1)
    z = net(point)
    return F.kl_div(F.log_softmax(z, 1), p, reduction="none").sum(1).mean().item(), z.argmax(1)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoints", nargs="+", type=Path)
    parser.add_argument("--data-dir", type=Path, help="folder with MNIST's parquet files as on the hub")
    options = parser.parse_args()
    torch.set_num_threads(1)
    x, y = (t[59000:59256] for t in peers.images("mnist", None, options.data_dir, split="train"))
    for checkpoint in options.checkpoints:
        net = peers.load("lenet-small", checkpoint)
        for eps in (0.1, 0.3):
            for seed in (0, 1):
                torch.manual_seed(seed)
                start = x + 0.001 * torch.randn_like(x)
                for name, point in ("clamped", start.clamp(0, 1)), ("free", start):
                    kl, answers = ascend(net, x, point, eps)
                    print(f"{checkpoint.stem:10} ε {eps} draw {seed} {name:8} KL {kl:8.4f}  "
                          f"accuracy {100 * (answers == y).float().mean():5.1f} %", flush=True)


if __name__ == "__main__":
    main()
