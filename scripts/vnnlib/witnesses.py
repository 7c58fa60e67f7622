#!/usr/bin/env python3
"""Checks witnesses of the example `search` with ONNX Runtime, by a reader of properties of its own.

Usage: witnesses.py FOLDER WITNESSES: FOLDER holds instances.csv, networks and properties, WITNESSES what `search FOLDER --witnesses` wrote.
Every witness must lie in the box as float64 reads it, the network's outputs there in float32 must meet the condition, and be the ones
that the witness states. Prints a line for each, exits 1 where one fails.
"""

import csv
import gzip
import pathlib
import re
import sys

import numpy as np
import onnxruntime as ort

CLOSE = 1e-4


def text(path):
    packed = pathlib.Path(f"{path}.gz")
    return gzip.open(packed, "rt").read() if packed.exists() else path.read_text()


def tree(text):
    """Nested lists of words."""
    stack = [[]]
    for word in re.findall(r"[()]|[^\s()]+", re.sub(r";[^\n]*", "", text)):
        if word == "(":
            stack.append([])
        elif word == ")":
            done = stack.pop()
            stack[-1].append(done)
        else:
            stack[-1].append(word)
    return stack[0]


def value(term, known):
    if isinstance(term, str):
        return known[term] if term in known else float(term)
    head, *rest = term
    rest = [value(part, known) for part in rest]
    if head == "+":
        return sum(rest)
    if head == "-":
        return -rest[0] if len(rest) == 1 else rest[0] - sum(rest[1:])
    return float(np.prod(rest))


def holds(formula, known):
    head, *rest = formula
    if head == "and":
        return all(holds(part, known) for part in rest)
    if head == "or":
        return any(holds(part, known) for part in rest)
    a, b = (value(part, known) for part in rest)
    return a <= b if head == "<=" else a >= b


def main(folder, witnesses):
    folder, witnesses = pathlib.Path(folder), pathlib.Path(witnesses)
    checked = failed = 0
    for network, name, *_ in csv.reader((folder / "instances.csv").open()):
        written = witnesses / f"{pathlib.Path(network).stem}.{name}.txt"
        if not written.exists():
            continue
        checked += 1
        pairs = {n: float(v) for n, v in re.findall(r"\((\w_\d+) (\S+?)\)", written.read_text())}
        x = np.array([v for n, v in pairs.items() if n.startswith("X_")])
        session = ort.InferenceSession(folder / network, providers=["CPUExecutionProvider"])
        given = session.get_inputs()[0]
        shape = [d if isinstance(d, int) else 1 for d in given.shape]
        y = session.run(None, {given.name: x.astype(np.float32).reshape(shape)})[0].reshape(-1)
        stated = np.array([v for n, v in pairs.items() if n.startswith("Y_")])
        off = float(np.abs(y - stated).max())
        known = {f"X_{i}": v for i, v in enumerate(x)} | {f"Y_{j}": float(v) for j, v in enumerate(y)}
        met = all(holds(c[1], known) for c in tree(text(folder / name)) if c[0] == "assert")
        good = met and off < CLOSE
        failed += not good
        print(f"{name} | {network} | {'holds' if met else 'FAILS'} | outputs off by {off:.1e}")
    print(f"{checked - failed} of {checked} witnesses hold in ONNX Runtime {ort.__version__}")
    return failed > 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
