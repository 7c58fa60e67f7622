#!/usr/bin/env python3
"""Whether the records of reports/ claim an expectation to have been set before their run that history does not show to be.

An expectation counts as set before the run if a commit whose suite holds it, judged alike (row, number, value, error and band;
not its source), precedes every commit that ever held a record of the same training. The same training is the same seed of the
same row of the suite, or of the same configuration under whatever names; the record must have the number: its attack or proof, by label
or by parameters, at that norm and budget, on that test set. Reports that were rewritten since are in history still: repeating a
run is no second draw, and neither is another choice of images of the same test set. What components call `numerics` is no
difference. A commit that brings both the expectation and the record shows nothing, nor does one that was written after the
training began, as its record tells.

Without arguments: checks every claim (`set_in` of a record's `expectations`), and that a report is judged by the `[[expect]]`
tables of its suite; exit code 1 tells what is wrong. With --write: corrects the claims; scripts/reports.sh then renews the pages.
"""

import argparse
import json
import re
import subprocess
import sys
import tomllib
from datetime import datetime
from fractions import Fraction
from pathlib import Path

RECORD = re.compile(r"reports/.*\.json")
SUITE = re.compile(r"suites/[^/]+\.toml")


class Refused(Exception):
    """What is wrong, and the way out."""


def git(repo, *arguments, given=None):
    done = subprocess.run(["git", "-C", repo, *arguments], input=given, capture_output=True)
    if done.returncode:
        raise Refused(f"git {arguments[0]}: {done.stderr.decode(errors='replace').strip()}")
    return done.stdout


# --- what an expectation and a record say


def budget(eps):
    return Fraction(str(eps).replace(" ", ""))


def ends(low, high):
    return tuple(None if end is None else float(end) for end in (low, high))


def number(value):
    return None if value is None else float(value)


def of_toml(table, suite, default=None):
    """The number that a table of a suite file speaks of; what it does not say is as in `default`."""
    if default and not any(key in table for key in ("attack", "norm", "eps", "curve", "epoch", "scale")):
        return default
    if "curve" in table:
        return ("curve", table["curve"], int(table["epoch"]), float(table.get("scale", 1)))
    if default and default[0] == "curve" and "epoch" in table:
        return ("curve", default[1], int(table["epoch"]), default[3])
    label = table.get("attack") or (default[1] if default and default[0] in ("attack", "certified") else "worst case")
    if label == "clean":
        return ("clean",)
    eps = budget(table["eps"]) if "eps" in table else default[-1]
    if label == "worst case":
        return ("worst", table.get("norm", "linf"), eps)
    for attack in suite.get("attack", []):
        name = attack.get("label", attack["name"])
        if label == name or (attack["name"] == "transfer" and label.startswith("transfer from ")):
            return ("attack", label, attack.get("norm", "linf"), eps)
    for certify in suite.get("certify", []):
        if label == certify.get("label", "bounds"):
            return ("certified", label, certify.get("norm", "linf"), eps)
    return ("attack", label, "linf", eps)


def toml_band(table):
    if "band" in table:
        return ends(*table["band"])
    if "at_least" in table or "at_most" in table:
        return ends(table.get("at_least"), table.get("at_most"))
    return None


def from_toml(table, suite):
    """An expectation of a suite file, as it is judged."""
    of = of_toml(table, suite)
    minus = table.get("minus")
    if minus is not None:
        minus = (minus.get("row", table["row"]), of_toml(minus, suite, of))
    other = table.get("or")
    other = other and (toml_band(other), other.get("flag"))
    return (table["row"], of, minus, number(table.get("value")), number(table.get("sd")), table.get("n"), toml_band(table), other)


def of_json(of):
    if of == "clean":
        return ("clean",)
    ((kind, said),) = of.items()
    if kind == "curve":
        return ("curve", said["curve"], said["epoch"], float(said["scale"]))
    if kind == "worst":
        return ("worst", said["norm"], budget(said["eps"]))
    if kind == "certified":
        return ("certified", said["certify"], said["norm"], budget(said["eps"]))
    return ("attack", said["attack"], said["norm"], budget(said["eps"]))


def from_json(e):
    """An expectation of a record or a manifest, as it is judged."""
    minus = e.get("minus")
    other = e.get("or")
    return (
        e["row"],
        of_json(e["of"]),
        minus and (minus["row"], of_json(minus["of"])),
        number(e.get("value")),
        number(e.get("sd")),
        e.get("n"),
        e.get("band") and ends(*e["band"]),
        other and (ends(*other["band"]), other.get("flag")),
    )


