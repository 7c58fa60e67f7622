"""AutoAttack from end to end, gauntlet's and the official code's, on the same weights and the same images: in L2 and L1 on
MNIST, in L∞ on a network with batch norm on CIFAR-10 and on one of PyTorch's that gauntlet imports from an ONNX file, and `rand` on a network
with noise in its forward.

gauntlet trains the checkpoints. Each recipe was chosen to leave 20 to 80 % of the images, on training images that are held
out of the training (`--held-out` shows the accuracies by which), and no test image had a part in it.

Every run is saved, so that an interrupted comparison goes on where it stopped; the report is made of the saved runs alone
(end_to_end_tables.py).
"""
import argparse
import csv
import datetime
import hashlib
import json
import logging
import os
import re
import subprocess
import sys
import tempfile
import time
import tomllib
from pathlib import Path

import numpy
import pyarrow.parquet
import torch
from safetensors.torch import load_file
from torch import nn

import end_to_end_tables
import peers
from attacks import save, sha256
from peers import networks
from run import GAUNTLET, ROOT, cpu, shell
from tables import toml

NOISY = GAUNTLET.parent / "examples" / "attack_noisy_model"
HELD_OUT = 1000
CHECKPOINTS = {
    "mnist-l2": {
        "data": "mnist", "model": {"name": "lenet-small"},
        "recipe": {"name": "pgd-at", "norm": "l2", "eps": "1",
                   "attack": {"name": "pgd", "steps": 4, "alpha": "0.4"}},
        "train": {"epochs": 1, "batch": 128, "lr": 0.002, "schedule": "triangular"},
    },
    "mnist-linf": {
        "data": "mnist", "model": {"name": "lenet-small"},
        "recipe": {"name": "fgsm-rs", "eps": "0.2"},
        "train": {"epochs": 2, "batch": 128, "lr": 0.002, "schedule": "triangular"},
    },
    "cifar10": {
        "data": "cifar10",
        "model": {"name": "wideresnet", "depth": 10, "width": 1, "mean": [0.4914, 0.4822, 0.4465],
                  "std": [0.247, 0.2435, 0.2616]},
        "recipe": {"name": "fgsm-rs", "eps": "8/255"},
        "train": {"epochs": 1, "batch": 128, "lr": 0.005, "schedule": "triangular"},
    },
    # A narrow ResNet-18 of scripts/parity/networks.py, written by PyTorch's exporter and trained here.
    "cifar10-onnx": {
        "data": "cifar10",
        "model": {"name": "onnx:resnet18-8.onnx", "mean": [0.4914, 0.4822, 0.4465], "std": [0.247, 0.2435, 0.2616]},
        "recipe": {"name": "fgsm-rs", "eps": "8/255"},
        "train": {"epochs": 1, "batch": 128, "lr": 0.005, "schedule": "triangular"},
    },
}
CASES = {
    "mnist-l2": {"checkpoint": "mnist-l2", "norm": "l2", "eps": "1.5"},
    "mnist-l1": {"checkpoint": "mnist-l2", "norm": "l1", "eps": "10"},
    "cifar10-batch-norm": {"checkpoint": "cifar10", "norm": "linf", "eps": "4/255"},
    "cifar10-onnx": {"checkpoint": "cifar10-onnx", "norm": "linf", "eps": "4/255"},
    "mnist-noisy": {"checkpoint": "mnist-linf", "norm": "linf", "eps": "0.18", "noise": "0.25", "draws": 50},
}
LETTERS = {"wrong": "w", "robust": "r", "broken": "b", "carried": "b"}
SEEDS = {"standard": (0, 1), "rand": (0, 1, 2)}


class Noisy(nn.Module):
    """f(x + n), n ~ N(0, deviation²) for every pixel, anew in every forward."""

    def __init__(self, net, deviation):
        super().__init__()
        self.net, self.deviation = net, deviation

    def forward(self, x):
        return self.net(x + self.deviation * torch.randn_like(x))


