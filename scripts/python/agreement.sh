#!/usr/bin/env bash
# The package beside the official AutoAttack, in the environment that scripts/python/run.sh makes: agreement.py.
set -euo pipefail
cd "$(dirname "$0")/../.."
venv="$HOME/.cache/gauntlet-ci/python/test"
[ -x "$venv/bin/python" ] || { echo "run scripts/python/run.sh first: it builds and installs the package" >&2; exit 2; }
exec "$venv/bin/python" scripts/python/agreement.py "$@"
