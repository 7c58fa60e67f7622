"""Data sets as arrays."""

import os

import numpy as np
from numpy.typing import NDArray

from . import _native
from .keywords import strict


@strict
def load_examples(
    name: str, split: str = "test", *, take: int | None = None, sample: int | None = None, seed: int = 0,
    data_dir: str | os.PathLike[str] | None = None,
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Images `(N, C, H, W)` of float32 in [0, 1] and labels `(N,)` of int64.

    Args:
        name: of `gauntlet.list_datasets()`.
        split: `test` or `train`.
        take: the first so many.
        sample: so many drawn with `seed`, of every class its share.
        data_dir: where the files lie; None: drawn, or from the Hugging Face hub.

    Example:
        >>> import gauntlet
        >>> x, y = gauntlet.load_examples("glyphs", sample=20)
        >>> x.shape, sorted(set(y.tolist()))
        ((20, 1, 28, 28), [0, 1, 2, 3, 4, 5, 6, 7, 8, 9])
    """
    x, y, _, _ = _native.examples(name, split, take, sample, seed, data_dir)
    return x, np.asarray(y, dtype=np.int64)
