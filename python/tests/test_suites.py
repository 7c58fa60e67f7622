import os
import signal

import pytest

import gauntlet

SUITE = """
format = 1
name = "mine"
data = "glyphs"
model = "linear"
seeds = [0]
take = 40

[train]
epochs = 1

[[row]]
id = "ce"
recipe = "ce"

[[attack]]
name = "fgsm"
eps = ["0.1"]
"""


@pytest.fixture
def suite(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.toml").write_text(SUITE)
    return tmp_path / "mine.toml"


def test_a_suite_from_its_file_to_its_page(suite, tmp_path):
    lines = []
    records = gauntlet.run(suite, progress=lines.append)
    assert [(r["row"], r["seed"], r["failed"]) for r in records] == [("ce", 0, None)]
    assert len(records.columns()["id"]) == 40 and any("trained in" in line for line in lines)
    assert (tmp_path / "reports/mine/index.html").exists() and (tmp_path / "reports/mine/table.csv").exists()
    assert gauntlet.records("reports/mine") == records
    # The store has it all.
    lines.clear()
    gauntlet.run(suite, progress=lines.append)
    assert not any("trained in" in line for line in lines)


def test_ctrl_c_ends_a_training_and_the_same_call_goes_on(suite):
    suite.write_text(SUITE.replace("epochs = 1", "epochs = 3"))
    pressed = []

    def once(line):
        if "epoch 1" in line and not pressed:
            pressed.append(line)
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        gauntlet.run(suite, progress=once)
    lines = []
    gauntlet.run(suite, progress=lines.append)
    assert not any("epoch 1," in line for line in lines) and any("epoch 3," in line for line in lines)


def test_mistakes_have_their_line(suite, tmp_path):
    suite.write_text(SUITE.replace('"fgsm"', '"fgms"'))
    with pytest.raises(gauntlet.InputError, match="mine.toml:1[0-9]:.*fgms.*did you mean \"fgsm\""):
        gauntlet.run(suite)
    with pytest.raises(gauntlet.InputError, match="suite nowhere.toml does not exist"):
        gauntlet.run("nowhere.toml")
    suite.write_text(SUITE)
    with pytest.raises(gauntlet.InputError, match="mine has no smaller version"):
        gauntlet.run(suite, quick=True)
    with pytest.raises(TypeError, match="run\\(\\) got an unknown keyword 'output'"):
        gauntlet.run(suite, output="x")
    with pytest.raises(gauntlet.InputError, match="no records in|cannot list"):
        gauntlet.records(tmp_path / "nothing")


def test_data_sets_are_read(tmp_path):
    x, y = gauntlet.load_examples("glyphs", sample=50, seed=1)
    assert x.shape == (50, 1, 28, 28) and x.dtype == "float32" and sorted(set(y)) == list(range(10))
    for how, words in [
        (dict(name="glyfs"), "did you mean"),
        (dict(split="validation"), "unknown split \"validation\""),
        (dict(take=1, sample=1), "exclude each other"),
        (dict(name="mnist", data_dir=tmp_path), str(tmp_path)),
    ]:
        with pytest.raises(gauntlet.InputError, match=words):
            gauntlet.load_examples(**{"name": "glyphs", **how})
    with pytest.raises(gauntlet.InputError, match="input is required"):
        gauntlet.network("lenet-small")
    with pytest.raises(gauntlet.InputError, match="unknown model \"lenet-smal\""):
        gauntlet.network("lenet-smal", input=(1, 28, 28))
    assert os.fspath(tmp_path)
