"""Runs notebooks from top to bottom, each in a folder of its own; what a cell raises ends it with the cell and the error.

    python notebooks.py NOTEBOOK...
"""

import pathlib
import sys
import tempfile
import time

import nbformat
from nbclient import NotebookClient

for path in map(pathlib.Path, sys.argv[1:]):
    begun = time.monotonic()
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    kept = [cell for cell in notebook.cells if cell.cell_type == "code" and (cell.outputs or cell.execution_count)]
    assert not kept, f"{path.name} is committed with outputs: clear them"
    with tempfile.TemporaryDirectory() as folder:
        NotebookClient(notebook, timeout=300, kernel_name="python3", resources={"metadata": {"path": folder}}).execute()
    print(f"{path.name}: {time.monotonic() - begun:.1f} s")
