"""Keywords that nobody knows are errors with the nearest name."""

import functools
import inspect
from collections.abc import Callable, Iterable
from typing import Any, TypeVar, cast

from . import _native

F = TypeVar("F", bound=Callable[..., Any])

#: What other libraries call the same thing.
_SYNONYMS = {
    "epsilon": "eps", "epsilons": "eps", "batch_size": "bs", "attack": "attacks", "images": "x", "labels": "y", "threat_model": "norm",
    "p": "norm", "ord": "norm", "iterations": "steps", "max_iter": "steps", "nb_iter": "steps", "n_iter": "steps", "step_size": "alpha",
    "n_restarts": "restarts", "n_queries": "queries", "verbose": "progress",
}


def unknown(owner: str, name: str, known: Iterable[str]) -> TypeError:
    """The TypeError for a keyword `name` that `owner` does not have."""
    known = list(known)
    near = _SYNONYMS.get(name) if _SYNONYMS.get(name) in known else _native.nearest(name, known)
    hint = f" (did you mean {near!r}?)" if near else ""
    return TypeError(f"{owner}() got an unknown keyword {name!r}{hint}; it takes {', '.join(known)}")


def strict(function: F) -> F:
    """The same function, which names the nearest keyword where it is given one that it does not have."""
    parameters = inspect.signature(function).parameters
    known = [name for name, p in parameters.items() if p.kind is not p.POSITIONAL_ONLY and name != "self"]
    owner = function.__qualname__.removesuffix(".__init__")

    @functools.wraps(function)
    def checked(*args: Any, **kwargs: Any) -> Any:
        for name in kwargs:
            if name not in known:
                raise unknown(owner, name, known)
        return function(*args, **kwargs)

    return cast(F, checked)
