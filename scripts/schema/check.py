"""Every suite and manifest of the repository is valid by the schemas that BINARY prints; with a mistake it is not."""

import copy
import json
import pathlib
import re
import subprocess
import sys
import tomllib

import jsonschema

binary, root = sys.argv[1], pathlib.Path(__file__).parents[2]
validators = {}
for what in ("suite", "dataset"):
    schema = json.loads(subprocess.run([binary, "schema", what], check=True, capture_output=True, text=True).stdout)
    jsonschema.Draft7Validator.check_schema(schema)
    validators[what] = jsonschema.Draft7Validator(schema)

    # What a schema says by the way, defaults and examples, is valid by itself.
    def inside(node, schema=schema):
        if isinstance(node, dict):
            beside = [node[k] for k in ("default",) if k in node] + node.get("examples", [])
            if isinstance(node.get("description"), str):
                for value in beside:
                    whole = {**node, "definitions": schema.get("definitions", {})}
                    jsonschema.Draft7Validator(whole).validate(value)
            for child in node.values():
                inside(child)
        elif isinstance(node, list):
            for child in node:
                inside(child)

    inside(schema)


def valid(what, value):
    return validators[what].is_valid(value)


def toml(path):
    return tomllib.loads(path.read_text(encoding="utf-8"))


suites = [*sorted((root / "suites").glob("*.toml")), root / "plugins/example-recipe/suite.toml"]
counted = 0
for path in suites:
    suite = toml(path)
    if path.parts[-2] == "example-recipe":
        # Its recipe is the plug-in's own, which only the plug-in's binary knows.
        assert not valid("suite", suite), f"{path}: a recipe that is not there passes"
        continue
    for error in validators["suite"].iter_errors(suite):
        sys.exit(f"{path}: {error.message[:300]} at {list(error.absolute_path)}")
    counted += 1
for path in sorted((root / "datasets").glob("*.toml")):
    for error in validators["dataset"].iter_errors(toml(path)):
        sys.exit(f"{path}: {error.message[:300]} at {list(error.absolute_path)}")
    counted += 1

# Whole suites in the documents.
for page in [root / "README.md", *sorted((root / "docs").glob("*.md"))]:
    for block in re.findall(r"```toml\n(.*?)```", page.read_text(encoding="utf-8"), re.S):
        if block.startswith("format = 1"):
            assert valid("suite", tomllib.loads(block)), f"{page}: {block}"
            counted += 1

good = toml(root / "suites/quickstart.toml")


def broken(change):
    suite = copy.deepcopy(good)
    change(suite)
    return suite


mistakes = [
    lambda s: s.pop("format"),
    lambda s: s.update(format=2),
    lambda s: s.update(seed=[0]),
    lambda s: s.update(model="lenet-smal"),
    lambda s: s.update(model={"name": "lenet-small", "activation": "gelo"}),
    lambda s: s.update(seeds="0"),
    lambda s: s["train"].update(epochs=0),
    lambda s: s["train"].update(epoch=3),
    lambda s: s["train"].update(optimiser={"name": "adam"}),
    lambda s: s["train"].update(optimiser={"name": "adam", "lr": 0.1, "momentum": 0.9}),
    lambda s: s["train"].update(schedule="triangle"),
    lambda s: s["train"].update(augmentation="flip"),
    lambda s: s["row"][0].update(recipe="cee"),
    lambda s: s["row"][0].update(recipe={"name": "fgsm-aug"}),
    lambda s: s["row"][1].update(penalties=[{"name": "grad-norm", "wieght": 1}]),
    lambda s: s["row"][1].update(base="grad-norm"),
    lambda s: s["row"][0].update(name="ce"),
    lambda s: s["attack"][0].update(name="fsgm"),
    lambda s: s["attack"][0].update(steps=10),
    lambda s: s["attack"][1].update(steps="10"),
    lambda s: s["attack"][1].pop("eps"),
    lambda s: s["attack"][1].update(norm="inf"),
    lambda s: s["attack"].append({"name": "transfer", "eps": "0.1"}),
    lambda s: s.update(expect=[{"row": "ce", "at_lest": 0}]),
    lambda s: s.update(quick={"epoch": 1}),
]
for i, change in enumerate(mistakes):
    assert not valid("suite", broken(change)), f"mistake {i} passes"
fine = [
    lambda s: s["row"][0].update(recipe="script:mine.rhai"),
    lambda s: s["row"][0].update(recipe={"name": "script:mine.rhai", "weight": 3}),
    lambda s: s["attack"].append({"name": "transfer", "eps": "0.1", "surrogates": "all"}),
    lambda s: s["attack"].append({"name": "worst-case", "eps": 0.1, "attacks": ["fgsm", {"name": "pgd", "steps": 3}]}),
]
for i, change in enumerate(fine):
    assert valid("suite", broken(change)), f"what is right, {i}, is refused"

manifest = toml(root / "datasets/mnist.toml")
wrong = [
    {**manifest, "license": "MIT"},
    {**manifest, "shape": [1, 28]},
    {**manifest, "source": {**manifest["source"], "local": {}}},
    {**manifest, "train": {"file": []}},
    {k: v for k, v in manifest.items() if k != "classes"},
]
for i, value in enumerate(wrong):
    assert not valid("dataset", value), f"manifest with mistake {i} passes"
print(f"{counted} suites and manifests are valid, {len(mistakes) + len(wrong)} with mistakes are not")
