// Steps of attacks that run on the device from start to end, and the draws they begin with.

DEVICE T NAME(clamped)(T x, T low, T high) { return x < low ? low : x > high ? high : x; }

// y = box(ball(x + alpha sign(g))), in L-infinity. A zero or NaN entry of the gradient moves nothing.
KERNEL(NAME(step_linf), u32 n, T alpha, T eps, T low, T high, const T *x, const T *x0, const T *g, T *y) {
    EACH(i, n) {
        T up = g[i] > 0 ? alpha : (T)0, down = g[i] < 0 ? alpha : (T)0;
        T v = NAME(clamped)(x[i] + up - down, x0[i] - eps, x0[i] + eps);
        y[i] = NAME(clamped)(v, low, high);
    }
}

// y = box(ball(x + alpha g / |g|)), in L2: one block per row. A row without a usable gradient stays.
KERNEL_OF_BLOCKS(NAME(step_l2), u32 rows, u32 width, double alpha, double eps, T low, T high, const T *x, const T *x0,
                 const T *g, T *y) {
    __shared__ double shared[REDUCERS];
    for (u32 row = blockIdx.x; row < rows; row += gridDim.x) {
        u32 at = row * width;
        double squares = 0;
        for (u32 i = threadIdx.x; i < width; i += REDUCERS) squares += (double)g[at + i] * g[at + i];
        double length = sqrt(block_sum(squares, shared));
        // NaN and infinity fail the comparison.
        bool moves = length > 0 && length <= 1.7976931348623157e308;
        double away = 0;
        for (u32 i = threadIdx.x; i < width; i += REDUCERS) {
            T v = moves ? (T)(x[at + i] + alpha * (g[at + i] / length)) : x[at + i];
            y[at + i] = v;
            double d = (double)v - x0[at + i];
            away += d * d;
        }
        double size = sqrt(block_sum(away, shared));
        for (u32 i = threadIdx.x; i < width; i += REDUCERS) {
            T v = y[at + i];
            if (size > eps) v = (T)(x0[at + i] + ((double)v - x0[at + i]) * (eps / size));
            y[at + i] = NAME(clamped)(v, low, high);
        }
    }
}

// Number j of a row's stream: kind 0, low + (high - low) U(0,1); kind 1, N(0,1) by Box-Muller. One pair per block of Philox.
DEVICE double NAME(drawn)(u32 kind, u64 id, u32 j, u32 k0, u32 k1, u32 epoch, u32 step, double low, double high) {
    u32 block[4] = {(u32)id, epoch, step, (u32)(j / 2)};
    philox(block, k0, k1 ^ (u32)(id >> 32) * 0x85EBCA6Bu);
    double first = ((u64)(block[0] >> 5) << 26 | block[1] >> 6) * (1.0 / 9007199254740992.0);
    double second = ((u64)(block[2] >> 5) << 26 | block[3] >> 6) * (1.0 / 9007199254740992.0);
    if (kind == 0) return low + (high - low) * (j % 2 == 0 ? first : second);
    double radius = sqrt(-2.0 * log(1.0 - first)), angle = 6.283185307179586476925286766559 * second;
    return radius * (j % 2 == 0 ? cos(angle) : sin(angle));
}

KERNEL(NAME(draw), u32 n, u32 width, u32 kind, u32 k0, u32 k1, u32 epoch, u32 step, double low, double high, const u64 *ids,
       T *y) {
    EACH(i, n) y[i] = (T)NAME(drawn)(kind, ids[i / width], i % width, k0, k1, epoch, step, low, high);
}

// y = box(ball(x0 + (2U - 1) eps)), in L-infinity.
KERNEL(NAME(start_linf), u32 n, u32 width, u32 k0, u32 k1, u32 epoch, u32 step, double eps, T low, T high, const u64 *ids,
       const T *x0, T *y) {
    EACH(i, n) {
        double u = NAME(drawn)(0, ids[i / width], i % width, k0, k1, epoch, step, 0, 1);
        T v = (T)((double)x0[i] + (2.0 * u - 1.0) * eps), near = (T)eps;
        y[i] = NAME(clamped)(NAME(clamped)(v, x0[i] - near, x0[i] + near), low, high);
    }
}
