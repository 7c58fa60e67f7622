import threading

import numpy as np
import pytest

import gauntlet
from conftest import halves, halves_vjp


def attacked(model, bright, **how):
    x, y = bright
    return gauntlet.evaluate(model, x, y, **{"attacks": "pgd", "eps": ["0.027", "0.057"], "progress": False, **how})


def test_a_closed_form(bright):
    result = attacked(gauntlet.Model(halves, halves_vjp, name="brightness"), bright)
    assert result.clean_accuracy == 1.0
    assert [c.robust_accuracy for c in result.cells] == [0.75, 0.45]
    assert result.worst_case(eps=0.057)[0] == 0.45 and result.worst_case(eps="0.027")[0] == 0.75
    with pytest.raises(gauntlet.InputError, match="several budgets: say which, norm='linf', eps='0.027', norm='linf', eps='0.057'"):
        result.robust_accuracy
    with pytest.raises(gauntlet.InputError, match="nothing was attacked at norm=l2"):
        result.worst_case("l2")
    x, _ = bright
    x_adv = result.adversarial(eps="0.057")
    assert x_adv.dtype == np.float32 and np.abs(x_adv - x).max() <= 0.057 + 1e-6
    wrong = halves(x_adv).argmax(1) == 1
    assert wrong.sum() == 11 and (x_adv[~wrong] == x[~wrong]).all()
    columns = result.columns()
    assert len(columns["id"]) == 40 and set(columns["fate"]) == {"broken", "robust"}
    assert result.cells[0].parameters["name"] == "pgd"


def test_anything_with_forward_and_vjp_is_a_model(bright):
    class Mine:
        forward, vjp = staticmethod(halves), staticmethod(halves_vjp)

    assert [c.robust_accuracy for c in attacked(Mine(), bright).cells] == [0.75, 0.45]


def test_several_attacks_share_a_worst_case(bright):
    model = gauntlet.Model(halves, halves_vjp)
    result = attacked(model, bright, attacks=["fgsm", gauntlet.attack("pgd", steps=5), {"name": "noise", "label": "by chance"}], eps=0.027)
    assert [c.attack for c in result.cells] == ["fgsm", "pgd", "by chance"]
    assert result.robust_accuracy == 0.75 and result.interval[0] < 0.75 < result.interval[1]
    assert (halves(result.x_adv).argmax(1) == 1).sum() == 5
    with pytest.raises(gauntlet.InputError, match="two attacks are called \"pgd\" in linf; give one of them a \"label\""):
        attacked(model, bright, attacks=["pgd", "pgd"])


def test_without_a_gradient_scores_alone_are_followed(bright):
    model = gauntlet.Model(halves, name="box")
    result = attacked(model, bright, attacks={"name": "square", "queries": 200}, eps="0.057")
    assert 0.45 <= result.robust_accuracy <= 0.75
    assert "no-gradient" in [f.name for f in result.flags]
    with pytest.raises(gauntlet.InputError, match="apgd-ce goes by gradients, and box tells no gradients; attacks that can: .*square.*noise.*with a `vjp`"):
        attacked(model, bright, attacks="autoattack")


def test_of_labels_alone_decisions_are_followed(bright):
    model = gauntlet.Labels(lambda x: halves(x).argmax(axis=1), 2, name="box")
    result = attacked(model, bright, attacks="rays", eps=["0.027", "0.057"])
    # ε darkens one half and brightens the other, as in the test of fgsm: what there is, decisions find.
    assert [c.robust_accuracy for c in result.cells] == [0.75, 0.45]
    assert "no-gradient" in [f.name for f in result.flags] and "probabilities" not in [f.name for f in result.flags]
    for attack, what in [("pgd", "gradients"), ("square", "logits")]:
        with pytest.raises(gauntlet.InputError, match=f"{attack} goes by {what}, and box tells classes alone; attacks that can: .*hopskipjump"):
            attacked(model, bright, attacks=attack)


@pytest.mark.parametrize(
    "predict, classes, said",
    [
        (lambda x: halves(x), 2, "one number for each is wanted"),
        (lambda x: np.full(len(x), 0.5), 2, "labels are"),
        (lambda x: np.full(len(x), 2), 2, "with class 2; there are 2, from 0"),
        (lambda x: np.full(len(x), -1), 2, "with class -1"),
        (lambda x: np.zeros(len(x), int), 1, "classes must be a whole number of at least 2"),
    ],
)
def test_labels_that_are_none_are_named(bright, predict, classes, said):
    with pytest.raises(gauntlet.InputError, match=said):
        attacked(gauntlet.Labels(predict, classes), bright, attacks="rays")


