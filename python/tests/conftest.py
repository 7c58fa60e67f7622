import signal
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import gauntlet


@pytest.fixture(autouse=True, scope="session")
def interruptible() -> None:
    """Ctrl-C is heard: a shell that starts this in the background has it ignored, and Python leaves it so."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


def halves(x: NDArray[np.float32]) -> NDArray[np.float32]:
    """One logit for each half of an image: how bright it is."""
    return np.stack([x[..., :4].mean((1, 2, 3)), x[..., 4:].mean((1, 2, 3))], axis=1)


def halves_vjp(x: NDArray[np.float32]) -> tuple[NDArray[np.float32], Callable[[NDArray[np.float32]], NDArray[np.float32]]]:
    def pull(c: NDArray[np.float32]) -> NDArray[np.float32]:
        g = np.empty_like(x)
        g[..., :4] = (c[:, 0] / g[0, ..., :4].size)[:, None, None, None]
        g[..., 4:] = (c[:, 1] / g[0, ..., 4:].size)[:, None, None, None]
        return g

    return halves(x), pull


@pytest.fixture
def bright() -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Twenty images whose left half is brighter than the right one by 0.01, 0.02, ..., 0.2: ε turns round what is below 2 ε."""
    x = np.full((20, 1, 8, 8), 0.4, dtype=np.float32)
    x[..., :4] += 0.01 * np.arange(1, 21, dtype=np.float32)[:, None, None, None]
    return x, np.zeros(20, dtype=np.int64)


@pytest.fixture(scope="session")
def glyphs() -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    return gauntlet.load_examples("glyphs", take=100)


@pytest.fixture(scope="session")
def trained(glyphs: tuple[NDArray[np.float32], NDArray[np.int64]]) -> Any:
    """A small network of PyTorch, trained on glyphs."""
    torch = pytest.importorskip("torch")
    torch.set_num_threads(1)
    torch.manual_seed(0)
    net = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(784, 32), torch.nn.ReLU(), torch.nn.Linear(32, 10))
    x, y = (torch.from_numpy(a) for a in gauntlet.load_examples("glyphs", "train", take=4000))
    optimiser = torch.optim.Adam(net.parameters(), 3e-3)
    for step in range(200):
        batch = torch.arange(128 * step, 128 * (step + 1)) % len(x)
        loss = torch.nn.functional.cross_entropy(net(x[batch]), y[batch])
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    net.zero_grad(set_to_none=True)
    return net.eval()


@pytest.fixture
def tensors(glyphs: tuple[NDArray[np.float32], NDArray[np.int64]]) -> tuple[Any, ...]:
    torch = pytest.importorskip("torch")
    return tuple(torch.from_numpy(a) for a in glyphs)
