"""Attacks on one model, and what came out."""

import html
import json
import re
import os
import sys
import time
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple, TextIO

import numpy as np
from numpy.typing import NDArray

from . import _native
from .arrays import back, images, labels
from .budgets import eps_list, norm_of
from .entries import entries_of
from .errors import InputError
from .keywords import strict
from .adapters import adapt
from .models import Model


class Flag(NamedTuple):
    """A remark of the referee about a number: docs/flags.md says what each means."""

    name: str
    detail: str


class Cell(NamedTuple):
    """One attack at one budget."""

    attack: str
    norm: str
    eps: str
    robust_accuracy: float
    #: Wilson's interval of 95 %.
    interval: tuple[float, float]
    n: int
    family: str
    parameters: dict[str, Any]


class Progress(NamedTuple):
    """How far an attack has got at one budget."""

    attack: str
    norm: str
    eps: str
    #: Examples with a verdict, of those that are right without any attack, and how many of them withstood.
    done: int
    of: int
    robust: int


def frame(columns: dict[str, Any]) -> Any:
    """Columns as a frame of polars or pandas (the one that is imported already first), else as they are."""
    for name in sorted(("polars", "pandas"), key=lambda name: name not in sys.modules):
        try:
            return __import__(name).DataFrame(columns)
        except ImportError:
            continue
    return columns


