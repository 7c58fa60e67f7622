"""Checked twice: mypy reads it against the installed package (an unused `type: ignore` is an error), and pytest runs it."""

from collections.abc import Callable
from typing import Any, assert_type

import numpy as np
import pytest
from numpy.typing import NDArray

import gauntlet
from conftest import halves, halves_vjp

Images = NDArray[np.float32]
Labels = NDArray[np.int64]


def test_what_calls_give_has_types(bright: tuple[Images, Labels]) -> None:
    x, y = bright
    model = gauntlet.Model(halves, halves_vjp)
    result = gauntlet.evaluate(model, x, y, attacks="pgd", eps="0.027", progress=False)
    assert_type(result, gauntlet.Result)
    assert_type(result.robust_accuracy, float)
    assert_type(result.worst_case(), tuple[float, tuple[float, float]])
    assert_type(result.cells, list[gauntlet.Cell])
    assert_type(result.cells[0].interval, tuple[float, float])
    assert_type([flag.name for flag in result.flags], list[str])
    assert_type(gauntlet.list_attacks(), list[str])
    assert_type(gauntlet.load_examples("glyphs", take=1), tuple[Images, Labels])
    assert isinstance(result.robust_accuracy, float) and isinstance(result.cells[0].interval, tuple)


def test_autoattack_gives_what_it_is_given(bright: tuple[Images, Labels]) -> None:
    x, y = bright
    adversary = gauntlet.AutoAttack(
        gauntlet.Model(halves, halves_vjp), eps=0.027, version="custom", attacks_to_run=["apgd-ce"], verbose=False
    )
    adversary.apgd.n_iter = 3
    assert_type(adversary.run_standard_evaluation(x, y), Images)
    assert_type(adversary.run_standard_evaluation(x, y, return_labels=True), tuple[Images, Images])
    assert_type(adversary.result, gauntlet.Result | None)
    assert_type(adversary.clean_accuracy(x, y), float)
    assert isinstance(adversary.run_standard_evaluation(x, y), np.ndarray)


def test_attacks_are_functions_that_make_attacks(bright: tuple[Images, Labels]) -> None:
    assert_type(gauntlet.attacks.pgd, Callable[..., gauntlet.Attack])
    assert_type(gauntlet.attack("pgd", steps=5), gauntlet.Attack)
    assert_type(gauntlet.attack("fgsm").evaluate(gauntlet.Model(halves, halves_vjp), *bright, eps=0.027), gauntlet.Result)
    assert gauntlet.attacks.pgd(steps=5).parameters == {"steps": 5}


def pairs(model: object) -> None:
    """Read and not run: types alone."""
    assert_type(gauntlet.benchmark(model, eps="8/255"), tuple[float, float])
    assert_type(gauntlet.benchmark([model], eps="8/255"), dict[Any, tuple[float, float]])
    assert_type(gauntlet.run("mine.toml").problems, list[str])
    assert_type(gauntlet.report("folder", "out"), list[str])


def test_mistakes_are_seen_before_anything_runs(bright: tuple[Images, Labels]) -> None:
    x, y = bright
    with pytest.raises(TypeError):
        gauntlet.evaluate(halves, x, y, epsilon=0.1)  # type: ignore[call-arg]
    with pytest.raises(gauntlet.InputError):
        gauntlet.evaluate(halves, x, y, eps=0.1, bs="many")  # type: ignore[arg-type]
    with pytest.raises(gauntlet.InputError):
        gauntlet.Labels(lambda a: halves(a).argmax(axis=1), "two")  # type: ignore[arg-type]
    with pytest.raises(gauntlet.InputError):
        gauntlet.network("linear", input=(28, 28))  # type: ignore[arg-type]
    with pytest.raises(AttributeError):
        gauntlet.Result.accuracy  # type: ignore[attr-defined]
