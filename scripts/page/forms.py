"""Reads a report's CSV with pandas and polars, its JSON against the schema, its pictures as XML and PNG.

    python forms.py SCHEMA FOLDER...
"""

import json
import struct
import sys
import xml.etree.ElementTree as xml
from pathlib import Path

import jsonschema
import pandas
import polars

schema = json.loads(Path(sys.argv[1]).read_text())
jsonschema.Draft202012Validator.check_schema(schema)
validator = jsonschema.Draft202012Validator(schema)
for folder in map(Path, sys.argv[2:]):
    digest = json.loads((folder / "records.json").read_text())
    for error in validator.iter_errors(digest):
        sys.exit(f"{folder}/records.json: {list(error.path)}: {error.message}")

    for name, numbers in {"table": ["n", "correct", "accuracy", "wilson_low", "wilson_high"], "summary": ["mean", "sd", "low", "high"]}.items():
        path = folder / f"{name}.csv"
        a, b = pandas.read_csv(path), polars.read_csv(path)
        assert list(a.columns) == b.columns and len(a) == b.height > 0, path
        for column in numbers:
            assert pandas.api.types.is_numeric_dtype(a[column]), f"{path}: {column} is no number to pandas"
            assert b[column].dtype.is_numeric(), f"{path}: {column} is no number to polars"
    accuracies = sum(len(r["accuracies"]) for r in digest["records"])
    measured = pandas.read_csv(folder / "table.csv")["accuracy"].notna().sum()
    assert accuracies == measured, f"{folder}: {accuracies} accuracies in JSON, {measured} in CSV"
    # The same means, each from its own file.
    for ours, theirs in zip(digest["summary"], pandas.read_csv(folder / "summary.csv").itertuples(), strict=True):
        assert ours["row"] == theirs.row and abs(ours["mean"] - theirs.mean) <= 0.005 + 1e-9, (folder, ours)

    drawn = sorted((folder / "plots").glob("*.svg"))
    for path in drawn:
        root = xml.parse(path).getroot()
        space = "{http://www.w3.org/2000/svg}"
        assert root.tag == f"{space}svg" and root.find(f"{space}title").text and root.find(f"{space}desc").text, path
    for path in (folder / "plots").glob("*.png"):
        head = path.read_bytes()[:24]
        width, height = struct.unpack(">II", head[16:24])
        assert head[:8] == b"\x89PNG\r\n\x1a\n" and width > 300 and height > 100, path
        assert path.with_suffix(".svg") in drawn, path
    print(f"{folder.name}: JSON fits its schema, pandas and polars read the CSV, {len(drawn)} drawings")
