"""Networks on gauntlet's own kernels."""

import json
import os
from typing import Any

from . import _native
from .errors import InputError
from .keywords import strict


@strict
def network(
    model: str | os.PathLike[str] | dict[str, Any], *, checkpoint: str | os.PathLike[str] | None = None,
    input: tuple[int, int, int] | None = None, classes: int = 10,
) -> _native.Network:
    """A network that gauntlet computes itself, several times faster than PyTorch on a CPU where the network is small.

    Args:
        model: the path of an ONNX file (`net.onnx`), or the name of a built-in architecture (`gauntlet.list_models()`), or a
            dictionary with its name and arguments.
        checkpoint: weights of a built-in architecture: safetensors or a file of `torch.save`. Without, the initial ones.
        input: (C, H, W) of a built-in architecture's images.
        classes: of a built-in architecture.

    Example:
        >>> import gauntlet
        >>> network = gauntlet.network("lenet-small", input=(1, 28, 28))
        >>> x, _ = gauntlet.load_examples("glyphs", take=3)
        >>> network.logits(x).shape
        (3, 10)
    """
    if not isinstance(model, dict) and os.fspath(model).endswith(".onnx"):
        if checkpoint is not None:
            raise InputError("checkpoint is for built-in architectures: an ONNX file holds its weights")
        return _native.Network.onnx(model)
    if input is None:
        raise InputError("input is required: (C, H, W) of the images, such as (1, 28, 28)")
    if len(input) != 3:
        raise InputError(f"input must be (C, H, W) of the images, got {tuple(input)}")
    channels, height, width = input
    given = {"name": model} if isinstance(model, str) else model
    return _native.Network.built_in(json.dumps(given), checkpoint, (channels, height, width), classes)
