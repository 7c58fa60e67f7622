#!/usr/bin/env python3
"""Writes built-in networks as ONNX files: valid by ONNX's own checker, and the same logits here and in ONNX Runtime.

Usage: export.py GAUNTLET ONNX_LOGITS [FILE..]: the binary, the example program of gauntlet-onnx, and ONNX files that are read and written
once more.
"""

import json
import pathlib
import subprocess
import sys
import tempfile

import numpy as np
import onnx
import onnxruntime as ort

LOGITS = 1e-5
BUILT_IN = [
    ("linear", "mnist"),
    ("mlp", "mnist"),
    ("maxout", "mnist"),
    ("lenet-small", "mnist"),
    ('{ name = "lenet-small", activation = "gelu", mean = [0.1307], std = [0.3081] }', "mnist"),
    ('{ name = "lenet-small", activation = "silu" }', "mnist"),
    ('{ name = "lenet-small", activation = "elu" }', "mnist"),
    ('{ name = "lenet-small", activation = "leaky-relu" }', "mnist"),
    ('{ name = "lenet-small", activation = "softplus" }', "mnist"),
    ("madry-cnn", "mnist"),
    ("trades-smallcnn", "mnist"),
    ("cnn4", "cifar10"),
    ("cnn7", "cifar10"),
    ("vgg11-bn", "cifar10"),
    ("resnet18", "cifar10"),
    ("preactresnet18", "cifar10"),
]


def said(*command):
    done = subprocess.run([str(c) for c in command], capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(done.stderr.strip())
    return json.loads(done.stdout)


def off(logits_program, path, folder):
    """How far our logits of random images are from ONNX Runtime's, relative to the largest."""
    onnx.checker.check_model(str(path), full_check=True)
    session = ort.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    given = session.get_inputs()[0]
    x = np.random.default_rng(0).random((3, *given.shape[1:]), dtype=np.float32)
    x.tofile(folder / "x.f32")
    wanted = session.run(None, {given.name: x})[0]
    ours = np.array(said(logits_program, path, folder / "x.f32")["logits"]).reshape(wanted.shape)
    # An untrained trades-smallcnn answers 0.
    return float(np.abs(ours - wanted).max() / max(np.abs(wanted).max(), 1e-3))


def main():
    gauntlet, program, *files = sys.argv[1:]
    models = [(model, ["--data", data]) for model, data in BUILT_IN] + [(f"onnx:{file}", []) for file in files]
    wrong = 0
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        for model, more in models:
            path = folder / "net.onnx"
            try:
                said(gauntlet, "export", "--model", model, *more, "--out", path, "--json")
                found = off(program, path, folder)
            except Exception as error:  # whatever is wrong with one, the others are looked at
                found = str(error).splitlines()[0]
            good = isinstance(found, float) and found <= LOGITS
            wrong += not good
            print(f"{model:90} {found if isinstance(found, str) else format(found, '.1e')}{'' if good else '  OFF'}", flush=True)
    print(f"{wrong} of {len(models)} files are off")
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
