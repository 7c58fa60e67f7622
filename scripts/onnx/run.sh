#!/usr/bin/env bash
# Exports networks with both of PyTorch's exporters and compares what gauntlet makes of the files with ONNX Runtime (logits) and
# PyTorch (input gradients); then writes built-in networks as ONNX files and lets ONNX Runtime compute them. Arguments: names of networks;
# none: all; --short: a few small ones, in two minutes. Prints tables, exits 1 where something is off.
set -euo pipefail
cd "$(dirname "$0")/../.."
python=$(bash scripts/parity/setup.sh)
if ! "$python" -c 'import onnx, onnxscript, onnxruntime' 2>/dev/null; then
    "$(dirname "$python")/pip" install --quiet onnx==1.23.2 onnxscript==0.7.2 onnxruntime==1.32.0 >&2
fi
cargo build --release --locked -p gauntlet-onnx --example onnx_logits >&2
cargo build --release --locked -p gauntlet-cli >&2
target="${CARGO_TARGET_DIR:-target}/release"
if [ "${1:-}" = --short ]; then
    set -- SHORT
fi
"$python" scripts/onnx/compare.py "$target/examples/onnx_logits" "$@"
"$python" scripts/onnx/export.py "$target/gauntlet" "$target/examples/onnx_logits"