def test_a_classifier_without_probabilities_is_attacked_by_its_classes(bright):
    class Estimator:
        """As scikit-learn's: flat rows, classes of its own."""

        classes_ = np.array([3, 7])

        def predict(self, rows):
            return self.classes_[halves(rows.reshape(-1, 1, 8, 8)).argmax(axis=1)]

    assert attacked(Estimator(), bright, attacks="rays", eps="0.057").robust_accuracy == 0.45


def test_a_classifier_of_probabilities_is_attacked_by_its_scores(bright):
    class Estimator:
        def predict_proba(self, x):
            z = halves(x.reshape(-1, 1, 8, 8)) * 50
            p = np.exp(z - z.max(1, keepdims=True))
            return p / p.sum(1, keepdims=True)

    found = attacked(Estimator(), bright, attacks={"name": "square", "queries": 200}, eps="0.057")
    assert 0.45 <= found.robust_accuracy <= 0.75


def test_no_verdict_depends_on_the_width(bright):
    model = gauntlet.Model(halves, halves_vjp)
    several = [attacked(model, bright, bs=bs).columns() for bs in (1, 3, 256)]
    for other in several[1:]:
        for name in ("fate", "steps", "forwards"):
            assert list(other[name]) == list(several[0][name])


def test_draws_are_keyed_by_rows(bright):
    x, y = bright
    model = gauntlet.Model(halves, halves_vjp)
    whole = gauntlet.evaluate(model, x, y, attacks="pgd", eps=0.057, seed=3)
    part = gauntlet.evaluate(model, x[5:9], y[5:9], attacks="pgd", eps=0.057, seed=3, ids=range(5, 9))
    assert (part.x_adv == whole.x_adv[5:9]).all()


@pytest.mark.parametrize(
    "forward, words",
    [
        (lambda x: halves(x)[0], "answers 20 images with the shape \\(2,\\); logits are \\(20, K\\)"),
        (lambda x: halves(x)[:, :1], "K at least 2"),
        (lambda x: (halves(x) * 100).astype(int), "answers int64; logits are floats"),
        (lambda x: np.where(np.arange(len(x))[:, None] % 7 == 3, np.nan, halves(x)), "answers 3 of 20 images with logits that are not finite \\(first: image 3\\)"),
        (lambda x: halves(x) / halves(x).std(), "answers image 0 differently alone and beside 19 others .* evaluate with bs=1"),
        (lambda x: {"scores": halves(x)}, "a dictionary without \"logits\"; its keys are \\['scores'\\]"),
        (lambda x: (), "an empty tuple"),
    ],
)
def test_what_would_make_numbers_worthless_is_found_before(bright, forward, words):
    with pytest.raises(gauntlet.InputError, match=words):
        attacked(gauntlet.Model(forward), bright, attacks="noise")


def test_a_gradient_of_another_shape_is_found(bright):
    model = gauntlet.Model(halves, lambda x: (halves(x), lambda c: np.zeros((len(x), 64), dtype=np.float32)))
    with pytest.raises(gauntlet.InputError, match="an input gradient has shape \\(2, 64\\), the images \\(2, 1, 8, 8\\)"):
        attacked(model, bright)