class Normalised(nn.Module):
    def __init__(self, net, mean, std):
        super().__init__()
        self.net = net
        for name, values in (("mean", mean), ("std", std)):
            self.register_buffer(name, torch.tensor(values).view(1, -1, 1, 1))

    def forward(self, x):
        return self.net((x - self.mean) / self.std)


def module(model, file):
    """gauntlet's network in PyTorch, in eval mode and with frozen weights."""
    if model["name"] == "wideresnet":
        net = networks.WideResNet(nn.ReLU, model["depth"], model["width"])
    elif model["name"].startswith("onnx:"):
        net = networks.build(imported(model), "relu")
    else:
        net = networks.build(model["name"], "relu")
    missing, unexpected = net.load_state_dict(load_file(file), strict=False)
    if unexpected or any(not name.endswith("num_batches_tracked") for name in missing):
        sys.exit(f"{file} is no checkpoint of {model['name']}: lacks {missing}, has {unexpected}")
    if "mean" in model:
        net = Normalised(net, model["mean"], model["std"])
    return net.eval().requires_grad_(False)


def imported(model):
    """The name in scripts/parity/networks.py of a network that an ONNX file holds."""
    return model["name"].removeprefix("onnx:").removesuffix(".onnx")


def export(model, path):
    """A fresh network of PyTorch's as the file that gauntlet trains: nothing folded, parameters under their names."""
    torch.manual_seed(0)
    net = networks.build(imported(model), "relu").train()
    shapes = ({0: torch.export.Dim("n")},)
    torch.onnx.export(net, (torch.rand(2, 3, 32, 32),), str(path), dynamo=True, optimize=False, external_data=False, dynamic_shapes=shapes,
                      verbose=False)


def keyed(name, rows, n):
    """n of the rows, the same ones everywhere: those with the smallest sha256 of name and row number."""
    order = sorted(rows, key=lambda row: hashlib.sha256(f"{name} {row}".encode()).digest())
    return sorted(order[:n])


def value(eps):
    over, _, under = eps.partition("/")
    return float(over) / float(under or 1)


