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
    _write(whole, torch.from_numpy(x[:2].copy()).to(adapter.device), path, dynamo)


def _write(module: Any, images: torch.Tensor, path: str, dynamo: bool, folded: bool = True) -> None:
    """Writes a module as ONNX by one of PyTorch's exporters."""
    # The exporters talk to stdout, to loggers and by warnings; what they have to say is in their exception.
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        warnings.simplefilter("ignore")
        if dynamo:
            batch = ({0: torch.export.Dim("n")},)
            torch.onnx.export(module, (images,), path, dynamo=True, dynamic_shapes=batch, verbose=False, optimize=folded)
        else:
            names: dict[str, Any] = dict(
                input_names=["images"], output_names=["logits"], dynamic_axes={"images": {0: "n"}, "logits": {0: "n"}}
            )
            if not folded:
                names.update(training=torch.onnx.TrainingMode.PRESERVE, do_constant_folding=False)
            torch.onnx.export(module, (images,), path, dynamo=False, **names)


def gap(a: NDArray[np.float32], b: NDArray[np.float32]) -> float:
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
    for what, apart in (("logits", gap(own, z)), ("input gradients", gap(gradient, pull(cotangent)))):
        if not apart <= ALIKE:
            return f"its {what} differ by {apart:.1e} of the largest, {ALIKE:.0e} is allowed"
    return None


def _first_line(error: Exception) -> str:
    said = str(error).strip()
    return said.splitlines()[0] if said else type(error).__name__


def unmatched(module: Any, path: str) -> tuple[str | None, list[str], list[str]]:
    """Why the graph of a file is not a module that can be trained: its parameters and buffers must be those of the module's state dict,
    name by name and value by value.

    Returns:
        The reason, or None; the names that are not to be trained; what was done to the graph.
    """
    weights, notes = _native.onnx_weights(path)
    graph = {name: (values.reshape(shape), trained) for name, shape, values, trained in weights}
    state = {name: t for name, t in module.state_dict().items() if isinstance(t, torch.Tensor) and t.dtype.is_floating_point}
    lacking = [name for name in state if name not in graph]
    if lacking:
        folded = [name for name, m in module.named_modules() if isinstance(m, torch.nn.modules.batchnorm._BatchNorm)]
        gone = [name for name in folded if any(n.rpartition(".")[0] == name for n in lacking)]
        why = f" (batch norm {gone[0]} was folded into a convolution)" if gone else ""
        return f"its graph has no {lacking[0]}{why}", [], notes
    more = [name for name in graph if name not in state]
    if more:
        return f"its graph has {more[0]}, which is none of the module's parameters and buffers", [], notes
    for name, (values, _) in graph.items():
        own = state[name].detach().float().cpu().numpy()
        if own.shape != values.shape or not np.array_equal(own, values):
            return f"{name} is another one in its graph", [], notes
    learns = {name for name, p in module.named_parameters(remove_duplicate=False) if p.requires_grad}
    still = [name for name, (_, trained) in graph.items() if not trained and name in learns]
    if still:
        return f"its graph keeps {still[0]} constant, which is a parameter of the module", [], notes
    return None, [name for name, (_, trained) in graph.items() if trained and name not in learns], notes


def unfolded(module: Any, x: NDArray[np.float32], folder: str) -> tuple[str, list[str], list[str]]:
    """Exports a module in eval mode so that all of it can be trained.

    Returns:
        The file, the names that are not to be trained, and what was done.
    """
    owners: dict[int, str] = {}
    for name, p in module.named_parameters(remove_duplicate=False):
        if id(p) in owners:
            raise InputError(f"{type(module).__name__} cannot be trained: {owners[id(p)]} and {name} are one parameter, and would be two")
        owners[id(p)] = name
    if not any(p.requires_grad for p in module.parameters()):
        raise InputError(f"{type(module).__name__} cannot be trained: none of its parameters needs a gradient")
    for name, m in module.named_modules():
        if isinstance(m, torch.nn.modules.batchnorm._BatchNorm) and m.momentum is None:
            raise InputError(f"{type(module).__name__} cannot be trained: batch norm {name} averages over all batches (momentum=None)")
    drops = [name for name, m in module.named_modules() if isinstance(m, torch.nn.modules.dropout._DropoutNd) and m.p > 0]
    tensors = [*module.parameters(), *module.buffers()]
    images = torch.from_numpy(x[:2].copy()).to(tensors[0].device)
    reasons = []
    for name, dynamo in (("torch.export", True), ("TorchScript", False)):
        path = os.path.join(folder, f"{name}.onnx")
        try:
            if not os.path.exists(path):
                _write(module, images, path, dynamo, folded=False)
            why, frozen, notes = unmatched(module, path)
        except Exception as error:
            why, frozen, notes = _first_line(error), [], []
        if why is None:
            left_out = [f"dropout is left out of the training: {', '.join(drops)}"] if drops else []
            return path, frozen, left_out
        if os.path.exists(path):
            os.remove(path)
        reasons.append(f"{name}: {why.replace(folder + os.sep, '')}")
    raise InputError(f"{type(module).__name__} cannot be trained, its graph is not the module ({'; '.join(reasons)})")


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
                why = _first_line(error)
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
