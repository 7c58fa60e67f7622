#!/usr/bin/env bash
# The JSON Schemas against every suite and manifest of the repository, and against ones with mistakes: bash scripts/schema/run.sh BINARY
set -euo pipefail
here="$(cd "$(dirname "$0")" && pwd)"
venv="${GAUNTLET_SCHEMA_VENV:-$HOME/.cache/gauntlet-ci/schema}"
if ! "$venv/bin/python" -c 'import jsonschema' 2>/dev/null; then
    python3 -m venv "$venv"
    "$venv/bin/pip" install --quiet --disable-pip-version-check jsonschema==4.26.0
fi
"$venv/bin/python" "$here/check.py" "$(realpath "$1")"
