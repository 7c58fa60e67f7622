#!/usr/bin/env bash
# gauntlet's attacks against the reference libraries', on the same weights and images; see attacks.py for options.
# Writes reports/performance/attacks.{md,csv} and reports/attacks-agreement/.
set -euo pipefail
cd "$(dirname "$0")/../.."
python="$(bash scripts/compare/setup.sh)"
cargo build --release
exec "$python" scripts/compare/attacks.py "$@"
