"""From what is handed over to what attacks see."""

import sys
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import _native
from .arrays import images, is_jax
from .errors import InputError
from .models import Labels, Model, logits_in


def _of_probabilities(estimator: Any) -> Model:
    """Scores of a classifier of scikit-learn's kind: the logarithms of its probabilities, of flattened images."""

    def forward(x: NDArray[np.float32]) -> NDArray[np.float32]:
        p = np.asarray(estimator.predict_proba(x.reshape(len(x), -1)), dtype=np.float64)
        scores: NDArray[np.float32] = np.log(np.maximum(p, 1e-30)).astype(np.float32)
        return scores

    return Model(forward, name=type(estimator).__name__)


def _of_classes(estimator: Any) -> Labels:
    """A classifier of scikit-learn's kind that has no probabilities: the places of its answers among its classes, of flattened images."""
    known = np.asarray(estimator.classes_)

    def predict(x: NDArray[np.float32]) -> NDArray[np.intp]:
        told: NDArray[np.intp] = np.searchsorted(known, estimator.predict(x.reshape(len(x), -1)))
        return told

    return Labels(predict, len(known), name=type(estimator).__name__)


def _answers_with_jax(model: Any, x: Any) -> bool:
    """Whether it is a function of JAX: a jitted one, one that is asked about arrays of JAX, or one that answers with them."""
    if "jax" not in sys.modules or not callable(model) or isinstance(model, (Model, _native.Network)) or hasattr(model, "vjp"):
        return False
    if type(model).__module__.partition(".")[0] in ("jax", "jaxlib") or is_jax(x):
        return True
    if not isinstance(x, np.ndarray):
        return False
    return is_jax(logits_in(model(images(x[:1]))))


def adapt(model: Any, x: Any, **options: Any) -> "Model | _native.Network":
    """The adapter of a model: a `Network` or `Model` itself, a module or function of PyTorch, a function of JAX, anything with
    `forward` (and `vjp`), anything with `predict_proba`, anything with `predict` and `classes_`.

    `x` decides what a plain function is given: tensors if they are tensors, arrays otherwise.
    """
    torch = sys.modules.get("torch")
    given = {key: value for key, value in options.items() if value is not None and value is not False}
    if torch is not None and isinstance(model, torch.nn.Module):
        from .torch_model import TorchModel

        return TorchModel(model, like=x, **options)
    jax = _answers_with_jax(model, x)
    if not jax and torch is not None and isinstance(x, torch.Tensor) and callable(model) and not isinstance(model, (Model, _native.Network)):
        if not hasattr(model, "vjp"):
            from .torch_model import TorchModel

            return TorchModel(model, like=x, **options)
    for key in given:
        if key in ("mean", "std", "device", "train_mode"):
            raise InputError(f"{key} is for models of PyTorch; {type(model).__name__} does it by itself")
    if isinstance(model, (Model, _native.Network)):
        return model
    if jax:
        from .jax_model import JaxModel

        return JaxModel(model)
    if callable(getattr(model, "forward", None)):
        return Model(model.forward, getattr(model, "vjp", None), name=getattr(model, "name", type(model).__name__))
    if hasattr(model, "predict_proba"):
        return _of_probabilities(model)
    if hasattr(model, "predict") and hasattr(model, "classes_"):
        return _of_classes(model)
    if callable(model):
        return Model(model, name=getattr(model, "__name__", type(model).__name__))
    raise InputError(
        f"model must be a torch.nn.Module, a function from images to logits, an object with forward(x) or predict_proba(x), or a "
        f"Network, got {type(model).__name__}"
    )
