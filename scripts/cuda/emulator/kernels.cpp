// The kernels that the GPU runs, compiled for the CPU.
#define EMULATED
#include "emulated.h"
using std::exp, std::log, std::sqrt, std::tanh, std::erf, std::log1p, std::fabs, std::sin, std::cos;
#include "../../../crates/autograd/cuda/kernels.cu"
