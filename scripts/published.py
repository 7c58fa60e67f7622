#!/usr/bin/env python3
"""Writes the table of published numbers in reports/README.md, from the expectations.csv of every report."""

import csv
from collections import Counter
from pathlib import Path

BEGIN, END = "<!-- published: written by scripts/reports.sh -->", "<!-- published: end -->"


def line(report):
    """A report's line: what became of its published numbers, and how many expectations were set before the run."""
    judged = list(csv.DictReader((report / "expectations.csv").open(encoding="utf-8")))
    counted = Counter(e["verdict"] for e in judged if e["counted"] == "true")
    rest = [e for e in judged if e["counted"] != "true"]
    run = [e for e in judged if e["set"]]
    before = sum(e["set"] == "before" for e in run)
    # An expectation that every other row would meet too says little of its own.
    idle = sum(e["verdict"] in ("reproduced", "compatible") and e["others"] not in ("", "0") and e["others"] == e["others_pass"] for e in judged)
    cells = [f"[{report.name}]({report.name}/table.md)"]
    cells += [str(counted[verdict]) for verdict in ("reproduced", "compatible", "outside", "not run")]
    cells += [str(len(rest)), f"{before} of {len(run)}", str(idle)]
    cells.append(f"[README]({report.name}/README.md)" if (report / "README.md").exists() else "")
    return "| " + " | ".join(cells) + " |"


def main():
    reports = Path(__file__).resolve().parent.parent / "reports"
    head = [
        "| suite | reproduced | compatible | outside | not run | not counted | set before the run | all others pass | why |",
        "| :-- | --: | --: | --: | --: | --: | --: | --: | :-- |",
    ]
    lines = [line(found.parent) for found in sorted(reports.glob("*/expectations.csv"))]
    readme = reports / "README.md"
    text = readme.read_text(encoding="utf-8")
    for mark in (BEGIN, END):
        if text.count(mark) != 1:
            raise SystemExit(f"error: {readme} must hold the line {mark} once")
    before, after = text.split(BEGIN)[0], text.split(END)[1]
    readme.write_text(f"{before}{BEGIN}\n" + "\n".join(head + lines) + f"\n{END}{after}", encoding="utf-8")


if __name__ == "__main__":
    main()
