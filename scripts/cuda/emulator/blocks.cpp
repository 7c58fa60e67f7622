// Threads of a block take turns between barriers, each on a stack of its own.
#include "emulated.h"
#include <csetjmp>
#include <vector>

dim3 threadIdx, blockIdx, blockDim, gridDim;

namespace {
constexpr size_t STACK = 64 << 10;
struct Thread {
    jmp_buf here;
    std::vector<char> stack;
    bool started, done;
};
std::vector<Thread> threads;
jmp_buf scheduler;
ucontext_t never;
size_t running;
const Kernel *kernel;
void **arguments;

void body() {
    kernel->call(arguments);
    threads[running].done = true;
    _longjmp(scheduler, 1);
}

// To a thread of the block and back: a jump, since switching contexts asks the kernel every time.
void go(Thread &thread) {
    if (_setjmp(scheduler)) return;
    if (thread.started) _longjmp(thread.here, 1);
    thread.started = true;
    ucontext_t first;
    getcontext(&first);
    first.uc_stack.ss_sp = thread.stack.data();
    first.uc_stack.ss_size = thread.stack.size();
    first.uc_link = &never;
    makecontext(&first, body, 0);
    setcontext(&first);
}
} // namespace

void barrier() {
    if (!_setjmp(threads[running].here)) _longjmp(scheduler, 1);
}

void run(const Kernel &what, dim3 grid, dim3 block, void **with) {
    gridDim = grid;
    blockDim = block;
    for (unsigned b = 0; b < grid.x; b++) {
        blockIdx = {b, 0, 0};
        if (!what.blocks) {
            for (unsigned t = 0; t < block.x; t++) {
                threadIdx = {t, 0, 0};
                what.call(with);
            }
            continue;
        }
        kernel = &what;
        arguments = with;
        if (threads.size() < block.x) threads.resize(block.x);
        for (unsigned t = 0; t < block.x; t++) {
            Thread &thread = threads[t];
            thread.stack.resize(STACK);
            thread.started = thread.done = false;
        }
        for (bool left = true; left;) {
            left = false;
            for (running = 0; running < block.x; running++) {
                if (threads[running].done) continue;
                threadIdx = {(unsigned)running, 0, 0};
                go(threads[running]);
                left = left || !threads[running].done;
            }
        }
    }
}
