#!/usr/bin/env bash
# The Python package as its users get it: a wheel, installed into an environment of its own; its types, tests, docstrings, notebooks and
# examples. Needs the Rust toolchain and Python; PyTorch is that of scripts/parity/setup.sh.
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
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
step() { printf -- '-- %s (%ss)\n' "$*" "$SECONDS"; }

# What checks, in an environment that is made once for each list of versions.
tools=(mypy==2.4.1 nbclient==0.11.0 nbformat==5.11.1 ipykernel==7.4.0 pytest==9.2.0 numpy==2.4.6 "jax[cpu]==0.10.2")
checkers="$home/tools-$(printf '%s\n' "${tools[@]}" | sha256sum | cut -c 1-12)"
if [ ! -e "$checkers/complete" ]; then
    rm -rf "$home"/tools-*
    "$torch" -m venv "$checkers"
    "$checkers/bin/pip" install --quiet "${tools[@]}"
    touch "$checkers/complete"
fi

if [ $# = 1 ]; then
    wheel="$1"
else
    step "a wheel"
    # What builds the wheel is not there where it is tested.
    if ! "$home/build/bin/maturin" --version 2>/dev/null | grep -q '1\.16\.0'; then
        python3 -m venv "$home/build"
        "$home/build/bin/pip" install --quiet maturin==1.16.0
    fi
    # Functions that are alike are kept once: the linker of the toolchain does that, another one might not know how.
    "$home/build/bin/maturin" build --release --locked --quiet --compression-level 9 --manifest-path python/Cargo.toml --out "$work" \
        -- -C link-arg=-Wl,--icf=all
    wheel="$(echo "$work"/*.whl)"
fi
size="$(stat -c %s "$wheel")"
echo "$(basename "$wheel"): $size bytes"
test "$size" -le 20000000 || { echo "a wheel has 20,000,000 bytes at most: python/Cargo.toml says what is built for size" >&2; exit 1; }

rm -rf "$venv"
"$torch" -m venv "$venv"
purelib='import sysconfig; print(sysconfig.get_path("purelib"))'
# PyTorch and the checkers are not installed once more; they come behind what is installed here, so that this wheel is what is found.
printf '%s\n' "$("$checkers/bin/python" -c "$purelib")" "$("$torch" -c "$purelib")" > "$("$venv/bin/python" -c "$purelib")/others.pth"
"$venv/bin/pip" install --quiet --no-deps "$wheel"

# From another folder: what is tested is the wheel and not this checkout.
cp python/tests/*.py python/examples/*.py python/notebooks/*.ipynb scripts/python/notebooks.py python/pyproject.toml "$work"
cd "$work"
python="$venv/bin/python"
export OMP_NUM_THREADS=1

step "types"
"$python" -m mypy --config-file pyproject.toml -p gauntlet
"$python" -m mypy --config-file pyproject.toml test_typed.py
"$python" -m mypy.stubtest --mypy-config-file pyproject.toml gauntlet._native

step "tests"
"$python" -m pytest --quiet -p no:cacheprovider .

step "examples of docstrings"
(mkdir docstrings && cd docstrings && "$python" -m pytest --quiet -p no:cacheprovider --doctest-modules --pyargs gauntlet)

step "notebooks"
"$python" notebooks.py ./*.ipynb

step "an example"
"$python" two_lines.py
step "done"