@pytest.mark.parametrize(
    "change, words",
    [
        (dict(x=lambda x: x * 2), "x must lie in \\[0,1\\], it goes from 0.8 to 1.2: give the pixels themselves, and mean= and std="),
        (dict(x=lambda x: x * 255), "divide by 255, or hand over uint8"),
        (dict(x=lambda x: x - 1), "give the pixels themselves"),
        (dict(x=lambda x: x * np.nan), "it is not finite"),
        (dict(x=lambda x: x[0]), "x must be images \\(N, C, H, W\\), got the shape \\(1, 8, 8\\)"),
        (dict(x=lambda x: x[:0]), "x holds no image"),
        (dict(y=lambda y: y[:3]), "y must be 20 labels, one for each image, got the shape \\(3,\\)"),
        (dict(y=lambda y: y - 1), "y must be whole numbers from 0, got -1"),
        (dict(y=lambda y: y + 0.5), "y must be whole numbers from 0, got float64"),
        (dict(y=lambda y: y + 2), "brightness has 2 classes, an example has label 2"),
        (dict(eps=8), "at most 1 in L∞, got \"8.0\""),
        (dict(eps="a"), "bad value for eps"),
        (dict(eps=None), "eps is required"),
        (dict(eps=["0.1", "0.10"]), "is listed twice"),
        (dict(norm="l3"), "must be linf, l2, l1 or l0, got 'l3'"),
        (dict(attacks="pdg"), "unknown attack \"pdg\" \\(did you mean \"pgd\"\\?\\)"),
        (dict(attacks={"name": "pgd", "step": 1}), "unknown parameter of pgd \"step\" \\(did you mean \"steps\"\\?\\)"),
        (dict(attacks=[]), "attacks: at least one is needed"),
        (dict(attacks=7), "attacks must be names, dictionaries with a \"name\", or gauntlet.attack\\(...\\), got int"),
        (dict(attacks="cw-l2"), "cw-l2 is not defined for linf; it knows l2"),
        (dict(attacks={"name": "bim", "steps": 2, "alpha": "0.001"}), "never to ε"),
        (dict(bs=0), "bs must be a whole number of at least 1, got 0"),
        (dict(draws=0), "draws must be a whole number of at least 1, got 0"),
        (dict(mean=[0.5], std=[0.5]), "mean is for models of PyTorch; Model does it by itself"),
        (dict(ids=[1] * 20), "id 1 is given twice"),
        (dict(progress=3), "progress must be True, False, None or a function"),
        (dict(store="nowhere"), "store: verdicts are kept under a model's weights, and brightness shows none"),
    ],
)
def test_mistakes_are_told_with_the_way_out(bright, change, words):
    x, y = bright
    given = {"x": x, "y": y, "eps": "0.057", "attacks": "pgd"}
    for key, value in change.items():
        given[key] = value(given[key]) if callable(value) else value
    with pytest.raises(gauntlet.InputError, match=words):
        gauntlet.evaluate(gauntlet.Model(halves, halves_vjp, name="brightness"), given.pop("x"), given.pop("y"), **given)


def test_what_is_no_model_is_told(bright):
    with pytest.raises(gauntlet.InputError, match="model must be a torch.nn.Module, .* got int"):
        attacked(7, bright)
    with pytest.raises(gauntlet.InputError, match="forward must be a function of images, got int"):
        gauntlet.Model(7)


def test_bytes_are_divided_by_255(bright):
    x, y = bright
    levels = np.round(x * 255).astype(np.uint8)
    one = gauntlet.evaluate(gauntlet.Model(halves, halves_vjp), levels, y, attacks="pgd", eps="8/255")
    other = gauntlet.evaluate(gauntlet.Model(halves, halves_vjp), levels / np.float32(255), y, attacks="pgd", eps="8/255")
    assert one.columns()["fate"] == other.columns()["fate"]


class Stubborn:
    """Fails at a call of its own choosing, counted over forwards and gradients."""

    def __init__(self, at, failure):
        self.at, self.failure, self.calls = at, failure, 0

    def _called(self, x):
        self.calls += 1
        return self.failure(x) if self.calls == self.at else None

    def forward(self, x):
        z = self._called(x)
        return halves(x) if z is None else z

    def vjp(self, x):
        z = self._called(x)
        return (halves(x) if z is None else z), halves_vjp(x)[1]


def throw(error):
    def failure(x):
        raise error

    return failure


@pytest.mark.parametrize("at", [1, 3, 6, 9, 12])
def test_what_a_model_raises_comes_back_as_it_was(bright, at):
    class OwnError(Exception):
        pass

    error = OwnError("out of paper")
    with pytest.raises(OwnError) as caught:
        attacked(Stubborn(at, throw(error)), bright)
    assert caught.value is error


def test_an_answer_that_changes_its_shape_on_the_way_is_told(bright):
    words = "answered 20 images with logits of shape \\(20, 3\\), \\(20, 2\\) before"
    with pytest.raises(gauntlet.InputError, match=words):
        attacked(Stubborn(5, lambda x: np.zeros((len(x), 3), dtype=np.float32)), bright)


