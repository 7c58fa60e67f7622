#!/usr/bin/env bash
# Builds for a GPU machine and packs what it needs there into one file (first argument, default gauntlet-cuda.tar.xz): the
# program, the GPU tests, the suites and the scripts. That machine needs a driver of the 580 series or newer and CUDA 13.0's
# cuBLAS, cuRAND and runtime (those of a PyTorch for CUDA 13 will do), no compiler and no Rust.
set -euo pipefail
out="$(realpath -m "${1:-gauntlet-cuda.tar.xz}")"
cd "$(dirname "$0")/../.."
variables="$(bash scripts/cuda/toolchain.sh)"
eval "$variables"
made="$(mktemp -d)"
trap 'rm -rf "$made"' EXIT
cargo build --release --locked --features cuda --bin gauntlet
target="${CARGO_TARGET_DIR:-$PWD/target}"
mkdir -p "$made/gauntlet/bin"
cp "$target/release/gauntlet" "$made/gauntlet/bin/"
for test in gpu gpu_optimisers gpu_runs; do
    built="$(cargo test --release --locked --features cuda --test "$test" --no-run --message-format=json 2>/dev/null \
        | python3 -c 'import json, sys
for line in sys.stdin:
    found = json.loads(line)
    if found.get("executable") and found["target"]["name"] == sys.argv[1]:
        print(found["executable"])' "$test")"
    cp "$built" "$made/gauntlet/bin/test-$test"
done
strip "$made/gauntlet/bin/"*
changed="$(git status --porcelain --untracked-files=no)"
echo "$(git rev-parse HEAD)${changed:+-dirty}" > "$made/gauntlet/commit"
cp -r suites scripts Cargo.toml "$made/gauntlet/"
tar -C "$made" -cf - gauntlet | xz -T1 --lzma2=preset=1,dict=384MiB > "$out"
ls -l "$out"
