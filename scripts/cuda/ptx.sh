#!/usr/bin/env bash
# Compiles our kernels to the PTX that the binary carries. With --check: fails if the committed PTX is another.
set -euo pipefail
cd "$(dirname "$0")/../.."
variables="$(bash scripts/cuda/toolchain.sh)"
eval "$variables"
ptx=crates/autograd/cuda/kernels.ptx
made="$(mktemp)"
# Ampere and everything newer. No contraction: a product and a sum are rounded as on the CPU.
nvcc -ptx -arch=compute_80 -O3 -std=c++17 --fmad=false -Werror all-warnings -o "$made" crates/autograd/cuda/kernels.cu
# Comments carry build numbers and dates.
sed -i -e '/^\/\//d' "$made"
if [ "${1:-}" = --check ]; then
    cmp "$made" "$ptx" || { echo "$ptx is not what nvcc makes of crates/autograd/cuda: bash scripts/cuda/ptx.sh" >&2; exit 1; }
else
    cp "$made" "$ptx"
fi
ptxas -arch=sm_90 -o /dev/null "$made"
rm -f "$made"
