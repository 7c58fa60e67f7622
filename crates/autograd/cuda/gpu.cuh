// What every kernel needs. Compiled by nvcc for the GPU, and by an ordinary C++ compiler for the emulated driver of
// scripts/cuda (which defines EMULATED and brings threads, barriers and the registration of kernels).
#pragma once

typedef unsigned int u32;
typedef unsigned long long u64;
typedef unsigned char u8;

#ifdef EMULATED
#include "emulated.h"
#else
#define KERNEL(name, ...) extern "C" __global__ void name(__VA_ARGS__)
// A kernel whose threads wait for each other.
#define KERNEL_OF_BLOCKS(name, ...) KERNEL(name, __VA_ARGS__)
#define DEVICE static __device__ __forceinline__
// A structure as a kernel's argument: read where it lies, not copied by every thread that takes its address.
#define GIVEN(type) const __grid_constant__ type
// a * b + c rounded once, where a sum of many products is the GPU's own affair as in cuBLAS.
#define FMA(a, b, c) fma(a, b, c)
#endif

// Elements of a grid-stride loop: any grid covers any n. Tensors have at most 2^31 elements, so that 32 bits count them.
#define EACH(i, n) for (u32 i = blockIdx.x * blockDim.x + threadIdx.x; i < (n); i += gridDim.x * blockDim.x)

// Threads of a block that reduces; a power of two.
#define REDUCERS 256

// Places `at` of channel c of (n, channels, area) in part `part` of `parts` of the images, W side by side per thread, a block's
// threads side by side; without a division per element.
#define EACH_OF_CHANNEL(at, W, c, part, parts)                                                                          \
    for (u32 quads_ = area / (W), image_ = (u32)((u64)(part) * n / (parts)) + threadIdx.x / quads_,                     \
             place_ = threadIdx.x % quads_, last_ = (u32)((u64)((part) + 1) * n / (parts)), at;                         \
         image_ < last_ && ((at = (image_ * channels + (c)) * area + place_ * (W)), true);                              \
         place_ += REDUCERS % quads_, image_ += REDUCERS / quads_ + (place_ >= quads_),                                 \
             place_ -= place_ >= quads_ ? quads_ : 0)

// Numbers side by side, read and written at once.
template <typename Number, int W> struct alignas(W * sizeof(Number)) Wide {
    Number at[W];
};
template <int W, typename Number> DEVICE Wide<Number, W> wide(const Number *from) { return *(const Wide<Number, W> *)from; }

// Whether planes can be read four at a time.
DEVICE bool by_four(u32 area, const void *a, const void *b, const void *c) {
    return area % 4 == 0 && ((u64)a | (u64)b | (u64)c) % 32 == 0;
}

// Sum over the block, for every thread. Always added in the same order.
DEVICE double block_sum(double value, double *shared) {
    __syncthreads();
    shared[threadIdx.x] = value;
    __syncthreads();
    for (u32 half = REDUCERS / 2; half > 0; half /= 2) {
        if (threadIdx.x < half) shared[threadIdx.x] += shared[threadIdx.x + half];
        __syncthreads();
    }
    return shared[0];
}

// Largest value over the block, for every thread; a NaN is larger than anything.
DEVICE double block_largest(double value, double *shared) {
    __syncthreads();
    shared[threadIdx.x] = value;
    __syncthreads();
    for (u32 half = REDUCERS / 2; half > 0; half /= 2) {
        if (threadIdx.x < half) {
            double other = shared[threadIdx.x + half];
            if (other > shared[threadIdx.x] || other != other) shared[threadIdx.x] = other;
        }
        __syncthreads();
    }
    return shared[0];
}
