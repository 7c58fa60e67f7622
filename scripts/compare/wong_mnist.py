"""FGSM training from a random start on MNIST at ε = 0.3, literally as Wong, Rice & Kolter 2020 describe their script.

    $(bash scripts/parity/setup.sh) scripts/compare/wong_mnist.py --data-dir DIR --seeds 0 1 2 [--init model.safetensors]

Prints loss and FGSM accuracy of every epoch on the training images. A loss of 2.30 is the constant answer: with
`--init`, the first weights are those of a checkpoint (gauntlet's own of some seed: `gauntlet train --lr 1e-30 --epochs 1`),
which tells weights that cannot be trained from a recipe that does not train.
"""
import argparse
from pathlib import Path

import numpy
import torch
from torch import nn
from torch.nn import functional

import peers

EPS, RATE, BATCH = 0.3, 5e-3, 100


def network():
    return nn.Sequential(
        nn.Conv2d(1, 16, 4, 2, 1), nn.ReLU(), nn.Conv2d(16, 32, 4, 2, 1), nn.ReLU(), nn.Flatten(),
        nn.Linear(1568, 100), nn.ReLU(), nn.Linear(100, 10),
    )


def train(x, y, seed, options):
    torch.manual_seed(seed)
    net = network()
    if options.init:
        from safetensors.torch import load_file
        net.load_state_dict(load_file(options.init))
    optimiser = torch.optim.Adam(net.parameters(), lr=RATE)
    steps = len(x) // BATCH
    for epoch in range(options.stop or options.epochs):
        order, loss_sum, correct = torch.randperm(len(x)), 0.0, 0
        for step in range(steps):
            rows = order[step * BATCH:(step + 1) * BATCH]
            images, labels = x[rows], y[rows]
            at = epoch + (step + 1) / steps
            for group in optimiser.param_groups:
                group["lr"] = float(numpy.interp(at, [0, options.epochs * 0.4, options.epochs], [0, RATE, 0]))
            start = torch.empty_like(images).uniform_(-EPS, EPS).requires_grad_(True)
            slope, = torch.autograd.grad(functional.cross_entropy(net(images + start), labels), start)
            delta = (start.detach() + options.alpha * slope.sign()).clamp(-EPS, EPS)
            answer = net((images + delta).clamp(0, 1))
            loss = functional.cross_entropy(answer, labels)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            loss_sum += loss.item() / steps
            correct += (answer.argmax(1) == labels).sum().item()
        print(f"seed {seed}, epoch {epoch + 1}: loss {loss_sum:.3f}, FGSM accuracy {100 * correct / len(x):.1f} %",
              flush=True)
    if options.out:
        from safetensors.torch import save_file
        options.out.mkdir(parents=True, exist_ok=True)
        save_file(net.state_dict(), options.out / f"wong-mnist-{seed}.safetensors")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-dir", type=Path, help="folder with MNIST's parquet files as on the hub")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--alpha", type=float, default=0.375, help="step size in pixels (default 0.375)")
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--stop", type=int, help="after this many epochs of the schedule")
    parser.add_argument("--init", type=Path, help="first weights (safetensors with PyTorch's names)")
    parser.add_argument("--out", type=Path, help="folder for wong-mnist-SEED.safetensors, which `gauntlet attack` takes")
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    x, y = peers.images("mnist", None, options.data_dir, "train")
    for seed in options.seeds:
        train(x, y, seed, options)


if __name__ == "__main__":
    main()