def test_numbers_that_are_not_finite_on_the_way_break_nothing(bright):
    class Blind(Stubborn):
        def forward(self, x):
            super().forward(x)
            return np.where(np.abs(x - bright[0][: len(x)]).max() > 0, np.nan, halves(x)) if len(x) == 20 else halves(x)

    result = attacked(gauntlet.Model(halves, lambda x: (np.full((len(x), 2), np.nan, np.float32) if (x != bright[0][: len(x)]).any() else halves(x), halves_vjp(x)[1])), bright, eps="0.057")
    assert result.clean_accuracy == 1.0
    assert result.flags


def test_the_model_is_called_on_the_callers_own_thread(bright):
    threads = set()

    def forward(x):
        threads.add(threading.get_ident())
        return halves(x)

    attacked(gauntlet.Model(forward, lambda x: (forward(x), halves_vjp(x)[1])), bright)
    assert threads == {threading.get_ident()}


def test_two_threads_at_once(bright):
    found = []

    def work():
        found.append([c.robust_accuracy for c in attacked(gauntlet.Model(halves, halves_vjp), bright).cells])

    workers = [threading.Thread(target=work) for _ in range(2)]
    [w.start() for w in workers]
    [w.join() for w in workers]
    assert found == [[0.75, 0.45]] * 2


def test_a_model_that_takes_a_lock_which_another_thread_holds_for_a_while(bright):
    lock = threading.Lock()

    def forward(x):
        with lock:
            return halves(x)

    lock.acquire()
    threading.Timer(0.2, lock.release).start()
    assert attacked(gauntlet.Model(forward, halves_vjp), bright).clean_accuracy == 1.0


def test_progress_is_told(bright):
    seen = []
    attacked(gauntlet.Model(halves, halves_vjp), bright, progress=seen.append)
    assert {p.eps for p in seen} == {"0.027", "0.057"} and seen[-1].done == seen[-1].of == 20 and seen[-1].robust == 9

    def stop(p):
        raise RuntimeError("enough")

    with pytest.raises(RuntimeError, match="enough"):
        attacked(gauntlet.Model(halves, halves_vjp), bright, progress=stop)


def test_a_result_prints_saves_and_draws_itself(bright, tmp_path):
    result = attacked(gauntlet.Model(halves, halves_vjp, name="<bright>"), bright)
    text = str(result)
    assert "<bright>: n = 20" in text and "pgd linf ε = 0.027   75.0 %  (95 %: 53.1 to 88.8)" in text
    assert "&lt;bright&gt;" in result._repr_html_() and "<bright>" not in result._repr_html_()
    page = result.to_html(tmp_path / "page.html", name="mine")
    assert (tmp_path / "page.html").read_text() == page and page.startswith("<!") and "0.027" in page
    result.save(tmp_path / "mine", name="mine")
    records = gauntlet.records(tmp_path / "mine")
    assert [r["row"] for r in records] == ["bright"] and records.problems == []
    columns = records.columns()
    assert list(columns["fate"]) == result.columns()["fate"] and list(columns["size"]) == list(result.columns()["size"])
    paths = gauntlet.report(tmp_path / "mine", tmp_path / "report")
    assert any(p.endswith("index.html") for p in paths) and (tmp_path / "report" / "table.csv").exists()
    with pytest.raises(gauntlet.InputError, match="no records in"):
        gauntlet.records(tmp_path / "report" / "plots")


def test_models_that_are_saved_under_one_name_make_one_table(bright, tmp_path):
    folder = tmp_path / "records"
    for name in ("one", "two"):
        attacked(gauntlet.Model(halves, halves_vjp, name=name), bright).save(folder, "both")
    attacked(gauntlet.Model(halves, halves_vjp, name="one"), bright, attacks="fgsm").save(folder, "both")
    records = gauntlet.records(folder)
    assert [(r["row"], r["suite"]) for r in records] == [("one", "both"), ("two", "both")] and records.problems == []
    assert set(records.columns()["attack"]) == {"fgsm", "pgd"}
    gauntlet.report(folder, tmp_path / "report")
    lines = (tmp_path / "report/table.csv").read_text().splitlines()[1:]
    assert {line.split(",")[1] for line in lines} == {"one", "two"}
    attacked(gauntlet.Model(halves, halves_vjp, name="three"), bright).save(folder, "another")
    assert [r["row"] for r in gauntlet.records(folder)] == ["three"]
