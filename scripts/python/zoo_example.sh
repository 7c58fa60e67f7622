#!/usr/bin/env bash
# RobustBench's README example with its `benchmark` replaced by the package's, in the environment that scripts/python/run.sh makes: zoo_example.py.
set -euo pipefail
cd "$(dirname "$0")/../.."
venv="$HOME/.cache/gauntlet-ci/python/test"
[ -x "$venv/bin/python" ] || { echo "run scripts/python/run.sh first: it builds and installs the package" >&2; exit 2; }
# The zoo's code comes into the environment whose packages this one sees.
bash scripts/leaderboard/setup.sh >/dev/null
exec "$venv/bin/python" -W ignore scripts/python/zoo_example.py "$@"
