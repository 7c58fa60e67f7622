"""gauntlet's attacks without gradients, and EAD, beside a reference library's, on the same weights and the same images.

Per attack and image: the size of the smallest perturbation (or whether it falls inside a budget) and how often the model was
asked; per attack the seconds of one thread. Sizes are compared as medians and as the share of images on which ours is smaller.
"""
import argparse
import csv
import hashlib
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

import numpy
import torch

import peers
import tables
from peers import peer
from run import GAUNTLET, ROOT, cpu, shell

MODEL, DATA = "lenet-small", "mnist"
OUT = ROOT / "reports" / "attacks-agreement"
COLUMNS = ["attack", "norm", "eps", "side", "median", "broken", "asked", "seconds"]


def duels():
    """Name, norm, ε (None: smallest perturbation), ours, the library's. Settings are equal where both have them."""
    jump = dict(init_attack=None, steps=20, initial_gradient_eval_steps=100, max_gradient_eval_steps=10000, gamma=1.0)
    ours = {"name": "hopskipjump", "steps": 20}
    return [
        ("hopskipjump", "l2", None, ours, peer("foolbox", "HopSkipJumpAttack", constraint="l2", **jump)),
        ("hopskipjump", "linf", None, ours, peer("foolbox", "HopSkipJumpAttack", constraint="linf", **jump)),
        ("ead", "l1", None, {"name": "ead", "steps": 300, "searches": 9, "c": 0.001, "beta": 0.01, "lr": 0.01},
         peer("foolbox", "EADAttack", binary_search_steps=9, steps=300, initial_stepsize=0.01, initial_const=0.001,
              regularization=0.01, decision_rule="L1")),
        ("boundary", "l2", None, {"name": "boundary", "steps": 5000}, peer("foolbox", "BoundaryAttack", steps=5000)),
        ("geoda", "l2", None, {"name": "geoda", "queries": 2000}, peer("art", "GeoDA", norm=2, sub_dim=10, max_iter=2000)),
        ("sign-opt", "l2", None, {"name": "sign-opt", "queries": 5000},
         peer("art", "SignOPTAttack", targeted=False, query_limit=5000, max_iter=1000, num_trial=100, k=200)),
        ("square", "linf", "0.1", {"name": "square", "queries": 1000, "p_init": 0.8},
         peer("art", "SquareAttack", norm=numpy.inf, max_iter=1000, eps=0.1, p_init=0.8)),
    ]


class Counted(torch.nn.Module):
    """The network, counting the rows that it is asked about."""

    def __init__(self, net):
        super().__init__()
        self.net, self.asked = net, 0

    def forward(self, x):
        self.asked += len(x)
        return self.net(x)


def theirs(net, x, y, norm, eps, one, seed):
    torch.manual_seed(seed)
    numpy.random.seed(seed)
    counted = Counted(net).eval()
    run = peers.prepare(one, counted, eps and float(eps), seed)
    begin = time.perf_counter()
    found = run(x, y).detach()
    seconds = time.perf_counter() - begin
    judged = peers.judge(net, x, y, found, norm, eps and float(eps))
    sizes = peers.lengths(found.double() - x.double(), norm)
    fell = [fate == "b" for fate in judged["fates"]]
    return {"sizes": sizes.tolist(), "fell": fell, "asked": counted.asked / len(x), "seconds": seconds}


def gauntlet(*arguments):
    done = subprocess.run([str(a) for a in (GAUNTLET, *arguments)], capture_output=True, text=True, cwd=ROOT)
    if done.returncode:
        sys.exit(f"gauntlet {' '.join(map(str, arguments))} ended with {done.returncode}:\n{done.stderr}")
    return done.stdout


