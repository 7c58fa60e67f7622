// Our kernels on the CPU, one thread of the GPU after the other: what crates/autograd/cuda needs in place of nvcc.
#pragma once
#include <cmath>
#include <cstddef>
#include <tuple>
#include <ucontext.h>
#include <utility>

struct dim3 {
    unsigned x, y, z;
};
extern dim3 threadIdx, blockIdx, blockDim, gridDim;

// Hands the processor to the block's next thread; returns when all have arrived.
void barrier();
#define __syncthreads() barrier()
// Blocks run one after the other, so one copy serves them all.
#define __shared__ static
#define DEVICE static inline
#define GIVEN(type) const type
// Rounded twice: the processor at hand may have nothing better.
#define FMA(a, b, c) ((a) * (b) + (c))

// A kernel by name: how to call it with the driver's array of argument addresses, and how large each argument is.
struct Kernel {
    const char *name;
    void (*call)(void **arguments);
    const size_t *sizes;
    size_t count;
    bool blocks;
};
void remember(const Kernel &kernel);

template <auto function> struct Caller;
template <typename... Arguments, void (*function)(Arguments...)> struct Caller<function> {
    static constexpr size_t sizes[sizeof...(Arguments)] = {sizeof(Arguments)...};
    template <size_t... i> static void each(void **arguments, std::index_sequence<i...>) {
        function(*static_cast<std::tuple_element_t<i, std::tuple<Arguments...>> *>(arguments[i])...);
    }
    static void call(void **arguments) { each(arguments, std::index_sequence_for<Arguments...>()); }
};

struct Remembered {
    template <size_t n>
    Remembered(const char *name, void (*call)(void **), const size_t (&sizes)[n], bool blocks) {
        remember({name, call, sizes, n, blocks});
    }
};

#define KERNEL_AS(blocks, name, ...)                                                                                    \
    static void name(__VA_ARGS__);                                                                                      \
    static Remembered remembered_##name(#name, &Caller<&name>::call, Caller<&name>::sizes, blocks);                     \
    static void name(__VA_ARGS__)
#define KERNEL_NAMED(blocks, name, ...) KERNEL_AS(blocks, name, __VA_ARGS__)
#define KERNEL(name, ...) KERNEL_NAMED(false, name, __VA_ARGS__)
#define KERNEL_OF_BLOCKS(name, ...) KERNEL_NAMED(true, name, __VA_ARGS__)
