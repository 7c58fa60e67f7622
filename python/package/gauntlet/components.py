"""What is registered: attacks, recipes, models, data sets, as `gauntlet list` tells it."""

import functools
import json
from typing import Any

from . import _native


@functools.lru_cache(maxsize=None)
def components(kind: str) -> dict[str, dict[str, Any]]:
    """All components of a kind by name."""
    return {item["name"]: item for item in json.loads(_native.components(kind))}


def shown(value: Any) -> str:
    """A value as suite files write it."""
    if isinstance(value, dict):
        inner = ", ".join(f"{k} = {shown(v)}" for k, v in value.items())
        return f"{{ {inner} }}" if inner else "{}"
    if isinstance(value, list):
        return f"[{', '.join(map(shown, value))}]"
    return json.dumps(value)


def told(item: dict[str, Any]) -> str:
    """The lines of `gauntlet list NAME` about a component."""
    source = "; ".join(s for s in (item["paper"], item["origin"]) if s and s != "-")
    lines = [f"{item['summary']} ({source})", "", f"formula: {item['formula']}"]
    if item.get("norms"):
        lines.append(f"norms: {', '.join(item['norms'])}")
    if item["parameters"]:
        lines += ["", "Args:"]
    for p in item["parameters"]:
        default = "(required)" if p["required"] else "(none unless given)" if p["unset"] else f"= {shown(p['default'])}"
        unit = f", {p['unit']}" if p["unit"] else ""
        lines.append(f"    {p['name']} {default} ({p['type']}{unit}): {p['doc']}")
    return "\n".join(lines)


def list_attacks() -> list[str]:
    """Names of all attacks.

    Example:
        >>> import gauntlet
        >>> "pgd" in gauntlet.list_attacks()
        True
    """
    return list(components("attacks"))


def list_recipes() -> list[str]:
    """Names of all recipes and penalties.

    Example:
        >>> import gauntlet
        >>> {"ce", "pgd-at", "grad-norm"} <= set(gauntlet.list_recipes())
        True
    """
    return list(components("recipes")) + list(components("penalties"))


def list_models() -> list[str]:
    """Names of all built-in architectures.

    Example:
        >>> import gauntlet
        >>> "lenet-small" in gauntlet.list_models()
        True
    """
    return list(components("models"))


def list_datasets() -> list[str]:
    """Names of all data sets.

    Example:
        >>> import gauntlet
        >>> {"glyphs", "mnist", "cifar10"} <= set(gauntlet.list_datasets())
        True
    """
    return [item["name"] for item in json.loads(_native.datasets())]


def describe(name: str) -> str:
    """What `gauntlet list` says of an attack, recipe, penalty, model or objective.

    Example:
        >>> import gauntlet
        >>> print(gauntlet.describe("fgsm").splitlines()[0].partition(":")[0])
        fgsm
    """
    kinds = ("attacks", "recipes", "penalties", "models", "objectives")
    found = [components(kind)[name] for kind in kinds if name in components(kind)]
    if not found:
        from .errors import InputError

        known = [n for kind in kinds for n in components(kind)]
        near = _native.nearest(name, known)
        raise InputError(f"unknown component {name!r}" + (f" (did you mean {near!r}?)" if near else ""))
    return "\n\n".join(f"{item['name']}: {told(item)}" for item in found)
