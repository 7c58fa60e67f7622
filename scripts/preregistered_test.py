#!/usr/bin/env python3
"""preregistered.py in throw-away repositories: what was set before a run, and every way of only seeming so."""

import contextlib
import io
import json
import os
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
import preregistered

SUITE = """format = 1
name = "{name}"
[[row]]
id = "at"
[[attack]]
name = "pgd"
eps = ["0.1"]
[[expect]]
row = "at"
attack = "pgd"
eps = "0.1"
value = 97
{band}
source = "a table"
"""
AT_LEAST_90 = {"row": "at", "of": {"attack": {"attack": "pgd", "norm": "linf", "eps": "0.1"}}, "value": 97.0, "band": [90.0, None], "source": "a table"}


class Repository(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        self.clock = 0
        self.git("init", "-q")
        self.commit("begin", {"README.md": "a benchmark"})

    def git(self, *arguments):
        date = f"2026-01-01T{self.clock:02}:00:00Z"
        names = {f"GIT_{who}_{what}": "a@b" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
        dates = {f"GIT_{who}_DATE": date for who in ("AUTHOR", "COMMITTER")}
        command = ["git", "-C", str(self.folder), "-c", "commit.gpgsign=false", *arguments]
        return subprocess.run(command, check=True, capture_output=True, env={**os.environ, **names, **dates}).stdout.decode().strip()

    def write(self, files):
        for path, content in files.items():
            path = self.folder / path
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content)

    def commit(self, message, files):
        """One an hour."""
        self.clock += 1
        self.write(files)
        self.git("add", "-A")
        self.git("commit", "-q", "--allow-empty", "-m", message)
        return self.git("rev-parse", "HEAD")

    def suite(self, band="at_least = 90", name="mine"):
        return {f"suites/{name}.toml": SUITE.format(name=name, band=band)}

    def report(self, set_in=None, seed=0, row="at", suite="mine", started=None, attack="pgd", numerics=1, images="all", carries=True):
        """A record, and the manifest beside it, as gauntlet writes them; started in the hour of the last commit."""
        expectation = {**AT_LEAST_90, "row": row}
        record = {
            "format": 1,
            "suite": suite,
            "row": row,
            "seed": seed,
            "failed": None,
            "result": {
                "configuration": {
                    "training": {"recipe": "pgd-at", "seed": seed, "numerics": numerics},
                    "evaluation": {"data_sha256": "sha256:aa", "examples": images},
                },
                "curve": [],
                "attacked": [{"attack": attack, "parameters": {"steps": 40, "numerics": numerics}, "norm": "linf", "eps": "0.1"}],
            },
            "provenance": {"started": started or f"2026-01-01T{self.clock:02}:30:00Z"},
        }
        if carries:
            record["expectations"] = [{"expectation": expectation, "set_in": set_in}]
        manifest = {"suite": suite, "expect": [expectation]}
        folder = f"reports/{suite}/records"
        return {f"{folder}/{row}-{seed}.json": json.dumps(record, indent=2), f"{folder}/manifest.json": json.dumps(manifest)}

    def check(self, *arguments):
        """Exit code and what was said."""
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = preregistered.main(["--repo", str(self.folder), *arguments])
        return code, out.getvalue() + err.getvalue()

    def refused(self):
        """The claim is refused, and taken back by --write."""
        code, said = self.check()
        self.assertEqual(code, 1, said)
        self.assertIn("not set before the run", said)
        self.assertEqual(self.check("--write")[0], 0)
        code, said = self.check()
        self.assertEqual(code, 0, said)
        self.assertIn("0 set before the run, 1 after it", said)

    def accepted(self):
        code, said = self.check()
        self.assertEqual(code, 0, said)
        self.assertIn("1 set before the run, 0 after it", said)

    def test_a_band_that_was_committed_before_the_run(self):
        band = self.commit("a band", self.suite())
        self.write(self.report(band))
        self.accepted()  # not committed yet
        self.commit("a run", self.report(band))
        self.accepted()
        # Moved within the file, sources corrected: the same expectation.
        text = self.suite()["suites/mine.toml"].replace("a table", "a better table")
        self.commit("a note", {"suites/mine.toml": "# a comment\n" + text})
        self.accepted()

    def proofs(self, files):
        """The same, of what is proved instead of what is attacked."""
        said = {path: text.replace('attack = "pgd"\neps', 'attack = "kw"\neps') for path, text in files.items()}
        for path, text in said.items():
            if path.endswith(".toml"):
                said[path] = text.replace("[[expect]]", '[[certify]]\nlabel = "kw"\neps = ["0.1"]\n[[expect]]', 1)
                continue
            data = json.loads(text)
            for e in data.get("expect", []) + [each["expectation"] for each in data.get("expectations", [])]:
                e["of"] = {"certified": {"certify": "kw", "norm": "linf", "eps": "0.1"}}
            if "result" in data:
                data["result"]["certified"] = [{"certify": "kw", "parameters": {"methods": ["kw"]}, "norm": "linf", "eps": "0.1"}]
            said[path] = json.dumps(data, indent=2)
        return said

    def test_a_band_of_what_is_proved(self):
        band = self.commit("a band", self.proofs(self.suite()))
        self.write(self.proofs(self.report(band)))
        self.accepted()

    def test_a_band_of_what_is_proved_that_was_planted_after_the_run(self):
        self.commit("another band", self.proofs(self.suite("at_least = 95")))
        self.commit("a run", self.proofs(self.report(carries=False)))
        band = self.commit("a band that holds", self.proofs(self.suite()))
        self.commit("the report with the band", self.proofs(self.report(band, started="2026-01-01T03:30:00Z")))
        self.refused()

    def test_a_band_that_was_planted_after_the_run(self):
        self.commit("another band", self.suite("at_least = 95"))
        self.commit("a run", self.report(carries=False))
        band = self.commit("a band that holds", self.suite())
        self.commit("the report with the band", self.report(band, started="2026-01-01T03:30:00Z"))
        self.refused()

    def test_a_repeated_run_is_no_second_draw(self):
        self.commit("a run", {**self.suite("at_least = 95"), **self.report(carries=False)})
        band = self.commit("a band that holds", self.suite())
        self.commit("the run, taken away", {"reports/mine/records/at-0.json": "{}"})
        # Repeated with raised numerics, on other images, under another label: the same training, whose number is known.
        self.commit("the run again", self.report(band, numerics=2, images="sample"))
        self.refused()

    def test_a_repeated_run_under_other_names(self):
        self.commit("a run", self.report(carries=False, suite="older", row="adversarial", attack="pgd-40"))
        band = self.commit("a band that holds", self.suite())
        self.commit("the run again", self.report(band))
        self.refused()

    def test_a_fresh_seed_is_a_second_draw(self):
        self.commit("a run", {**self.suite("at_least = 95"), **self.report(carries=False)})
        band = self.commit("a band", self.suite())
        (self.folder / "reports/mine/records/at-0.json").unlink()
        self.commit("another seed", self.report(band, seed=1))
        self.accepted()

    def test_band_and_run_in_one_commit(self):
        self.write({**self.suite(), **self.report("HEAD")})
        both = self.commit("band and run", {})
        self.commit("its claim", self.report(both))
        self.refused()

    def test_a_run_that_began_before_the_band(self):
        band = self.commit("a band", self.suite())
        self.commit("a run", self.report(band, started="2026-01-01T00:30:00Z"))
        self.refused()

    def test_a_commit_that_does_not_exist_or_holds_another_band(self):
        other = self.commit("another band", self.suite("at_least = 95"))
        self.commit("a band", self.suite())
        for commit in (other, "0" * 40):
            self.write(self.report(commit))
            code, said = self.check()
            self.assertEqual(code, 1, said)
        self.assertIn("there is no such commit", said)

    def test_write_finds_the_commit_that_set_it(self):
        band = self.commit("a band", self.suite())
        self.commit("a run", self.report("0" * 40))
        self.assertEqual(self.check("--write")[0], 0)
        self.assertIn(f'"set_in": "{band}"', (self.folder / "reports/mine/records/at-0.json").read_text())
        self.accepted()

    def test_a_band_on_a_branch_that_was_merged_after_the_run(self):
        first = self.git("rev-parse", "--abbrev-ref", "HEAD")
        self.git("checkout", "-q", "-b", "bands")
        band = self.commit("a band", self.suite())
        self.git("checkout", "-q", first)
        self.commit("a run", self.report(carries=False))
        self.git("merge", "-q", "--no-edit", "bands")
        self.commit("its claim", self.report(band, started="2026-01-01T05:30:00Z"))
        self.refused()

    def test_a_report_that_is_judged_by_another_band_than_its_suite(self):
        self.commit("a suite and a report", {**self.suite("at_least = 95"), **self.report()})
        code, said = self.check()
        self.assertEqual(code, 1)
        self.assertIn("gauntlet report reports/mine --expect suites/mine.toml", said)


if __name__ == "__main__":
    unittest.main()
