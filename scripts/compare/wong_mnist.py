"""FGSM training from a random start on MNIST at ε = 0.3, literally as Wong, Rice & Kolter 2020 describe their script.

    $(bash scripts/parity/setup.sh) scripts/compare/wong_mnist.py --data-dir DIR --seeds 0 1 2 [--init model.safetensors]

Prints loss and FGSM accuracy of every epoch on the training images. A loss of 2.30 is the constant answer: with
`--init`, the first weights are those of a checkpoint (gauntlet's own of some seed: `gauntlet train --lr 1e-30 --epochs 1`),
which tells weights that cannot be trained from a recipe that does not train.

    ... --weights FILE --take 1000

attacks trained weights instead (the authors' own .pth, or safetensors) as their script does, PGD with 50 steps of 0.01 and 10 restarts that stop at
their first misclassified point, and counts in both ways: as published, the restart with the largest loss, and any misclassified point.
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


def attack(net, x, y):
    """Accuracies in percent: clean, of the restarts with the largest loss, and where no restart is misclassified."""
    counts = torch.zeros(3)
    for images, labels in zip(x.split(250), y.split(250)):
        clean = net(images).argmax(1) == labels
        held, counted, largest = clean.clone(), clean.clone(), torch.zeros(len(images))
        for _ in range(10):
            delta = torch.empty_like(images).uniform_(-EPS, EPS).clamp(-images, 1 - images)
            for _ in range(50):
                delta.requires_grad_(True)
                answer = net(images + delta)
                right = answer.argmax(1) == labels
                slope, = torch.autograd.grad(functional.cross_entropy(answer, labels), delta)
                step = (delta.detach() + 0.01 * slope.sign()).clamp(-EPS, EPS).clamp(-images, 1 - images)
                delta = torch.where(right.view(-1, 1, 1, 1), step, delta.detach())
            with torch.no_grad():
                answer = net(images + delta)
            loss, right = functional.cross_entropy(answer, labels, reduction="none"), answer.argmax(1) == labels
            counted = torch.where(loss >= largest, right, counted)
            largest, held = torch.maximum(largest, loss), held & right
        counts += torch.tensor([clean.sum(), counted.sum(), held.sum()])
    return (100 * counts / len(x)).tolist()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-dir", type=Path, help="folder with MNIST's parquet files as on the hub")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--alpha", type=float, default=0.375, help="step size in pixels (default 0.375)")
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--stop", type=int, help="after this many epochs of the schedule")
    parser.add_argument("--init", type=Path, help="first weights (safetensors with PyTorch's names)")
    parser.add_argument("--weights", type=Path, help="trained weights that are attacked; nothing is trained then")
    parser.add_argument("--take", type=int, help="attack the first TAKE test images only")
    parser.add_argument("--out", type=Path, help="folder for wong-mnist-SEED.safetensors, which `gauntlet attack` takes")
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    if options.weights:
        from safetensors.torch import load_file
        net, torches = network(), options.weights.suffix in (".pt", ".pth")
        net.load_state_dict(torch.load(options.weights, map_location="cpu") if torches else load_file(options.weights))
        torch.manual_seed(options.seeds[0])
        x, y = peers.images("mnist", options.take, options.data_dir, "test")
        clean, published, anything = attack(net, x, y)
        print(f"{len(x)} images: clean {clean:.2f} %, largest loss {published:.2f} %, any point {anything:.2f} %")
        return
    x, y = peers.images("mnist", None, options.data_dir, "train")
    for seed in options.seeds:
        train(x, y, seed, options)


if __name__ == "__main__":
    main()
