#!/usr/bin/env bash
# A CUDA toolkit from PyPI wheels, without root and without a GPU, made once. Prints the variables that a build with
# `--features cuda` needs: eval "$(bash scripts/cuda/toolchain.sh)"
set -euo pipefail
prefix="${GAUNTLET_CUDA:-$HOME/.cache/gauntlet-ci/cuda13}"
home="$prefix/nvidia/cu13"

# 13.0: the PTX of later compilers is refused by drivers of the 580 series.
if [ ! -x "$home/bin/nvcc" ] || [ ! -e "$home/lib/libcurand.so.10" ] || [ ! -e "$home/include/cublas_v2.h" ]; then
    python3 -m pip install --quiet --no-compile --upgrade --target "$prefix" \
        'cuda-toolkit[nvcc,nvvm,crt,cccl,cudart,nvrtc,cublas,curand]==13.0.2' >&2
fi
if [ ! -e "$home/lib/stubs/libcuda.so.1" ]; then
    ln -sfn lib "$home/lib64"
    # The linker looks for libX.so, wheels carry libX.so.N.
    for file in "$home"/lib/lib*.so.[0-9]*; do
        base="$(basename "$file")"
        ln -sf "$base" "$home/lib/${base%%.so.*}.so"
    done
    # No wheel carries the driver's library: one in which every function says "no device" is enough to link with.
    mkdir -p "$home/lib/stubs"
    {
        grep -hoE '\bcu[A-Z][A-Za-z0-9_]*' "$home/include/cuda.h" "$home/include/cudaTypedefs.h" | sed 's/^PFN_//' \
            | { grep -vE '_v[0-9]+0[0-9]+$' || true; } | sort -u | sed 's/.*/int &(void) { return 100; }/'
    } > "$home/lib/stubs/cuda.c"
    cc -w -O1 -fPIC -shared -Wl,-soname,libcuda.so.1 -o "$home/lib/stubs/libcuda.so" "$home/lib/stubs/cuda.c"
    ln -sf libcuda.so "$home/lib/stubs/libcuda.so.1"
fi
cat <<VARIABLES
export CUDA_HOME='$home'
export PATH='$home/bin':"\$PATH"
export CUDA_COMPUTE_CAP="\${CUDA_COMPUTE_CAP:-90}"
export CUDAFORGE_THREADS="\${CUDAFORGE_THREADS:-$(nproc)}"
VARIABLES
