#!/usr/bin/env bash
# Which entries of RobustBench's CIFAR dictionaries load here, with the logits of PyTorch: writes docs/leaderboard-architectures.md.
# `run.sh PATTERN` looks at the entries whose name contains PATTERN only and writes nothing.
set -euo pipefail
cd "$(dirname "$0")"
python="$(bash setup.sh)"
if [ -z "${SAME_LOGITS:-}" ]; then
    cargo build --release -p gauntlet --example same_logits
    SAME_LOGITS="$(cargo metadata --format-version 1 --no-deps | "$python" -c 'import json, sys; print(json.load(sys.stdin)["target_directory"])')/release/examples/same_logits"
fi
exec "$python" -W ignore zoo.py "$SAME_LOGITS" ../../docs/leaderboard-architectures.md "$@"
