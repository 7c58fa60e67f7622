#!/usr/bin/env bash
# docs/first-hour.md as a new user types it, from the built binary: bash scripts/first-hour/run.sh BINARY [FOLDER]
#
# Writes the files of the page, runs its commands in order in an empty folder, and fails where a command fails or a promised line does not
# come. `python` is one with PyTorch. FOLDER is kept; without it a temporary one is used.
set -euo pipefail
here="$(cd "$(dirname "$0")" && pwd)"
binary="$(realpath "${1:?usage: run.sh BINARY [FOLDER]}")"
torch="$(bash "$here/../parity/setup.sh")"
exec python3 "$here/transcript.py" "$here/../../docs/first-hour.md" "$binary" "$torch" ${2:+"$2"}
