#!/usr/bin/env bash
# AutoAttack from end to end beside the official code, where attacks.sh does not go; see end_to_end.py for options.
# Writes reports/attacks-agreement/end-to-end*.
set -euo pipefail
cd "$(dirname "$0")/../.."
python="$(bash scripts/compare/setup.sh)"
cargo build --release --locked --bin gauntlet --example attack_noisy_model
exec "$python" scripts/compare/end_to_end.py "$@"
