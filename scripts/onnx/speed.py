#!/usr/bin/env python3
"""Whether a built-in network that was exported trains as fast as itself: steps of both in turns, one process each.

Usage: speed.py GAUNTLET [--model lenet-small] [--data mnist] [--starts 7] [--rounds 8] [--seconds 0.5] [--batch 128] [--threads 1]

A round is some seconds of steps of the one and some of the other, the first of them changing; so a busy machine slows both alike. Two starts of
one program differ by some percent, so there are several. Prints the median of imported / built-in over all rounds with its interval, and
the starts' medians, for `ce` and `grad-norm`; exits 1 where all of the interval is above 1.05.
"""

import argparse
import json
import math
import pathlib
import statistics
import subprocess
import sys
import tempfile

MORE = 1.05
RECIPES = ["ce", '{ name = "grad-norm", norm = "l2", weight = 0.1 }']


def interval(values):
    """The median, and a 95 % interval of it by ranks."""
    values, n = sorted(values), len(values)
    half = 1.96 * math.sqrt(n) / 2
    low, high = max(0, math.floor(n / 2 - half)), min(n - 1, math.ceil(n / 2 + half))
    return statistics.median(values), values[low], values[high]


class Steps:
    """A process that measures whenever it is told to."""

    def __init__(self, gauntlet, model, recipe, options):
        words = [gauntlet, "bench", "step", "--model", model, "--recipe", recipe, "--batch", options.batch, "--threads", options.threads,
                 "--seconds", options.seconds, "--again", "--json"]
        self.process = subprocess.Popen([str(w) for w in words], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        # The first measurement comes unasked, and is not counted.
        self.read()

    def read(self):
        line = self.process.stdout.readline()
        if not line:
            sys.exit(f"gauntlet ended with {self.process.wait()}")
        return json.loads(line)["ms_median"]

    def measure(self):
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        return self.read()

    def end(self):
        self.process.stdin.close()
        self.process.wait()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("gauntlet")
    parser.add_argument("--model", default="lenet-small")
    parser.add_argument("--data", default="mnist")
    for name, default in [("starts", 7), ("rounds", 8), ("batch", 128), ("threads", 1)]:
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--seconds", type=float, default=0.5)
    options = parser.parse_args()
    slow = 0
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "net.onnx"
        subprocess.run([options.gauntlet, "export", "--model", options.model, "--data", options.data, "--out", path, "-q"], check=True,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for recipe in RECIPES:
            times, starts = [], []
            for start in range(options.starts):
                models = [options.model, f"onnx:{path}"]
                made = {model: Steps(options.gauntlet, model, recipe, options) for model in (models if start % 2 == 0 else models[::-1])}
                here = []
                for i in range(options.rounds):
                    order = models if i % 2 == 0 else models[::-1]
                    found = {model: made[model].measure() for model in order}
                    here.append(tuple(found[model] for model in models))
                for steps in made.values():
                    steps.end()
                starts.append(statistics.median(b / a for a, b in here))
                times += here
            ratio, low, high = interval([b / a for a, b in times])
            slow += low > MORE
            print(f"{options.model} {recipe}, batch {options.batch}, {options.threads} threads, {len(times)} rounds: built-in "
                  f"{statistics.median(a for a, _ in times):.3f} ms, imported {statistics.median(b for _, b in times):.3f} ms, "
                  f"ratio {ratio:.3f} (95 %: {low:.3f} to {high:.3f}; starts {min(starts):.3f} to {max(starts):.3f}){'  SLOW' if low > MORE else ''}", flush=True)
    return int(slow > 0)


if __name__ == "__main__":
    sys.exit(main())
