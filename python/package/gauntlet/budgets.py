"""Norms and budgets as they are written."""

from fractions import Fraction
from numbers import Real
from typing import Any

from .errors import InputError

_NORMS = {"linf": "linf", "l2": "l2", "l1": "l1", "l0": "l0", "inf": "linf", "2": "l2", "1": "l1", "0": "l0"}


def norm_of(norm: Any) -> str:
    """`Linf`, `linf`, `L2`, ... (or an enum with such a value) as gauntlet writes it."""
    text = str(getattr(norm, "value", norm))
    known = _NORMS.get(text.lower())
    if known is None:
        raise InputError(f"bad value for norm: must be linf, l2, l1 or l0, got {text!r}")
    return known


def eps_text(eps: Any) -> str:
    """A budget as text: `8/255` for the number that is 8/255, the shortest decimal otherwise."""
    if isinstance(eps, str):
        return eps
    if isinstance(eps, Fraction):
        return f"{eps.numerator}/{eps.denominator}"
    item = getattr(eps, "item", None)
    eps = item() if item is not None else eps
    if not isinstance(eps, Real) or isinstance(eps, bool):
        raise InputError(f"bad value for eps: must be a length in pixels such as \"8/255\" or 0.3, got {eps!r}")
    eps = float(eps)
    levels = eps * 255
    whole = round(levels)
    # 8/255 in either precision, and not 0.2, which happens to be 51/255.
    if 0 < whole < 255 and abs(levels - whole) < 1e-5 and len(repr(eps)) > 8:
        return f"{whole}/255"
    return repr(eps)


def eps_list(eps: Any) -> list[str]:
    """One budget or several, as a list of texts."""
    if eps is None:
        raise InputError("eps is required: the budget, such as \"8/255\" or 0.3, or a list of them")
    several = list(eps) if isinstance(eps, (list, tuple)) else [eps]
    return [eps_text(e) for e in several]
