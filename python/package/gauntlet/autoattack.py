"""AutoAttack as its users know it: the same constructor, the same methods, the same returned values."""

import os
import time
from types import SimpleNamespace
from typing import Any, Literal, TypeVar, overload

import numpy as np
from numpy.typing import NDArray

from ._native import Network
from .arrays import as_array, back, images, is_torch, labels
from .budgets import eps_text, norm_of
from .errors import InputError
from .evaluation import Result, evaluate
from .keywords import strict
from .adapters import adapt

#: What images are given as: tensors or arrays.
Images = TypeVar("Images")

#: The published ensembles, each attack on what those before it left.
VERSIONS = {
    "standard": ["apgd-ce", "apgd-t", "fab-t", "square"],
    "plus": ["apgd-ce", "apgd-dlr", "fab", "square", "apgd-t", "fab-t"],
    "rand": ["apgd-ce", "apgd-dlr"],
}
_KNOWN = ["apgd-ce", "apgd-dlr", "apgd-t", "fab", "fab-t", "square"]


def _settings() -> dict[str, SimpleNamespace]:
    """Parameters of the attacks before a version sets them, under the names that the published code has for them."""
    return {
        "apgd": SimpleNamespace(n_restarts=5, n_iter=100, eot_iter=1),
        "apgd_targeted": SimpleNamespace(n_restarts=1, n_iter=100, eot_iter=1, n_target_classes=9),
        "fab": SimpleNamespace(n_restarts=5, n_iter=100, n_target_classes=9),
        "square": SimpleNamespace(n_restarts=1, n_queries=5000, p_init=0.8),
    }


