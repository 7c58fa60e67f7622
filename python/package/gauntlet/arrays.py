"""Images and labels of whatever library as arrays, and back."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .errors import InputError


def is_torch(value: Any) -> bool:
    """Whether it is a tensor of PyTorch, without importing PyTorch."""
    return type(value).__module__.partition(".")[0] == "torch" and hasattr(value, "detach")


def is_jax(value: Any) -> bool:
    """Whether it is an array of JAX, without importing JAX."""
    return type(value).__module__.partition(".")[0] in ("jax", "jaxlib") and hasattr(value, "dtype")


def as_array(value: Any) -> NDArray[Any]:
    """An array of the same numbers, a view of them where that can be."""
    if is_torch(value):
        value = value.detach()
        if value.dtype.is_floating_point and value.element_size() == 2:
            value = value.float()
        array: NDArray[Any] = value.cpu().numpy()
        return array
    if hasattr(value, "__array__") or not hasattr(value, "__dlpack__"):
        return np.asarray(value)
    return np.from_dlpack(value)


def images(x: Any, normalised: bool = False) -> NDArray[np.float32]:
    """`(N, C, H, W)` of float32 in [0, 1]; bytes are divided by 255."""
    array = as_array(x)
    if array.ndim != 4:
        raise InputError(f"x must be images (N, C, H, W), got the shape {tuple(array.shape)}")
    if array.shape[0] == 0:
        raise InputError("x holds no image")
    if array.dtype == np.uint8:
        array = array.astype(np.float32) / np.float32(255)
    elif array.dtype.kind not in "fiub":
        raise InputError(f"x must be numbers in [0,1], got {array.dtype}")
    array = np.ascontiguousarray(array, dtype=np.float32)
    low, high = float(array.min()), float(array.max())
    if not (low >= 0.0 and high <= 1.0):
        what = "it is not finite" if not np.isfinite([low, high]).all() else f"it goes from {low:.4g} to {high:.4g}"
        way = "give the pixels themselves" if normalised else "give the pixels themselves, and mean= and std= of the normalisation"
        if np.isfinite([low, high]).all() and low >= 0 and 1.5 < high <= 255:
            way = "divide by 255, or hand over uint8"
        raise InputError(f"x must lie in [0,1], {what}: {way}")
    return array


def labels(y: Any, n: int) -> list[int]:
    """A list of n labels."""
    array = as_array(y)
    if array.shape != (n,):
        raise InputError(f"y must be {n} labels, one for each image, got the shape {tuple(array.shape)}")
    if array.dtype.kind not in "iu":
        whole = array.dtype.kind == "f" and bool((array == np.floor(array)).all())
        if not whole:
            raise InputError(f"y must be whole numbers from 0, got {array.dtype}")
    if (array < 0).any():
        raise InputError(f"y must be whole numbers from 0, got {array.min()}")
    return [int(label) for label in array]


def back(array: NDArray[np.float32], like: Any) -> Any:
    """The array as what `like` is: a tensor on its device and of its dtype, an array of JAX, or an array."""
    if is_jax(like):
        import jax

        return jax.device_put(array.astype(like.dtype) if np.issubdtype(like.dtype, np.floating) else array, like.device)
    if not is_torch(like):
        return array
    import torch

    made = torch.from_numpy(np.ascontiguousarray(array)).to(like.device)
    return made.to(like.dtype) if like.dtype.is_floating_point else made
