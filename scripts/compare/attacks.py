"""gauntlet's attacks and the reference libraries' on the same weights and the same images.

    --parts agreement   official AutoAttack, whole and attack by attack, two seeds of each side
    --parts seeds       its attacks once more on the images on which those four runs did not agree, ten fresh seeds of
                        each side: which differences are the seeds'?
    --parts minimum     PGD-40 and the attacks for the smallest perturbation
    --parts speed       the same runs repeated, theirs and ours taking turns

Everything is a duel: on one checkpoint, every library runs the attack, then gauntlet does, round after round (round r
has seed r). A duel is saved after every round, so that an interrupted comparison goes on where it stopped; the reports
are made of the saved duels alone (tables.py).
"""
import argparse
import csv
import datetime
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
RECIPES = {
    "ce": "ce",
    "pgd-at": '{ name = "pgd-at", eps = "0.3", attack = { name = "pgd", steps = 10, alpha = "0.075" }, ramp = 2.0 }',
    "grad-norm": '{ name = "grad-norm", norm = "l1", weight = 0.2, ramp = 2.0 }',
}
# Where something survives; ce at 0.3 falls completely, which is what early exits are for.
BUDGETS = {"pgd-at": ["0.3"], "ce": ["0.3", "0.1"], "grad-norm": ["0.1"]}
PARTS = ["agreement", "seeds", "minimum", "speed"]
# A library this much slower than the fastest one in the first round sits the others out.
CONTENDER = 1.5
# Of the disputed images: not those that made them disputed.
FRESH = range(10, 20)


def ensembles(smoke):
    """AutoAttack's parts with the parameters of `standard`, and the whole."""
    steps, queries = (5, 40) if smoke else (100, 5000)
    ours = {
        "apgd-ce": {"name": "apgd-ce", "steps": steps, "restarts": 1, "rho": 0.75},
        "apgd-t": {"name": "apgd-t", "steps": steps, "restarts": 1, "targets": 9, "rho": 0.75},
        "fab-t": {"name": "fab-t", "steps": steps, "restarts": 1, "targets": 9},
        "square": {"name": "square", "queries": queries, "p_init": 0.8, "restarts": 1},
    }
    whole = {"name": "worst-case", "attacks": list(ours.values())} if smoke else \
        {"name": "autoattack", "version": "standard"}
    ours["standard"] = whole
    small = {"steps": steps, "queries": queries} if smoke else {}
    return {
        name: {"ours": attack, "norm": "linf", "peers": [peer("official", "AutoAttack", attack=name, **small)]}
        for name, attack in ours.items()
    }


def pgd(smoke, eps):
    steps, eps = (5 if smoke else 40), float(eps)
    ours = {"name": "pgd", "steps": steps, "alpha": "0.01", "restarts": 1, "random_start": True, "objective": "ce"}
    return {"ours": ours, "norm": "linf", "peers": [
        peer("torchattacks", "PGD", eps=eps, alpha=0.01, steps=steps, random_start=True),
        peer("foolbox", "LinfPGD", abs_stepsize=0.01, steps=steps, random_start=True),
        peer("art", "ProjectedGradientDescent", eps=eps, eps_step=0.01, max_iter=steps, num_random_init=1),
        peer("adv-lib", "pgd_linf", ε=eps, steps=steps, absolute_step_size=0.01, random_init=True, counts=False),
    ]}


