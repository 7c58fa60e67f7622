// Batch normalisation: a few blocks per channel, each with its part of the images; planes are read four numbers at a time where
// that is possible.

// Calls a body for four and for one.
#define BY_WIDTH(a, b, c, call)                                                                                         \
    if (by_four(area, a, b, c)) { constexpr int W = 4; call; } else { constexpr int W = 1; call; }

// Sums of x - origin and of its square over a part of a channel.
template <int W>
DEVICE void deviations(u32 n, u32 channels, u32 area, u32 c, u32 part, u32 parts, const T *x, T origin, double *sum, double *squares) {
    EACH_OF_CHANNEL(at, W, c, part, parts) {
        Wide<T, W> v = wide<W>(x + at);
#pragma unroll
        for (int k = 0; k < W; k++) {
            double d = (double)v.at[k] - origin;
            *sum += d;
            *squares += d * d;
        }
    }
}

// Stage one of the statistics: sums of x - x0 and of its square, x0 the channel's first element: whether the mean is small beside
// the spread or not, nothing cancels.
KERNEL_OF_BLOCKS(NAME(batch_norm_parts), u32 n, u32 channels, u32 area, u32 parts, const T *x, double *sums) {
    __shared__ double shared[REDUCERS];
    u32 c = blockIdx.x % channels, part = blockIdx.x / channels;
    double sum = 0, squares = 0;
    BY_WIDTH(x, x, x, deviations<W>(n, channels, area, c, part, parts, x, x[c * area], &sum, &squares))
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

// y = scale x + shift over a part of a channel, rectified if asked.
template <int W>
DEVICE void scaled(u32 n, u32 channels, u32 area, u32 c, u32 part, u32 parts, const T *x, T scale, T shift, u32 relu, T *y) {
    EACH_OF_CHANNEL(at, W, c, part, parts) {
        Wide<T, W> v = wide<W>(x + at);
#pragma unroll
        for (int k = 0; k < W; k++) {
            T moved = v.at[k] * scale + shift;
            v.at[k] = relu && moved <= 0 ? (T)0 : moved;
        }
        *(Wide<T, W> *)(y + at) = v;
    }
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
    BY_WIDTH(x, y, y, scaled<W>(n, channels, area, c, part, parts, x, scale, shift, relu, y))
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

// The cotangent at some places, of what was rectified where its output is given.
template <int W> DEVICE Wide<T, W> slope(const T *g, const T *output, u32 at) {
    Wide<T, W> v = wide<W>(g + at);
    if (output) {
        Wide<T, W> y = wide<W>(output + at);
#pragma unroll
        for (int k = 0; k < W; k++) if (!(y.at[k] > 0)) v.at[k] = 0;
    }
    return v;
}

// Sums of g and of g x^ over a part of a channel, x^ = (x - mean) / sigma.
template <int W>
DEVICE void slopes(u32 n, u32 channels, u32 area, u32 c, u32 part, u32 parts, const T *x, T centre, T scale, const T *g, const T *output,
                   double *sum, double *product) {
    EACH_OF_CHANNEL(at, W, c, part, parts) {
        Wide<T, W> v = wide<W>(x + at), d = slope<W>(g, output, at);
#pragma unroll
        for (int k = 0; k < W; k++) {
            *sum += d.at[k];
            *product += d.at[k] * ((v.at[k] - centre) * scale);
        }
    }
}

// Stage one of the gradients.
KERNEL_OF_BLOCKS(NAME(batch_norm_gradient_parts), u32 n, u32 channels, u32 area, u32 parts, const T *x, const T *means,
                 const T *inverses, const T *g, const T *output, double *sums) {
    __shared__ double shared[REDUCERS];
    u32 c = blockIdx.x % channels, part = blockIdx.x / channels;
    T centre = means[c], scale = inverses[c];
    double sum = 0, product = 0;
    BY_WIDTH(x, g, output, slopes<W>(n, channels, area, c, part, parts, x, centre, scale, g, output, &sum, &product))
    sum = block_sum(sum, shared);
    product = block_sum(product, shared);
    if (threadIdx.x == 0) { sums[2 * blockIdx.x] = sum; sums[2 * blockIdx.x + 1] = product; }
}

// dx = factor (g - across - x^ along) over a part of a channel.
template <int W>
DEVICE void pulled(u32 n, u32 channels, u32 area, u32 c, u32 part, u32 parts, const T *x, T centre, T scale, const T *g, const T *output,
                   T factor, T across, T along, T *dx) {
    EACH_OF_CHANNEL(at, W, c, part, parts) {
        Wide<T, W> v = wide<W>(x + at), d = slope<W>(g, output, at);
#pragma unroll
        for (int k = 0; k < W; k++) d.at[k] = factor * (d.at[k] - across - (v.at[k] - centre) * scale * along);
        *(Wide<T, W> *)(dx + at) = d;
    }
}

// dbeta = sum g, dgamma = sum g x^, dx = gamma / sigma (g - dbeta/m - x^ dgamma/m).
KERNEL_OF_BLOCKS(NAME(batch_norm_gradients), u32 n, u32 channels, u32 area, u32 parts, const double *sums, const T *x,
                 const T *gamma, const T *means, const T *inverses, const T *g, const T *output, T *dx, T *dgamma, T *dbeta) {
    u32 c = blockIdx.x % channels, part = blockIdx.x / channels;
    TOTALS(total, totals)
    double count = (double)n * area;
    T centre = means[c], scale = inverses[c];
    T across = (T)(total / count), along = (T)(totals / count), factor = (T)((double)gamma[c] * scale);
    BY_WIDTH(x, g, (const void *)((u64)output | (u64)dx),
             pulled<W>(n, channels, area, c, part, parts, x, centre, scale, g, output, factor, across, along, dx))
    if (part == 0 && threadIdx.x == 0) { dgamma[c] = (T)totals; dbeta[c] = (T)total; }
}
#undef TOTALS
#undef BY_WIDTH