class Result:
    """What an evaluation found out.

    Attributes:
        n: number of examples.
        clean_accuracy: correct ÷ n before any attack.
        cells: one `Cell` per attack and budget.
        flags: the referee's remarks, `Flag`s.
        seconds, forwards, backwards: what it cost, in wall seconds and examples.
        notes: what was adapted.
    """

    def __init__(self, native: _native.Evaluation, like: Any, name: str, notes: Iterable[str]) -> None:
        self._native, self._like, self.name, self.notes = native, like, name, list(notes)
        self.n, self.clean_accuracy, self.seconds = len(native), native.clean_accuracy, native.seconds
        self.forwards, self.backwards = native.cost
        self.flags = [Flag(*flag) for flag in native.flags]
        self.cells = [Cell(**{**cell, "parameters": json.loads(cell["parameters"])}) for cell in native.cells()]

    def _of(self, norm: Any, eps: Any) -> list[int]:
        norm = None if norm is None else norm_of(norm)
        wanted = None if eps is None else _native.pixels(eps_list(eps)[0])
        chosen = [
            i for i, c in enumerate(self.cells)
            if (norm is None or c.norm == norm) and (wanted is None or _native.pixels(c.eps) == wanted)
        ]
        budgets = {(self.cells[i].norm, self.cells[i].eps) for i in chosen}
        if not chosen:
            raise InputError(f"nothing was attacked at norm={norm}, eps={eps}; there is {self._budgets(self.cells)}")
        if len(budgets) > 1:
            raise InputError(f"there are several budgets: say which, {self._budgets(self.cells)}")
        return chosen

    @staticmethod
    def _budgets(cells: list[Cell]) -> str:
        return ", ".join(dict.fromkeys(f"norm={c.norm!r}, eps={c.eps!r}" for c in cells))

    def worst_case(self, norm: Any = None, eps: Any = None) -> tuple[float, tuple[float, float]]:
        """Share of all examples that are right under every attack of that norm and budget, with its 95 % interval."""
        robust = np.ones(self.n, dtype=bool)
        for i in self._of(norm, eps):
            robust &= np.asarray([fate == "robust" for fate in self._native.verdicts(i)["fate"]])
        share = float(robust.mean())
        return share, _native.interval(int(robust.sum()), self.n)

    @property
    def robust_accuracy(self) -> float:
        """Share of all examples that are right under every attack; with several budgets ask `worst_case(norm, eps)`."""
        return self.worst_case()[0]

    @property
    def interval(self) -> tuple[float, float]:
        """95 % interval of `robust_accuracy` for images like these (Wilson)."""
        return self.worst_case()[1]

    def adversarial(self, norm: Any = None, eps: Any = None) -> Any:
        """Of every example the adversarial one that the first attack found that broke it, else the clean image; as `x` was given."""
        chosen = self._of(norm, eps)
        found = self._native.adversarial(chosen[0])
        open_ = np.asarray([fate == "robust" for fate in self._native.verdicts(chosen[0])["fate"]])
        for i in chosen[1:]:
            broken = np.asarray([fate in ("broken", "carried") for fate in self._native.verdicts(i)["fate"]]) & open_
            if broken.any():
                found[broken] = self._native.adversarial(i)[broken]
                open_ &= ~broken
        return back(found, self._like)

    @property
    def x_adv(self) -> Any:
        """`adversarial()` of the one budget there is."""
        return self.adversarial()

    def columns(self) -> dict[str, Any]:
        """One row per example, attack and budget, as a dictionary of columns."""
        parts = []
        for i, cell in enumerate(self.cells):
            part = self._native.verdicts(i)
            n = len(part["id"])
            parts.append({"attack": [cell.attack] * n, "norm": [cell.norm] * n, "eps": [cell.eps] * n, **part})
        return {key: _joined([p.get(key, [-1] * len(p["id"])) for p in parts]) for key in dict.fromkeys(k for p in parts for k in p)}

    @property
    def verdicts(self) -> Any:
        """`columns()` as a frame of polars or pandas where one is installed."""
        return frame(self.columns())

    @property
    def table(self) -> Any:
        """`cells` as a frame."""
        shown = [c._asdict() for c in self.cells]
        columns: dict[str, Any] = {k: [c[k] for c in shown] for k in ("attack", "norm", "eps", "robust_accuracy", "n")}
        columns["low"], columns["high"] = [c.interval[0] for c in self.cells], [c.interval[1] for c in self.cells]
        return frame(columns)

    def record(self) -> dict[str, Any]:
        """The record as the binary writes it, without the verdicts."""
        record: dict[str, Any] = json.loads(self._native.record())
        return record

    def save(self, folder: str | os.PathLike[str], name: str | None = None) -> None:
        """Writes the record into a folder: `gauntlet report FOLDER`, `gauntlet.records(FOLDER)` and leaderboards read it.

        Args:
            folder: where; it is made.
            name: what the table is called; default: the model's name. Models that were saved there under the same name stay beside it.
        """
        self._native.save(folder, name or self.name)

    def to_html(self, path: str | os.PathLike[str] | None = None, name: str | None = None) -> str:
        """The report's page, a file that opens from disk; written to `path` if there is one."""
        page = self._native.html(name or self.name)
        if path is not None:
            with open(path, "w", encoding="utf-8") as file:
                file.write(page)
        return page

    def __str__(self) -> str:
        def percent(share: float, interval: tuple[float, float]) -> str:
            return f"{100 * share:5.1f} %  (95 %: {100 * interval[0]:.1f} to {100 * interval[1]:.1f})"

        rows = [("clean", percent(self.clean_accuracy, _native.interval(round(self.clean_accuracy * self.n), self.n)))]
        rows += [(f"{c.attack} {c.norm} ε = {c.eps}", percent(c.robust_accuracy, c.interval)) for c in self.cells]
        width = max(len(label) for label, _ in rows)
        lines = [f"{self.name}: n = {self.n}"] + [f"{label:{width}}  {number}" for label, number in rows]
        lines.append(f"{self.seconds:.1f} s, {self.forwards} forwards, {self.backwards} backwards")
        lines += [f"note: {note}" for note in self.notes] + [f"flag: {f.detail} ({f.name})" for f in self.flags]
        return "\n".join(lines)

    def __repr__(self) -> str:
        return f"<gauntlet.Result of {self.name}: clean {self.clean_accuracy:.3f}, {len(self.cells)} cells, {len(self.flags)} flags>"

    def _repr_html_(self) -> str:
        def row(*cells: str) -> str:
            return "<tr>" + "".join(f"<td>{html.escape(c)}</td>" for c in cells) + "</tr>"

        def percent(share: float) -> str:
            return f"{100 * share:.1f} %"

        def between(interval: tuple[float, float]) -> str:
            return f"{percent(interval[0])} to {percent(interval[1])}"

        rows = [row("clean", "", "", percent(self.clean_accuracy), between(_native.interval(round(self.clean_accuracy * self.n), self.n)))]
        rows += [row(c.attack, c.norm, c.eps, percent(c.robust_accuracy), between(c.interval)) for c in self.cells]
        flags = "".join(f"<li><b>{html.escape(f.name)}</b>: {html.escape(f.detail)}</li>" for f in self.flags)
        head = "<tr><th>attack</th><th>norm</th><th>ε</th><th>accuracy</th><th>95 %</th></tr>"
        return f"<table><caption>{html.escape(self.name)}, n = {self.n}</caption>{head}{''.join(rows)}</table><ul>{flags}</ul>"


