import ast
import importlib.metadata
import inspect
import pathlib
import subprocess
import sys

import pytest

import gauntlet
from gauntlet import _native


def test_torch_is_not_imported_before_a_model_of_it_comes():
    code = "import gauntlet, sys; gauntlet.list_attacks(); print([m for m in ('torch', 'jax', 'pandas', 'polars') if m in sys.modules])"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert told.strip() == "[]"


def test_versions_and_types_are_told():
    assert importlib.metadata.version("gauntlet-robustness") == gauntlet.__version__
    assert (pathlib.Path(gauntlet.__file__).parent / "py.typed").exists()
    assert all(hasattr(gauntlet, name) for name in gauntlet.__all__)


def test_stubs_have_every_function_with_its_parameters():
    text = (pathlib.Path(gauntlet.__file__).parent / "_native.pyi").read_text()
    stubs = {node.name: node for node in ast.parse(text).body if isinstance(node, (ast.FunctionDef, ast.ClassDef))}
    names = {name for name in vars(_native) if not name.startswith("_")}
    assert names == set(stubs)
    for name, node in stubs.items():
        if isinstance(node, ast.FunctionDef):
            told = [a.arg for a in node.args.args + node.args.kwonlyargs]
            assert told == list(inspect.signature(getattr(_native, name)).parameters), name
        else:
            told = {n.name for n in node.body if isinstance(n, ast.FunctionDef)}
            assert {n for n in vars(getattr(_native, name)) if not n.startswith("_")} == told - {"__len__"}, name


def test_an_unknown_keyword_is_told_with_the_nearest(bright):
    x, y = bright
    for wrong, near in [("epsilon", "eps"), ("norms", "norm"), ("batch_size", "bs"), ("sed", "seed")]:
        with pytest.raises(TypeError, match=f"unknown keyword '{wrong}' \\(did you mean '{near}'\\?\\)"):
            gauntlet.evaluate(lambda x: x, x, y, **{wrong: 1})
    with pytest.raises(TypeError, match="AutoAttack\\(\\) got an unknown keyword 'epsilon' \\(did you mean 'eps'"):
        gauntlet.AutoAttack(None, epsilon=0.1)
    with pytest.raises(TypeError, match="benchmark\\(\\) got an unknown keyword 'n_example' \\(did you mean 'n_examples'"):
        gauntlet.benchmark(None, n_example=10)
    with pytest.raises(TypeError, match="pgd\\(\\) got an unknown keyword 'step' \\(did you mean 'steps'"):
        gauntlet.attack("pgd", step=1)


def test_attacks_have_signatures_and_texts_of_the_registry():
    pgd = gauntlet.attacks.pgd
    parameters = inspect.signature(pgd).parameters
    assert parameters["steps"].default == 40 and parameters["alpha"].default == "eps/4"
    assert "projected gradient descent" in pgd.__doc__ and "steps = 40 (int): steps per restart" in pgd.__doc__
    assert set(gauntlet.list_attacks()) >= {"fgsm", "pgd", "autoattack", "square", "deepfool"}
    for name in gauntlet.list_attacks():
        assert getattr(gauntlet.attacks, name.replace("-", "_")).__doc__ == gauntlet.components.told(
            gauntlet.components.components("attacks")[name]
        )
    assert gauntlet.attacks.apgd_ce().name == "apgd-ce"
    assert repr(gauntlet.attack("pgd", eps="8/255", steps=3)) == "gauntlet.attack('pgd', eps='8/255', steps=3)"
    with pytest.raises(gauntlet.InputError, match="unknown attack 'pdg' \\(did you mean 'pgd'"):
        gauntlet.attack("pdg")
    with pytest.raises(AttributeError, match="did you mean"):
        gauntlet.attacks.pdg
    assert "bim" in dir(gauntlet.attacks)


def test_components_are_listed_and_described():
    assert "grad-norm" in gauntlet.list_recipes() and "lenet-small" in gauntlet.list_models()
    assert {"mnist", "cifar10", "glyphs"} <= set(gauntlet.list_datasets())
    assert "formula:" in gauntlet.describe("grad-norm")
    with pytest.raises(gauntlet.InputError, match="did you mean 'grad-norm'"):
        gauntlet.describe("grad-nrm")


@pytest.mark.parametrize(
    "eps, text", [("8/255", "8/255"), (8 / 255, "8/255"), (0.3, "0.3"), (0.2, "0.2"), (1, "1.0"), (0.5, "0.5"), (128 / 255, "128/255")]
)
def test_budgets_print_as_they_are_meant(eps, text):
    assert gauntlet.budgets.eps_text(eps) == text


def test_budgets_of_other_libraries():
    import fractions

    import numpy as np

    assert gauntlet.budgets.eps_text(np.float32(8 / 255)) == "8/255"
    assert gauntlet.budgets.eps_text(fractions.Fraction(8, 255)) == "8/255"
    for bad in (None, True, [1], "x"):
        with pytest.raises(gauntlet.InputError):
            gauntlet.evaluate(lambda x: x, np.zeros((1, 1, 2, 2)), [0], eps=bad if bad != "x" else "x", attacks="noise")


def test_every_public_function_and_model_has_an_example():
    shown = [v for v in vars(gauntlet).values() if inspect.isfunction(v) or v in (gauntlet.AutoAttack, gauntlet.Attack, gauntlet.Labels, gauntlet.Model)]
    assert len(shown) >= 16
    assert [one.__name__ for one in shown if ">>> " not in (one.__doc__ or "")] == []
