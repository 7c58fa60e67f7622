#!/usr/bin/env bash
# gauntlet against PyTorch, step by step; see run.py for options. Writes reports/performance/.
set -euo pipefail
cd "$(dirname "$0")/../.."
python="$(bash scripts/parity/setup.sh)"
cargo build --release
exec "$python" scripts/compare/run.py "$@"
