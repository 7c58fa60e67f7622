"""Functions of JAX. Imported when one is handed over, and not before."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from .errors import InputError
from .models import Model, Pull, logits_in


class JaxModel(Model):
    """A function from images `(N, C, H, W)` to logits `(N, K)`, jitted or not, with the gradients of `jax.vjp`.

    Args:
        function: gives logits, a tuple whose first entry they are, an object with `.logits`, or a dictionary with `"logits"`.
        name: what it is called in messages and reports.
    """

    #: What is compiled is compiled for a shape: batches have a constant one.
    padded = True

    def __init__(self, function: Callable[..., Any], *, name: str | None = None) -> None:
        super().__init__(function, function, name=name or str(getattr(function, "__name__", type(function).__name__)))
        self.function = function

    def _answer(self, x: Any) -> Any:
        z = logits_in(self.function(x))
        if not isinstance(z, jax.Array):
            raise InputError(f"{self.name} answers {type(z).__name__}; logits are an array of JAX")
        if z.ndim != 2 or z.shape[0] != x.shape[0] or z.shape[1] < 2:
            raise InputError(f"{self.name} answers {len(x)} images with the shape {tuple(z.shape)}; logits are ({len(x)}, K), K at least 2")
        if not jnp.issubdtype(z.dtype, jnp.floating):
            raise InputError(f"{self.name} answers {z.dtype}; logits are floats")
        return z.astype(jnp.float32)

    def forward(self, x: NDArray[np.float32]) -> NDArray[np.float32]:
        """Logits `(N, K)`."""
        return np.ascontiguousarray(self._answer(jnp.asarray(x)), dtype=np.float32)

    def _linearise(self, x: NDArray[np.float32]) -> tuple[NDArray[np.float32], Pull]:
        z, pull = jax.vjp(self._answer, jnp.asarray(x))

        def gradient(cotangent: NDArray[np.float32]) -> NDArray[np.float32]:
            (g,) = pull(jnp.asarray(cotangent))
            return np.ascontiguousarray(g, dtype=np.float32)

        return np.ascontiguousarray(z, dtype=np.float32), gradient
