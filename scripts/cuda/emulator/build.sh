#!/usr/bin/env bash
# Builds the emulated driver into a folder for LD_LIBRARY_PATH (first argument).
set -euo pipefail
out="$(realpath -m "$1")"
cd "$(dirname "$0")"
variables="$(bash ../toolchain.sh)"
eval "$variables"
mkdir -p "$out"
# Whatever a program may have been linked with, found or not in driver.cpp, is there, under the version that the real
# library gives it.
exported() { nm -D --defined-only "$CUDA_HOME/lib/$1" | awk '$2 ~ /^[TW]$/ { sub(/@.*/, "", $3); print $3 }' | grep -E "^_*$2" | sort -u; }
: > "$out/versions"
echo 'void unexpected(const char *name);' > "$out/stubs.c"
for library in 'stubs/libcuda.so DRIVER cu[A-Z]' 'libcublas.so libcublas.so.13 cublas' 'libcublasLt.so libcublasLt.so.13 cublasLt' \
    'libcurand.so libcurand.so.10 curand' 'libcudart.so libcudart.so.13 cuda'; do
    read -r file version prefix <<< "$library"
    names="$(exported "$file" "$prefix" | { [ "$file" = libcublas.so ] && grep -v '^cublasLt' || cat; })"
    sed 's/.*/__attribute__((weak)) int &(void) { unexpected("&"); return 0; }/' <<< "$names" >> "$out/stubs.c"
    { echo "$version {"; sed 's/.*/    &;/' <<< "$names"; echo '};'; } >> "$out/versions"
done
cc -w -O1 -fPIC -c -o "$out/stubs.o" "$out/stubs.c"
# No contraction, as nvcc is told.
c++ -std=c++17 -O3 -ffp-contract=off -U_FORTIFY_SOURCE -Wall -Wno-unknown-pragmas -I. -fPIC -shared -Wl,-soname,libgauntlet-emulated.so -Wl,--version-script="$out/versions" \
    -o "$out/libgauntlet-emulated.so" driver.cpp blocks.cpp kernels.cpp "$out/stubs.o"
for library in libcuda.so.1 libcublas.so.13 libcublasLt.so.13 libcurand.so.10 libcudart.so.13; do
    ln -sf libgauntlet-emulated.so "$out/$library"
done
rm -f "$out/stubs.c" "$out/stubs.o" "$out/versions"
