// Every kernel, once for f32 and once for f64. `bash scripts/cuda/ptx.sh` makes kernels.ptx of it.
#include "gpu.cuh"
#include "philox.cuh"
#include "layout.cuh"

#define T float
#define NAME(kernel) kernel##_f32
#include "all.cuh"
#include "winograd.cuh"
#undef T
#undef NAME

#define T double
#define NAME(kernel) kernel##_f64
#include "all.cuh"
#undef T
#undef NAME
