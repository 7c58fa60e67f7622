// What surrounds the matrix product of a convolution. Columns are (C, KH, KW, N, OH, OW): one product for the whole batch.

struct NAME(Shape) {
    u32 n, c, h, w, kh, kw, stride, padding, oh, ow;
};

// Image (N, C, H, W) to columns: a thread per (channel, image, position), over the taps.
KERNEL(NAME(im2col), u32 count, GIVEN(NAME(Shape)) s, const T *x, T *columns) {
    EACH(i, count) {
        u32 rest = i;
        u32 ox = rest % s.ow; rest /= s.ow;
        u32 oy = rest % s.oh; rest /= s.oh;
        u32 n = rest % s.n;
        u32 c = rest / s.n;
        u32 width = s.n * s.oh * s.ow;
        const T *plane = x + ((u64)n * s.c + c) * s.h * s.w;
        T *to = columns + (u64)c * s.kh * s.kw * width + (i - c * width);
        for (u32 ky = 0; ky < s.kh; ky++) {
            // Left of 0 wraps to a large number.
            u32 iy = oy * s.stride + ky - s.padding;
            for (u32 kx = 0; kx < s.kw; kx++) {
                u32 ix = ox * s.stride + kx - s.padding;
                *to = iy < s.h && ix < s.w ? plane[iy * s.w + ix] : (T)0;
                to += width;
            }
        }
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
        u32 top = iy + s.padding, left = ix + s.padding, width = s.n * s.oh * s.ow;
        const T *from = columns + (u64)c * s.kh * s.kw * width + n * s.oh * s.ow;
        T sum = 0;
        // The taps that met this pixel are a stride apart.
        for (u32 ky = top % s.stride, oy = top / s.stride; ky < s.kh && ky <= top; ky += s.stride, oy--) {
            if (oy >= s.oh) continue;
            for (u32 kx = left % s.stride, ox = left / s.stride; kx < s.kw && kx <= left; kx += s.stride, ox--) {
                if (ox < s.ow) sum += from[(u64)(ky * s.kw + kx) * width + oy * s.ow + ox];
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
