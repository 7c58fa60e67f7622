// A CUDA driver and cuBLAS without a GPU: memory is the host's, streams run at once, our kernels run as compiled for the
// CPU, products are three loops, graphs are lists of what to do again. Every call is counted.
//
// GAUNTLET_GPU_COUNTS=FILE: counts are written there when the process ends, as JSON.
// GAUNTLET_GPU_IDLE=1: kernels do nothing, also those that are not ours; only counts mean something then.
#include "emulated.h"
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <malloc.h>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

void run(const Kernel &what, dim3 grid, dim3 block, void **with);

namespace {
typedef uint64_t Address;
enum { SUCCESS = 0, INVALID = 1, OUT_OF_MEMORY = 2, NOT_FOUND = 500, NOT_PERMITTED = 800 };

// Built on first use: kernels are remembered, and calls counted, before main.
struct State {
    std::recursive_mutex lock;
    std::map<std::string, Kernel> kernels;
    std::map<std::string, long> counts;
    std::map<Address, size_t> memory;
    size_t bytes = 0, peak = 0;
    bool idle = getenv("GAUNTLET_GPU_IDLE") != nullptr;
    State() {
        // Buffers come and go: their pages stay.
        mallopt(M_MMAP_THRESHOLD, 1 << 30);
        mallopt(M_TRIM_THRESHOLD, 1 << 30);
        atexit(report);
    }
    static void report();
};
State &state() {
    static State *state = new State;
    return *state;
}
void State::report() {
    const char *path = getenv("GAUNTLET_GPU_COUNTS");
    if (!path) return;
    FILE *file = fopen(path, "w");
    if (!file) return;
    fprintf(file, "{\n");
    State &s = state();
    for (auto &[name, count] : s.counts) fprintf(file, "  \"%s\": %ld,\n", name.c_str(), count);
    fprintf(file, "  \"bytes at the end\": %zu,\n  \"peak bytes\": %zu\n}\n", s.bytes, s.peak);
    fclose(file);
}
void count(const std::string &what) {
    std::lock_guard guard(state().lock);
    state().counts[what]++;
}

struct Function {
    std::string name;
    const Kernel *kernel;
};
// Kinds of nodes as the driver numbers them.
enum { KERNEL_NODE = 0, COPY_NODE = 1, MEMSET_NODE = 2 };
struct Graph {
    std::vector<std::function<void()>> work;
    std::vector<int> kinds;
    std::vector<Address> memory;
};
Graph *capturing = nullptr;
void *captured = nullptr; // the stream

// Now, or whenever the graph is launched.
int submit(void *stream, std::function<void()> work, int kind = KERNEL_NODE) {
    {
        std::lock_guard guard(state().lock);
        if (capturing && stream == captured) {
            capturing->work.push_back(std::move(work));
            capturing->kinds.push_back(kind);
            return SUCCESS;
        }
    }
    work();
    return SUCCESS;
}
// In the order of a stream, so part of a graph if that one is captured, or at once.
int allocate(Address *address, size_t size, const void *stream) {
    std::lock_guard guard(state().lock);
    count("allocate");
    if (size == 0) return INVALID;
    void *memory = malloc(size);
    if (!memory) return OUT_OF_MEMORY;
    // NaN, whatever the width: what is read before it was written shows.
    State &s = state();
    if (!s.idle) memset(memory, 0xFF, size);
    *address = (Address)memory;
    s.memory[*address] = size;
    s.bytes += size;
    if (s.bytes > s.peak) s.peak = s.bytes;
    if (capturing && stream == captured) capturing->memory.push_back(*address);
    return SUCCESS;
}
int release(Address address) {
    std::lock_guard guard(state().lock);
    count("free");
    auto found = state().memory.find(address);
    if (found == state().memory.end()) return INVALID;
    if (capturing) {
        for (Address own : capturing->memory)
            if (own == address) return SUCCESS; // The graph's until it is destroyed.
    }
    state().bytes -= found->second;
    state().memory.erase(found);
    free((void *)address);
    return SUCCESS;
}
// Factors of a product of f32 lose 13 bits, the nearest kept.
bool tf32 = false;
inline double factor(float value, bool rounded) {
    if (!rounded) return value;
    uint32_t bits;
    memcpy(&bits, &value, 4);
    bits = (bits + 0x0FFF + (bits >> 13 & 1)) & ~0x1FFFu;
    memcpy(&value, &bits, 4);
    return value;
}
inline double factor(double value, bool) { return value; }
thread_local void *current = nullptr;
char context, event, pool, generator;
} // namespace

