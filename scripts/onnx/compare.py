#!/usr/bin/env python3
"""Exports networks and compares: gauntlet's logits with ONNX Runtime's, its input gradients with PyTorch's.

Usage: compare.py ONNX_LOGITS [NETWORK.. | SHORT]: ONNX_LOGITS is the example program of gauntlet-onnx; SHORT: a few small ones.
"""

import contextlib
import copy
import io
import json
import pathlib
import subprocess
import sys
import tempfile
import warnings

import numpy as np
import onnxruntime as ort
import torch

from networks import NETWORKS, make

warnings.filterwarnings("ignore")
SHORT = ["cnn", "norms", "swin_even"]
ALL, EVALUATED = [("n", False), ("1", False), ("n", True)], [("n", False)]
# The newer exporter knows 18 and up.
EXPORTS = [("legacy", 17, ALL), ("legacy", 14, EVALUATED), ("legacy", 16, EVALUATED), ("dynamo", 20, ALL), ("dynamo", 22, EVALUATED)]
LOGITS, GRADIENT, GRADIENT_64 = 1e-5, 1e-4, 1e-9
# √2, 1/6 and other constants of formulas are float32 in the file.
ROUNDED = {"activations", "norms", "convnext_tiny", "mobilenet_v3_small", "vit_b_16", "swin_t", "swin_even", "resized"}

# What docs/models.md says to be refused, and a word of the refusal: (network, exporter, batch, in training mode).
DRAWS = {(name, exporter, "n", True): "RandomUniformLike" for name in ("swin_t", "swin_even") for exporter in ("legacy", "dynamo")}
WHOLE_BATCH = {(name, "dynamo", "n", False): "a number of examples" for name in ("swin_t", "swin_even")}
REFUSED = DRAWS | WHOLE_BATCH


def export(net, shape, path, exporter, opset, batch, training):
    """Writes the file and returns the network that is in it."""
    net = copy.deepcopy(net)
    x = torch.rand(1 if batch == "1" else 2, *shape)
    if exporter == "legacy":
        more = {"dynamic_axes": {"x": {0: "n"}}} if batch == "n" else {}
        if training:
            more |= {"training": torch.onnx.TrainingMode.TRAINING, "do_constant_folding": False}
        torch.onnx.export(net, (x,), path, dynamo=False, opset_version=opset, input_names=["x"], **more)
    else:
        shapes = {"dynamic_shapes": ({0: torch.export.Dim("n")},)} if batch == "n" else {}
        if training:
            net.train()
            shapes["optimize"] = False
        torch.onnx.export(net, (x,), path, dynamo=True, opset_version=opset, input_names=["x"], verbose=False, **shapes)
    # Exporting in training mode moves the running statistics.
    return net.eval()


def relative(a, b):
    a, b = np.asarray(a, np.float64).ravel(), np.asarray(b, np.float64).ravel()
    return float(np.abs(a - b).max() / np.abs(b).max()) if a.shape == b.shape else float("inf")


def reference(net, x, dtype):
    """Logits and the gradient of Σ logits · (1, 2, .., K) by the images."""
    net, x = copy.deepcopy(net).to(dtype), x.detach().clone().to(dtype).requires_grad_()
    z = net(x)
    (z * torch.arange(1, z.shape[1] + 1, dtype=dtype)).sum().backward()
    return z.detach().numpy(), x.grad.numpy()


def ours(program, path, x, dtype):
    with tempfile.NamedTemporaryFile(suffix=".f32") as pixels:
        pixels.write(x.numpy().astype("<f4").tobytes())
        pixels.flush()
        done = subprocess.run([program, path, pixels.name, dtype], capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(done.stderr.strip())
    return json.loads(done.stdout)


def compare(program, name, folder):
    net, shape = make(name)
    x = torch.rand(3, *shape, generator=torch.Generator().manual_seed(1))
    wrong = 0
    for exporter, opset, kinds in EXPORTS:
        for batch, training in kinds:
            label = f"{name:20} {exporter:7} {opset} batch {batch} {'train' if training else 'eval '}"
            refusal = REFUSED.get((name, exporter, batch, training))
            path = str(folder / f"{name}.{exporter}.{opset}.{batch}.{training}.onnx")
            try:
                with contextlib.redirect_stdout(io.StringIO()):  # The older exporter prints its whole graph when it fails.
                    exported = export(net, shape, path, exporter, opset, batch, training)
            except Exception as error:
                print(f"{label} exporter: {str(error).splitlines()[0][:150]}", flush=True)
                continue
            _, g = reference(exported, x, torch.float32)
            z64, g64 = reference(exported, x, torch.float64)
            try:
                a = ours(program, path, x, "f32")
                b = ours(program, path, x, "f64")
            except RuntimeError as error:
                if refusal and refusal in str(error):
                    print(f"{label} refused, as documented", flush=True)
                    continue
                wrong += 1
                print(f"{label} {str(error)[:1200]}", flush=True)
                continue
            if refusal:
                wrong += 1
                print(f"{label} is read, and docs/models.md says that it is refused", flush=True)
                continue
            if training:
                logits = relative(a["logits"], z64)  # ONNX Runtime would take the statistics of the batch.
            else:
                session = ort.InferenceSession(path, providers=["CPUExecutionProvider"])
                images = [x] if batch == "n" else x.split(1)
                key = session.get_inputs()[0].name
                logits = relative(a["logits"], np.concatenate([session.run(None, {key: i.numpy()})[0] for i in images]))
            found = (logits, relative(a["gradient"], g), relative(b["logits"], z64), relative(b["gradient"], g64))
            # Folded weights were rounded to float32 once more, and the graph is then another network at 1e-8.
            good = found[0] <= LOGITS and found[1] <= GRADIENT and (not training or name in ROUNDED or found[3] <= GRADIENT_64)
            wrong += not good
            print(
                f"{label} logits {found[0]:.1e}  gradient {found[1]:.1e}  f64: {found[2]:.1e} {found[3]:.1e}  "
                f"{a['parameters']} + {a['buffers']} numbers{'' if good else '  OFF'}",
                flush=True,
            )
    return wrong


def main():
    program, names = sys.argv[1], SHORT if sys.argv[2:] == ["SHORT"] else sys.argv[2:] or list(NETWORKS)
    with tempfile.TemporaryDirectory() as folder:
        wrong = sum(compare(program, name, pathlib.Path(folder)) for name in names)
    print(f"{wrong} of the files are off or could not be read")
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
