#!/usr/bin/env bash
# The GPU build and everything about it that can be checked without a GPU: the kernels' PTX is current, lints, every operation,
# recipe and attack on the emulated driver beside the CPU, and what a step asks of the driver. --write renews the counts.
set -euo pipefail
cd "$(dirname "$0")/../.."
variables="$(bash scripts/cuda/toolchain.sh)"
eval "$variables"
target="${CARGO_TARGET_DIR:-$PWD/target}"
emulator="$(mktemp -d)"
trap 'rm -rf "$emulator"' EXIT

bash scripts/cuda/ptx.sh --check
bash scripts/cuda/emulator/build.sh "$emulator"
cargo clippy --release --locked --workspace --features cuda --lib --bins --test gpu --test gpu_optimisers --test gpu_runs -- -D warnings

# The program starts without a GPU only where some driver is found; the emulated one it is, for the tests and nothing else.
export CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_RUNNER="env LD_LIBRARY_PATH=$emulator"
cargo test --release --locked --features cuda --test gpu --test gpu_optimisers --test gpu_runs
# The same in fresh memory, which is NaN: what is read before it was written shows. Nothing is recorded then.
GAUNTLET_GPU_MEMORY=driver cargo test --release --locked --features cuda --test gpu --test gpu_optimisers --test gpu_runs -- \
    --skip recorded --skip interrupted --skip residual
cargo build --release --locked --features cuda --bin gauntlet --example candle_steps
cp "$target/release/gauntlet" "$emulator/gauntlet"

# Without any driver: the CPU works, the GPU is refused with a reason.
export LD_LIBRARY_PATH="$CUDA_HOME/lib:$CUDA_HOME/lib/stubs"
"$emulator/gauntlet" list models >/dev/null
"$emulator/gauntlet" --device auto list models >/dev/null
if refused="$("$emulator/gauntlet" --device cuda list models 2>&1)"; then
    echo "a GPU was opened where there is none" >&2
    exit 1
fi
grep -q 'GPU number 0 cannot be opened' <<< "$refused"
unset LD_LIBRARY_PATH

check=--check
if [ "${1:-}" = --write ]; then check=; fi
python3 scripts/cuda/launches.py "$emulator/gauntlet" "$target/release/examples/candle_steps" "$emulator" $check
