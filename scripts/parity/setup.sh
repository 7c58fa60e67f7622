#!/usr/bin/env bash
# A virtual environment with PyTorch, made once. Prints its python.
set -euo pipefail
venv="${GAUNTLET_VENV:-$HOME/.cache/gauntlet-torch}"
if ! "$venv/bin/python" -c 'import torch, numpy, safetensors' 2>/dev/null; then
    python3 -m venv "$venv" >&2
    "$venv/bin/pip" install --quiet torch==2.15.0 numpy==2.4.6 safetensors==0.8.0 >&2
fi
echo "$venv/bin/python"
