"""Runs the transcript of a page: files, then commands with the lines that they must print.

In a block ```console a line `$ COMMAND` is run (what stands on stdout and stderr counts); the lines below it must come, in order and one after the other: `...`
skips any number of lines, `…` within a line any text. A block whose first line is `# file: NAME` is written into that file.
"""

import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import time

page, binary, python = sys.argv[1:4]
text = pathlib.Path(page).read_text(encoding="utf-8")
folder = pathlib.Path(sys.argv[4] if len(sys.argv) > 4 else tempfile.mkdtemp(prefix="first-hour-"))
folder.mkdir(parents=True, exist_ok=True)
if any(folder.iterdir()):
    sys.exit(f"{folder} is not empty")
# The words `gauntlet` and `python` on the path; everything else is the user's own.
tools = pathlib.Path(tempfile.mkdtemp(prefix="first-hour-bin-"))
for name, target in (("gauntlet", binary), ("python", python)):
    (tools / name).write_text(f'#!/bin/sh\nexec "{target}" "$@"\n')
    (tools / name).chmod(0o755)
environment = {k: v for k, v in os.environ.items() if not k.startswith("GAUNTLET_") and k not in ("COLUMNS", "NO_COLOR")}
# On a machine with other work to do, PyTorch's threads wait for one another.
environment["OMP_NUM_THREADS"] = "1"
environment["PATH"] = f"{tools}{os.pathsep}{environment['PATH']}"


def matches(promised, line):
    pattern = ".*".join(re.escape(" ".join(part.split())) for part in promised.split("…"))
    # Spaces of a table depend on its widest cell.
    return re.fullmatch(pattern.replace(r"\ ", " ").replace(" ", " *"), " ".join(line.split())) is not None


def hold(promised, lines):
    """The first promised line that does not come, or None."""
    at, skipping = 0, False
    for want in promised:
        if want == "...":
            skipping = True
            continue
        found = next((i for i in range(at, len(lines)) if matches(want, lines[i])), None) if skipping else (
            at if at < len(lines) and matches(want, lines[at]) else None)
        if found is None:
            return want
        at, skipping = found + 1, False
    return None if skipping or at >= len(lines) or not promised else f"nothing more, but {lines[at]!r} came"


def run(command, promised):
    begun = time.monotonic()
    done = subprocess.run(["bash", "-c", f"set -o pipefail; {command}"], cwd=folder, env=environment, text=True,
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    seconds = time.monotonic() - begun
    lines = [line for line in done.stdout.splitlines() if line.strip()]
    print(f"{seconds:6.1f} s  {command}", flush=True)
    missing = hold(promised, lines) if done.returncode == 0 else None
    if done.returncode != 0 or missing:
        why = f"ended with {done.returncode}" if done.returncode else f"promised: {missing}"
        sys.exit(f"{command}\n  {why}; it printed:\n{done.stdout}")


commands = 0
for language, block in re.findall(r"^```(\w+)\n(.*?)^```$", text, re.S | re.M):
    lines = block.splitlines()
    if lines and lines[0].startswith("# file: "):
        (folder / lines[0].removeprefix("# file: ")).write_text("\n".join(lines[1:]) + "\n", encoding="utf-8")
    elif language == "console":
        starts = [i for i, line in enumerate(lines) if line.startswith("$ ")] + [len(lines)]
        if not starts or starts[0] != 0:
            sys.exit(f"a block begins without a command: {lines[:1]}")
        for start, end in zip(starts, starts[1:]):
            run(lines[start][2:], [line for line in lines[start + 1:end] if line.strip()])
            commands += 1
if commands < 10:
    sys.exit(f"only {commands} commands were found in {page}")
shutil.rmtree(tools)
if len(sys.argv) <= 4:
    shutil.rmtree(folder)
print(f"{commands} commands of {page} do what they promise")
