#!/usr/bin/env bash
# The Python package as its users get it: a wheel, installed into an environment of its own, its tests and its example. Needs the
# Rust toolchain and Python; PyTorch is that of scripts/parity/setup.sh.
#
#     scripts/python/run.sh [WHEEL]       # without one, it is built
set -euo pipefail
cd "$(dirname "$0")/../.."
torch="$(bash scripts/parity/setup.sh)"
# What PyTorch exports with, in the versions of scripts/onnx.
if ! "$torch" -c 'import onnx, onnxscript' 2>/dev/null; then
    "$(dirname "$torch")/pip" install --quiet onnx==1.23.2 onnxscript==0.7.2
fi
home="$HOME/.cache/gauntlet-ci/python"
venv="$home/test"
wheels="$(mktemp -d)"
trap 'rm -rf "$wheels"' EXIT

if [ $# = 1 ]; then
    wheel=("$1")
else
    # What builds the wheel is not there where it is tested.
    if ! "$home/build/bin/maturin" --version 2>/dev/null | grep -q '1\.16\.0'; then
        python3 -m venv "$home/build"
        "$home/build/bin/pip" install --quiet maturin==1.16.0
    fi
    "$home/build/bin/maturin" build --release --locked --quiet --manifest-path python/Cargo.toml --out "$wheels"
    wheel=("$wheels"/*.whl)
fi
# Half of what PyPI takes.
test "$(stat -c %s "${wheel[0]}")" -lt 50000000

rm -rf "$venv"
"$torch" -m venv "$venv"
"$venv/bin/python" - "$("$torch" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')" <<'PYTHON'
import pathlib, sys, sysconfig
# PyTorch is not installed once more; behind what is installed here, so that this wheel is what is found.
pathlib.Path(sysconfig.get_path("purelib"), "torch.pth").write_text(sys.argv[1] + "\n")
PYTHON
"$venv/bin/pip" install --quiet --no-deps "${wheel[0]}"
"$venv/bin/pip" install --quiet pytest==9.2.0

# From another folder: what is tested is the wheel and not this checkout.
tests="$(mktemp -d)"
trap 'rm -rf "$wheels" "$tests"' EXIT
cp python/tests/*.py python/examples/*.py "$tests"
(
    cd "$tests"
    export OMP_NUM_THREADS=1
    "$venv/bin/python" -m pytest --quiet -p no:cacheprovider .
    "$venv/bin/python" two_lines.py
)
