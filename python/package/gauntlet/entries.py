"""Attacks as the compiled part takes them."""

import json
from typing import Any

from .budgets import eps_list, norm_of
from .errors import InputError


def _is_attack(value: Any) -> bool:
    """Whether it is one of `gauntlet.attack(...)`: it says what is given, and perhaps a norm and a budget."""
    return callable(getattr(value, "given", None))


def plain(value: Any) -> Any:
    """A parameter as JSON has it: nested attacks by their names and parameters."""
    if _is_attack(value):
        return value.given()
    if isinstance(value, dict):
        return {k: plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(v) for v in value]
    item = getattr(value, "item", None)
    return item() if item is not None and not isinstance(value, (str, bytes)) else value


def entries_of(attacks: Any, norm: Any, eps: Any) -> str:
    """Attacks as the compiled part takes them: `{"label", "attack", "norm", "eps"}`."""
    several = attacks if isinstance(attacks, (list, tuple)) else [attacks]
    entries = []
    for one in several:
        if isinstance(one, str):
            one = {"name": one}
        elif _is_attack(one):
            threat = {k: v for k, v in (("norm", one.norm), ("eps", one.eps)) if v is not None}
            one = {**one.given(), **threat}
        elif not isinstance(one, dict):
            raise InputError(f"attacks must be names, dictionaries with a \"name\", or gauntlet.attack(...), got {type(one).__name__}")
        given = dict(one)
        own_norm, own_eps, label = given.pop("norm", norm), given.pop("eps", eps), given.pop("label", None)
        entries.append({"label": label, "attack": plain(given), "norm": norm_of(own_norm), "eps": eps_list(own_eps)})
    return json.dumps(entries)