def without_numerics(value):
    if isinstance(value, dict):
        return {k: without_numerics(v) for k, v in value.items() if k != "numerics"}
    return [without_numerics(v) for v in value] if isinstance(value, list) else value


def text(value):
    return json.dumps(without_numerics(value), sort_keys=True)


class Run:
    """What a record shows: whose numbers, and which."""

    def __init__(self, record):
        result = record["result"]
        configuration = result["configuration"]
        training = configuration.get("training") if isinstance(configuration, dict) else None
        evaluation = configuration.get("evaluation") if isinstance(configuration, dict) else None
        self.suite, self.row, self.seed = record["suite"], record["row"], record["seed"]
        self.training = text(training) if training else None
        self.images = evaluation.get("data_sha256") if evaluation else None
        self.attacked = [
            (cell["attack"], text(cell.get("parameters")), cell["norm"], budget(cell["eps"])) for cell in result["attacked"]
        ]
        self.certified = [
            (cell["certify"], text(cell.get("parameters")), cell["norm"], budget(cell["eps"])) for cell in result.get("certified", [])
        ]
        self.epochs = {epoch["epoch"] for epoch in result["curve"]}
        self.expectations = record.get("expectations", [])
        started = record.get("provenance", {}).get("started")
        self.started = datetime.fromisoformat(started).timestamp() if started else None

    def same_training(self, other):
        if self.seed != other.seed:
            return False
        named = (self.suite, self.row) == (other.suite, other.row)
        return named or (self.training is not None and self.training == other.training)

    def shows(self, of, judged):
        """Whether it has the number `of` of the record `judged`."""
        if of[0] == "curve":
            return of[2] in self.epochs
        if self.images and judged.images and self.images != judged.images:
            return False
        if of[0] == "clean":
            return True
        if of[0] == "worst":
            # What the search for a proof breaks counts too.
            return any(cell[2:] == of[1:] for cell in self.attacked + self.certified)
        kind, label, norm, eps = of
        cells, judged_cells = (run.certified if kind == "certified" else run.attacked for run in (self, judged))
        parameters = {cell[1] for cell in judged_cells if cell[0] == label}
        return any((cell[0] == label or cell[1] in parameters) and cell[2:] == (norm, eps) for cell in cells)


def run_of(data):
    try:
        record = json.loads(data)
        return Run(record) if isinstance(record, dict) and {"suite", "row", "seed", "result"} <= record.keys() else None
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


def suite_of(data):
    """A suite's name and what it expects; `None` where the text was never one."""
    try:
        suite = tomllib.loads(data.decode())
        return suite["name"], {from_toml(table, suite) for table in suite.get("expect", [])}
    except (ValueError, KeyError, TypeError, AttributeError, IndexError):
        return None


# --- history


class History:
    """Every version of every suite and record up to HEAD, and which commit precedes which."""

    def __init__(self, repo):
        if git(repo, "rev-parse", "--is-shallow-repository").strip() == b"true":
            raise Refused("the history of this clone is cut off; fetch the rest: git fetch --unshallow")
        self.ancestors = {}
        bit = {}
        self.written = {}
        for line in git(repo, "log", "--topo-order", "--reverse", "--format=%at %H %P", "HEAD").decode().splitlines():
            written, commit, *parents = line.split()
            self.written[commit] = int(written)
            mask = 0
            for parent in parents:
                mask |= self.ancestors[parent] | bit[parent]
            bit[commit] = 1 << len(bit)
            self.ancestors[commit] = mask
        self.bit = bit
        shown = ["-m", "--root", "--raw", "--no-abbrev", "--no-renames", "-z", "--format=%x01%H"]
        changes = git(repo, "log", *shown, "HEAD", "--", "suites", "reports")
        versions = []
        commit = None
        fields = iter(changes.decode().split("\0"))
        for field in fields:
            field = field.lstrip("\n")
            if field.startswith("\x01"):
                commit = field[1:41]
                field = field[41:].lstrip("\n")
            if field.startswith(":"):
                blob, path = field.split(" ")[3], next(fields)
                if set(blob) != {"0"} and (RECORD.fullmatch(path) or SUITE.fullmatch(path)):
                    versions.append((commit, path, blob))
        blobs = sorted({blob for _, _, blob in versions})
        read = self.read(repo, blobs)
        self.runs, self.suites = [], []
        parsed = {}
        for commit, path, blob in versions:
            if blob not in parsed:
                parsed[blob] = suite_of(read[blob]) if SUITE.fullmatch(path) else run_of(read[blob])
            if parsed[blob] is not None:
                (self.suites if SUITE.fullmatch(path) else self.runs).append((commit, parsed[blob]))

    @staticmethod
    def read(repo, blobs):
        """The contents of blobs, in one go."""
        out = git(repo, "cat-file", "--batch", given="\n".join(blobs).encode() + b"\n") if blobs else b""
        read, at = {}, 0
        for blob in blobs:
            line = out.index(b"\n", at)
            size = int(out[at:line].split()[2])
            read[blob] = out[line + 1 : line + 1 + size]
            at = line + 1 + size + 1
        return read

    def precedes(self, first, second):
        """Whether one commit strictly precedes another; `None` is the working tree, which every commit precedes."""
        return second is None or bool(self.ancestors[second] & self.bit[first])

    def setters(self, expectation, run):
        """The commits that set an expectation before any record of that training was seen, the earliest first."""
        seen = [None]
        seen += [commit for commit, other in self.runs if other.same_training(run) and other.shows(expectation[1], run)]
        holders = {commit for commit, (name, expected) in self.suites if name == run.suite and expectation in expected}
        before = [holder for holder in holders if all(self.precedes(holder, commit) for commit in seen)]
        if run.started is not None:
            before = [holder for holder in before if self.written[holder] <= run.started]
        return sorted(before, key=self.bit.get)


