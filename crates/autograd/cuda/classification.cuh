// Logits and labels: one thread per row. A label that is no class makes the value NaN: it must show.

DEVICE void NAME(normaliser)(const T *row, u32 k, T *largest, T *logarithm) {
    T max = row[0];
    for (u32 j = 1; j < k; j++) max = row[j] > max ? row[j] : max;
    T sum = 0;
    for (u32 j = 0; j < k; j++) sum += exp(row[j] - max);
    *largest = max;
    *logarithm = log(sum);
}

KERNEL(NAME(log_softmax), u32 rows, u32 k, const T *x, T *y) {
    EACH(row, rows) {
        T max, logarithm;
        NAME(normaliser)(x + row * k, k, &max, &logarithm);
        for (u32 j = 0; j < k; j++) y[row * k + j] = x[row * k + j] - max - logarithm;
    }
}

KERNEL(NAME(gather_labels), u32 rows, u32 k, const T *x, const u32 *labels, T *y) {
    EACH(row, rows) y[row] = labels[row] < k ? x[row * k + labels[row]] : (T)(0.0 / 0.0);
}

KERNEL(NAME(scatter_labels), u32 rows, u32 k, const T *x, const u32 *labels, T *y) {
    EACH(i, rows * k) {
        u32 label = labels[i / k];
        y[i] = label >= k ? (T)(0.0 / 0.0) : i % k == label ? x[i / k] : (T)0;
    }
}

KERNEL(NAME(cross_entropy), u32 rows, u32 k, const T *z, const u32 *labels, T *y) {
    EACH(row, rows) {
        T max, logarithm;
        NAME(normaliser)(z + row * k, k, &max, &logarithm);
        y[row] = labels[row] < k ? -((z[row * k + labels[row]] - max) - logarithm) : (T)(0.0 / 0.0);
    }
}

// (softmax(z) - onehot(y)) g; all ones where g is null.
KERNEL(NAME(cross_entropy_slope), u32 rows, u32 k, const T *z, const u32 *labels, const T *g, T *y) {
    EACH(row, rows) {
        T max, logarithm, weight = g ? g[row] : (T)1;
        NAME(normaliser)(z + row * k, k, &max, &logarithm);
        for (u32 j = 0; j < k; j++) {
            T p = exp((z[row * k + j] - max) - logarithm);
            // A difference, not minus the sum of the others: a saturated row's gradient is exactly zero.
            y[row * k + j] = labels[row] < k ? weight * (j == labels[row] ? p - 1 : p) : (T)(0.0 / 0.0);
        }
    }
}

// The column of the largest entry of every row, the first of equal ones; the label's own is left out where there are labels.
KERNEL_OF_BLOCKS(NAME(best_column), u32 rows, u32 width, const T *x, const u32 *labels, u32 *y) {
    __shared__ double best[REDUCERS];
    __shared__ u32 column[REDUCERS];
    for (u32 row = blockIdx.x; row < rows; row += gridDim.x) {
        u32 skipped = labels ? labels[row] : width, own = width;
        T found = 0;
        for (u32 i = threadIdx.x; i < width; i += REDUCERS) {
            T v = x[row * width + i];
            if (i != skipped && (own == width || v > found)) { found = v; own = i; }
        }
        __syncthreads();
        best[threadIdx.x] = found;
        column[threadIdx.x] = own;
        __syncthreads();
        for (u32 half = REDUCERS / 2; half > 0; half /= 2) {
            if (threadIdx.x < half) {
                u32 mine = column[threadIdx.x], other = column[threadIdx.x + half];
                double a = best[threadIdx.x], b = best[threadIdx.x + half];
                if (other < width && (mine == width || b > a || (b == a && other < mine))) {
                    best[threadIdx.x] = b;
                    column[threadIdx.x] = other;
                }
            }
            __syncthreads();
        }
        if (threadIdx.x == 0) y[row] = column[0] < width ? column[0] : 0;
    }
}

// 1 in the column of a row, 0 elsewhere.
KERNEL(NAME(one_hot), u32 n, u32 width, const u32 *columns, T *y) {
    EACH(i, n) y[i] = i % width == columns[i / width] ? (T)1 : (T)0;
}
