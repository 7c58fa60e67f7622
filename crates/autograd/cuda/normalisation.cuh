// Batch normalisation: one block per channel.

// y = gamma (x - mean) / sqrt(var + eps) + beta with the batch's statistics, which are kept.
KERNEL_OF_BLOCKS(NAME(batch_norm), u32 n, u32 channels, u32 area, double eps, const T *x, const T *gamma, const T *beta,
                 T *y, T *means, T *inverses) {
    __shared__ double shared[REDUCERS];
    u32 c = blockIdx.x;
    u32 count = n * area;
    double sum = 0;
    for (u32 i = threadIdx.x; i < count; i += REDUCERS) sum += x[(i / area * channels + c) * area + i % area];
    double mean = block_sum(sum, shared) / count;
    T centre = (T)mean;
    double squares = 0;
    for (u32 i = threadIdx.x; i < count; i += REDUCERS) {
        double d = x[(i / area * channels + c) * area + i % area] - centre;
        squares += d * d;
    }
    double inverse = 1 / sqrt(block_sum(squares, shared) / count + eps);
    T scale = (T)(gamma[c] * inverse);
    T shift = (T)(beta[c] - (double)scale * mean);
    for (u32 i = threadIdx.x; i < count; i += REDUCERS) {
        u32 at = (i / area * channels + c) * area + i % area;
        y[at] = x[at] * scale + shift;
    }
    if (threadIdx.x == 0) { means[c] = centre; inverses[c] = (T)inverse; }
}

// dbeta = sum g, dgamma = sum g x^, dx = gamma / sigma (g - dbeta/m - x^ dgamma/m) with x^ = (x - mean) / sigma.
KERNEL_OF_BLOCKS(NAME(batch_norm_gradients), u32 n, u32 channels, u32 area, const T *x, const T *gamma, const T *means,
                 const T *inverses, const T *g, T *dx, T *dgamma, T *dbeta) {
    __shared__ double shared[REDUCERS];
    u32 c = blockIdx.x;
    u32 count = n * area;
    T centre = means[c], scale = inverses[c];
    double sum = 0, product = 0;
    for (u32 i = threadIdx.x; i < count; i += REDUCERS) {
        u32 at = (i / area * channels + c) * area + i % area;
        sum += g[at];
        product += g[at] * ((x[at] - centre) * scale);
    }
    double total = block_sum(sum, shared);
    double totals = block_sum(product, shared);
    T across = (T)(total / count), along = (T)(totals / count), factor = (T)((double)gamma[c] * scale);
    for (u32 i = threadIdx.x; i < count; i += REDUCERS) {
        u32 at = (i / area * channels + c) * area + i % area;
        dx[at] = factor * (g[at] - across - (x[at] - centre) * scale * along);
    }
    if (threadIdx.x == 0) { dgamma[c] = (T)totals; dbeta[c] = (T)total; }
}
