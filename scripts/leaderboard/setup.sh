#!/usr/bin/env bash
# The environment of ../parity with RobustBench's model zoo and what its modules import, from PyPI. Prints its python.
set -euo pipefail
python="$(bash "$(dirname "$0")/../parity/setup.sh")"
if ! "$python" -c 'import importlib.util as u, sys; sys.exit(not all(map(u.find_spec, ["robustbench", "timm", "yaml", "bs4"])))' \
    2>/dev/null; then
    "$python" -m pip install --quiet setuptools==80.9.0 PyYAML==6.0.4 pandas==3.1.1 huggingface_hub==2.4.0 \
        beautifulsoup4==4.15.0 Jinja2==3.1.6 >&2
    # Without what they ask for: their pins are older than the PyTorch that is here.
    "$python" -m pip install --quiet --no-deps robustbench==1.1.1 timm==1.0.9 torchdiffeq==0.2.5 geotorch==0.4.0 gdown==5.1.0 >&2
fi
echo "$python"