class Comparison:
    def __init__(self, options):
        self.options, self.folder = options, options.cache / ("end-to-end-smoke" if options.smoke else "end-to-end")
        noisy = any("noise" in CASES[key] for key in options.only) and not options.report
        for program in (GAUNTLET, NOISY) if noisy else (GAUNTLET,):
            if not program.exists():
                sys.exit(f"no {program}: build it (end_to_end.sh does) or set CARGO_TARGET_DIR")
        (self.folder / "datasets").mkdir(parents=True, exist_ok=True)
        torch.set_num_threads(options.threads)
        crates = ("--", "crates", "Cargo.toml", "Cargo.lock")
        dirty = "-dirty" if shell("git", "status", "--porcelain", *crates) else ""
        self.gauntlet = shell("git", "log", "-1", "--format=%h", *crates) + dirty
        self.n = 12 if options.smoke else 200
        self.source = ["--data-dir", options.data_dir] if options.data_dir else []
        self.images, self.files = {}, {}

    def program(self, *arguments, program=GAUNTLET):
        """Runs in the folder whose `datasets` describe the images."""
        words = [str(a) for a in (program, *arguments)]
        done = subprocess.run(words, capture_output=True, text=True, cwd=self.folder)
        if done.returncode:
            sys.exit(f"{' '.join(words)} ended with {done.returncode}:\n{done.stderr}")
        return done.stdout

    def chosen(self, data):
        """The attacked images as a data set of their own, which gauntlet reads too: its name, rows, pixels and labels."""
        if data in self.images:
            return self.images[data]
        split = "train" if self.options.held_out else "test"
        table, image, label = peers.rows(data, split, self.options.data_dir)
        first = table.num_rows - HELD_OUT if self.options.held_out else 0
        rows = keyed(f"{data} {split}", range(first, table.num_rows), self.n)
        name = f"{data}-{split}-{self.n}"
        table = table.take(rows)
        self.describe(name, data, name, table)
        self.images[data] = name, rows, *peers.decoded(table, image, label)
        return self.images[data]

    def describe(self, name, data, test, table):
        """A data set of rows of another one: file and manifest. Its training rows are never read but in a smoke run."""
        pyarrow.parquet.write_table(table, self.folder / f"{name}.parquet", compression="none")
        old = tomllib.loads((ROOT / "datasets" / f"{data}.toml").read_text())
        new = {k: old[k] for k in ("shape", "classes", "licence", "source")} | {
            "name": name, "summary": f"rows of {data}", "train": {"files": [{"path": f"{name}.parquet"}]},
            "test": {"files": [{"path": f"{test}.parquet"}]}}
        text = "".join(f"{k} = {toml(v)}\n" for k, v in new.items())
        (self.folder / "datasets" / f"{name}.toml").write_text(text)

    def checkpoint(self, name):
        """Trained once; the file's name is made of everything that was asked for."""
        if name in self.files:
            return self.files[name]
        c = CHECKPOINTS[name]
        if c["model"]["name"].startswith("onnx:"):
            network = self.folder / c["model"]["name"].removeprefix("onnx:")
            if not network.exists():
                export(c["model"], network)
        data, source, recipe = c["data"], self.source, c["recipe"]
        flags = {**c["train"], "seed": 0, "validation": HELD_OUT}
        if self.options.smoke:  # so short that plain training alone gets some images right
            data, source, recipe = self.few(data), ["--data-dir", self.folder], {"name": "ce"}
            flags |= {"epochs": 6, "batch": 16, "validation": 16}
        arguments = ["--model", toml(c["model"]), "--recipe", toml(recipe), "--data", data]
        arguments += [word for flag, v in flags.items() for word in (f"--{flag}", v)]
        key = hashlib.sha256(json.dumps(arguments).encode()).hexdigest()[:12]
        file = self.folder / "checkpoints" / f"{name}-{key}.safetensors"
        if not file.exists():
            file.parent.mkdir(exist_ok=True)
            begin = time.perf_counter()
            self.program("--threads", self.options.threads, "--quiet", "train", *arguments, *source, "--runs",
                         self.folder / "runs", "--out", file)
            print(f"trained {name} in {time.perf_counter() - begin:.0f} s", flush=True)
        self.files[name] = file
        return file

    def few(self, data):
        """Training rows of a smoke run."""
        table, *_ = peers.rows(data, "train", self.options.data_dir)
        self.describe(f"{data}-few", data, f"{data}-few", table.slice(0, 272))
        return f"{data}-few"

    def attack(self, case):
        """gauntlet's ensemble; in a smoke run its parts with few steps."""
        if not self.options.smoke or "noise" in case:
            return {"name": "autoattack", "version": "rand" if "noise" in case else "standard"}
        sparse = case["norm"] == "l1"
        return {"name": "worst-case", "attacks": [
            {"name": "apgd-ce", "steps": 5, "restarts": 5 if sparse else 1, "rho": 0.75},
            {"name": "apgd-t", "steps": 5, "restarts": 1, "targets": 5 if sparse else 9, "rho": 0.75},
            {"name": "fab-t", "steps": 5, "restarts": 1, "targets": 9},
            {"name": "square", "queries": 20, "p_init": 0.8, "restarts": 1}]}

    def theirs(self, case, seed):
        """What the official code finds: fates, and how many are left after each of its attacks."""
        _, _, x, y = self.chosen(CHECKPOINTS[case["checkpoint"]]["data"])
        net = module(CHECKPOINTS[case["checkpoint"]]["model"], self.checkpoint(case["checkpoint"]))
        noisy = "noise" in case
        if noisy:
            net = Noisy(net, float(case["noise"]))
        small = {"steps": 5, "queries": 20} if self.options.smoke else {}
        torch.manual_seed(seed)
        numpy.random.seed(seed)
        ensemble = peers.autoattack(net, case["norm"], value(case["eps"]), seed, "rand" if noisy else "standard", **small)
        left, first = Left(ensemble.logger), First(ensemble.apgd)
        adversarial, answer = ensemble.run_standard_evaluation(x, y, batch_size=peers.BATCH)
        found = {"left": {name: round(share * len(y)) for name, share in left.shares.items()}}
        if not noisy:
            return found | peers.judge(net, x, y, adversarial, case["norm"], value(case["eps"]))
        if first.given is None:
            return found | {"fates": "w" * len(y), "over_draws": 0.0}
        # Its own answers decide: another forward would be another draw.
        given = {image.numpy().tobytes() for image in first.given[0]}
        attacked = torch.tensor([image.numpy().tobytes() in given for image in x])
        found["fates"] = "".join("rb"[a != b] if c else "w" for a, b, c in zip(answer, y, attacked))
        # Every draw asked about a proposal, as gauntlet's referee does: of both attacks' the one that fools more of them,
        # judged anew. The ensemble itself shows its second attack only what one draw has left.
        x, y = first.given
        ensemble.apgd.loss, ensemble.apgd.seed = "dlr", seed
        fooled = lambda adversarial: sum(net(adversarial).argmax(1) != y for _ in range(case["draws"]))
        with torch.no_grad():
            proposals = [first.proposed, first.perturb(x, y)]
            ce, dlr = map(fooled, proposals)
            best = torch.where((dlr > ce).view(-1, 1, 1, 1), *reversed(proposals))
            found["over_draws"] = float((1 - fooled(best) / case["draws"]).sum()) / len(attacked)
        return found

    def ours(self, case, seed):
        c = CHECKPOINTS[case["checkpoint"]]
        name, _, _, y = self.chosen(c["data"])
        if "noise" in case:
            return self.noisy(case, seed)
        with tempfile.TemporaryDirectory() as folder:
            verdicts = Path(folder) / "verdicts.csv"
            self.program(
                "--threads", self.options.threads, "--json", "--quiet", "attack", "--model", toml(c["model"]),
                "--checkpoint", self.checkpoint(case["checkpoint"]), "--data", name, "--data-dir", self.folder, "--all",
                "--attack", toml(self.attack(case)), "--norm", case["norm"], "--eps", case["eps"], "--seed", seed,
                "--verdicts", verdicts)
            with open(verdicts) as f:
                rows = sorted(csv.DictReader(f), key=lambda r: int(r["index"]))
        if [int(r["label"]) for r in rows] != y.tolist():
            sys.exit("gauntlet attacked other images")
        left, standing = {}, sum(r["fate"] != "wrong" for r in rows)
        for stage in end_to_end_tables.STAGES["standard"]:
            standing -= sum(r["broken_by"] == stage for r in rows)
            left[stage] = standing
        return {"left": left, "fates": "".join(LETTERS[r["fate"]] for r in rows)}

    def noisy(self, case, seed):
        """Judged by one draw, as the official code judges, and once more on many."""
        c = CHECKPOINTS[case["checkpoint"]]
        request = {
            "model": c["model"], "weights": str(self.checkpoint(case["checkpoint"])), "data": self.chosen(c["data"])[0],
            "data_dir": str(self.folder), "take": self.n, "sd": float(case["noise"]), "norm": case["norm"],
            "eps": case["eps"], "attack": self.attack(case), "seed": seed, "noise_seed": seed}
        one, many = (json.loads(self.program(json.dumps(request | {"draws": draws}), program=NOISY))
                     for draws in (1, case["draws"]))
        letters = "".join(LETTERS[fate] for fate in one["fates"])
        return {"left": {"apgd-dlr": letters.count("r")}, "fates": letters, "over_draws": many["robust_over_draws"],
                "clean_over_draws": many["clean_over_draws"]}

    def duel(self, key):
        """Runs what is missing of one case."""
        case = CASES[key]
        version = "rand" if "noise" in case else "standard"
        c = CHECKPOINTS[case["checkpoint"]]
        file = self.checkpoint(case["checkpoint"])
        _, rows, _, y = self.chosen(c["data"])
        both = {"case": case, "checkpoint": c, "weights": sha256(file), "rows": rows, "labels": y.tolist(), "cpu": cpu(),
                "threads": self.options.threads, "smoke": self.options.smoke}
        program = NOISY if version == "rand" else GAUNTLET
        own = {"official": {"versions": peers.versions()},
               "gauntlet": {"binary": sha256(program), "attack": self.attack(case)}}
        for seed in SEEDS[version]:
            for side in self.options.sides:
                run = {"official": self.theirs, "gauntlet": self.ours}[side]
                path = self.folder / "results" / f"{key}_{side}_{seed}.json"
                setting = both | own[side]
                if path.exists() and not self.options.fresh and json.loads(path.read_text())["setting"] == setting:
                    continue
                begin = time.perf_counter()
                found = run(case, seed)
                seconds = time.perf_counter() - begin
                save(path, {"setting": setting, "gauntlet": self.gauntlet, "seconds": round(seconds, 1),
                            "when": datetime.date.today().isoformat(), **found})
                print(f"{key} {side} seed {seed}: {found['fates'].count('r')} of {len(y)} robust, {seconds:.0f} s", flush=True)

    def held_out(self, key):
        """What a checkpoint leaves of training images that it was not trained on."""
        found = self.ours(CASES[key], 0)
        n, fates = len(found["fates"]), found["fates"]
        print(f"{key}: clean {100 - 100 * fates.count('w') / n:.1f} %, robust {100 * fates.count('r') / n:.1f} % of {n} "
              f"held-out training images; left {found['left']}", flush=True)


