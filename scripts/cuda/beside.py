"""gauntlet and PyTorch take turns at the same steps on one GPU, f32 on both sides; writes reports/cuda/table.csv and .md.

beside.py GAUNTLET OUT [--models ...] [--batches ...] [--recipes ...] [--alternations N] [--seconds S]

Needs a PyTorch with CUDA. Ratios are PyTorch / gauntlet, medians of paired measurements with a 95 % interval as in
scripts/compare/run.py. `torch.compile` compiles the network; what it cannot do (a second derivative) is left out and said.
"""
import argparse
import csv
import json
import shutil
import subprocess
import sys
from pathlib import Path
from statistics import median

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "scripts/compare"))
import run as compare  # noqa: E402

COLUMNS = ["model", "recipe", "batch", "torch", "torch_ms", "gauntlet_ms", "ratio", "ratio_low", "ratio_high", "pairs", "gflop_per_s"]


def torch_worker():
    worker = compare.Worker([sys.executable, ROOT / "scripts/compare/steps.py"])
    return worker, worker.read()["torch"]


def cell(binary, model, recipe, batch, compiled, options):
    request = json.dumps({"model": model, "recipe": recipe, "batch": batch, "threads": 1, "seconds": options.seconds,
                          "least": 3, "device": "cuda", "compile": compiled})
    theirs, _ = torch_worker()
    try:
        return duel(theirs, binary, model, recipe, batch, compiled, request, options)
    finally:
        theirs.process.kill()


def duel(theirs, binary, model, recipe, batch, compiled, request, options):
    ours = compare.Worker([binary, "--threads", "4", "--json", "--device", "cuda", "bench", "step", "--model", model, "--recipe",
                           recipe, "--batch", batch, "--seconds", options.seconds, "--least", 3, "--again"])
    try:
        ours.read()
        theirs.ask(request)
        pairs, last = [], None
        for _ in range(options.alternations):
            a = theirs.ask(request)["ms_median"]
            last = ours.ask("")
            pairs.append((a, last["ms_median"]))
    finally:
        ours.process.kill()
    ratios = sorted(a / b for a, b in pairs)
    k = compare.rank(len(ratios))
    milliseconds = median(b for _, b in pairs)
    return {"model": model, "recipe": recipe, "batch": batch, "torch": "compile" if compiled else "eager",
            "torch_ms": f"{median(a for a, _ in pairs):.3f}", "gauntlet_ms": f"{milliseconds:.3f}",
            "ratio": f"{median(ratios):.2f}", "ratio_low": f"{ratios[k - 1]:.2f}", "ratio_high": f"{ratios[-k]:.2f}",
            "pairs": len(pairs), "gflop_per_s": f"{last['gflop'] / milliseconds * 1e3:.0f}"}


def write(path, rows):
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "w", newline="") as file:
        table = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        table.writeheader()
        table.writerows(rows)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("binary", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--models", nargs="+", default=["lenet-small", "madry-cnn", "preactresnet18"])
    parser.add_argument("--batches", nargs="+", type=int, default=[128, 512])
    parser.add_argument("--recipes", nargs="+", default=["ce", "grad-norm", "pgd-at", "attack"])
    parser.add_argument("--torch", nargs="+", choices=["eager", "compile"], default=["eager", "compile"])
    parser.add_argument("--alternations", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=0.2)
    options = parser.parse_args()
    worker, version = torch_worker()
    worker.close()
    rows, left = [], []
    for model in options.models:
        for batch in options.batches:
            for recipe in options.recipes:
                for compiled in [kind == "compile" for kind in options.torch]:
                    if compiled and recipe == "grad-norm":
                        left.append(f"{model} {recipe} {batch}: torch.compile has no second derivative")
                        continue
                    if compiled and not shutil.which("cc"):
                        left.append("torch.compile needs a C compiler")
                        continue
                    try:
                        rows.append(cell(options.binary, model, recipe, batch, compiled, options))
                    except (SystemExit, OSError) as error:  # one that fails must not cost the others
                        left.append(f"{model} {recipe} {batch}{' compiled' if compiled else ''}: {error}")
                        continue
                    print(rows[-1], flush=True)
                    write(options.out / "table.csv", rows)
    gpu = subprocess.run(["nvidia-smi", "--query-gpu=name,driver_version", "--format=csv,noheader"], capture_output=True, text=True)
    packed = ROOT / "commit"
    commit = packed.read_text()[:7] if packed.exists() else compare.shell("git", "rev-parse", "--short", "HEAD")
    lines = ["# gauntlet and PyTorch on one GPU", "", f"{gpu.stdout.strip()}; PyTorch {version}, gauntlet {commit}. Milliseconds per step, f32 "
             "(no TF32 on either side), one wait per step.", "", "| " + " | ".join(COLUMNS) + " |", "|" + "---|" * len(COLUMNS)]
    lines += ["| " + " | ".join(str(row[c]) for c in COLUMNS) + " |" for row in rows]
    lines += [""] + [f"Left out: {what}." for what in sorted(set(left))] + ["", "Repeat with `scripts/cuda/gpu.sh`."]
    (options.out / "table.md").write_text("\n".join(lines) + "\n")


main()
