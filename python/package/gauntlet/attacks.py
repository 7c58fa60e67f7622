"""Every registered attack as an object: `gauntlet.attacks.pgd(steps=40)`, the same as `gauntlet.attack("pgd", steps=40)`."""

import inspect
import sys
from collections.abc import Callable
from typing import Any

from . import _native
from .components import components, told
from .entries import plain
from .errors import InputError
from .evaluation import Result, evaluate
from .keywords import unknown

#: Keywords of an attack that say what it may do, not how it goes about it.
_THREAT = ("norm", "eps")


class Attack:
    """An attack with its parameters, and perhaps its norm and budget. Called with a model it gives adversarial images.

    Example:
        >>> import numpy as np, gauntlet
        >>> x = np.full((2, 1, 8, 8), 0.4, dtype=np.float32)
        >>> x[..., :4] += np.float32([0.02, 0.5])[:, None, None, None]
        >>> side = gauntlet.Labels(lambda x: (x[..., 4:].mean((1, 2, 3)) > x[..., :4].mean((1, 2, 3))).astype(int), 2)
        >>> x_adv = gauntlet.attack("rays", eps=0.1)(side, x, [0, 0])
        >>> [bool((a != b).any()) for a, b in zip(x_adv, x)]
        [True, False]
    """

    def __init__(self, name: str, parameters: dict[str, Any], norm: Any = None, eps: Any = None) -> None:
        self.name, self.parameters, self.norm, self.eps = name, dict(parameters), norm, eps

    def given(self) -> dict[str, Any]:
        """Name and parameters, as suites have them."""
        return {"name": self.name, **self.parameters}

    def __call__(self, model: Any, x: Any, y: Any, *, eps: Any = None, norm: Any = None, **how: Any) -> Any:
        """Adversarial images: what was found where something was, the clean image elsewhere. As `gauntlet.evaluate` otherwise."""
        return self.evaluate(model, x, y, eps=eps, norm=norm, **how).x_adv

    def evaluate(self, model: Any, x: Any, y: Any, *, eps: Any = None, norm: Any = None, **how: Any) -> Result:
        """`gauntlet.evaluate` with this attack alone."""
        eps = eps if eps is not None else self.eps
        return evaluate(model, x, y, attacks=self.given(), eps=eps, norm=norm or self.norm or "linf", **how)

    def __repr__(self) -> str:
        threat = {"norm": self.norm, "eps": self.eps}
        shown = {**{k: v for k, v in threat.items() if v is not None}, **self.parameters}
        return f"gauntlet.attack({self.name!r}{''.join(f', {k}={v!r}' for k, v in shown.items())})"


def _maker(item: dict[str, Any]) -> Callable[..., Attack]:
    parameters = [
        inspect.Parameter(
            p["name"],
            inspect.Parameter.KEYWORD_ONLY,
            default=inspect.Parameter.empty if p["required"] else p["default"],
        )
        for p in item["parameters"]
    ]
    threat = [inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None) for name in _THREAT]
    known = [*_THREAT, *(p.name for p in parameters)]
    name: str = item["name"]

    def make(**given: Any) -> Attack:
        for key in given:
            if key not in known:
                raise unknown(name, key, known)
        norm, eps = given.pop("norm", None), given.pop("eps", None)
        for p in item["parameters"]:
            if p["required"] and p["name"] not in given:
                raise InputError(f"{name}.{p['name']} is required: {p['doc']}")
        return Attack(name, {key: plain(value) for key, value in given.items()}, norm, eps)

    make.__name__ = make.__qualname__ = name.replace("-", "_")
    make.__module__ = __name__
    make.__doc__ = told(item)
    setattr(make, "__signature__", inspect.Signature([*threat, *parameters], return_annotation=Attack))
    return make


_makers: dict[str, Callable[..., Attack]] = {}


def maker(name: str) -> Callable[..., Attack]:
    """The function that makes the attack of that name, as it is registered (`apgd-ce`) or as Python writes it (`apgd_ce`)."""
    known = components("attacks")
    registered = name if name in known else name.replace("_", "-")
    if registered not in known:
        near = _native.nearest(registered, list(known))
        hint = f" (did you mean {near!r}?)" if near else ""
        raise InputError(f"unknown attack {name!r}{hint}; gauntlet.list_attacks() has all {len(known)}")
    if registered not in _makers:
        _makers[registered] = _maker(known[registered])
    return _makers[registered]


def attack(name: str, /, **parameters: Any) -> Attack:
    """An attack by its registered name, with its parameters and, if they are known, `norm` and `eps`.

    `help(gauntlet.attacks.pgd)` tells parameters and defaults of one; `gauntlet.list_attacks()` has all names.

    Example:
        >>> import gauntlet
        >>> gauntlet.attack("pgd", steps=10, eps="8/255")
        gauntlet.attack('pgd', eps='8/255', steps=10)
        >>> gauntlet.attacks.pgd(steps=10).parameters
        {'steps': 10}
    """
    return maker(name)(**parameters)


def __getattr__(name: str) -> Callable[..., Attack]:
    if name.startswith("__"):
        raise AttributeError(name)
    try:
        return maker(name)
    except InputError as error:
        raise AttributeError(str(error)) from None


def __dir__() -> list[str]:
    own = list(vars(sys.modules[__name__]))
    return own + [name.replace("-", "_") for name in components("attacks")]
