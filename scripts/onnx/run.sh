#!/usr/bin/env bash
# Exports networks with both of PyTorch's exporters and compares what gauntlet makes of the files with ONNX Runtime (logits) and
# PyTorch (input gradients). Arguments: names of networks; none: all. Prints a table, exits 1 where something is off.
set -euo pipefail
cd "$(dirname "$0")/../.."
python=$(bash scripts/parity/setup.sh)
if ! "$python" -c 'import onnx, onnxscript, onnxruntime' 2>/dev/null; then
    "$(dirname "$python")/pip" install --quiet onnx==1.23.2 onnxscript==0.7.2 onnxruntime==1.32.0 >&2
fi
cargo build --release -p gauntlet-onnx --example onnx_logits >&2
target="${CARGO_TARGET_DIR:-target}"
"$python" scripts/onnx/compare.py "$target/release/examples/onnx_logits" "$@"
