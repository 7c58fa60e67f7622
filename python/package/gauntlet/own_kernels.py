"""A module of PyTorch on gauntlet's own kernels: exported, compared, attacked there, and judged by the module in the end."""

import contextlib
import io
import os
import tempfile
import warnings
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from . import _native
from .errors import InputError
from .torch_model import TorchModel

#: Logits and gradients of the two may differ by this, relative to the largest of the batch.
ALIKE = 1e-3
#: Images on which they are compared.
COMPARED = 64


def _export(adapter: TorchModel, x: NDArray[np.float32], path: str, dynamo: bool) -> None:
    """Writes the module, with the normalisation before it, as ONNX."""

    class Whole(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.module = adapter.module

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return adapter._answer(images)

    whole = Whole()
    whole.training = False
    images = torch.from_numpy(x[:2].copy()).to(adapter.device)
    # The exporters talk to stdout, to loggers and by warnings; what they have to say is in their exception.
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        warnings.simplefilter("ignore")
        if dynamo:
            batch = ({0: torch.export.Dim("n")},)
            torch.onnx.export(whole, (images,), path, dynamo=True, dynamic_shapes=batch, verbose=False)
        else:
            names = dict(input_names=["images"], output_names=["logits"], dynamic_axes={"images": {0: "n"}, "logits": {0: "n"}})
            torch.onnx.export(whole, (images,), path, dynamo=False, **names)


def _gap(a: NDArray[np.float32], b: NDArray[np.float32]) -> float:
    return float(np.abs(a - b).max()) / max(float(np.abs(b).max()), 1e-12)


def _compare(network: _native.Network, adapter: TorchModel, x: NDArray[np.float32]) -> str | None:
    """Why the two are not the same function on the first images; None where they are."""
    few = np.ascontiguousarray(x[:COMPARED])
    assert adapter.linearise is not None
    z, pull = adapter.linearise(few.copy())
    cotangent = np.random.default_rng(0).normal(size=z.shape).astype(np.float32)
    own, gradient = network.vjp(few, cotangent)
    if own.shape != z.shape:
        return f"it answers with the shape {own.shape} instead of {z.shape}"
    for what, gap in (("logits", _gap(own, z)), ("input gradients", _gap(gradient, pull(cotangent)))):
        if not gap <= ALIKE:
            return f"its {what} differ by {gap:.1e} of the largest, {ALIKE:.0e} is allowed"
    return None


def network_of(adapter: TorchModel, x: NDArray[np.float32]) -> tuple[_native.Network | None, list[str]]:
    """The network that computes what the module computes.

    Returns:
        A `Network`, or None with the reason of each exporter.
    """
    if not isinstance(adapter.module, torch.nn.Module):
        raise InputError("native is for a torch.nn.Module: a function cannot be exported")
    reasons = []
    with tempfile.TemporaryDirectory() as folder:
        for name, dynamo in (("TorchScript", False), ("torch.export", True)):
            path = os.path.join(folder, f"{int(dynamo)}.onnx")
            try:
                _export(adapter, x, path, dynamo)
                network = _native.Network.onnx(path)
                why = _compare(network, adapter, x)
            except Exception as error:
                why = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
            if why is None:
                return network, []
            reasons.append(f"{name}: {why.replace(folder + os.sep, '')}")
    return None, reasons


def disputed(
    found: _native.Evaluation, adapter: TorchModel, x: NDArray[np.float32], labels: list[int], width: int
) -> list[int]:
    """Places of the examples on which the module does not say what the network said: clean, or of a proposal that broke it."""

    def said(images: NDArray[np.float32]) -> NDArray[np.intp]:
        return np.concatenate([adapter.forward(images[i : i + width].copy()).argmax(1) for i in range(0, len(images), width)])

    right = np.asarray(labels)
    places = np.asarray(found.clean()["predicted"]) != said(x)
    for cell in range(len(found.cells())):
        broken = np.asarray([fate in ("broken", "carried") for fate in found.verdicts(cell)["fate"]])
        if broken.any():
            at = np.flatnonzero(broken)
            places[at] |= said(np.ascontiguousarray(found.adversarial(cell)[at])) == right[at]
    return [int(place) for place in np.flatnonzero(places)]
