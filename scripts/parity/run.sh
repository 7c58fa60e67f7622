#!/usr/bin/env bash
# Golden values from PyTorch in f64: `run.sh` writes tests/golden/parity, `run.sh --check` compares with what is there.
set -euo pipefail
cd "$(dirname "$0")"
python="$(bash setup.sh)"
"$python" golden.py ../../tests/golden/parity "$@"
"$python" recipes.py ../../tests/golden/parity "$@"
"$python" augmentations.py ../../tests/golden/parity "$@"
"$python" steps.py ../../tests/golden/parity "$@"
exec "$python" attack_traces.py ../../tests/golden/parity "$@"
