"""gauntlet and PyTorch take turns at the same steps; the ratios go to reports/performance/table.{csv,md}.

Both programs stay alive and warm, one of them working at a time. Every alternation measures one, then the other; a
cell's ratio is the median of the paired ratios PyTorch / gauntlet, with a 95 % interval from order statistics (the
binomial distribution of how many pairs lie below the median). A cell passes when the interval's lower end does.
"""
import argparse
import csv
import datetime
import json
import math
import os
import platform
import subprocess
import sys
import time
from pathlib import Path
from statistics import median

ROOT = Path(__file__).resolve().parent.parent.parent
TARGET = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
GAUNTLET = TARGET / "release" / "gauntlet"
MODELS = {"lenet-small": 128, "madry-cnn": 128, "trades-smallcnn": 128, "preactresnet18": 32}
RECIPES = ["ce", "grad-norm", "direction-matching", "fgsm-aug", "pgd-at", "attack"]
REQUIRED = {"preactresnet18": 1.05}
# What keeps gauntlet, ATen, oneDNN and MKL from wider vectors.
ISAS = {"avx2": {
    "GAUNTLET_ISA": "avx2", "ATEN_CPU_CAPABILITY": "avx2", "ONEDNN_MAX_CPU_ISA": "AVX2", "MKL_ENABLE_INSTRUCTIONS": "AVX2",
}}
COLUMNS = [
    "model", "recipe", "batch", "threads", "torch_ms", "gauntlet_ms", "ratio", "ratio_low", "ratio_high", "pairs",
    "required", "passes", "torch_rss_mb", "gauntlet_rss_mb", "gflop", "floor_share",
]


def rank(n):
    """The largest k such that the k-th smallest and k-th largest of n bound the median with at least 95 %."""
    k = 0
    while k + 1 <= n // 2 and sum(math.comb(n, i) for i in range(k + 1)) / 2**n <= 0.025:
        k += 1
    return max(k, 1)


class Worker:
    """A program that answers a line with a line."""

    def __init__(self, command):
        self.process = subprocess.Popen(
            [str(c) for c in command], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT)

    def read(self):
        line = self.process.stdout.readline()
        if not line:
            sys.exit(f"a worker ended with {self.process.wait()}")
        return json.loads(line)

    def ask(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        return self.read()

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def gauntlet(model, recipe, batch, threads, seconds, least, *more):
    return Worker([
        GAUNTLET, "--threads", threads, "--json", "bench", "step", "--model", model, "--recipe", recipe,
        "--batch", batch, "--seconds", seconds, "--least", least, "--again", *more,
    ])


def cell(torch, model, recipe, threads, options):
    batch = MODELS[model]
    least = 1 if model == "preactresnet18" else 3
    request = {
        "model": model, "recipe": recipe, "batch": batch, "threads": threads, "seconds": options.seconds,
        "least": least,
    }
    theirs = lambda: torch.ask(json.dumps(request))
    worker = gauntlet(model, recipe, batch, threads, options.seconds, least)
    ours = [worker.read()]
    theirs()  # both warm
    pairs = []
    for _ in range(options.alternations):
        a = theirs()
        time.sleep(0.05)
        b = worker.ask("")
        time.sleep(0.05)
        pairs.append((a["ms_median"], b["ms_median"]))
        ours.append(b)
    worker.close()
    ratios = sorted(a / b for a, b in pairs)
    k = rank(len(ratios))
    alone = subprocess.run(
        [sys.executable, ROOT / "scripts/compare/steps.py", json.dumps(request)], capture_output=True, check=True)
    low, required = ratios[k - 1], REQUIRED.get(model, 1.2)
    peak = median(o["peak_gflop_per_s"] for o in ours)
    milliseconds = median(b for _, b in pairs)
    return {
        "model": model, "recipe": recipe, "batch": batch, "threads": threads,
        "torch_ms": f"{median(a for a, _ in pairs):.2f}", "gauntlet_ms": f"{milliseconds:.2f}",
        "ratio": f"{median(ratios):.3f}", "ratio_low": f"{low:.3f}", "ratio_high": f"{ratios[-k]:.3f}",
        "pairs": len(pairs), "required": required, "passes": "yes" if low >= required else "no",
        "torch_rss_mb": f"{json.loads(alone.stdout)['peak_rss_mb']:.0f}",
        "gauntlet_rss_mb": f"{ours[0]['peak_rss_mb']:.0f}", "gflop": f"{ours[0]['gflop']:.3f}",
        "floor_share": f"{ours[0]['gflop'] / milliseconds * 1e3 / peak:.3f}",
    }


def parts(options, threads):
    """Forward and input gradient alone: shares of the floor."""
    lines = []
    for model in options.models:
        row = [model]
        for recipe in ["forward", "input-gradient", "ce", "grad-norm"]:
            worker = gauntlet(model, recipe, MODELS[model], threads, max(options.seconds, 0.5), 3)
            found = worker.read()
            worker.close()
            row.append(f"{found['ms_median']:.1f} ms, {found['gflop_per_s'] / found['peak_gflop_per_s']:.0%}")
        lines.append("| " + " | ".join(row) + " |")
    return lines


def shell(*command):
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=True).stdout.strip()


