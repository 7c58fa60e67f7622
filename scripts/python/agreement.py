"""The package's AutoAttack `standard` and the official one on the same module and the same images: verdicts, forwards and
backwards counted inside the module, and time, the two taking turns.

    scripts/python/agreement.sh --data-dir MNIST --out FOLDER

The module is a small convolutional network that is trained here on all of MNIST's training images; ε is where it leaves a
part of the images, chosen on training images.
"""

import argparse
import csv
import json
import pathlib
import statistics
import time

import numpy as np
import torch

import gauntlet

EPS = 0.1


class Counted(torch.nn.Module):
    """Counts examples forward and backward, and the seconds in the forward."""

    def __init__(self, net):
        super().__init__()
        self.net, self.forwards, self.backwards, self.seconds = net, 0, 0, 0.0

    def forward(self, x):
        begun = time.perf_counter()
        z = self.net(x)
        self.seconds += time.perf_counter() - begun
        self.forwards += len(x)
        if z.requires_grad:
            z.register_hook(lambda g: setattr(self, "backwards", self.backwards + len(g)))
        return z


def network():
    return torch.nn.Sequential(
        torch.nn.Conv2d(1, 16, 4, 2, 1), torch.nn.ReLU(), torch.nn.Conv2d(16, 32, 4, 2, 1), torch.nn.ReLU(), torch.nn.Flatten(),
        torch.nn.Linear(32 * 49, 100), torch.nn.ReLU(), torch.nn.Linear(100, 10),
    )


