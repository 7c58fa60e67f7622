import subprocess
import sys

import numpy as np
import pytest

import gauntlet
from conftest import halves, halves_vjp

jax = pytest.importorskip("jax")
import jax.numpy as jnp  # noqa: E402


def bright_halves(x):
    return jnp.stack([x[..., :4].mean((1, 2, 3)), x[..., 4:].mean((1, 2, 3))], axis=1)


def attacked(model, bright, **how):
    x, y = bright
    return gauntlet.evaluate(model, x, y, **{"attacks": "pgd", "eps": ["0.027", "0.057"], "progress": False, "bs": 20, **how})


@pytest.mark.parametrize("model", [bright_halves, jax.jit(bright_halves), lambda x: {"logits": bright_halves(x)}, lambda x: (bright_halves(x), x)])
def test_a_closed_form(bright, model):
    result = attacked(model, bright)
    assert result.clean_accuracy == 1.0
    assert [c.robust_accuracy for c in result.cells] == [0.75, 0.45]
    assert isinstance(result.adversarial(eps="0.027"), np.ndarray)
    assert "no-gradient" not in [flag.name for flag in result.flags]


def test_verdicts_are_those_of_the_same_function_by_hand(bright):
    of_jax, by_hand = (attacked(m, bright).columns() for m in (jax.jit(bright_halves), gauntlet.Model(halves, halves_vjp)))
    assert of_jax["fate"] == by_hand["fate"]
    assert np.allclose(of_jax["size"], by_hand["size"], atol=1e-6)


def test_arrays_of_jax_are_answered_with_arrays_of_jax(bright):
    x, y = map(jnp.asarray, bright)
    result = attacked(bright_halves, (x, y), eps="0.057")
    assert isinstance(result.x_adv, jax.Array) and result.x_adv.dtype == x.dtype
    assert float(jnp.abs(result.x_adv - x).max()) <= 0.057 + 1e-6
    assert float((bright_halves(result.x_adv).argmax(1) == y).mean()) == pytest.approx(result.robust_accuracy)


def test_gradients_are_those_of_jax():
    from gauntlet.jax_model import JaxModel

    w = jax.random.normal(jax.random.key(0), (64, 5))
    net = jax.jit(lambda x: jnp.tanh(x.reshape(len(x), -1) @ w) * 3)
    x = np.random.default_rng(0).uniform(size=(7, 1, 8, 8)).astype(np.float32)
    c = np.random.default_rng(1).normal(size=(7, 5)).astype(np.float32)
    z, pull = JaxModel(net).linearise(x)
    # tanh' = 1 − tanh².
    t = np.tanh(x.reshape(7, -1) @ np.asarray(w))
    assert np.allclose(z, 3 * t, atol=1e-5)
    assert np.allclose(pull(c).reshape(7, -1), (3 * c * (1 - t**2)) @ np.asarray(w).T, atol=1e-4)


def test_other_precisions_and_autoattack(bright):
    half = lambda x: bright_halves(x).astype(jnp.bfloat16)  # noqa: E731
    assert attacked(half, bright).clean_accuracy >= 0.8
    how = dict(eps=0.057, version="custom", attacks_to_run=["apgd-ce"], verbose=False)
    x_adv = gauntlet.AutoAttack(jax.jit(bright_halves), **how).run_standard_evaluation(*bright, bs=20)
    assert (halves(x_adv).argmax(1) == 1).sum() == 11


def test_calls_have_one_shape(bright):
    shapes = []

    def traced(x):
        shapes.append(x.shape[0])
        return bright_halves(x)

    attacked(jax.jit(traced), bright, bs=8)
    # A shape is traced once without and once with its derivative: 8 images, one, and two, on which the model is looked at.
    assert set(shapes) == {1, 2, 8} and len(shapes) <= 6


@pytest.mark.parametrize(
    "model, words",
    [
        (lambda x: bright_halves(x)[0], "answers 20 images with the shape \\(2,\\); logits are \\(20, K\\)"),
        (lambda x: (bright_halves(x) * 100).astype(int), "answers int32; logits are floats"),
        (lambda x: bright_halves(x) * jnp.nan, "logits that are not finite"),
    ],
)
def test_what_would_make_numbers_worthless_is_found_before(bright, model, words):
    with pytest.raises(gauntlet.InputError, match=words):
        attacked(model, bright)
    with pytest.raises(gauntlet.InputError, match="mean is for models of PyTorch"):
        attacked(model, bright, mean=[0.5], std=[0.5])


def test_what_it_raises_comes_back(bright):
    def fails(x):
        raise ZeroDivisionError("in the middle")

    with pytest.raises(ZeroDivisionError, match="in the middle"):
        attacked(fails, bright)


def test_jax_is_not_imported_for_other_models():
    code = """
import sys, numpy as np, gauntlet
from conftest import halves
gauntlet.evaluate(gauntlet.Model(halves), np.full((2, 1, 8, 8), 0.5, np.float32), [0, 0], attacks="noise", eps=0.1)
gauntlet.evaluate(halves, np.full((2, 1, 8, 8), 0.5, np.float32), [0, 0], attacks="noise", eps=0.1)
print([m for m in ("torch", "jax") if m in sys.modules])
"""
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"
