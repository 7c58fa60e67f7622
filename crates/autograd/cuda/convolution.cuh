// What surrounds the matrix product of a convolution. Columns are (C, KH, KW, N, OH, OW): one product for the whole batch.

struct NAME(Shape) {
    u32 n, c, h, w, kh, kw, stride, padding, oh, ow;
};

// Image (N, C, H, W) to columns.
KERNEL(NAME(im2col), u32 count, GIVEN(NAME(Shape)) s, const T *x, T *columns) {
    EACH(i, count) {
        u32 rest = i;
        u32 ox = rest % s.ow; rest /= s.ow;
        u32 oy = rest % s.oh; rest /= s.oh;
        u32 n = rest % s.n; rest /= s.n;
        u32 kx = rest % s.kw; rest /= s.kw;
        u32 ky = rest % s.kh;
        u32 c = rest / s.kh;
        // Left of 0 wraps to a large number.
        u32 iy = oy * s.stride + ky - s.padding, ix = ox * s.stride + kx - s.padding;
        columns[i] = iy < s.h && ix < s.w ? x[(((u64)n * s.c + c) * s.h + iy) * s.w + ix] : (T)0;
    }
}

// Columns back to the image: every pixel adds up what was taken from it, always in the same order.
KERNEL(NAME(col2im), u32 count, GIVEN(NAME(Shape)) s, const T *columns, T *x) {
    EACH(i, count) {
        u32 rest = i;
        u32 ix = rest % s.w; rest /= s.w;
        u32 iy = rest % s.h; rest /= s.h;
        u32 c = rest % s.c;
        u32 n = rest / s.c;
        T sum = 0;
        for (u32 ky = 0; ky < s.kh; ky++) {
            u32 y = iy + s.padding - ky;
            if (y % s.stride != 0 || y / s.stride >= s.oh || iy + s.padding < ky) continue;
            for (u32 kx = 0; kx < s.kw; kx++) {
                u32 z = ix + s.padding - kx;
                if (z % s.stride != 0 || z / s.stride >= s.ow || ix + s.padding < kx) continue;
                u32 row = (c * s.kh + ky) * s.kw + kx;
                sum += columns[((row * s.n + n) * s.oh + y / s.stride) * s.ow + z / s.stride];
            }
        }
        x[i] = sum;
    }
}

// (O, N, area) of the product to (N, O, area), with bias and rectifier.
KERNEL(NAME(conv_result), u32 count, u32 n, u32 o, u32 area, const T *x, const T *bias, u32 relu, T *y) {
    EACH(i, count) {
        u32 p = i % area, c = i / area % o, image = i / area / o;
        T v = x[(c * n + image) * area + p];
        if (bias) v += bias[c];
        y[i] = relu && v <= 0 ? (T)0 : v;
    }
}