class Left(logging.Handler):
    """Reads off the official log which share is left after each attack."""

    def __init__(self, logger):
        super().__init__(logging.DEBUG)
        self.shares = {}
        logger.handlers, logger.propagate = [self], False
        logger.setLevel(logging.DEBUG)

    def emit(self, record):
        if found := re.fullmatch(r"robust accuracy after (\S+): ([\d.]+)%.*", record.getMessage()):
            self.shares[found[1].lower()] = float(found[2]) / 100


class First:
    """What an ensemble's first attack is given, which is what its one clean forward classifies correctly, and returns."""

    def __init__(self, attack):
        self.perturb, self.given, attack.perturb = attack.perturb, None, self

    def __call__(self, x, y):
        adversarial = self.perturb(x, y)
        if self.given is None:
            self.given, self.proposed = (x, y), adversarial
        return adversarial


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=CASES, default=list(CASES), help="only these cases")
    parser.add_argument("--sides", nargs="+", choices=end_to_end_tables.SIDES, default=end_to_end_tables.SIDES,
                        help="run only this side (default: both, taking turns)")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--data-dir", type=Path, help="folder with the parquet files of MNIST and CIFAR-10 as on the hub; "
                        "without it, the hub's cache, which gauntlet fills when it trains")
    parser.add_argument("--out", type=Path, default=ROOT / "reports" / "attacks-agreement", help="gets end-to-end*")
    parser.add_argument("--held-out", action="store_true", help="gauntlet alone, on training images that are held out: by "
                        "what the recipes were chosen")
    parser.add_argument("--smoke", action="store_true", help="few images, steps and queries: does everything run?")
    parser.add_argument("--fresh", action="store_true", help="repeat runs that are saved")
    parser.add_argument("--report", action="store_true", help="only write the report of what is saved")
    options = parser.parse_args()
    options.data_dir = options.data_dir and options.data_dir.resolve()
    cache = os.environ.get("GAUNTLET_COMPARE_CACHE", Path.home() / ".cache" / "gauntlet-compare")
    options.cache = Path(cache).resolve()
    comparison = Comparison(options)
    for key in [] if options.report else options.only:
        if options.held_out:
            comparison.held_out(key)
        else:
            comparison.duel(key)
            end_to_end_tables.write(comparison.folder, options.out, CASES)
    if options.report:
        end_to_end_tables.write(comparison.folder, options.out, CASES)


if __name__ == "__main__":
    main()
