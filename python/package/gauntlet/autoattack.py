"""AutoAttack as its users know it: the same constructor, the same methods, the same returned values."""

import time
from types import SimpleNamespace

import numpy as np

from .arrays import as_array, back, images, is_torch, labels
from .budgets import eps_text, norm_of
from .errors import InputError
from .evaluation import evaluate
from .keywords import strict
from .adapters import adapt

#: The published ensembles, each attack on what those before it left.
VERSIONS = {
    "standard": ["apgd-ce", "apgd-t", "fab-t", "square"],
    "plus": ["apgd-ce", "apgd-dlr", "fab", "square", "apgd-t", "fab-t"],
    "rand": ["apgd-ce", "apgd-dlr"],
}
_KNOWN = ["apgd-ce", "apgd-dlr", "apgd-t", "fab", "fab-t", "square"]


def _settings():
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
    """

    @strict
    def __init__(
        self,
        model,
        norm="Linf",
        eps=0.3,
        seed=None,
        verbose=True,
        attacks_to_run=[],
        version="standard",
        is_tf_model=False,
        device=None,
        log_path=None,
        native=False,
    ):
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
        for name, settings in _settings().items():
            setattr(self, name, settings)
        self.result = None
        if version != "custom":
            self.set_version(version)

    def set_version(self, version="standard"):
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

    def cheap(self):
        """Fewer steps of everything."""
        self.apgd.n_restarts, self.apgd.n_iter = 1, 50
        self.fab.n_restarts, self.fab.n_iter = 1, 50
        self.square.n_queries, self.square.n_restarts = 1000, 1
        self.apgd_targeted.n_restarts, self.apgd_targeted.n_iter = 1, 50

    def _one(self, name):
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

    def _attack(self):
        published = AutoAttack.__new__(AutoAttack)
        published.norm = self.norm
        for name, settings in _settings().items():
            setattr(published, name, settings)
        if self.version in VERSIONS:
            published.set_version(self.version)
            same = all(vars(getattr(self, part)) == vars(getattr(published, part)) for part in _settings())
            if same and self.attacks_to_run == VERSIONS[self.version]:
                return {"name": "autoattack", "version": self.version}
        if not self.attacks_to_run:
            raise InputError("attacks_to_run is empty: version=\"custom\" needs a list of attacks")
        return {"name": "worst-case", "attacks": [self._one(name) for name in self.attacks_to_run]}

    def _say(self, text):
        if self.verbose:
            print(text)
        if self.log_path:
            with open(self.log_path, "a", encoding="utf-8") as log:
                log.write(f"{text}\n")

    def _evaluate(self, attack, x, y, bs, store=None):
        return evaluate(
            self.model, x, y, attacks=attack, norm=self.norm, eps=self.epsilon, bs=bs, seed=self.seed or 0, device=self.device,
            store=store, native=self.native, progress=None if self.verbose else False,
        )

    @strict
    def run_standard_evaluation(self, x_orig, y_orig, bs=250, return_labels=False, state_path=None):
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
    def run_standard_evaluation_individual(self, x_orig, y_orig, bs=250, return_labels=False):
        """What each attack finds by itself, by its name: images, or with `return_labels` images and the model's answers."""
        found = {}
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

    def _labels(self, x, bs):
        predicted = self._logits(x, bs).argmax(axis=1)
        if not is_torch(x):
            return predicted
        import torch

        return torch.from_numpy(predicted).to(x.device)

    def _logits(self, x, bs):
        adapter = adapt(self.model, x, device=self.device)
        pixels = images(x)
        return np.concatenate([adapter.forward(pixels[i : i + bs].copy()) for i in range(0, len(pixels), bs)])

    def clean_accuracy(self, x_orig, y_orig, bs=250):
        """Share of the images that are right without any attack."""
        predicted = self._logits(x_orig, bs).argmax(axis=1)
        return float((predicted == np.asarray(labels(y_orig, len(predicted)))).mean())

    def _tell(self, result, x, begun):
        self._say(f"initial accuracy: {result.clean_accuracy:.2%}")
        verdicts = result._native.verdicts(0)
        left = sum(fate != "wrong" for fate in verdicts["fate"])
        for name in self.attacks_to_run:
            left -= sum(by == name for by in verdicts["broken_by"])
            self._say(f"robust accuracy after {name.upper()}: {left / result.n:.2%}")
        before, after = images(x), as_array(result.x_adv)
        gaps = np.abs(after - before).reshape(len(before), -1)
        largest = {"linf": lambda: gaps.max(axis=1), "l2": lambda: np.sqrt((gaps**2).sum(axis=1)), "l1": lambda: gaps.sum(axis=1)}
        size = float(largest[norm_of(self.norm)]().max())
        self._say(f"max {self.norm} perturbation: {size:.5f} of {eps_text(self.epsilon)}, max: {after.max():.5f}, min: {after.min():.5f}")
        self._say(f"robust accuracy: {result.robust_accuracy:.2%} (total time {time.monotonic() - begun:.1f} s)")
        for note in result.notes:
            self._say(f"note: {note}")
        for flag in result.flags:
            self._say(f"flag: {flag.detail} ({flag.name})")
