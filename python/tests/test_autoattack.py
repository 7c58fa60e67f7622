import numpy as np
import pytest

import gauntlet

torch = pytest.importorskip("torch")


@pytest.fixture(scope="module")
def few(glyphs):
    return tuple(torch.from_numpy(a[:24]) for a in glyphs)


def quick(trained, **how):
    """An ensemble that is over in a second."""
    adversary = gauntlet.AutoAttack(trained, **{"eps": 0.03, "version": "custom", "attacks_to_run": ["apgd-ce", "square"], "verbose": False, **how})
    adversary.apgd.n_restarts, adversary.apgd.n_iter, adversary.square.n_queries = 1, 10, 50
    return adversary


def test_the_published_call(trained, few):
    x, y = few
    adversary = gauntlet.AutoAttack(trained, norm="Linf", eps=8 / 255, version="standard", verbose=False)
    x_adv = adversary.run_standard_evaluation(x, y, bs=250)
    assert isinstance(x_adv, torch.Tensor) and x_adv.shape == x.shape and x_adv.dtype == x.dtype
    assert float((x_adv - x).abs().max()) <= 8 / 255 + 1e-6 and float(x_adv.min()) >= 0 and float(x_adv.max()) <= 1
    right = (trained(x_adv).argmax(1) == y).float().mean().item()
    assert right == pytest.approx(adversary.result.robust_accuracy)
    assert adversary.result.cells[0].parameters["args"] == {"version": "standard"} and adversary.result.cells[0].eps == "8/255"


def test_labels_come_along(trained, few):
    x, y = few
    x_adv, y_adv = quick(trained).run_standard_evaluation(x, y, return_labels=True)
    assert torch.equal(y_adv, trained(x_adv).argmax(1)) and y_adv.dtype == torch.int64


def test_each_by_itself(trained, few):
    x, y = few
    adversary = quick(trained)
    found = adversary.run_standard_evaluation_individual(x, y, bs=250)
    assert list(found) == ["apgd-ce", "square"] and all(v.shape == x.shape for v in found.values())
    labelled = adversary.run_standard_evaluation_individual(x, y, bs=250, return_labels=True)
    assert torch.equal(labelled["square"][1], trained(labelled["square"][0]).argmax(1))
    assert torch.equal(labelled["square"][0], found["square"])


def test_parameters_that_scripts_set_are_heard(trained, few):
    adversary = quick(trained)
    adversary.run_standard_evaluation(*few)
    given = adversary.result.cells[0].parameters["args"]["attacks"]
    assert [a["name"] for a in given] == ["apgd-ce", "square"]
    assert given[0]["steps"] == 10 and given[0]["restarts"] == 1 and given[1]["queries"] == 50
    standard = gauntlet.AutoAttack(trained, eps=0.03, verbose=False)
    assert standard._attack() == {"name": "autoattack", "version": "standard"}
    standard.apgd.n_iter = 7
    assert standard._attack()["attacks"][0]["steps"] == 7
    standard.cheap()
    assert standard._attack()["attacks"][3]["queries"] == 1000
    standard.set_version("rand")
    assert standard._attack()["attacks"][0]["draws"] == 20
    for version in ("standard", "plus", "rand"):
        assert gauntlet.AutoAttack(trained, version=version)._attack() == {"name": "autoattack", "version": version}


def test_norms_and_accuracy(trained, few):
    x, y = few
    adversary = quick(trained, norm="L2", eps=0.5)
    assert adversary.clean_accuracy(x, y) == pytest.approx((trained(x).argmax(1) == y).float().mean().item())
    x_adv = adversary.run_standard_evaluation(x, y)
    assert float((x_adv - x).flatten(1).norm(dim=1).max()) <= 0.5 + 1e-5


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_on_own_kernels(trained, few, capsys):
    pytest.importorskip("onnx")
    adversary = quick(trained, native=True, verbose=True)
    x_adv = adversary.run_standard_evaluation(*few)
    assert "note: native: attacked on gauntlet's own kernels, judged by Sequential" in capsys.readouterr().out
    right = (trained(x_adv).argmax(1) == few[1]).float().mean().item()
    assert right == pytest.approx(adversary.result.robust_accuracy)


def test_what_is_told_is_logged(trained, few, tmp_path, capsys):
    quick(trained, verbose=True, log_path=str(tmp_path / "log.txt")).run_standard_evaluation(*few)
    told = capsys.readouterr().out
    for words in ("initial accuracy: ", "robust accuracy after APGD-CE: ", "max Linf perturbation: 0.03", "robust accuracy: "):
        assert words in told
    assert (tmp_path / "log.txt").read_text() == told


def test_mistakes(trained, few):
    for how, words in [
        (dict(version="fast"), "version must be standard, plus, rand or custom, got 'fast'"),
        (dict(version="standard", attacks_to_run=["square"]), "attacks_to_run is for version=\"custom\""),
        (dict(is_tf_model=True), "TensorFlow's models are handed over as gauntlet.Model"),
        (dict(norm="Linfinity"), "must be linf, l2, l1 or l0"),
    ]:
        with pytest.raises(gauntlet.InputError, match=words):
            gauntlet.AutoAttack(trained, **how)
    with pytest.raises(gauntlet.InputError, match="attacks_to_run is empty"):
        gauntlet.AutoAttack(trained, version="custom").run_standard_evaluation(*few)
    with pytest.raises(gauntlet.InputError, match="unknown attack 'apgd-cc' \\(did you mean 'apgd-ce'"):
        gauntlet.AutoAttack(trained, version="custom", attacks_to_run=["apgd-cc"]).run_standard_evaluation(*few)


def test_arrays_are_answered_with_arrays(glyphs):
    weight = np.random.default_rng(0).normal(size=(784, 10)).astype(np.float32)
    model = gauntlet.Model(
        lambda x: x.reshape(len(x), -1) @ weight, lambda x: (x.reshape(len(x), -1) @ weight, lambda c: (c @ weight.T).reshape(x.shape))
    )
    x, y = glyphs[0][:8], glyphs[1][:8]
    assert isinstance(quick(model).run_standard_evaluation(x, y), np.ndarray)


def test_robustbench_benchmark(trained, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(gauntlet.AutoAttack, "_attack", lambda self: {"name": "fgsm"})
    given = dict(dataset="glyphs", threat_model="Linf", eps=8 / 255, n_examples=50)
    clean, robust = gauntlet.benchmark(trained, to_disk=True, model_name="mine", **given)
    assert isinstance(clean, float) and isinstance(robust, float) and 0 <= robust < clean <= 1
    assert [r["row"] for r in gauntlet.records(tmp_path / "model_info/glyphs/Linf/mine")] == ["Sequential"]
    assert gauntlet.benchmark({"a": trained, "b": trained}, **given) == {"a": (clean, robust), "b": (clean, robust)}
    for how, words in [
        (dict(eps=None), "eps is required"),
        (dict(threat_model="corruptions"), "corruptions are no attack of gauntlet's"),
        (dict(dataset="glyfs"), "did you mean"),
        (dict(to_disk=True), "model_name is required where to_disk is set"),
        (dict(preprocessing="Res256Crop224"), "preprocessing"),
        (dict(n_examples=3000), "n_examples is 3000, glyphs has 2000 test images"),
    ]:
        with pytest.raises(gauntlet.InputError, match=words):
            gauntlet.benchmark(trained, **{**given, **how})
