#!/usr/bin/env python3
"""Counts what a step asks of a GPU, with the emulated driver, and compares it with candle's own autograd.

launches.py GAUNTLET CANDLE_STEPS EMULATOR [--check]   writes (or checks) reports/cuda/launches.csv
"""
import csv, io, json, os, subprocess, sys, tempfile
from pathlib import Path

TABLE = Path(__file__).resolve().parents[2] / "reports/cuda/launches.csv"
FEW, MANY = 2, 12
# What a step does, and what it asks of the driver where memory is kept and what repeats is recorded.
WORK = {"launches": "launch", "products": "gemm"}
ASKED = {"launched": "launch", "multiplied": "gemm", "graphs": "graph launch", "allocations": "allocate", "uploads": "upload",
         "downloads": "download", "waits": "synchronise", "events": "event record"}
COLUMNS = ["model", "step", "launches", "products", "calls", "graphs", "allocations", "uploads", "downloads", "waits", "events", "candle", "share"]
NORMALISED = '{ name = "preactresnet18", mean = [0.49, 0.48, 0.45], std = [0.25, 0.24, 0.26] }'
# Steps of gauntlet, and what candle's autograd is asked for beside them.
STEPS = [("lenet-small", "ce", "ce"), ("lenet-small", "grad-norm", "grad-norm"), ("lenet-small", "attack", "attack"),
         ("lenet-small", "fgsm-aug", None), ("lenet-small", "direction-matching", None), ("lenet-small", "pgd-at", None),
         ("madry-cnn", "ce", None), ("madry-cnn", "grad-norm", None), ("preactresnet18", "ce", None),
         ("preactresnet18", "pgd-at", None), (NORMALISED, "ce", None)]


def counts(command, emulator, **more):
    with tempfile.NamedTemporaryFile() as file:
        environment = dict(os.environ, LD_LIBRARY_PATH=emulator, GAUNTLET_GPU_IDLE="1", GAUNTLET_GPU_COUNTS=file.name, **more)
        ran = subprocess.run(command, env=environment, capture_output=True, text=True)
        if ran.returncode:
            sys.exit(f"{' '.join(command)}:\n{ran.stderr}")
        return json.load(open(file.name))


def per_step(command, emulator, what, **more):
    few, many = (counts(command(n), emulator, **more) for n in (FEW, MANY))
    found = {}
    for name, key in what.items():
        difference = many.get(key, 0) - few.get(key, 0)
        if difference % (MANY - FEW):
            sys.exit(f"{command(FEW)}: {name} are not the same in every step ({difference} in {MANY - FEW})")
        found[name] = difference // (MANY - FEW)
    return found


def main():
    gauntlet, candle, emulator = sys.argv[1:4]
    rows, failures = [], []
    for model, recipe, other in STEPS:
        def ours(n):
            return [gauntlet, "bench", "step", "--device", "cuda", "--model", model, "--recipe", recipe, "--batch", "8",
                    "--seconds", "0", "--least", str(n), "--threads", "1"]
        row = {"model": "preactresnet18, normalised" if model == NORMALISED else model, "step": recipe,
               **per_step(ours, emulator, WORK, GAUNTLET_GPU_MEMORY="driver"), **per_step(ours, emulator, ASKED)}
        row["calls"] = row.pop("launched") + row.pop("multiplied") + row["graphs"]
        # The stopwatch waits once a step.
        row["waits"] -= 1
        if row["uploads"] > (recipe == "pgd-at") or row["downloads"] or row["waits"] or row["events"] or row["allocations"]:
            failures.append(f"{model} {recipe} talks to the host, or asks for memory, within a step: {row}")
        if other:
            theirs = per_step(lambda n: [candle, other, str(n)], emulator, WORK, CANDLE_GRAD_DO_NOT_DETACH="1")
            row["candle"] = theirs["launches"] + theirs["products"]
            row["share"] = f"{(row['launches'] + row['products']) / row['candle']:.2f}"
            if 2 * (row["launches"] + row["products"]) > row["candle"]:
                failures.append(f"{model} {recipe}: more than half of candle's {row['candle']}: {row}")
        rows.append(row)
    out = io.StringIO()
    table = csv.DictWriter(out, COLUMNS, lineterminator="\n", restval="")
    table.writeheader()
    table.writerows(rows)
    print(out.getvalue(), end="")
    if "--check" in sys.argv:
        if TABLE.read_text() != out.getvalue():
            failures.append(f"{TABLE.name} says otherwise: run scripts/cuda/check.sh --write")
    else:
        TABLE.parent.mkdir(parents=True, exist_ok=True)
        TABLE.write_text(out.getvalue())
    if failures:
        sys.exit("\n".join(failures))


main()