class AutoAttack:
    """The ensemble of Croce & Hein 2020 on a model of PyTorch: `from gauntlet import AutoAttack` instead of `from autoattack ...`.

    Args:
        model: a module in eval mode, or a function from images in [0, 1] to logits.
        norm: `Linf`, `L2` or `L1`.
        eps: the budget in pixels.
        seed: of the attacks' randomness; None: 0, so that a run repeats.
        verbose: whether a run is told on stdout.
        attacks_to_run: with version `custom`, of `apgd-ce`, `apgd-dlr`, `apgd-t`, `fab`, `fab-t`, `square`.
        version: `standard`, `plus`, `rand` or `custom`.
        device: where images are sent; None: where the model's parameters are.
        log_path: a file that what is told is appended to.
        native: attack on gauntlet's own kernels, see `gauntlet.evaluate`.

    `apgd`, `apgd_targeted`, `fab` and `square` hold the parameters that scripts set (`adversary.apgd.n_restarts = 1`); after a run
    `result` is the whole `gauntlet.Result`, flags and verdicts included.

    Example:
        >>> import torch, gauntlet
        >>> x, _ = map(torch.from_numpy, gauntlet.load_examples("glyphs", take=20))
        >>> _ = torch.manual_seed(0)
        >>> model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(784, 10)).eval()
        >>> y = model(x).argmax(1)
        >>> adversary = gauntlet.AutoAttack(model, norm="Linf", eps=8/255, version="rand", verbose=False)
        >>> x_adv = adversary.run_standard_evaluation(x, y, bs=250)
        >>> float((x_adv - x).abs().max()) <= 8/255 + 1e-6
        True
        >>> adversary.result.robust_accuracy == float((model(x_adv).argmax(1) == y).float().mean())
        True
    """

    @strict
    def __init__(
        self,
        model: Any,
        norm: Any = "Linf",
        eps: Any = 0.3,
        seed: int | None = None,
        verbose: bool = True,
        attacks_to_run: list[str] = [],
        version: str = "standard",
        is_tf_model: bool = False,
        device: Any = None,
        log_path: str | os.PathLike[str] | None = None,
        native: bool = False,
    ) -> None:
        if is_tf_model:
            raise InputError("is_tf_model: TensorFlow's models are handed over as gauntlet.Model(forward, vjp) to gauntlet.evaluate")
        if version not in (*VERSIONS, "custom"):
            raise InputError(f"version must be standard, plus, rand or custom, got {version!r}")
        if attacks_to_run and version != "custom":
            raise InputError(f"attacks_to_run is for version=\"custom\"; {version!r} has its own")
        self.model, self.norm, self.epsilon = model, norm, eps
        norm_of(norm)
        self.seed, self.verbose, self.version, self.device, self.log_path = seed, verbose, version, device, log_path
        self.native = native
        self.attacks_to_run = list(attacks_to_run)
        self._set(_settings())
        self.result: Result | None = None
        if version != "custom":
            self.set_version(version)

    def _set(self, settings: dict[str, SimpleNamespace]) -> None:
        self.apgd, self.apgd_targeted = settings["apgd"], settings["apgd_targeted"]
        self.fab, self.square = settings["fab"], settings["square"]

    def set_version(self, version: str = "standard") -> None:
        """Takes the attacks and parameters of a published version."""
        if version not in VERSIONS:
            raise InputError(f"version must be standard, plus or rand, got {version!r}")
        sparse = norm_of(self.norm) == "l1"
        self.version, self.attacks_to_run = version, list(VERSIONS[version])
        plus = version == "plus"
        self.apgd.n_restarts = 5 if plus or (sparse and version == "standard") else 1
        self.apgd.eot_iter = 20 if version == "rand" else 1
        self.fab.n_restarts = 5 if plus else 1
        self.apgd_targeted.n_restarts = 1
        self.apgd_targeted.n_target_classes = 5 if sparse else 9

    def cheap(self) -> None:
        """Fewer steps of everything."""
        self.apgd.n_restarts, self.apgd.n_iter = 1, 50
        self.fab.n_restarts, self.fab.n_iter = 1, 50
        self.square.n_queries, self.square.n_restarts = 1000, 1
        self.apgd_targeted.n_restarts, self.apgd_targeted.n_iter = 1, 50

    def _one(self, name: str) -> dict[str, Any]:
        """An attack with its parameters, under gauntlet's names."""
        if name not in _KNOWN:
            from .keywords import unknown

            raise InputError(str(unknown("attacks_to_run", name, _KNOWN)).replace("()", "").replace("keyword", "attack"))
        if name in ("apgd-ce", "apgd-dlr"):
            s = self.apgd
            return {"name": name, "restarts": s.n_restarts, "steps": s.n_iter, "draws": s.eot_iter}
        if name == "apgd-t":
            s = self.apgd_targeted
            return {"name": name, "restarts": s.n_restarts, "steps": s.n_iter, "draws": s.eot_iter, "targets": s.n_target_classes}
        if name in ("fab", "fab-t"):
            s = self.fab
            # The published targeted search has one restart whatever is set for the other.
            restarts = s.n_restarts if name == "fab" or self.version == "custom" else 1
            targets = {"targets": s.n_target_classes} if name == "fab-t" else {}
            return {"name": name, "restarts": restarts, "steps": s.n_iter, **targets}
        s = self.square
        return {"name": name, "restarts": s.n_restarts, "queries": s.n_queries, "p_init": s.p_init}

    def _attack(self) -> dict[str, Any]:
        published = AutoAttack.__new__(AutoAttack)
        published.norm = self.norm
        published._set(_settings())
        if self.version in VERSIONS:
            published.set_version(self.version)
            same = all(vars(getattr(self, part)) == vars(getattr(published, part)) for part in _settings())
            if same and self.attacks_to_run == VERSIONS[self.version]:
                return {"name": "autoattack", "version": self.version}
        if not self.attacks_to_run:
            raise InputError("attacks_to_run is empty: version=\"custom\" needs a list of attacks")
        return {"name": "worst-case", "attacks": [self._one(name) for name in self.attacks_to_run]}

    def _say(self, text: str) -> None:
        if self.verbose:
            print(text)
        if self.log_path:
            with open(self.log_path, "a", encoding="utf-8") as log:
                log.write(f"{text}\n")

    def _evaluate(self, attack: Any, x: Any, y: Any, bs: int, store: Any = None) -> Result:
        return evaluate(
            self.model, x, y, attacks=attack, norm=self.norm, eps=self.epsilon, bs=bs, seed=self.seed or 0, device=self.device,
            store=store, native=self.native, progress=None if self.verbose else False,
        )

    @overload
    def run_standard_evaluation(
        self, x_orig: Images, y_orig: Any, bs: int = ..., return_labels: Literal[False] = ..., state_path: Any = ...
    ) -> Images: ...
    @overload
    def run_standard_evaluation(
        self, x_orig: Images, y_orig: Any, bs: int = ..., *, return_labels: Literal[True], state_path: Any = ...
    ) -> tuple[Images, Images]: ...
    @overload
    def run_standard_evaluation(
        self, x_orig: Images, y_orig: Any, bs: int, return_labels: Literal[True], state_path: Any = ...
    ) -> tuple[Images, Images]: ...
    @strict
    def run_standard_evaluation(
        self, x_orig: Any, y_orig: Any, bs: int = 250, return_labels: bool = False, state_path: str | os.PathLike[str] | None = None
    ) -> Any:
        """Adversarial images `(N, C, H, W)`: what was found where something was, the clean image elsewhere.

        Args:
            x_orig: images in [0, 1].
            y_orig: labels.
            bs: images in flight.
            return_labels: whether the model's answers to them come along.
            state_path: a folder that verdicts are kept in, from which the same call goes on after an interruption.
        """
        self._say(f"using {self.version} version including {', '.join(self.attacks_to_run)}")
        begun = time.monotonic()
        self.result = self._evaluate(self._attack(), x_orig, y_orig, bs, state_path)
        self._tell(self.result, x_orig, begun)
        x_adv = self.result.x_adv
        return (x_adv, self._labels(x_adv, bs)) if return_labels else x_adv

    @strict
    def run_standard_evaluation_individual(
        self, x_orig: Any, y_orig: Any, bs: int = 250, return_labels: bool = False
    ) -> dict[str, Any]:
        """What each attack finds by itself, by its name: images, or with `return_labels` images and the model's answers."""
        found: dict[str, Any] = {}
        attacks = [self._one(name) for name in self.attacks_to_run]
        if not attacks:
            raise InputError("attacks_to_run is empty: version=\"custom\" needs a list of attacks")
        self.result = self._evaluate(attacks, x_orig, y_orig, bs)
        self._say(f"initial accuracy: {self.result.clean_accuracy:.2%}")
        for at, name in enumerate(self.attacks_to_run):
            cell = self.result.cells[at]
            self._say(f"robust accuracy by {name.upper()} {cell.robust_accuracy:.2%}")
            x_adv = back(self.result._native.adversarial(at), x_orig)
            found[name] = (x_adv, self._labels(x_adv, bs)) if return_labels else x_adv
        return found

    def _labels(self, x: Any, bs: int) -> Any:
        predicted = self._logits(x, bs).argmax(axis=1)
        if not is_torch(x):
            return predicted
        import torch

        return torch.from_numpy(predicted).to(x.device)

    def _logits(self, x: Any, bs: int) -> NDArray[np.float32]:
        adapter = adapt(self.model, x, device=self.device)
        pixels = images(x)
        answer = adapter.logits if isinstance(adapter, Network) else adapter.forward
        return np.concatenate([answer(pixels[i : i + bs].copy()) for i in range(0, len(pixels), bs)])

    def clean_accuracy(self, x_orig: Any, y_orig: Any, bs: int = 250) -> float:
        """Share of the images that are right without any attack."""
        predicted = self._logits(x_orig, bs).argmax(axis=1)
        return float((predicted == np.asarray(labels(y_orig, len(predicted)))).mean())

    def _tell(self, result: Result, x: Any, begun: float) -> None:
        self._say(f"initial accuracy: {result.clean_accuracy:.2%}")
        verdicts = result._native.verdicts(0)
        left = sum(fate != "wrong" for fate in verdicts["fate"])
        for name in self.attacks_to_run:
            left -= sum(by == name for by in verdicts["broken_by"])
            self._say(f"robust accuracy after {name.upper()}: {left / result.n:.2%}")
        before, after = images(x), as_array(result.x_adv)
        gaps = np.abs(after - before).reshape(len(before), -1)
        order = {"linf": np.inf, "l2": 2, "l1": 1, "l0": 0}[norm_of(self.norm)]
        size = float(np.linalg.norm(gaps, ord=order, axis=1).max())
        self._say(f"max {self.norm} perturbation: {size:.5f} of {eps_text(self.epsilon)}, max: {after.max():.5f}, min: {after.min():.5f}")
        self._say(f"robust accuracy: {result.robust_accuracy:.2%} (total time {time.monotonic() - begun:.1f} s)")
        for note in result.notes:
            self._say(f"note: {note}")
        for flag in result.flags:
            self._say(f"flag: {flag.detail} ({flag.name})")
