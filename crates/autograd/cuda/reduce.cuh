// Sums, taken in f64 and in an order that depends on shapes only.

// (rows, width) to (rows,): one block per row.
KERNEL_OF_BLOCKS(NAME(sum_rows), u32 rows, u32 width, const T *x, T *y) {
    __shared__ double shared[REDUCERS];
    for (u32 row = blockIdx.x; row < rows; row += gridDim.x) {
        double sum = 0;
        for (u32 i = threadIdx.x; i < width; i += REDUCERS) sum += x[row * width + i];
        sum = block_sum(sum, shared);
        if (threadIdx.x == 0) y[row] = (T)sum;
    }
}

// Short rows: one thread per row.
KERNEL(NAME(sum_short_rows), u32 rows, u32 width, const T *x, T *y) {
    EACH(row, rows) {
        double sum = 0;
        for (u32 i = 0; i < width; i++) sum += x[row * width + i];
        y[row] = (T)sum;
    }
}

// Stage one of a sum over everything: a part per block.
KERNEL_OF_BLOCKS(NAME(sum_parts), u32 n, u32 chunk, const T *x, double *parts) {
    __shared__ double shared[REDUCERS];
    u32 start = blockIdx.x * chunk, end = start + chunk < n ? start + chunk : n;
    double sum = 0;
    for (u32 i = start + threadIdx.x; i < end; i += REDUCERS) sum += x[i];
    sum = block_sum(sum, shared);
    if (threadIdx.x == 0) parts[blockIdx.x] = sum;
}

// Stage two: one block.
KERNEL_OF_BLOCKS(NAME(sum_of_parts), u32 count, const double *parts, T *y) {
    __shared__ double shared[REDUCERS];
    double sum = 0;
    for (u32 i = threadIdx.x; i < count; i += REDUCERS) sum += parts[i];
    sum = block_sum(sum, shared);
    if (threadIdx.x == 0) y[0] = (T)sum;
}

// Stage one of (n, channels, area) to (channels,): a part of the images per block.
KERNEL_OF_BLOCKS(NAME(channel_parts), u32 n, u32 channels, u32 area, u32 parts, const T *x, double *sums) {
    __shared__ double shared[REDUCERS];
    u32 c = blockIdx.x % channels, part = blockIdx.x / channels;
    double sum = 0;
    if (by_four(area, x, x, x)) {
        EACH_OF_CHANNEL(at, 4, c, part, parts) {
            Wide<T, 4> v = wide<4>(x + at);
            sum += ((double)v.at[0] + v.at[1]) + ((double)v.at[2] + v.at[3]);
        }
    } else {
        EACH_OF_CHANNEL(at, 1, c, part, parts) sum += x[at];
    }
    sum = block_sum(sum, shared);
    if (threadIdx.x == 0) sums[blockIdx.x] = sum;
}

// Stage two: a thread per channel.
KERNEL(NAME(sum_of_channel_parts), u32 channels, u32 parts, const double *sums, T *y) {
    EACH(c, channels) {
        double sum = 0;
        for (u32 part = 0; part < parts; part++) sum += sums[part * channels + c];
        y[c] = (T)sum;
    }
}

// Both stages in one, where one part is all there is.
KERNEL_OF_BLOCKS(NAME(sum_channels), u32 n, u32 channels, u32 area, const T *x, T *y) {
    __shared__ double shared[REDUCERS];
    u32 c = blockIdx.x;
    double sum = 0;
    EACH_OF_CHANNEL(at, 1, c, 0, 1) sum += x[at];
    sum = block_sum(sum, shared);
    if (threadIdx.x == 0) y[c] = (T)sum;
}

// max |x| of every row; as a factor 1/max, 0 where it is negligible, if asked.
KERNEL_OF_BLOCKS(NAME(largest_rows), u32 rows, u32 width, u32 factor, double negligible, const T *x, T *y) {
    __shared__ double shared[REDUCERS];
    for (u32 row = blockIdx.x; row < rows; row += gridDim.x) {
        double largest = 0;
        for (u32 i = threadIdx.x; i < width; i += REDUCERS) {
            double size = fabs((double)x[row * width + i]);
            if (size > largest || size != size) largest = size;
        }
        largest = block_largest(largest, shared);
        if (threadIdx.x == 0) y[row] = (T)(!factor ? largest : largest < negligible ? 0 : 1 / largest);
    }
}

// The sums of `parts`, `count` elements each, in place of the first.
KERNEL(NAME(fold), u32 count, u32 parts, T *u) {
    EACH(i, count) {
        double sum = 0;
        for (u32 part = 0; part < parts; part++) sum += u[part * count + i];
        u[i] = (T)sum;
    }
}
