"""Suites, reports and folders of records."""

import json
import os
from collections.abc import Callable
from typing import Any

from . import _native
from .errors import EvaluationFailed, InputError
from .evaluation import _joined, frame
from .keywords import strict


def teller(progress: Any) -> Callable[[str], object] | None:
    """What is called with a line."""
    if progress is None or progress is False:
        return None
    if progress is True:
        return print
    if not callable(progress):
        raise InputError(f"progress must be True, False, None or a function of a line, got {type(progress).__name__}")
    told: Callable[[str], object] = progress
    return told


@strict
def run(
    suite: str | os.PathLike[str], *, out: str | os.PathLike[str] | None = None, runs: str | os.PathLike[str] = "runs",
    data_dir: str | os.PathLike[str] | None = None, take: int | None = None, quick: bool = False,
    progress: bool | Callable[[str], object] | None = None,
) -> "Records":
    """Trains and attacks every row of a suite file; writes records and report, and gives the records.

    What the store `runs` holds is not computed again: after Ctrl-C the same call goes on where it stopped.

    Args:
        suite: the path of a .toml file.
        out: the report's folder; default: `reports/NAME` with the file's name.
        runs: the store.
        data_dir: where data sets lie; None: drawn, or from the Hugging Face hub.
        take: the first so many test images instead of the suite's; its report is another one then.
        quick: the suite's smaller version.
        progress: True: a line on stdout for every step; or a function of a line.

    Raises:
        EvaluationFailed: parts of the suite failed; the others are written.

    Example:
        >>> import gauntlet
        >>> from pathlib import Path
        >>> _ = Path("short.toml").write_text('''
        ... format = 1
        ... data = "glyphs"
        ... model = "linear"
        ... take = 40
        ... [train]
        ... epochs = 1
        ... [[row]]
        ... id = "plain"
        ... recipe = "ce"
        ... [[attack]]
        ... name = "fgsm"
        ... eps = ["0.1"]
        ... ''')
        >>> records = gauntlet.run("short.toml", out="out", runs="store")
        >>> [record["row"] for record in records], Path("out/index.html").exists()
        (['plain'], True)
    """
    stem = os.path.splitext(os.path.basename(os.fspath(suite)))[0]
    out = os.path.join("reports", stem) if out is None else out
    failed = _native.run_suite(suite, out, runs, data_dir=data_dir, take=take, quick=quick, progress=teller(progress))
    found = records(out)
    if failed:
        reasons = "; ".join(f"{r['row']}, seed {r['seed']}: {r['failed']}" for r in found if r["failed"])
        raise EvaluationFailed(f"{failed} parts failed: {reasons}")
    return found


def report(folder: str | os.PathLike[str], out: str | os.PathLike[str]) -> list[str]:
    """Writes tables, pictures and page of a folder of records into `out`; the paths.

    Example:
        >>> import numpy as np, gauntlet
        >>> bright = gauntlet.Labels(lambda x: (x.mean((1, 2, 3)) > 0.5).astype(int), 2, name="bright")
        >>> x = np.full((2, 1, 8, 8), 0.4, dtype=np.float32)
        >>> gauntlet.evaluate(bright, x, [0, 0], attacks="noise", eps=0.05).save("records/bright")
        >>> paths = gauntlet.report("records/bright", "report")
        >>> any(path.endswith("index.html") for path in paths)
        True
    """
    paths, problems = _native.report(folder, out)
    if problems:
        raise EvaluationFailed(f"the report is written, and lacks something: {'; '.join(problems)}")
    return [os.fspath(path) for path in paths]


class Records(list[dict[str, Any]]):
    """Records of a folder as dictionaries, each with `row`, `seed`, `failed`, `flags`, `clean` ... as docs/records.schema.json has them.

    `problems` says what could not be read.
    """

    def __init__(self, read: list[dict[str, Any]], problems: list[str]) -> None:
        self._read, self.problems = read, problems
        super().__init__({**json.loads(one["record"]), "failed": one["failed"]} for one in read)

    def columns(self) -> dict[str, Any]:
        """One row per record, attack, budget and example, as a dictionary of columns."""
        parts = []
        for one in self._read:
            for cell in one["cells"]:
                n = len(cell["verdicts"]["id"])
                about = {"row": one["row"], "seed": one["seed"], "attack": cell["attack"], "norm": cell["norm"], "eps": cell["eps"]}
                parts.append({**{key: [value] * n for key, value in about.items()}, **cell["verdicts"]})
        keys = dict.fromkeys(key for part in parts for key in part)
        return {key: _joined([part.get(key, [-1] * len(part["id"])) for part in parts]) for key in keys}

    @property
    def verdicts(self) -> Any:
        """`columns()` as a frame of polars or pandas where one is installed."""
        return frame(self.columns())


def records(folder: str | os.PathLike[str]) -> Records:
    """The records of a folder that `gauntlet run`, `gauntlet.run` or `Result.save` wrote.

    Example:
        >>> import numpy as np, gauntlet
        >>> bright = gauntlet.Labels(lambda x: (x.mean((1, 2, 3)) > 0.5).astype(int), 2, name="bright")
        >>> x = np.full((2, 1, 8, 8), 0.4, dtype=np.float32)
        >>> gauntlet.evaluate(bright, x, [0, 0], attacks="noise", eps=0.05).save("saved")
        >>> records = gauntlet.records("saved")
        >>> records[0]["row"], records.columns()["fate"]
        ('bright', ['robust', 'robust'])
    """
    return Records(*_native.read_records(folder))
