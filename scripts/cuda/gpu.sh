#!/usr/bin/env bash
# Everything that needs a GPU: equal numbers, speed beside PyTorch, the published CIFAR-10 epochs. Eight minutes on an H200 once
# it is built. Run it in a checkout (it builds) or in the folder that pack.sh made (it uses bin/). Writes reports/cuda/ and
# reports/<suite>/.
#
#   bash scripts/cuda/gpu.sh [--data-dir FOLDER]     FOLDER: CIFAR-10's parquet files; without it the hub is asked
#   SUITES: other suites, or parts of them (usually "rice-cifar10-5:row=pgd-10 wong-cifar10")
#
# Libraries are taken from CUDA_LIBRARIES, else from an installed PyTorch for CUDA 13, else from scripts/cuda/toolchain.sh.
set -euo pipefail
data=()
if [ "${1:-}" = --data-dir ]; then
    test -d "$2" || { echo "$2 is no folder" >&2; exit 2; }
    data=(--data-dir "$(realpath "$2")")
fi
cd "$(dirname "$0")/../.."
out=reports/cuda
mkdir -p "$out"
say() { printf '\n== %s (%ss)\n' "$*" "$SECONDS"; }

libraries="${CUDA_LIBRARIES:-$(python3 -c 'import nvidia; print(list(nvidia.__path__)[0] + "/cu13/lib")' 2>/dev/null || true)}"
if [ ! -e "$libraries/libcublas.so.13" ]; then
    variables="$(bash scripts/cuda/toolchain.sh)"
    eval "$variables"
    libraries="$CUDA_HOME/lib"
fi
# The driver's own library comes from the system: never the stubs.
export LD_LIBRARY_PATH="$libraries${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"
export CUDA_CACHE_PATH="${CUDA_CACHE_PATH:-$HOME/.cache/gauntlet-nv}"
mkdir -p "$CUDA_CACHE_PATH"

if [ -x bin/gauntlet ]; then
    gauntlet="$PWD/bin/gauntlet"
    say "every operation, recipe and attack beside the CPU"
    bin/test-gpu
    bin/test-gpu_optimisers
    bin/test-gpu_runs
else
    variables="$(bash scripts/cuda/toolchain.sh)"
    eval "$variables"
    cargo build --release --locked --features cuda --bin gauntlet
    gauntlet="${CARGO_TARGET_DIR:-$PWD/target}/release/gauntlet"
    say "every operation, recipe and attack beside the CPU"
    cargo test --release --locked --features cuda --test gpu --test gpu_optimisers --test gpu_runs
fi
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT

# Of no consequence to what is measured beside them: they run while the suites train.
derivatives() { "$gauntlet" doctor --device cuda | grep -v "^hub " > "$out/doctor.txt"; } # whose folders are nobody's business
verdicts() {
    local checkpoint="$work/model.safetensors"
    "$gauntlet" --quiet train --model lenet-small --data glyphs --epochs 4 --runs "$work/runs" --out "$checkpoint" --device cuda \
        --recipe '{ name = "pgd-at", eps = "0.1", ramp = 2.0, attack = { name = "pgd", steps = 5 } }' > /dev/null
    for attack in pgd autoattack; do
        for device in cpu cuda; do
            "$gauntlet" --quiet --json attack --checkpoint "$checkpoint" --model lenet-small --data glyphs --attack "$attack" --norm linf \
                --eps 0.1 --device "$device" > "$work/$attack-$device.json"
        done
        python3 - "$work/$attack-cpu.json" "$work/$attack-cuda.json" <<'COMPARE'
import json, re, sys
texts = [open(path).read() for path in sys.argv[1:]]
found = [[float(v) for v in re.findall(r'"robust_accuracy":\s*([0-9.]+)', text)] for text in texts]
assert found[0] and len(found[0]) == len(found[1]), texts
apart = max(abs(a - b) for a, b in zip(*found))
print(f"{sys.argv[1].split('/')[-1].split('-')[0]}: robust accuracy {found[0]} on the CPU, {found[1]} on the GPU, {100 * apart:.2f} points apart")
assert apart <= 0.002, "more than 0.2 points apart"
COMPARE
    done
}
twice() {
    for i in 1 2; do
        "$gauntlet" --quiet train --model lenet-small --data glyphs --epochs 1 --runs "$work/again$i" --recipe ce \
            --out "$work/again$i.safetensors" --device cuda --json | grep -o '"checkpoint_sha256":"[^"]*"' > "$work/sha$i"
    done
    cmp "$work/sha1" "$work/sha2" && echo "a training twice: the same weights"
}
# torch.compile takes far longer to compile than its steps to run; what it compiles is kept on disk.
compiled() {
    for model in lenet-small madry-cnn preactresnet18; do
        for recipe in ce attack; do
            for batch in 128 512; do
                echo "{\"model\": \"$model\", \"recipe\": \"$recipe\", \"batch\": $batch, \"threads\": 1, \"seconds\": 0, \"device\": \"cuda\", \"compile\": true}"
            done
        done
    done | OMP_NUM_THREADS=1 xargs -d '\n' -P 6 -n 1 python3 scripts/compare/steps.py > /dev/null 2> "$work/compile.log" || true
}

say "steps beside PyTorch"
python3 scripts/cuda/beside.py "$gauntlet" "$out" --torch eager --alternations 5 --seconds 0.1

say "published epochs; beside them every derivative, verdicts of CPU and GPU, a training twice"
compiled &
compiling=$!
(
    set -e
    derivatives
    tail -1 "$out/doctor.txt"
    verdicts
    twice
) > "$out/equality.txt" 2>&1 &
comparing=$!
for part in ${SUITES:-rice-cifar10-5:row=pgd-10 wong-cifar10}; do
    IFS=: read -r suite only <<< "$part"
    # 1: a number lies outside of what was published; the report says which.
    "$gauntlet" run "$suite" ${only:+--only "$only"} --device cuda ${data[@]+"${data[@]}"} --out "reports/$suite" || test $? = 1
    say "$suite is done"
done
failed=0
wait "$comparing" || failed=1
cat "$out/equality.txt"
wait "$compiling"
say "steps beside torch.compile"
python3 scripts/cuda/beside.py "$gauntlet" "$out" --torch compile --recipes ce attack --alternations 5 --seconds 0.1
say "done; commit reports"
exit "$failed"
