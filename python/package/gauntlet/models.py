"""Models that live in Python, as attacks see them."""

import contextlib
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .arrays import as_array
from .errors import InputError
from .keywords import strict

#: From a cotangent of the logits to the gradient of the images.
Pull = Callable[[NDArray[np.float32]], NDArray[np.float32]]

#: Images of the first batch on which a model is looked at before it is attacked.
LOOKED_AT = 64
#: Answers to one image, alone and beside others, differ by less than this, relative to the largest logit.
ALIKE = 1e-3


def logits_in(answer: Any) -> Any:
    """The logits in what a model answered: itself, the first of a tuple, `.logits`, or the entry `logits`."""
    if isinstance(answer, dict):
        if "logits" not in answer:
            raise InputError(f"the model answers a dictionary without \"logits\"; its keys are {sorted(map(str, answer))}")
        return answer["logits"]
    if hasattr(answer, "logits"):
        return answer.logits
    if isinstance(answer, (tuple, list)):
        if not answer:
            raise InputError("the model answers an empty tuple")
        return answer[0]
    return answer


def as_logits(answer: Any, n: int, name: str) -> NDArray[np.float32]:
    """`(n, K)` of float32."""
    z = as_array(logits_in(answer))
    if z.ndim != 2 or z.shape[0] != n or z.shape[1] < 2:
        raise InputError(f"{name} answers {n} images with the shape {tuple(z.shape)}; logits are ({n}, K), K at least 2")
    if z.dtype.kind != "f":
        raise InputError(f"{name} answers {z.dtype}; logits are floats")
    return np.ascontiguousarray(z, dtype=np.float32)


class Model:
    """Any function from images to logits.

    Args:
        forward: takes an array `(N, C, H, W)` of float32 in [0, 1], gives logits `(N, K)`.
        vjp: takes the same, gives the logits and a function from a cotangent `(N, K)` to the gradient `(N, C, H, W)`, as
            `jax.vjp` does. Without it only attacks that need no gradient can be run.
        name: what it is called in messages and reports.
        fingerprint: a text that names its weights, such as their sha256; what a store keeps verdicts under.

    Example:
        >>> import numpy as np, gauntlet
        >>> weight = np.random.default_rng(0).normal(size=(64, 3)).astype(np.float32)
        >>> forward = lambda x: x.reshape(len(x), -1) @ weight
        >>> linear = gauntlet.Model(forward, lambda x: (forward(x), lambda c: (c @ weight.T).reshape(x.shape)))
        >>> x = np.random.default_rng(1).uniform(size=(20, 1, 8, 8)).astype(np.float32)
        >>> y = forward(x).argmax(axis=1)
        >>> gauntlet.evaluate(linear, x, y, attacks="fgsm", eps=0.5).robust_accuracy
        0.0
    """

    #: Whether calls have a constant number of images.
    padded = False
    #: Logits of images, and from a cotangent to their gradient; None: it tells no gradient.
    linearise: Callable[[NDArray[np.float32]], tuple[NDArray[np.float32], Pull]] | None

    @strict
    def __init__(
        self, forward: Callable[..., Any], vjp: Callable[..., Any] | None = None, *, name: str = "model", fingerprint: str = ""
    ) -> None:
        if not callable(forward):
            raise InputError(f"forward must be a function of images, got {type(forward).__name__}")
        if vjp is not None and not callable(vjp):
            raise InputError(f"vjp must be a function of images, got {type(vjp).__name__}")
        self._forward, self._vjp, self.name, self._fingerprint = forward, vjp, name, fingerprint
        self.classes = 0
        self.notes: list[str] = []
        self.linearise = None if vjp is None else self._linearise

    @property
    def answers(self) -> str:
        """What it tells of an image: `labels`, `logits`, or `gradients` too."""
        return "logits" if self.linearise is None else "gradients"

    def forward(self, x: NDArray[np.float32]) -> NDArray[np.float32]:
        """Logits `(N, K)`."""
        return as_logits(self._forward(x), len(x), self.name)

    def _linearise(self, x: NDArray[np.float32]) -> tuple[NDArray[np.float32], Pull]:
        assert self._vjp is not None
        z, pull = self._vjp(x)

        def gradient(cotangent: NDArray[np.float32]) -> NDArray[np.float32]:
            g = pull(cotangent)
            # jax.vjp's functions give a tuple, one entry for each argument.
            g = as_array(g[0] if isinstance(g, tuple) else g)
            return np.ascontiguousarray(g, dtype=np.float32)

        return as_logits(z, len(x), self.name), gradient

    def attacked(self) -> contextlib.AbstractContextManager[None]:
        """What holds while it is attacked, as a context."""
        return contextlib.nullcontext()

    def fingerprint(self) -> str:
        """sha256 of its weights, where that is known; else an empty text."""
        return self._fingerprint

    def _fails(self, x: NDArray[np.float32]) -> bool:
        try:
            self.forward(x.copy())
        except Exception:
            return True
        return False

    def look(self, x: NDArray[np.float32], width: int, train_mode: bool = False) -> None:
        """Looks at the model on the first images: what would make all numbers worthless is an error here.

        Raises:
            InputError: logits that are not finite or not (N, K), an answer that depends on the rest of the batch, a gradient
                of another shape than the images'.
        """
        few = x[: min(len(x), width, LOOKED_AT)]
        # Copies: a model may write into what it is given.
        z = self.forward(few.copy())
        self.classes = z.shape[1]
        bad = np.flatnonzero(~np.isfinite(z).all(axis=1))
        if len(bad):
            raise InputError(
                f"{self.name} answers {len(bad)} of {len(few)} images with logits that are not finite (first: image {bad[0]}); "
                "an attack on them says nothing: look at the model's input range and weights"
            )
        # A randomised model is told by a flag later, and answers nothing twice.
        if len(few) > 1 and np.array_equal(self.forward(few.copy()), z):
            way = "its batch norm takes statistics of the batch; call model.eval(), give it running statistics, or evaluate with bs=1"
            try:
                alone = self.forward(few[:1].copy())
            except Exception as error:
                if not self._fails(few[:1]):
                    raise
                raise InputError(f"{self.name} answers {len(few)} images and fails on one alone ({error}): {way}") from error
            gap, size = float(np.abs(alone[0] - z[0]).max()), float(np.abs(z[0]).max())
            if gap > ALIKE * max(size, 1.0):
                raise InputError(
                    f"{self.name} answers image 0 differently alone and beside {len(few) - 1} others (by {gap:.2g}): {way}"
                )
        if self.linearise is not None:
            two = few[:2].copy()
            z, pull = self.linearise(two)
            g = pull(np.ones_like(z))
            if g.shape != two.shape:
                raise InputError(f"{self.name}: an input gradient has shape {g.shape}, the images {two.shape}")