def smallest(smoke):
    """Attacks for the smallest perturbation; `n`: images at most, `rounds`: alternations at most."""
    fool, cw, searches, steps = (5, 20, 3, 10) if smoke else (50, 300, 9, 100)
    ddn = {"name": "ddn", "steps": steps, "radius": 1.0, "gamma": 0.05}
    fmn = {"name": "fmn", "steps": steps, "alpha": 1.0, "alpha_last": 0.01, "gamma": 0.05, "gamma_last": 0.001}
    foolbox = {"steps": steps, "max_stepsize": 1.0, "min_stepsize": 0.01, "gamma": 0.05}
    advlib = {"steps": steps, "α_init": 1.0, "α_final": 0.01, "γ_init": 0.05, "γ_final": 0.001}
    return {
        "deepfool": {
            "ours": {"name": "deepfool", "steps": fool, "overshoot": 0.02, "candidates": 10}, "norm": "l2", "n": 200,
            "peers": [
                peer("torchattacks", "DeepFool", steps=fool, overshoot=0.02),
                peer("foolbox", "L2DeepFoolAttack", steps=fool, candidates=10, overshoot=0.02),
                peer("adv-lib", "df", steps=fool, overshoot=0.02, norm=2),
            ],
        },
        "cw-l2": {
            "ours": {"name": "cw-l2", "steps": cw, "searches": searches, "lr": 0.01, "c": 0.001, "confidence": 0.0,
                     "abort": True},
            "norm": "l2", "n": 100, "rounds": 3,
            "peers": [
                peer("torchattacks", "CW", c=1, kappa=0, steps=cw, lr=0.01, counts=False),
                peer("foolbox", "L2CarliniWagnerAttack", binary_search_steps=searches, steps=cw, stepsize=0.01,
                     confidence=0, initial_const=0.001, abort_early=True),
                peer("adv-lib", "carlini_wagner_l2", binary_search_steps=searches, max_iterations=cw,
                     learning_rate=0.01, confidence=0, initial_const=0.001, abort_early=True),
            ],
        },
        "ddn": {
            "ours": {**ddn, "levels": 256}, "norm": "l2",
            "peers": [peer("adv-lib", "ddn", steps=steps, γ=0.05, init_norm=1.0, levels=256)],
        },
        "ddn-unrounded": {
            "ours": {**ddn, "levels": 0}, "norm": "l2",
            "peers": [
                peer("foolbox", "DDNAttack", init_epsilon=1.0, steps=steps, gamma=0.05),
                peer("adv-lib", "ddn", steps=steps, γ=0.05, init_norm=1.0, levels=None),
            ],
        },
        "fmn-l2": {
            "ours": fmn, "norm": "l2",
            "peers": [peer("foolbox", "L2FMNAttack", **foolbox), peer("adv-lib", "fmn", norm=2, **advlib)],
        },
        "fmn-linf": {
            "ours": fmn, "norm": "linf",
            "peers": [
                peer("foolbox", "LInfFMNAttack", **foolbox), peer("adv-lib", "fmn", norm=float("inf"), **advlib),
            ],
        },
    }


def plan(options):
    """Every duel with the rounds it needs: checkpoint, attack, budget (None: smallest perturbation), attacks."""
    duels = {}

    def add(rounds, checkpoint, attack, eps, setting):
        if checkpoint not in options.only:
            return
        key = f"{checkpoint}_{attack}" + (f"_{eps}" if eps else "")
        old = duels.get(key, {"rounds": 0})
        rounds = max(old["rounds"], min(rounds, setting.get("rounds", rounds)))
        duels[key] = {"checkpoint": checkpoint, "attack": attack, "eps": eps, "rounds": rounds, **{
            k: setting[k] for k in ("ours", "norm", "peers")}, "n": min(options.take, setting.get("n", options.take))}

    budgets = {c: list[:1] if options.smoke else list for c, list in BUDGETS.items()}
    if "agreement" in options.parts or "seeds" in options.parts:
        for attack, setting in ensembles(options.smoke).items():
            for checkpoint, all_eps in budgets.items():
                for eps in all_eps:
                    add(2, checkpoint, attack, eps, setting)
    if "minimum" in options.parts:
        for checkpoint, all_eps in budgets.items():
            for eps in all_eps:
                add(1, checkpoint, "pgd", eps, pgd(options.smoke, eps))
            for attack, setting in smallest(options.smoke).items():
                add(1, checkpoint, attack, None, setting)
    if "speed" in options.parts:
        for checkpoint in ("pgd-at", "ce"):
            add(options.alternations, checkpoint, "pgd", "0.3", pgd(options.smoke, "0.3"))
            add(2, checkpoint, "standard", "0.3", ensembles(options.smoke)["standard"])
            for attack, setting in smallest(options.smoke).items():
                add(options.alternations, checkpoint, attack, None, setting)
    # The longest ones last: an interrupted run has then most of the table.
    return dict(sorted(duels.items(), key=lambda d: d[1]["attack"] == "standard"))