def trained(x, y, epochs):
    torch.manual_seed(0)
    net, order = network(), np.random.default_rng(0)
    optimiser = torch.optim.Adam(net.parameters(), 1e-3)
    for _ in range(epochs):
        for rows in np.array_split(order.permutation(len(x)), len(x) // 128):
            loss = torch.nn.functional.cross_entropy(net(x[rows]), y[rows])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
    return net.eval()


def official(net, x, y, eps, seed, bs):
    from pyautoattack import AutoAttack

    adversary = AutoAttack(net, norm="Linf", eps=eps, version="standard", device="cpu", seed=seed)
    return adversary.run_standard_evaluation(x, y, batch_size=bs)[0]


def ours(net, x, y, eps, seed, bs):
    adversary = gauntlet.AutoAttack(net, norm="Linf", eps=eps, version="standard", verbose=False, seed=seed)
    return adversary.run_standard_evaluation(x, y, bs=bs)


def native(net, x, y, eps, seed, bs):
    adversary = gauntlet.AutoAttack(net, norm="Linf", eps=eps, version="standard", verbose=False, seed=seed, native=True)
    found = adversary.run_standard_evaluation(x, y, bs=bs)
    print(adversary.result.notes, flush=True)
    return found


def run(attack, net, x, y, eps, seed, bs):
    counted = Counted(net).eval()
    for p in net.parameters():
        p.requires_grad_(False)
    wall, cpu = time.perf_counter(), time.process_time()
    x_adv = attack(counted, x, y, eps, seed, bs)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    with torch.no_grad():
        right = net(x_adv).argmax(1) == y
    assert float((x_adv - x).abs().max()) <= eps + 1e-6
    return dict(
        robust=int(right.sum()), rows=np.flatnonzero(right.numpy()).tolist(), forwards=counted.forwards, backwards=counted.backwards,
        wall=wall, cpu=cpu, in_forward=counted.seconds,
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-dir", required=True)
    parser.add_argument("--out", required=True, type=pathlib.Path)
    parser.add_argument("--images", type=int, default=200)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--threads", type=int, default=1)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    net = trained(*map(torch.from_numpy, gauntlet.load_examples("mnist", "train", data_dir=given.data_dir)), given.epochs)
    x, y = map(torch.from_numpy, gauntlet.load_examples("mnist", take=given.images, data_dir=given.data_dir))
    runs = []
    for seed in range(given.seeds):
        # Turn about, so that what else the machine does meets both.
        sides = [("official", official), ("gauntlet", ours), ("gauntlet, native", native)]
        for name, attack in sides if seed % 2 == 0 else sides[::-1]:
            found = run(attack, net, x, y, EPS, seed, 250)
            runs.append(dict(who=name, seed=seed, **found))
            print({key: value for key, value in runs[-1].items() if key != "rows"}, flush=True)
    # Everything that breaks: there is nothing to do for most of the ensemble.
    plain = [dict(who=name, **run(attack, net, x, y, 0.3, 0, 250)) for name, attack in (("official", official), ("gauntlet", ours), ("gauntlet, native", native))]
    given.out.mkdir(parents=True, exist_ok=True)
    (given.out / "python.json").write_text(json.dumps({"eps": EPS, "runs": runs, "plain": plain}, indent=1) + "\n")
    columns = ["who", "seed", "robust", "forwards", "backwards", "wall", "cpu", "in_forward"]
    with open(given.out / "python.csv", "w", newline="") as file:
        table = csv.DictWriter(file, columns, extrasaction="ignore")
        table.writeheader()
        table.writerows(runs)
    (given.out / "python.md").write_text(page(given, runs, plain))


def page(given, runs, plain):
    of = lambda who: [r for r in runs if r["who"] == who]
    differing = [
        len(set(a["rows"]) ^ set(b["rows"])) for a in of("official") for b in of("gauntlet") if a["seed"] == b["seed"]
    ]
    differing_native = [
        len(set(a["rows"]) ^ set(b["rows"])) for a in of("official") for b in of("gauntlet, native") if a["seed"] == b["seed"]
    ]
    spread = {who: len(set.union(*(set(r["rows"]) for r in of(who))) - set.intersection(*(set(r["rows"]) for r in of(who)))) for who in ("official", "gauntlet")}
    ratio = lambda key, who="gauntlet": statistics.geometric_mean(
        [a[key] / b[key] for a in of("official") for b in of(who) if a["seed"] == b["seed"]]
    )
    rows = lambda several: [
        f"| {r['who']} | {r.get('seed', 0)} | {r['robust']} | {r['forwards']} | {r['backwards']} | {r['wall']:.1f} | {r['cpu']:.1f} |" for r in several
    ]
    head = ["| who | seed | robust images | forwards | backwards | wall s | CPU s |", "| :-- | --: | --: | --: | --: | --: | --: |"]
    lines = [
        "# The Python package beside the official AutoAttack",
        "",
        f"The same module (a convolutional network of two layers, trained {given.epochs} epochs on MNIST), {given.images} test images, L∞ ε = {EPS},",
        f"`standard`, bs = 250, parameters frozen, {given.threads} thread of PyTorch; examples counted inside the module. Written by `scripts/python/agreement.sh`.",
        "",
        *head,
        *rows(runs),
        "",
        f"Images that the official code and the package judge differently, seed by seed: {', '.join(map(str, differing))}; and with `native=True`: "
        f"{', '.join(map(str, differing_native))}. Images that a side's own seeds judge differently: "
        f"official {spread['official']}, gauntlet {spread['gauntlet']}.",
        "",
        f"Official ÷ gauntlet: forwards {ratio('forwards'):.3f}, backwards {ratio('backwards'):.3f}, wall time {ratio('wall'):.2f}, CPU time {ratio('cpu'):.2f} "
        "(geometric means).",
        "",
        "`native=True` is the same call on gauntlet's own kernels; the module itself judges what was found, and is asked for nothing else (the examples "
        f"counted are those of the export, the comparison and the judgement). Official ÷ native: wall time {ratio('wall', 'gauntlet, native'):.2f}, CPU "
        f"time {ratio('cpu', 'gauntlet, native'):.2f}, the export included. Wall times are those of a machine that had other work to do at the same time.",
        "",
        "The same at ε = 0.3, where nothing is left to search for:",
        "",
        *head,
        *rows(plain),
        "",
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