def mine(checkpoint, source, take, kept, norm, eps, attack, seed):
    with tempfile.TemporaryDirectory() as folder:
        verdicts = Path(folder) / "verdicts.csv"
        found = json.loads(gauntlet(
            "--threads", 1, "--json", "--quiet", "attack", "--model", MODEL, "--checkpoint", checkpoint, "--data", DATA,
            *source, "--take", take, "--attack", tables.toml(attack), "--norm", norm, "--eps", eps or "0.3", "--seed", seed,
            "--verdicts", verdicts))
        with open(verdicts) as f:
            rows = {int(r["id"]): r for r in csv.DictReader(f)}
    sizes = [float(rows[i]["size"]) for i in kept]
    fell = [rows[i]["fate"] in ("broken", "carried") or (eps is None and s > 0) for i, s in zip(kept, sizes)]
    return {"sizes": sizes, "fell": fell, "asked": found["forwards"] / len(kept), "seconds": found["seconds"]}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--take", type=int, default=50, help="images of the test split")
    parser.add_argument("--data-dir", type=Path)
    parser.add_argument("--cache", type=Path, default=Path.home() / ".cache" / "gauntlet-compare" / "black-box")
    parser.add_argument("--only", nargs="*", help="names of attacks")
    options = parser.parse_args()
    torch.set_num_threads(1)
    source = ["--data-dir", options.data_dir] if options.data_dir else []
    checkpoint = options.cache / "ce.safetensors"
    if not checkpoint.exists():
        options.cache.mkdir(parents=True, exist_ok=True)
        gauntlet("--threads", 1, "--quiet", "train", "--model", MODEL, "--recipe", "ce", "--data", DATA, "--epochs", 2,
                 "--batch", 128, "--lr", 0.002, "--schedule", "triangular", "--seed", 0, *source,
                 "--runs", options.cache / "runs", "--out", checkpoint)
    net = peers.load(MODEL, checkpoint)
    x, y = peers.images(DATA, options.take, options.data_dir)
    kept = [i for i, right in enumerate((peers.classes(net, x) == y).tolist()) if right]
    x, y = x[kept], y[kept]
    rows, told = [], []
    for name, norm, eps, ours, one in duels():
        if options.only and name not in options.only:
            continue
        sides = {one["library"]: theirs(net, x, y, norm, eps, one, 0),
                 "gauntlet": mine(checkpoint, source, options.take, kept, norm, eps, ours, 0)}
        for side, found in sides.items():
            sizes = [s for s, f in zip(found["sizes"], found["fell"]) if f]
            rows.append({
                "attack": name, "norm": norm, "eps": eps or "", "side": side,
                "median": f"{median(sizes):.4f}" if eps is None and sizes else "", "broken": sum(found["fell"]),
                "asked": round(found["asked"]), "seconds": f"{found['seconds']:.1f}"})
            print(rows[-1], flush=True)
        a, b = sides.values()
        smaller = [o < t for t, o, f, g in zip(a["sizes"], b["sizes"], a["fell"], b["fell"]) if f and g]
        told.append((name, norm, eps, tables.toml(ours), peers.said(one), sum(smaller), len(smaller)))
        # After every one: an interrupted comparison has its table.
        write(options, rows, told, len(kept), hashlib.sha256(checkpoint.read_bytes()).hexdigest())


def write(options, rows, told, n, weights):
    with open(OUT / "black-box.csv", "w", newline="") as f:
        table = csv.DictWriter(f, COLUMNS, lineterminator="\n")
        table.writeheader()
        table.writerows(rows)
    versions = ", ".join(f"{k} {v}" for k, v in peers.versions().items() if k in ("torch", "foolbox", "art"))
    lines = [
        "# Attacks without gradients, and EAD, beside the libraries'", "",
        f"{cpu()}, one thread; gauntlet {shell('git', 'rev-parse', '--short', 'HEAD')}; {versions}. {MODEL}, trained for two epochs "
        f"(sha256 of the file `{weights}`), on the {n} of the first {options.take} test images of {DATA} that it classifies "
        "correctly; both sides read the same file and the same images. One seed each: `scripts/compare/black_box.sh`.", "",
        "`median`: of the sizes of the perturbations found; `broken`: images that fell; `asked`: questions per image (rows of "
        "forwards); `seconds`: wall time of one run, of a machine that may have had other work; `smaller`: images on which gauntlet's "
        "perturbation is the smaller one, of those that both break. `seconds`: of this one run, whatever else the machine did.", "",
        "| attack | norm | ε | side | median | broken | asked | seconds | smaller |", "|---|---|---|---|--:|--:|--:|--:|--:|",
    ]
    for k, row in enumerate(rows):
        smaller = f"{told[k // 2][5]} of {told[k // 2][6]}" if k % 2 and not row["eps"] else ""
        lines.append("| " + " | ".join(str(row[c]) for c in COLUMNS) + f" | {smaller} |")
    lines += ["", "Settings:", ""]
    lines += [f"* {name}, {norm}: gauntlet `{ours}`, {theirs}" for name, norm, _, ours, theirs, *_ in told]
    (OUT / "black-box.md").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
