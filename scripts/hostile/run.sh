#!/usr/bin/env bash
# Files made to do harm, and what the binary makes of them: bash scripts/hostile/run.sh [--long] [--seed N] BINARY
#
# Prints a table of tried and survived by kind; survived: a documented exit code within 20 s of the CPU and 2 GB. Ends with 1 if anything did not.
# The short form takes a minute, the long one (thousands of files) an hour.
set -euo pipefail
exec python3 "$(dirname "$0")/hostile.py" "$@"