def gauntlet(*arguments):
    done = subprocess.run([str(a) for a in (GAUNTLET, *arguments)], capture_output=True, text=True, cwd=ROOT)
    if done.returncode:
        sys.exit(f"gauntlet {' '.join(map(str, arguments))} ended with {done.returncode}:\n{done.stderr}")
    return done.stdout


def sha256(path):
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()


def save(path, value):
    """Whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_suffix(".new")
    new.write_text(json.dumps(value, indent=1))
    new.replace(path)


class Comparison:
    def __init__(self, options):
        self.options = options
        smoke = "-smoke" if options.smoke else ""
        self.results = options.cache / f"take-{options.take}-threads-{options.threads}{smoke}"
        self.source = ["--data-dir", options.data_dir] if options.data_dir else []
        if not GAUNTLET.exists():
            sys.exit(f"no {GAUNTLET}: build it (attacks.sh does) or set CARGO_TARGET_DIR")
        self.binary = sha256(GAUNTLET)
        self.versions = peers.versions()
        torch.set_num_threads(options.threads)
        self.checkpoints = {name: self.checkpoint(name) for name in options.only}
        self.nets = {name: peers.load(MODEL, file) for name, file in self.checkpoints.items()}
        self.x, self.y = peers.images(DATA, options.take, options.data_dir)
        for net in self.nets.values():
            peers.warm(net, self.x)
        commit = shell("git", "rev-parse", "--short", "HEAD")
        dirty = "-dirty" if shell("git", "status", "--porcelain", "--", "crates", "Cargo.toml") else ""
        self.commit = commit + dirty
        self.write_machine()

    def checkpoint(self, name):
        """Trained once; the file's name is made of everything that was asked for."""
        epochs = 1 if self.options.smoke else 4
        arguments = [
            "--model", MODEL, "--recipe", RECIPES[name], "--data", DATA, "--epochs", epochs, "--batch", 128,
            "--lr", 0.002, "--schedule", "triangular", "--seed", 0,
        ]
        key = hashlib.sha256(json.dumps(arguments).encode()).hexdigest()[:12]
        file = self.options.cache / "checkpoints" / f"{name}-{key}.safetensors"
        if not file.exists():
            print(f"training {name}", flush=True)
            file.parent.mkdir(parents=True, exist_ok=True)
            gauntlet("--threads", self.options.threads, "--quiet", "train", *arguments, *self.source,
                     "--runs", self.options.cache / "runs", "--out", file)
        return file

    def write_machine(self):
        path = self.results / "machine.json"
        old = json.loads(path.read_text()) if path.exists() else {}
        checkpoints = old.get("checkpoints", {}) | {
            name: {"recipe": RECIPES[name], "sha256": sha256(file)} for name, file in self.checkpoints.items()}
        machine = {
            "cpu": cpu(), "threads": self.options.threads, "take": self.options.take, "smoke": self.options.smoke,
            "batch": peers.BATCH, "versions": self.versions, "patches": peers.PATCHES,
            "rustc": shell("rustc", "--version"), "model": MODEL, "data": DATA, "checkpoints": checkpoints,
            "peak_gflop_per_s": old.get("peak_gflop_per_s"),
        }
        if "speed" in self.options.parts or not machine["peak_gflop_per_s"]:
            found = [json.loads(gauntlet(
                "--threads", self.options.threads, "--json", "bench", "step", "--model", MODEL, "--recipe", "ce",
                "--batch", 128, "--seconds", 0.05 if self.options.smoke else 0.3)) for _ in range(3)]
            machine["peak_gflop_per_s"] = median(f["peak_gflop_per_s"] for f in found)
        save(path, machine)

    def theirs(self, duel, one, seed, which=slice(None)):
        """One library's run: seconds around the call alone, then what it found. `which`: of the duel's images."""
        n, eps = duel["n"], duel["eps"] and float(duel["eps"])
        net, x, y = self.nets[duel["checkpoint"]], self.x[:n][which], self.y[:n][which]
        torch.manual_seed(seed)
        numpy.random.seed(seed)
        try:
            run = peers.prepare(one, net, eps, seed)
            begin = time.perf_counter()
            # The official code and ART cut batches themselves.
            whole = one["library"] in ("official", "art")
            parts = [(x, y)] if whole else zip(x.split(peers.BATCH), y.split(peers.BATCH))
            adversarial = torch.cat([run(a, b).detach() for a, b in parts])
            seconds = time.perf_counter() - begin
        except Exception as error:  # a peer that cannot run is a finding, not an end
            return {"error": f"{type(error).__name__}: {error}".splitlines()[0]}
        found = peers.judge(net, x, y, adversarial, duel["norm"], eps)
        return {"seconds": seconds, "when": datetime.datetime.now().isoformat(timespec="seconds"), **found}

    def ours(self, duel, seed):
        n, minimal = duel["n"], duel["eps"] is None
        with tempfile.TemporaryDirectory() as folder:
            verdicts = Path(folder) / "verdicts.csv"
            found = json.loads(gauntlet(
                "--threads", self.options.threads, "--json", "--quiet", "attack", "--model", MODEL,
                "--checkpoint", self.checkpoints[duel["checkpoint"]], "--data", DATA, *self.source, "--take", n,
                "--attack", tables.toml(duel["ours"]), "--norm", duel["norm"], "--eps", duel["eps"] or "0.3",
                "--seed", seed, "--verdicts", verdicts))
            with open(verdicts) as f:
                rows = sorted(csv.DictReader(f), key=lambda r: int(r["index"]))
        if [int(r["label"]) for r in rows] != self.y[:n].tolist():
            sys.exit("gauntlet attacked other images")
        sizes = [float(r["size"]) for r in rows]
        # A smallest perturbation that is larger than the budget is robust there, and was found all the same.
        fell = lambda r, s: r["fate"] in ("broken", "carried") or (minimal and r["fate"] == "robust" and s > 0)
        return {
            "fates": "".join("w" if r["fate"] == "wrong" else "rb"[fell(r, s)] for r, s in zip(rows, sizes)),
            "sizes": [round(s, 6) for s in sizes] if minimal else None, "ids": [int(r["id"]) for r in rows],
            "when": datetime.datetime.now().isoformat(timespec="seconds"),
            **{k: found[k] for k in ("seconds", "forwards", "backwards", "robust_accuracy", "clean_accuracy")},
        }

    def duel(self, key, duel, timed):
        """Runs what is missing of one duel."""
        path = self.results / f"{key}.json"
        old = json.loads(path.read_text()) if path.exists() else {}
        setting = {k: duel[k] for k in ("checkpoint", "attack", "eps", "norm", "n", "ours")} | {
            "peers": [{**one, "said": peers.said(one), "arguments": None} for one in duel["peers"]],
            "weights": sha256(self.checkpoints[duel["checkpoint"]]), "cpu": cpu(), "versions": self.versions,
            "labels": self.y[:duel["n"]].tolist(),
        }
        same = old.get("setting") == setting and not self.options.fresh
        rounds = old["rounds"] if same else []
        if same and old["binary"] != self.binary:
            if timed and not self.options.keep_theirs:
                rounds = []
            else:  # what a library finds does not depend on our binary
                rounds = [{**r, "ours": None, "apart": True} for r in rounds]
        current = same and old["binary"] == self.binary
        state = {"setting": setting, "binary": self.binary, "gauntlet": old["gauntlet"] if current else self.commit,
                 "rounds": rounds, "fresh": old.get("fresh", []) if current else []}
        for k in range(max(duel["rounds"], len(rounds))):
            if k == len(rounds):
                rounds.append({"seed": k, "theirs": {}, "ours": None, "apart": False})
            this, keep = rounds[k], k == 0 or setting["peers"][0]["library"] == "official"
            for one in self.contenders(duel["peers"], rounds[0], k):
                if one["library"] not in this["theirs"]:
                    found = self.theirs(duel, one, k)
                    if not keep:  # later rounds are there for the time
                        found = {name: found[name] for name in ("seconds", "when", "error") if name in found}
                    this["theirs"][one["library"]] = found
                    save(path, state)
                    time.sleep(0.2)
            if this["ours"] is None:
                this["ours"] = self.ours(duel, k)
                if not keep:
                    for name in ("fates", "sizes", "ids"):
                        del this["ours"][name]
                save(path, state)
                time.sleep(0.2)
            line = ", ".join(f"{name} {t.get('error') or format(t['seconds'], '.2f') + ' s'}"
                             for name, t in this["theirs"].items())
            print(f"{key} round {k}: {line}, gauntlet {this['ours']['seconds']:.2f} s", flush=True)
        save(path, state)

    def seeds(self, key, duel):
        """Fresh seeds of both sides on the images on which the first two rounds differ."""
        path = self.results / f"{key}.json"
        state = json.loads(path.read_text())
        which = tables.disputed(state["rounds"])
        for seed in FRESH if which else []:
            if any(run["seed"] == seed for run in state["fresh"]):
                continue
            theirs, ours = self.theirs(duel, duel["peers"][0], seed, which), self.ours(duel, seed)
            if "error" in theirs:
                sys.exit(f"{key} seed {seed}: {theirs['error']}")
            state["fresh"].append({"seed": seed, "official": theirs["fates"],
                                   "gauntlet": "".join(ours["fates"][i] for i in which)})
            save(path, state)
            print(f"{key} seed {seed}: of {len(which)} disputed images {theirs['fates'].count('b')} broken, "
                  f"{state['fresh'][-1]['gauntlet'].count('b')} by gauntlet", flush=True)

    def contenders(self, all_peers, first, k):
        """Later rounds go without those that are slow, measured against the ones that count."""
        seconds = {name: found["seconds"] for name, found in first["theirs"].items() if "seconds" in found}
        counted = [seconds[one["library"]] for one in all_peers if one["counts"] and one["library"] in seconds]
        most = CONTENDER * min(counted, default=float("inf"))
        return [one for one in all_peers if k == 0 or seconds.get(one["library"], float("inf")) <= most]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--only", nargs="+", choices=RECIPES, help="only these checkpoints (default: all; ce with "
                        "--smoke, since pgd-at takes its time to train)")
    parser.add_argument("--attacks", nargs="+", help="only these attacks, e.g. pgd standard cw-l2")
    parser.add_argument("--take", type=int, help="test images (default 1000; 20 with --smoke)")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--alternations", type=int, help="of each timed attack (default 9; 2 with --smoke)")
    parser.add_argument("--data-dir", type=Path, help="folder with MNIST's parquet files as on the hub; without it, "
                        "the hub's cache, which gauntlet fills when it trains")
    parser.add_argument("--out", type=Path, default=ROOT / "reports", help="gets performance/ and attacks-agreement/")
    parser.add_argument("--smoke", action="store_true", help="few images, steps and queries: does everything run?")
    parser.add_argument("--fresh", action="store_true", help="repeat duels that are saved")
    parser.add_argument("--keep-theirs", action="store_true", help="after a change of gauntlet, repeat only its own "
                        "runs; the reports say that the two sides did not take turns")
    parser.add_argument("--report", action="store_true", help="only write the reports of what is saved")
    options = parser.parse_args()
    options.only = options.only or (["ce"] if options.smoke else list(RECIPES))
    options.take = options.take or (20 if options.smoke else 1000)
    options.alternations = options.alternations or (2 if options.smoke else 9)
    options.data_dir = options.data_dir and options.data_dir.resolve()
    cache = os.environ.get("GAUNTLET_COMPARE_CACHE", Path.home() / ".cache" / "gauntlet-compare")
    options.cache = Path(cache).resolve()
    comparison = None if options.report else Comparison(options)
    folder = comparison.results if comparison else options.cache / (
        f"take-{options.take}-threads-{options.threads}{'-smoke' if options.smoke else ''}")
    if comparison:
        timed = plan(argparse.Namespace(**{**vars(options), "parts": ["speed"]}))
        for key, duel in plan(options).items():
            if not options.attacks or duel["attack"] in options.attacks:
                comparison.duel(key, duel, key in timed)
                if "seeds" in options.parts and duel["attack"] in tables.DRAWS:
                    comparison.seeds(key, duel)
                tables.write(folder, options.out)
    tables.write(folder, options.out)


if __name__ == "__main__":
    main()
