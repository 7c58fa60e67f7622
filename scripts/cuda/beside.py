"""gauntlet and PyTorch take turns at the same steps on one GPU, f32 on both sides; writes reports/cuda/table.csv and .md.

beside.py GAUNTLET OUT [--models ...] [--batches ...] [--recipes ...] [--torch eager compile] [--alternations N] [--seconds S]

Needs a PyTorch with CUDA. Ratios are PyTorch / gauntlet, medians of paired measurements with a 95 % interval as in
scripts/compare/run.py. `torch.compile` compiles the network; what it cannot do (a second derivative) is left out and said.
Cells that OUT/table.csv has from a run before stay, unless they are measured again.
"""
import argparse
import csv
import json
import subprocess
import sys
from pathlib import Path
from statistics import median

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "scripts/compare"))
import run as compare  # noqa: E402

COLUMNS = ["model", "recipe", "batch", "torch", "torch_ms", "gauntlet_ms", "ratio", "ratio_low", "ratio_high", "pairs", "gflop_per_s",
           "share"]


class Torch:
    """One PyTorch for all cells of a kind: importing it takes longer than measuring them."""

    def __init__(self):
        self.worker = None
        self.version = None

    def ask(self, request):
        if self.worker is None:
            self.worker = compare.Worker([sys.executable, ROOT / "scripts/compare/steps.py"])
            self.version = self.worker.read()["torch"]
        try:
            return self.worker.ask(json.dumps(request))
        except (SystemExit, OSError):
            self.close()
            raise

    def close(self):
        if self.worker:
            self.worker.process.kill()
        self.worker = None


def cell(torch, binary, model, recipe, batch, kind, options):
    request = {"model": model, "recipe": recipe, "batch": batch, "threads": 1, "seconds": options.seconds, "least": 3,
               "device": "cuda", "compile": kind == "compile"}
    ours = compare.Worker([binary, "--threads", "4", "--json", "--device", "cuda", "bench", "step", "--model", model, "--recipe",
                           recipe, "--batch", batch, "--seconds", options.seconds, "--least", 3, "--again"])
    try:
        torch.ask(request)
        ours.read()
        pairs, last = [], None
        for _ in range(options.alternations):
            theirs = torch.ask(request)["ms_median"]
            last = ours.ask("")
            pairs.append((theirs, last["ms_median"]))
    finally:
        ours.process.kill()
    ratios = sorted(a / b for a, b in pairs)
    k = compare.rank(len(ratios))
    milliseconds = median(b for _, b in pairs)
    rate = last["gflop"] / milliseconds
    return {"model": model, "recipe": recipe, "batch": batch, "torch": kind, "torch_ms": f"{median(a for a, _ in pairs):.3f}",
            "gauntlet_ms": f"{milliseconds:.3f}", "ratio": f"{median(ratios):.2f}", "ratio_low": f"{ratios[k - 1]:.2f}",
            "ratio_high": f"{ratios[-k]:.2f}", "pairs": len(pairs), "gflop_per_s": f"{rate * 1e3:.0f}", "share": f"{rate / options.tflops:.2f}"}


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
    table = options.out / "table.csv"
    rows = list(csv.DictReader(open(table))) if table.exists() else []  # cells of another kind, measured before
    left = []
    torch = Torch()
    ceilings = torch.ask({"ceilings": True})
    options.tflops = ceilings["tflops"]
    for kind in options.torch:
        for model in options.models:
            for batch in options.batches:
                for recipe in options.recipes:
                    if kind == "compile" and recipe == "grad-norm":
                        left.append(f"{model} {recipe} {batch}: torch.compile has no second derivative")
                        continue
                    try:
                        row = cell(torch, options.binary, model, recipe, batch, kind, options)
                    except (SystemExit, OSError) as error:  # one that fails must not cost the others
                        left.append(f"{model} {recipe} {batch} {kind}: {error}")
                        continue
                    same = ["model", "recipe", "batch", "torch"]
                    rows = [old for old in rows if any(str(old[c]) != str(row[c]) for c in same)] + [row]
                    print(row, flush=True)
                    write(table, rows)
    version = torch.version
    torch.close()
    gpu = subprocess.run(["nvidia-smi", "--query-gpu=name,driver_version", "--format=csv,noheader"], capture_output=True, text=True)
    packed = ROOT / "commit"
    commit = packed.read_text()[:7] if packed.exists() else compare.shell("git", "rev-parse", "--short", "HEAD")
    lines = ["# gauntlet and PyTorch on one GPU", "",
             f"{gpu.stdout.strip()}; PyTorch {version}, gauntlet {commit}. Milliseconds per step, f32 (no TF32 on either side), one wait "
             f"per step. `share`: arithmetic of the plain convolutions per second, of the {ceilings['tflops']:.1f} TFLOP/s that cuBLAS "
             f"reaches in f32 on a product of 8192³ here; products of transformed tiles do with fewer. A copy on the device moves "
             f"{ceilings['tb']:.2f} TB/s.", "", "| " + " | ".join(COLUMNS) + " |", "|" + "---|" * len(COLUMNS)]
    lines += ["| " + " | ".join(str(row[c]) for c in COLUMNS) + " |" for row in rows]
    lines += [""] + [f"Left out: {what}." for what in sorted(set(left))] + ["", "Repeat with `scripts/cuda/gpu.sh`."]
    (options.out / "table.md").write_text("\n".join(lines) + "\n")


main()