def _joined(parts: list[Any]) -> Any:
    if all(isinstance(p, np.ndarray) for p in parts):
        return np.concatenate(parts)
    return [value for part in parts for value in part]


class _Line:
    """Progress as one line of a terminal, or a line every few seconds elsewhere."""

    def __init__(self, stream: TextIO) -> None:
        self.stream, self.terminal, self.last = stream, stream.isatty(), time.monotonic()

    def __call__(self, p: Progress) -> None:
        now = time.monotonic()
        if now - self.last < (0.1 if self.terminal else 10) and p.done < p.of:
            return
        self.last = now
        text = f"{p.attack} {p.norm} ε = {p.eps}: {p.done} of {p.of}, {p.robust} withstand"
        self.stream.write(f"\r\x1b[K{text}" if self.terminal else f"{text}\n")
        if self.terminal and p.done == p.of:
            self.stream.write("\n")
        self.stream.flush()


def _follower(progress: Any) -> Callable[..., object] | None:
    if progress is None or progress is True:
        if progress is None and not (sys.stderr is not None and sys.stderr.isatty()):
            return None
        line = _Line(sys.stderr)
        return lambda *given: line(Progress(*given))
    if progress is False:
        return None
    if not callable(progress):
        raise InputError(f"progress must be True, False, None or a function of a Progress, got {type(progress).__name__}")
    return lambda *given: progress(Progress(*given))