void remember(const Kernel &kernel) { state().kernels[kernel.name] = kernel; }

extern "C" {
void unexpected(const char *name) {
    std::lock_guard guard(state().lock);
    count(std::string("other ") + name);
}

int cuInit(unsigned) { return SUCCESS; }
int cuDriverGetVersion(int *version) { return *version = 13000, SUCCESS; }
int cuDeviceGetCount(int *n) { return *n = 1, SUCCESS; }
int cuDeviceGet(int *device, int ordinal) { return *device = ordinal, ordinal == 0 ? SUCCESS : 101; }
int cuDeviceGetName(char *name, int length, int) { return snprintf(name, length, "emulated GPU"), SUCCESS; }
int cuDeviceGetAttribute(int *value, int attribute, int) {
    // Compute capability 9.0, 132 multiprocessors, memory pools.
    *value = attribute == 75 ? 9 : attribute == 76 ? 0 : attribute == 16 ? 132 : attribute == 115 ? 1 : 1024;
    return SUCCESS;
}
int cuDevicePrimaryCtxRetain(void **out, int) { return *out = &context, SUCCESS; }
int cuDevicePrimaryCtxRelease_v2(int) { return SUCCESS; }
int cuCtxSetCurrent(void *c) { return current = c, SUCCESS; }
int cuCtxGetDevice(int *device) { return *device = 0, SUCCESS; }
int cuCtxGetCurrent(void **c) { return *c = current, SUCCESS; }
int cuCtxSynchronize() { return count("synchronise"), SUCCESS; }
int cuDeviceGetDefaultMemPool(void **out, int) { return *out = &pool, SUCCESS; }
int cuMemPoolSetAttribute(void *, int, void *) { return SUCCESS; }
int cuGetErrorName(int code, const char **name) {
    *name = code == NOT_FOUND ? "CUDA_ERROR_NOT_FOUND" : code == INVALID ? "CUDA_ERROR_INVALID_VALUE" : "CUDA_ERROR";
    return SUCCESS;
}
int cuGetErrorString(int code, const char **text) {
    *text = code == NOT_FOUND ? "the emulated GPU has no such kernel" : "the emulated GPU refused";
    return SUCCESS;
}

int cuStreamCreate(void **out, unsigned) { return *out = new char, SUCCESS; }
int cuStreamDestroy_v2(void *) { return SUCCESS; }
int cuStreamSynchronize(void *stream) {
    std::lock_guard guard(state().lock);
    count("synchronise");
    return capturing && stream == captured ? NOT_PERMITTED : SUCCESS;
}
int cuEventCreate(void **out, unsigned) { return count("event create"), *out = &event, SUCCESS; }
int cuEventRecord(void *, void *) { return count("event record"), SUCCESS; }
int cuEventDestroy_v2(void *) { return SUCCESS; }
int cuEventSynchronize(void *) { return count("synchronise"), SUCCESS; }
int cuStreamWaitEvent(void *, void *, unsigned) { return count("event wait"), SUCCESS; }

int cuMemAllocAsync(Address *address, size_t size, void *stream) { return allocate(address, size, stream); }
int cuMemAllocFromPoolAsync(Address *address, size_t size, void *, void *stream) { return allocate(address, size, stream); }
int cuMemAlloc_v2(Address *address, size_t size) { return allocate(address, size, nullptr); }
int cuMemFreeAsync(Address address, void *) { return release(address); }
int cuMemFree_v2(Address address) { return release(address); }
int cuMemsetD8Async(Address to, unsigned char value, size_t n, void *stream) {
    count("memset");
    return submit(stream, [=] { memset((void *)to, value, n); }, MEMSET_NODE);
}
int cuMemcpyHtoDAsync_v2(Address to, const void *from, size_t n, void *stream) {
    count("upload");
    // What is captured reads the host's memory when it runs, not now: the driver allows it.
    return submit(stream, [=] { memcpy((void *)to, from, n); }, COPY_NODE);
}
int cuMemcpyHtoD_v2(Address to, const void *from, size_t n) { return cuMemcpyHtoDAsync_v2(to, from, n, nullptr); }
int cuMemcpyDtoHAsync_v2(void *to, Address from, size_t n, void *stream) {
    count("download");
    {
        std::lock_guard guard(state().lock);
        if (capturing && stream == captured) return NOT_PERMITTED;
    }
    memcpy(to, (void *)from, n);
    return SUCCESS;
}
int cuMemcpyDtoH_v2(void *to, Address from, size_t n) { return cuMemcpyDtoHAsync_v2(to, from, n, nullptr); }
int cuMemcpyDtoDAsync_v2(Address to, Address from, size_t n, void *stream) {
    count("copy on the device");
    return submit(stream, [=] { memmove((void *)to, (void *)from, n); }, COPY_NODE);
}

int cuModuleLoadData(void **module, const void *) { return count("module"), *module = &context, SUCCESS; }
int cuModuleLoadDataEx(void **module, const void *, unsigned, void *, void *) { return count("module"), *module = &context, SUCCESS; }
int cuModuleUnload(void *) { return SUCCESS; }
int cuModuleGetFunction(void **function, void *, const char *name) {
    std::lock_guard guard(state().lock);
    auto found = state().kernels.find(name);
    if (found == state().kernels.end() && !state().idle) {
        fprintf(stderr, "the emulated GPU has no kernel %s\n", name);
        return NOT_FOUND;
    }
    *function = new Function{name, found == state().kernels.end() ? nullptr : &found->second};
    return SUCCESS;
}
int cuFuncSetAttribute(void *, int, int) { return SUCCESS; }
int cuLaunchKernel(void *handle, unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by, unsigned bz, unsigned, void *stream,
                   void **arguments, void **) {
    std::lock_guard guard(state().lock);
    const Function &function = *(Function *)handle;
    count("launch");
    count("launch " + function.name);
    if (gx == 0 || gy == 0 || gz == 0 || bx * by * bz == 0 || bx * by * bz > 1024) return INVALID;
    if (state().idle) return SUCCESS;
    const Kernel &kernel = *function.kernel;
    // By value, as the driver takes them: a graph may run long after.
    auto kept = std::make_shared<std::vector<std::vector<char>>>();
    for (size_t i = 0; i < kernel.count; i++) {
        const char *from = (const char *)arguments[i];
        kept->emplace_back(from, from + kernel.sizes[i]);
    }
    return submit(stream, [&kernel, kept, gx, bx] {
        std::vector<void *> arguments;
        for (auto &value : *kept) arguments.push_back(value.data());
        run(kernel, {gx, 1, 1}, {bx, 1, 1}, arguments.data());
    });
}

int cuStreamIsCapturing(void *stream, int *status) {
    std::lock_guard guard(state().lock);
    return *status = capturing && stream == captured ? 1 : 0, SUCCESS;
}
int cuStreamBeginCapture_v2(void *stream, int) {
    std::lock_guard guard(state().lock);
    if (capturing) return NOT_PERMITTED;
    capturing = new Graph;
    captured = stream;
    return count("capture"), SUCCESS;
}
int cuStreamEndCapture(void *, void **graph) {
    std::lock_guard guard(state().lock);
    *graph = capturing;
    capturing = nullptr;
    return SUCCESS;
}
int cuGraphInstantiateWithFlags(void **executable, void *graph, unsigned long long) { return *executable = graph, SUCCESS; }
int cuGraphLaunch(void *executable, void *) {
    std::lock_guard guard(state().lock);
    count("graph launch");
    for (auto &work : ((Graph *)executable)->work) work();
    return SUCCESS;
}
int cuGraphGetNodes(void *handle, void **nodes, size_t *count) {
    Graph *graph = (Graph *)handle;
    if (nodes) for (size_t i = 0; i < *count; i++) nodes[i] = &graph->kinds[i];
    return *count = graph->kinds.size(), SUCCESS;
}
int cuGraphNodeGetType(void *node, int *kind) { return *kind = *(int *)node, SUCCESS; }
int cuGraphUpload(void *, void *) { return SUCCESS; }
int cuGraphExecDestroy(void *) { return SUCCESS; }
int cuGraphDestroy(void *handle) {
    Graph *graph = (Graph *)handle;
    for (Address address : graph->memory) release(address);
    delete graph;
    return SUCCESS;
}

// A handle is where its stream is written.
int cublasCreate_v2(void **handle) { return *handle = new void *(nullptr), SUCCESS; }
int cublasDestroy_v2(void *) { return SUCCESS; }
int cublasSetStream_v2(void *handle, void *stream) { return *(void **)handle = stream, SUCCESS; }
int cublasSetMathMode(void *, int mode) { return tf32 = mode == 3, SUCCESS; }
int cublasSetWorkspace_v2(void *, void *, size_t) { return SUCCESS; }
int cublasGetMathMode(void *, int *mode) { return *mode = tf32 ? 3 : 0, SUCCESS; }
int curandCreateGenerator(void **handle, int) { return *handle = &generator, SUCCESS; }
int curandSetPseudoRandomGeneratorSeed(void *, unsigned long long) { return SUCCESS; }
int curandSetStream(void *, void *) { return SUCCESS; }
int curandDestroyGenerator(void *) { return SUCCESS; }
void **__cudaRegisterFatBinary(void *) {
    static void *handle;
    return &handle;
}
}

