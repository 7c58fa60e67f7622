"""Modules of PyTorch trained with gauntlet's recipes: exported as a graph, trained there, and handed back with new weights."""

import copy
import json
import os
import tempfile
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import _native
from .arrays import images, labels
from .components import shown
from .data import load_examples
from .entries import plain
from .errors import EvaluationFailed, InputError
from .suites import teller

#: Training images that the module and its graph are compared on.
COMPARED = 64

Progress = Callable[[str], object]
_Path = str | os.PathLike[str]


def _bytes_of(x: Any) -> NDArray[np.uint8]:
    """Images as the trainer keeps them: 256 levels."""
    pixels = images(x)
    levels = np.rint(pixels * 255)
    if float(np.abs(pixels * 255 - levels).max()) > 1e-2:
        raise InputError("x holds values between the 256 levels k/255, which a training keeps images in: round(255 x) / 255 is what it takes")
    return levels.astype(np.uint8)


def _written(data: tuple[Any, Any], classes: int, folder: str) -> str:
    """Arrays as a data set of that folder, with a manifest; its name."""
    if len(data) != 2:
        raise InputError(f"data must be the name of a data set or (images, labels), got {len(data)} parts")
    pixels = _bytes_of(data[0])
    told = labels(data[1], len(pixels))
    if max(told) >= classes:
        raise InputError(f"the module has {classes} classes, an example has label {max(told)}")
    os.makedirs(folder, exist_ok=True)
    np.save(os.path.join(folder, "images.npy"), pixels)
    np.save(os.path.join(folder, "labels.npy"), np.asarray(told, dtype=np.int64))
    arrays = 'arrays = { images = "images.npy", labels = "labels.npy" }'
    names = ", ".join(f'"{k}"' for k in range(classes))
    manifest = f"""name = "given"
summary = "arrays of the caller"
shape = {list(pixels.shape[1:])}
classes = [{names}]

[source.local]
folder = "."

[train]
{arrays}

# Nothing is measured on it.
[test]
{arrays}
take = 1
"""
    with open(os.path.join(folder, "given.toml"), "w", encoding="utf-8") as file:
        file.write(manifest)
    return "given"


def checkpoint_arrays(path: _Path) -> dict[str, NDArray[Any]]:
    """The tensors of a safetensors file by their names."""
    dtypes = {"F32": "<f4", "F64": "<f8"}
    with open(path, "rb") as file:
        length = int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(length))
        body = file.read()
    header.pop("__metadata__", None)
    found = {}
    for name, about in header.items():
        begin, end = about["data_offsets"]
        found[name] = np.frombuffer(body[begin:end], dtype=dtypes[about["dtype"]]).reshape(about["shape"])
    return found


