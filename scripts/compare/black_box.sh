#!/usr/bin/env bash
# gauntlet's black-box attacks, and EAD, against the reference libraries', on the same weights and images; see black_box.py for
# options. Writes reports/attacks-agreement/black-box.{md,csv}.
set -euo pipefail
cd "$(dirname "$0")/../.."
python="$(bash scripts/compare/setup.sh)"
cargo build --release -p gauntlet-cli
exec "$python" scripts/compare/black_box.py "$@"
