// Batch normalisation: a few blocks per channel, each with its part of the images.

// Stage one of the statistics: sums of x - x0 and of its square, x0 the channel's first element: small beside the spread or not,
// nothing cancels.
KERNEL_OF_BLOCKS(NAME(batch_norm_parts), u32 n, u32 channels, u32 area, u32 parts, const T *x, double *sums) {
    __shared__ double shared[REDUCERS];
    u32 c = blockIdx.x % channels, part = blockIdx.x / channels;
    T origin = x[c * area];
    double sum = 0, squares = 0;
    EACH_OF_CHANNEL(at, c, part, parts) {
        double d = (double)x[at] - origin;
        sum += d;
        squares += d * d;
    }
    sum = block_sum(sum, shared);
    squares = block_sum(squares, shared);
    if (threadIdx.x == 0) { sums[2 * blockIdx.x] = sum; sums[2 * blockIdx.x + 1] = squares; }
}

// Both sums of a channel, in every thread.
#define TOTALS(first, second)                                                                                           \
    double first = 0, second = 0;                                                                                       \
    for (u32 p = 0; p < parts; p++) {                                                                                   \
        first += sums[2 * (p * channels + c)];                                                                          \
        second += sums[2 * (p * channels + c) + 1];                                                                     \
    }

// y = gamma (x - mean) / sqrt(var + eps) + beta with the batch's statistics, rectified if asked; beside it the mean, the
// denominator's inverse and the unbiased variance.
KERNEL_OF_BLOCKS(NAME(batch_norm), u32 n, u32 channels, u32 area, u32 parts, double eps, u32 relu, const double *sums,
                 const T *x, const T *gamma, const T *beta, T *y, T *means, T *inverses, T *variances) {
    u32 c = blockIdx.x % channels, part = blockIdx.x / channels;
    TOTALS(sum, squares)
    double count = (double)n * area;
    double offset = sum / count, spread = squares / count - offset * offset;
    double mean = x[c * area] + offset;
    if (spread < 0) spread = 0;
    double inverse = 1 / sqrt(spread + eps);
    T scale = (T)(gamma[c] * inverse);
    T shift = (T)(beta[c] - (double)scale * mean);
    EACH_OF_CHANNEL(at, c, part, parts) {
        T v = x[at] * scale + shift;
        y[at] = relu && v <= 0 ? (T)0 : v;
    }
    if (part == 0 && threadIdx.x == 0) {
        means[c] = (T)mean;
        inverses[c] = (T)inverse;
        variances[c] = (T)(spread * (count / (count - 1)));
    }
}

// scale = gamma / sqrt(var + eps), shift = beta - scale mean.
KERNEL(NAME(affine_of), u32 channels, double eps, const T *gamma, const T *beta, const T *mean, const T *var, T *scale,
       T *shift) {
    EACH(c, channels) {
        T factor = gamma[c] * (T)(1 / sqrt((double)var[c] + eps));
        scale[c] = factor;
        shift[c] = beta[c] - factor * mean[c];
    }
}

// The cotangent of what was rectified, where its output is given.
#define SLOPE(at) (!output || output[at] > 0 ? g[at] : (T)0)

// Stage one of the gradients: sums of g and of g x^ with x^ = (x - mean) / sigma.
KERNEL_OF_BLOCKS(NAME(batch_norm_gradient_parts), u32 n, u32 channels, u32 area, u32 parts, const T *x, const T *means,
                 const T *inverses, const T *g, const T *output, double *sums) {
    __shared__ double shared[REDUCERS];
    u32 c = blockIdx.x % channels, part = blockIdx.x / channels;
    T centre = means[c], scale = inverses[c];
    double sum = 0, product = 0;
    EACH_OF_CHANNEL(at, c, part, parts) {
        T slope = SLOPE(at);
        sum += slope;
        product += slope * ((x[at] - centre) * scale);
    }
    sum = block_sum(sum, shared);
    product = block_sum(product, shared);
    if (threadIdx.x == 0) { sums[2 * blockIdx.x] = sum; sums[2 * blockIdx.x + 1] = product; }
}

// dbeta = sum g, dgamma = sum g x^, dx = gamma / sigma (g - dbeta/m - x^ dgamma/m).
KERNEL_OF_BLOCKS(NAME(batch_norm_gradients), u32 n, u32 channels, u32 area, u32 parts, const double *sums, const T *x,
                 const T *gamma, const T *means, const T *inverses, const T *g, const T *output, T *dx, T *dgamma, T *dbeta) {
    u32 c = blockIdx.x % channels, part = blockIdx.x / channels;
    TOTALS(total, totals)
    double count = (double)n * area;
    T centre = means[c], scale = inverses[c];
    T across = (T)(total / count), along = (T)(totals / count), factor = (T)((double)gamma[c] * scale);
    EACH_OF_CHANNEL(at, c, part, parts) dx[at] = factor * (SLOPE(at) - across - (x[at] - centre) * scale * along);
    if (part == 0 && threadIdx.x == 0) { dgamma[c] = (T)totals; dbeta[c] = (T)total; }
}
#undef TOTALS
#undef SLOPE