def cpu():
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.processor()


def write(out, cells, versions, shares, isa):
    order = lambda c: (list(MODELS).index(c["model"]), int(c["threads"]), RECIPES.index(c["recipe"]))
    cells = sorted(cells, key=order)
    with open(out / "table.csv", "w", newline="") as f:
        writer = csv.DictWriter(f, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(cells)
    logs = [math.log(float(c["ratio"])) for c in cells]
    missed = [c for c in cells if c["passes"] == "no"]
    text = [
        "# gauntlet and PyTorch, step by step", "",
        f"{versions}", "",
        "Milliseconds per step, optimiser included (`attack`: one PGD step on a frozen model, no optimiser); f32; "
        "batch 128, preactresnet18 32. `ratio` is PyTorch / gauntlet: the median of paired ratios from alternating "
        "measurements, in brackets its 95 % interval. `memory` is the largest resident set of a process that takes "
        "this step only. `share` holds gauntlet's arithmetic, multiplications counted as the definitions have them, "
        "against a matrix product of 1536³ on the same threads: kernels that save multiplications exceed 100 %.", "",
        f"**Geometric mean of all {len(cells)} ratios: {math.exp(sum(logs) / len(logs)):.2f}**; "
        f"{len(cells) - len(missed)} of {len(cells)} cells reach what is required (1.2; preactresnet18 1.05) "
        "with the lower end of their interval.", "",
        "| model | threads | recipe | PyTorch ms | gauntlet ms | ratio | memory MiB, PyTorch / gauntlet | share |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for c in cells:
        mark = "" if c["passes"] == "yes" else " **missed**"
        text.append(
            f"| {c['model']} | {c['threads']} | {c['recipe']} | {float(c['torch_ms']):.1f} | "
            f"{float(c['gauntlet_ms']):.1f} | {float(c['ratio']):.2f} ({float(c['ratio_low']):.2f} to "
            f"{float(c['ratio_high']):.2f}){mark} | {c['torch_rss_mb']} / {c['gauntlet_rss_mb']} | "
            f"{float(c['floor_share']):.0%} |")
    text += ["", "Share of the matrix-product peak by part, 1 thread:", "",
             "| model | forward | input gradient | training step | double backprop |", "|---|---|---|---|---|"]
    text += shares
    again = f" --isa {isa} --out {out.relative_to(ROOT) if out.is_relative_to(ROOT) else out}" if isa else ""
    text += ["", f"Repeat with `scripts/compare/run.sh{again}`."]
    (out / "table.md").write_text("\n".join(text) + "\n")


def scaling(options, versions):
    """Cost against batch, image area and threads, gauntlet alone."""
    text = ["# Cost against batch, image area and threads", "", versions, "",
            "A training step of `ce`, milliseconds (median); µs per example; speed-up from 1 to 2 threads. "
            "Repeat with `scripts/compare/run.sh --scaling`.", ""]

    def table(head, model, points, arguments):
        text.extend([f"## {model}, by {head}", "",
                     f"| {head} | 1 thread | per example | 2 threads | per example | speed-up |", "|---|---|---|---|---|---|"])
        for point in points:
            batch, extra = arguments(point)
            found = []
            for threads in [1, 2]:
                worker = gauntlet(model, "ce", batch, threads, options.seconds, 3, *extra)
                runs = [worker.read()["ms_median"]] + [worker.ask("")["ms_median"] for _ in range(2)]
                worker.close()
                found.append(median(runs))
            a, b = found
            text.append(f"| {point} | {a:.2f} | {1e3 * a / batch:.0f} | {b:.2f} | {1e3 * b / batch:.0f} | {a / b:.2f} |")
        text.append("")

    for model in ["lenet-small", "madry-cnn", "trades-smallcnn"]:
        table("batch", model, [8, 16, 32, 64, 128, 256, 512], lambda n: (n, []))
    table("batch", "preactresnet18", [8, 16, 32, 64], lambda n: (n, []))
    for model in ["madry-cnn", "trades-smallcnn"]:
        table("image side", model, [28, 56, 112], lambda s: (32, ["--side", str(s)]))
    (options.out / "scaling.md").write_text("\n".join(text))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--models", nargs="+", choices=MODELS, default=list(MODELS))
    parser.add_argument("--recipes", nargs="+", choices=RECIPES, default=RECIPES)
    parser.add_argument("--threads", nargs="+", type=int, default=[1, 2])
    parser.add_argument("--alternations", type=int, default=9)
    parser.add_argument("--seconds", type=float, default=0.3)
    parser.add_argument("--scaling", action="store_true", help="only the table of costs against batch and area")
    parser.add_argument("--isa", choices=ISAS, help="both sides on vectors of this width (default: the CPU's)")
    parser.add_argument("--out", type=Path, default=ROOT / "reports" / "performance")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    os.environ.update(ISAS.get(options.isa, {}))
    torch = Worker([sys.executable, ROOT / "scripts/compare/steps.py"])
    version = torch.read()["torch"]
    commit = shell("git", "rev-parse", "--short", "HEAD")
    dirty = " with local changes" if shell("git", "status", "--porcelain", "--", "crates", "Cargo.toml") else ""
    vectors = f" restricted to {options.isa.upper()} on both sides" if options.isa else ""
    versions = (f"{cpu()}{vectors}; PyTorch {version} (CPU, eager, fused optimisers), gauntlet {commit}{dirty}, "
                f"{shell('rustc', '--version')}, {datetime.date.today()}.")
    if options.scaling:
        torch.close()
        return scaling(options, versions)
    cells = {}
    if (options.out / "table.csv").exists():
        with open(options.out / "table.csv") as f:
            cells = {(c["model"], c["recipe"], int(c["threads"])): c for c in csv.DictReader(f)}
    for model in options.models:
        for threads in options.threads:
            for recipe in options.recipes:
                found = cell(torch, model, recipe, threads, options)
                cells[(model, recipe, threads)] = found
                print(" ".join(f"{k}={found[k]}" for k in
                               ("model", "threads", "recipe", "torch_ms", "gauntlet_ms", "ratio", "ratio_low",
                                "passes", "torch_rss_mb", "gauntlet_rss_mb", "floor_share")), flush=True)
    torch.close()
    options.models = [m for m in MODELS if any(model == m for model, _, _ in cells)]
    write(options.out, cells.values(), versions, parts(options, 1), options.isa)


if __name__ == "__main__":
    main()