# --- the reports


def claims(repo, history):
    """For every record of the working tree: its path, its text, and for each claim the expectation, `set_in` and its setters."""
    for path in sorted((Path(repo) / "reports").glob("**/records/*.json")):
        data = path.read_bytes()
        run = run_of(data)
        if run is None:
            continue
        judged = []
        for registered in run.expectations:
            expectation = from_json(registered["expectation"])
            judged.append((expectation, registered["set_in"], history.setters(expectation, run)))
        yield path, data.decode(), run, judged


def named(expectation):
    row, of, minus = expectation[:3]
    quantity = " ".join(str(part) for part in of)
    return f"{row}: {quantity}" + (f" − {minus[0]}: {' '.join(str(part) for part in minus[1])}" if minus else "")


def other_expectations(repo):
    """Reports that are judged by other expectations than their suite's."""
    suites = {}
    for path in sorted((Path(repo) / "suites").glob("*.toml")):
        found = suite_of(path.read_bytes())
        if found:
            suites[found[0]] = (path, found[1])
    for manifest in sorted((Path(repo) / "reports").glob("**/records/manifest.json")):
        said = json.loads(manifest.read_text())
        if said.get("suite") not in suites or said.get("shortened"):
            continue
        path, expected = suites[said["suite"]]
        if {from_json(e) for e in said.get("expect", [])} != expected:
            report = manifest.parent.parent.relative_to(repo)
            yield (
                f"{report} is judged by other expectations than {path.relative_to(repo)}; "
                f"write those into it: gauntlet report {report} --expect {path.relative_to(repo)} -o {report}"
            )


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true", help="correct the claims of the records")
    parser.add_argument("--repo", default=str(Path(__file__).resolve().parent.parent), help="the repository (default: this one)")
    given = parser.parse_args(arguments)
    try:
        history = History(given.repo)
    except Refused as refused:
        print(f"error: {refused}", file=sys.stderr)
        return 2
    wrong = list(other_expectations(given.repo))
    before = after = 0
    for path, written, run, judged in claims(given.repo, history):
        answers = []
        for expectation, claim, setters in judged:
            if claim is not None and claim not in setters:
                why = "a record of the same training, or its start, precedes it" if claim in history.bit else "there is no such commit"
                if not given.write:
                    wrong.append(f"{path.relative_to(given.repo)}: {named(expectation)}: not set before the run in {claim[:12]}: {why}")
                claim = None
            if given.write and claim is None and setters:
                claim = setters[0]
            answers.append(claim)
            before, after = before + (claim is not None), after + (claim is None)
        if given.write and answers:
            rest = iter(answers)
            line = re.compile(r'^(\s*"set_in": )(?:null|"[^"]*")', re.M)
            new = line.sub(lambda m: m.group(1) + json.dumps(next(rest)), written)
            if next(rest, wrong) is not wrong:
                raise SystemExit(f"error: {path}: its expectations are not written as gauntlet writes them")
            if new != written:
                path.write_text(new)
                print(f"corrected: {path.relative_to(given.repo)}")
    for problem in wrong:
        print(f"error: {problem}", file=sys.stderr)
    if wrong and not given.write:
        print("claims are corrected by: python3 scripts/preregistered.py --write && bash scripts/reports.sh", file=sys.stderr)
    print(f"expectations in records: {before} set before the run, {after} after it")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