class Labels(Model):
    """Any function from images to predicted classes, of which nothing else is known.

    Attacks by decisions (`hopskipjump`, `rays`, `boundary`, ...) and `noise` can be run on it; those that go by logits or gradients
    are an error. In verdicts its margins are 1 or -1.

    Args:
        predict: takes an array `(N, C, H, W)` of float32 in [0, 1], gives N whole numbers from 0 to `classes` - 1.
        classes: how many classes there are.
        name: what it is called in messages and reports.
        fingerprint: a text that names its weights; what a store keeps verdicts under.

    Example:
        >>> import numpy as np, gauntlet
        >>> bright = gauntlet.Labels(lambda x: (x.mean((1, 2, 3)) > 0.5).astype(int), 2)
        >>> x = np.full((2, 1, 8, 8), 0.4, dtype=np.float32)
        >>> gauntlet.evaluate(bright, x, [0, 0], attacks="rays", eps=[0.05, 0.15]).worst_case(eps=0.15)[0]
        0.0
    """

    @strict
    def __init__(self, predict: Callable[..., Any], classes: int, *, name: str = "model", fingerprint: str = "") -> None:
        super().__init__(predict, name=name, fingerprint=fingerprint)
        if not isinstance(classes, (int, np.integer)) or isinstance(classes, bool) or classes < 2:
            raise InputError(f"classes must be a whole number of at least 2, got {classes!r}")
        self._known = int(classes)

    @property
    def answers(self) -> str:
        """Labels alone."""
        return "labels"

    def forward(self, x: NDArray[np.float32]) -> NDArray[np.float32]:
        """1 for the predicted class and 0 for the others, `(N, K)`."""
        told = as_array(self._forward(x))
        if told.shape != (len(x),):
            raise InputError(
                f"{self.name} answers {len(x)} images with the shape {tuple(told.shape)}; of a model that tells labels, one number for "
                "each is wanted"
            )
        classes = told.astype(np.int64) if told.dtype.kind in "iuf" else None
        if classes is None or not np.array_equal(classes, told):
            raise InputError(f"{self.name} answers {told.dtype} that are no whole numbers; labels are")
        bad = np.flatnonzero((classes < 0) | (classes >= self._known))
        if len(bad):
            raise InputError(f"{self.name} answers image {bad[0]} of a batch with class {classes[bad[0]]}; there are {self._known}, from 0")
        z = np.zeros((len(x), self._known), dtype=np.float32)
        z[np.arange(len(x)), classes] = 1
        return z