template <typename T>
static void multiply(int ta, int tb, int m, int n, int k, T scale, const T *a, int lda, const T *b, int ldb, T onto, T *c, int ldc, bool rounded,
                     std::vector<double> &sums, std::vector<double> &column) {
    for (int j = 0; j < n; j++) {
        for (int l = 0; l < k; l++) column[l] = factor(b[tb ? (size_t)l * ldb + j : (size_t)j * ldb + l], rounded);
        sums.assign(m, 0);
        if (ta) {
            for (int i = 0; i < m; i++) {
                const T *row = a + (size_t)i * lda;
                for (int l = 0; l < k; l++) sums[i] += factor(row[l], rounded) * column[l];
            }
        } else {
            for (int l = 0; l < k; l++) {
                const T *row = a + (size_t)l * lda;
                for (int i = 0; i < m; i++) sums[i] += factor(row[i], rounded) * column[l];
            }
        }
        T *to = c + (size_t)j * ldc;
        for (int i = 0; i < m; i++) to[i] = onto == 0 ? (T)(scale * sums[i]) : (T)(scale * sums[i] + onto * to[i]);
    }
}
// Columns first, as cuBLAS counts; sums in f64. `times` products, so far apart.
struct Steps {
    int times;
    long long a, b, c;
};
template <typename T>
static int gemm(void *handle, int ta, int tb, int m, int n, int k, const T *alpha, const T *a, int lda, const T *b, int ldb, const T *beta, T *c, int ldc,
                Steps steps = {1, 0, 0, 0}) {
    count("gemm");
    if (state().idle) return SUCCESS;
    if (lda < (ta ? k : m) || ldb < (tb ? n : k) || ldc < m) return 7;
    T scale = *alpha, onto = *beta;
    bool rounded = tf32;
    return submit(*(void **)handle, [=] {
        std::vector<double> sums(m), column(k);
        for (int i = 0; i < steps.times; i++) {
            multiply(ta, tb, m, n, k, scale, a + i * steps.a, lda, b + i * steps.b, ldb, onto, c + i * steps.c, ldc, rounded, sums, column);
        }
    });
}
extern "C" {
int cublasSgemm_v2(void *handle, int ta, int tb, int m, int n, int k, const float *alpha, const float *a, int lda, const float *b, int ldb,
                   const float *beta, float *c, int ldc) {
    return gemm(handle, ta, tb, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc);
}
int cublasDgemm_v2(void *handle, int ta, int tb, int m, int n, int k, const double *alpha, const double *a, int lda, const double *b, int ldb,
                   const double *beta, double *c, int ldc) {
    return gemm(handle, ta, tb, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc);
}
int cublasSgemmStridedBatched(void *handle, int ta, int tb, int m, int n, int k, const float *alpha, const float *a, int lda, long long a_step,
                              const float *b, int ldb, long long b_step, const float *beta, float *c, int ldc, long long c_step, int times) {
    return gemm(handle, ta, tb, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc, {times, a_step, b_step, c_step});
}
int cublasDgemmStridedBatched(void *handle, int ta, int tb, int m, int n, int k, const double *alpha, const double *a, int lda, long long a_step,
                              const double *b, int ldb, long long b_step, const double *beta, double *c, int ldc, long long c_step, int times) {
    return gemm(handle, ta, tb, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc, {times, a_step, b_step, c_step});
}
int cublasGemmEx(...) { return count("gemm"), state().idle ? SUCCESS : NOT_FOUND; }
int cublasGemmStridedBatchedEx(...) { return count("gemm"), state().idle ? SUCCESS : NOT_FOUND; }
}