@strict
def evaluate(
    model: Any,
    x: Any,
    y: Any,
    *,
    attacks: Any = "autoattack",
    eps: Any = None,
    norm: Any = "linf",
    mean: Any = None,
    std: Any = None,
    device: Any = None,
    train_mode: bool = False,
    bs: int = 256,
    seed: int = 0,
    draws: int = 1,
    carry: bool = False,
    ids: Iterable[int] | None = None,
    name: str | None = None,
    store: str | os.PathLike[str] | None = None,
    native: bool = False,
    progress: bool | Callable[[Progress], object] | None = None,
) -> Result:
    """Attacks a model and judges every proposal; flags say where the numbers are not to be believed.

    Args:
        model: a torch.nn.Module (or, with tensors, any function from images to logits), a function of JAX, a `gauntlet.Model`, anything
            with `forward(x)` and perhaps `vjp(x)`, anything with `predict_proba(x)`, or a `gauntlet.Network`.
        x: images `(N, C, H, W)` in [0, 1], an array or tensor; uint8 is divided by 255.
        y: labels `(N,)`, whole numbers from 0.
        attacks: a name, a dictionary with a name and parameters, `gauntlet.attack(...)`, or a list of them; an entry's own
            `norm`, `eps` and `label` win.
        eps: budgets in pixels, `"8/255"`, 8/255 or a list.
        norm: `linf`, `l2` or `l1`.
        mean, std: of each channel, for a module of PyTorch that wants normalised images.
        device: where a module of PyTorch is sent images; default: where its parameters are.
        train_mode: attack a module that is in training mode as it is.
        bs: images in flight, which bounds memory; no verdict depends on it.
        seed: of the attacks' randomness.
        draws: forwards that a proposal is judged on, for randomised models.
        carry: an example that is broken at a smaller budget counts as broken at the larger ones.
        ids: whole numbers that randomness is keyed by, one for each image; default: 0, 1, ...
        name: what the model is called in reports.
        store: a folder that verdicts are kept in as they are given: after Ctrl-C or a kill the same call goes on where it stopped.
        native: attack a torch.nn.Module on gauntlet's own kernels, which is several times faster where the network is small: it is exported
            as ONNX, compared with the module on the first images (logits and input gradients), and what is found is judged by
            the module in the end. What cannot be exported is attacked as it is, and a note says why.
        progress: None: a line on a terminal; True: always; False: never; or a function of `Progress`.

    Returns:
        A `Result`.

    Raises:
        InputError: a model in training mode, images outside of [0, 1], logits that are not finite, an unknown attack, ...:
            before anything is attacked, with the way out.

    Example:
        >>> import torch, gauntlet
        >>> x, _ = map(torch.from_numpy, gauntlet.load_examples("glyphs", take=50))
        >>> _ = torch.manual_seed(0)
        >>> model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(784, 10)).eval()
        >>> result = gauntlet.evaluate(model, x, model(x).argmax(1), attacks=["fgsm", "pgd"], eps=["1/255", "64/255"])
        >>> result.clean_accuracy, result.worst_case(eps="64/255")[0]
        (1.0, 0.0)
        >>> [(cell.attack, cell.eps) for cell in result.cells]
        [('fgsm', '1/255'), ('fgsm', '64/255'), ('pgd', '1/255'), ('pgd', '64/255')]
    """
    adapter = adapt(model, x, mean=mean, std=std, device=device, train_mode=train_mode)
    pixels = images(x, normalised=mean is not None)
    classes = labels(y, len(pixels))
    if not isinstance(bs, int) or isinstance(bs, bool) or bs < 1:
        raise InputError(f"bs must be a whole number of at least 1, got {bs!r}")
    if not isinstance(draws, int) or draws < 1:
        raise InputError(f"draws must be a whole number of at least 1, got {draws!r}")
    rows = list(range(len(pixels))) if ids is None else [int(i) for i in ids]
    entries = entries_of(attacks, norm, eps)
    follower = _follower(progress)
    if native and not hasattr(adapter, "module"):
        raise InputError(f"native is for a torch.nn.Module, got {type(model).__name__}")
    called = name or adapter.name
    _, channels, height, width = pixels.shape
    shape = (channels, height, width)
    _native.check_attacks(entries, called, shape, "gradients" if isinstance(adapter, _native.Network) else adapter.answers)
    weights = adapter.sha256 if isinstance(adapter, _native.Network) else adapter.fingerprint()
    if store is not None and not weights:
        raise InputError(
            f"store: verdicts are kept under a model's weights, and {called} shows none; give a torch.nn.Module, or a gauntlet.Model "
            "with fingerprint= a text that names its weights"
        )
    how: dict[str, Any] = dict(width=bs, seed=seed, draws=draws, carry=carry, sha256=weights, store=store, progress=follower)
    # What a record's files may be called.
    row = re.sub(r"[^A-Za-z0-9._+=-]+", "-", called).strip("-") or "model"
    conditions = json.dumps({"row": row, "model": {"name": called}})
    if isinstance(adapter, _native.Network):
        found = _native.evaluate(adapter, pixels, classes, rows, entries, conditions=conditions, **how)
        return Result(found, x, called, adapter.notes)
    if name is not None:
        adapter.name = name
    with adapter.attacked():
        adapter.look(pixels, bs, train_mode)
        largest = max(classes)
        if largest >= adapter.classes:
            raise InputError(f"{called} has {adapter.classes} classes, an example has label {largest}")
        own = _on_own_kernels(adapter, pixels, classes, rows, entries, conditions, how) if native else None
        found = _native.evaluate(adapter, pixels, classes, rows, entries, conditions=conditions, **how) if own is None else own
    return Result(found, x, called, adapter.notes)


def _on_own_kernels(
    adapter: Any, pixels: NDArray[np.float32], classes: list[int], rows: list[int], entries: str, conditions: str, how: dict[str, Any]
) -> _native.Evaluation | None:
    """What the network that the module is exported as does, judged by the module; None where there is no such network."""
    from .own_kernels import disputed, network_of

    network, reasons = network_of(adapter, pixels)
    if network is None:
        adapter.notes.append(f"native: {adapter.name} is attacked in PyTorch, its export is not the same function ({'; '.join(reasons)})")
        return None
    # Verdicts of the two are not taken for one another's.
    own = {**how, "sha256": f"{how['sha256']} {network.sha256}"}
    found = _native.evaluate(network, pixels, classes, rows, entries, conditions=conditions, **own)
    places = disputed(found, adapter, pixels, classes, how["width"])
    told = f"native: attacked on gauntlet's own kernels, judged by {adapter.name}"
    if places:
        told += f"; it says otherwise of {len(places)} images, which were attacked in PyTorch"
        their, own_rows = [classes[at] for at in places], [rows[at] for at in places]
        again = _native.evaluate(
            adapter, np.ascontiguousarray(pixels[places]), their, own_rows, entries, conditions=conditions, **how
        )
        found = found.with_verdicts_of(again, places)
    adapter.notes.append(told)
    return found
