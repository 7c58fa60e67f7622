// Functions of one, two and three numbers. The codes are those of src/cuda/elementwise.rs.

DEVICE T NAME(sigmoid)(T x) {
    // Neither branch overflows.
    if (x >= 0) return 1 / (1 + exp(-x));
    T e = exp(x);
    return e / (1 + e);
}

KERNEL(NAME(unary), u32 n, u32 function, T p, T q, const T *x, T *y) {
    const T root_half = (T)0.70710678118654752440;
    EACH(i, n) {
        T v = x[i];
        switch (function) {
        case 0: v = v * p + q; break;
        case 1: v = v * v; break;
        case 2: v = sqrt(v); break;
        case 3: v = 1 / v; break;
        case 4: v = v == 0 ? (T)0 : 1 / v; break;
        case 5: v = exp(v); break;
        case 6: v = log(v); break;
        case 7: v = tanh(v); break;
        case 8: v = NAME(sigmoid)(v); break;
        // p: where softplus is the identity.
        case 9: v = v > p ? v : log1p(exp(v)); break;
        case 10: v = v > p ? (T)1 : NAME(sigmoid)(v); break;
        case 11: v = (T)0.5 * (1 + erf(v * root_half)); break;
        case 12: v = v * ((T)0.5 * (1 + erf(v * root_half))); break;
        case 13: v = fabs(v); break;
        case 14: v = v > 0 ? (T)1 : v < 0 ? (T)-1 : (T)0; break;
        // A NaN stays a NaN.
        case 15: v = v <= 0 ? (T)0 : v; break;
        case 16: v = v < p ? p : v > q ? q : v; break;
        case 17: v = v >= p && v <= q ? (T)1 : (T)0; break;
        // p: a constant, whatever x is.
        case 18: v = p; break;
        }
        y[i] = v;
    }
}

// y may be a.
KERNEL(NAME(binary), u32 n, u32 function, T p, T q, const T *a, const T *b, T *y) {
    EACH(i, n) {
        T v = a[i], w = b[i];
        switch (function) {
        case 0: v = v + w; break;
        case 1: v = v - w; break;
        case 2: v = v * w; break;
        case 3: v = v / w; break;
        // a where b is positive; not a product, which would make NaN of 0 · infinity.
        case 4: v = w > 0 ? v : (T)0; break;
        case 5: v = v * p + w * q; break;
        }
        y[i] = v;
    }
}

// a where b is below a bound.
KERNEL(NAME(mask_below), u32 n, T bound, const T *a, const T *b, T *y) {
    EACH(i, n) y[i] = b[i] < bound ? a[i] : (T)0;
}

// y[n,c,..] = x[n,c,..] * scale[c] + shift[c], rectified if asked.
KERNEL(NAME(channel_affine), u32 n, u32 channels, u32 area, u32 relu, const T *x, const T *scale, const T *shift, T *y) {
    EACH(i, n) {
        u32 c = i / area % channels;
        T v = x[i] * scale[c] + shift[c];
        y[i] = relu && v <= 0 ? (T)0 : v;
    }
}

// Adds a bias per channel and rectifies, in place; a null bias adds nothing.
KERNEL(NAME(bias_relu), u32 n, u32 channels, u32 area, const T *bias, u32 relu, T *y) {
    EACH(i, n) {
        T v = bias ? y[i] + bias[i / area % channels] : y[i];
        y[i] = relu && v <= 0 ? (T)0 : v;
    }
}
