import os
import random
import signal
import threading

import numpy as np
import pytest

import gauntlet
from conftest import halves, halves_vjp


def counted(at=None):
    """A model that presses Ctrl-C in one of its calls."""
    calls = [0]

    def called():
        calls[0] += 1
        if calls[0] == at:
            signal.raise_signal(signal.SIGINT)

    def forward(x):
        called()
        return halves(x)

    def vjp(x):
        called()
        return halves_vjp(x)

    return gauntlet.Model(forward, vjp, fingerprint="halves"), calls


def attacked(model, bright, **how):
    given = {"attacks": {"name": "pgd", "steps": 30, "alpha": "0.002"}, "eps": ["0.02", "0.057"], "bs": 4, "progress": False, **how}
    return gauntlet.evaluate(model, *bright, **given)


def test_ctrl_c_at_any_moment_ends_it_and_what_is_done_is_kept(bright, tmp_path):
    model, calls = counted()
    whole = attacked(model, bright)
    all_calls = calls[0]
    moments = sorted(random.Random(0).sample(range(1, all_calls), 10))
    assert all_calls > 100
    for moment in moments:
        store = tmp_path / str(moment)
        model, calls = counted(moment)
        with pytest.raises(KeyboardInterrupt):
            attacked(model, bright, store=store)
        assert calls[0] <= moment + 1
        model, calls = counted()
        again = attacked(model, bright, store=store)
        # Where verdicts had been given, they are not given again.
        assert calls[0] <= all_calls and again.columns()["fate"] == whole.columns()["fate"]
        assert all((again.adversarial(eps=e) == whole.adversarial(eps=e)).all() for e in ("0.02", "0.057"))
        assert list(again.columns()["size"]) == list(whole.columns()["size"])
    assert calls[0] < all_calls
    model, calls = counted()
    attacked(model, bright, store=store)
    kept = calls[0]
    assert kept < all_calls / 2


def test_a_store_of_other_conditions_is_not_taken(bright, tmp_path):
    model, calls = counted()
    attacked(model, bright, store=tmp_path)
    first = calls[0]
    attacked(model, bright, store=tmp_path, seed=1)
    assert calls[0] > 1.5 * first
    before = calls[0]
    other, calls = counted()
    other._fingerprint = "another"
    attacked(other, bright, store=tmp_path)
    assert calls[0] == first and before


def test_what_was_cut_off_is_judged_again(bright, tmp_path):
    model, _ = counted()
    whole = attacked(model, bright, store=tmp_path)
    for file in sorted(tmp_path.iterdir()):
        data = file.read_bytes()
        file.write_bytes(data[: len(data) * 2 // 3])
    again = attacked(counted()[0], bright, store=tmp_path)
    assert again.columns()["fate"] == whole.columns()["fate"]
    assert (again.adversarial(eps="0.057") == whole.adversarial(eps="0.057")).all()


def test_ctrl_c_reaches_networks_of_gauntlets_own(glyphs):
    x, y = glyphs
    network = gauntlet.network("lenet-small", input=(1, 28, 28))
    threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT)).start()
    with pytest.raises(KeyboardInterrupt):
        # Labels that an untrained network gives, so that there is something to attack for long.
        labels = network.logits(x).argmax(1)
        gauntlet.evaluate(network, x, labels, attacks={"name": "square", "queries": 1000000}, eps="0.0001", progress=False)
        threading.Event().wait(5)


def test_a_fork_is_told_that_it_has_no_threads(bright):
    attacked(counted()[0], bright)
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            attacked(counted()[0], bright)
            said = "nothing"
        except BaseException as error:
            said = f"{type(error).__name__}: {error}"
        os.write(write, said.encode())
        os._exit(0)
    os.close(write)
    said = os.read(read, 4096).decode()
    os.waitpid(child, 0)
    assert said.startswith("InputError: this process was forked") and "spawn" in said


def test_other_threads_of_python_go_on_while_walks_do(glyphs):
    ticks, done = [0], threading.Event()

    def tick():
        while not done.is_set():
            ticks[0] += 1
            done.wait(0.001)

    other = threading.Thread(target=tick)
    network = gauntlet.network("lenet-small", input=(1, 28, 28))
    labels = network.logits(glyphs[0]).argmax(1)
    other.start()
    before = ticks[0]
    gauntlet.evaluate(network, glyphs[0], labels, attacks={"name": "square", "queries": 300}, eps="0.001", progress=False)
    inside = ticks[0] - before
    done.set()
    other.join()
    assert inside > 5


def test_arrays_are_not_written_into(bright):
    x, y = bright
    before = x.copy()
    model = gauntlet.Model(lambda a: halves(np.subtract(a, 0.0, out=a)), halves_vjp)
    attacked(model, (x, y))
    assert (x == before).all()