def train(
    module: Any,
    data: Any,
    recipe: Any = "ce",
    *,
    mean: Any = None,
    std: Any = None,
    seed: int = 0,
    runs: _Path | None = None,
    data_dir: _Path | None = None,
    progress: bool | Progress | None = None,
    **settings: Any,
) -> Any:
    """A copy of a module of PyTorch with weights that a recipe trained, starting from the module's own.

    The module is copied and exported without folding; its graph is trained on gauntlet's kernels by the same trainer as a suite's rows.
    Parameters that need no gradient stay as they are. The module itself is not touched.

    Args:
        module: a torch.nn.Module that answers images with logits and can be exported (`pip install onnx onnxscript`).
        data: the name of a data set (`gauntlet.list_datasets()`), of whose training split it is; or `(images, labels)`.
        recipe: a name of `gauntlet.list_recipes()`, or a dictionary with a name and arguments. A penalty is added to `ce`.
        mean, std: of each channel, where the module wants normalised images.
        seed: of order, augmentation and the recipe's draws.
        runs: a store, in which an interrupted call goes on where it stopped; None: nothing is kept.
        data_dir: where data sets lie; None: drawn, or from the Hugging Face hub.
        progress: True: a line on stdout for every epoch; or a function of a line.
        settings: the keys of a suite's `[train]`: `epochs=5`, `batch=128`, `optimiser={"name": "adam", "lr": 0.001}`, `schedule`,
            `augmentation`, `validation`, `clip`, `monitor_eps`, `evaluate`, ...

    Returns:
        A copy of the module with the trained weights and running statistics, in the mode that the module is in.

    Raises:
        InputError: a module that cannot be exported, a graph whose parameters are not those of `module.state_dict()` name by name and
            value by value (as where batch norm was folded into a convolution), parameters that are shared, unknown settings.
        EvaluationFailed: the returned module would not compute what the trained graph does.

    Example:
        >>> import torch, gauntlet
        >>> _ = torch.manual_seed(0)
        >>> net = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(784, 10))
        >>> images, labels = gauntlet.load_examples("glyphs", "train", take=2000)
        >>> trained = gauntlet.train(net, (images, labels), "ce", epochs=1)
        >>> right = lambda net: float((net(torch.from_numpy(images)).argmax(1).numpy() == labels).mean())
        >>> right(net) < 0.3 < right(trained)
        True
    """
    torch = __import__("torch")
    if not isinstance(module, torch.nn.Module):
        raise InputError(f"a torch.nn.Module can be trained, got {type(module).__name__}; gauntlet's own networks are trained by suites")
    from .own_kernels import ALIKE, gap, unfolded
    from .torch_model import TorchModel

    adapter = TorchModel(module, mean=mean, std=std, train_mode=True)
    if isinstance(data, str):
        given, _ = load_examples(data, "train", take=COMPARED, data_dir=data_dir)
    elif isinstance(data, (tuple, list)) and data:
        given = images(data[0][:COMPARED])
    else:
        raise InputError(f"data must be the name of a data set or (images, labels), got {type(data).__name__}")
    evaluated = copy.deepcopy(module).eval()
    before = TorchModel(evaluated, mean=mean, std=std)
    before.look(given, COMPARED)
    with tempfile.TemporaryDirectory(prefix="gauntlet-") as temporary:
        store = temporary if runs is None else os.fspath(runs)
        folder = os.path.join(store, "modules", adapter.fingerprint().removeprefix("sha256:")[:32])
        os.makedirs(folder, exist_ok=True)
        path, frozen, notes = unfolded(evaluated, before.normalised(given), folder)
        for note in notes:
            warnings.warn(note, stacklevel=2)
        model: dict[str, Any] = {"name": f"onnx:{path}", "frozen": frozen}
        if before.normalisation is not None:
            model.update(mean=[float(v) for v in np.ravel(mean)], std=[float(v) for v in np.ravel(std)])
        name = data if isinstance(data, str) else _written(tuple(data), before.classes, os.path.join(folder, "datasets"))
        datasets = None if isinstance(data, str) else os.path.join(folder, "datasets")
        keys = {"monitor_eps": "8/255", **settings}
        text = "".join(f"{key} = {shown(plain(value))}\n" for key, value in keys.items() if value is not None)
        asked = json.dumps({"name": recipe} if isinstance(recipe, str) else plain(recipe))
        answer = _native.train(
            json.dumps(model), name, asked, text, seed=seed, runs=store, datasets=datasets, data_dir=data_dir, progress=teller(progress)
        )
        report = json.loads(answer)
        for flag in report["flags"]:
            warnings.warn(f"{flag.get('detail', flag)}", stacklevel=2)
        made = copy.deepcopy(module)
        made.zero_grad(set_to_none=True)
        state = made.state_dict()
        with torch.no_grad():
            for key, values in checkpoint_arrays(report["checkpoint"]).items():
                state[key].copy_(torch.from_numpy(values.copy()))
        _, channels, height, width = given.shape
        network = _native.Network.built_in(json.dumps(model), report["checkpoint"], (channels, height, width), before.classes)
        after = TorchModel(copy.deepcopy(made).eval(), mean=mean, std=std)
        apart = gap(after.forward(given.copy()), network.logits(given))
        if not apart <= ALIKE:
            raise EvaluationFailed(f"the trained graph and the module with its weights differ by {apart:.1e} of the largest logit")
    return made
