// What surrounds the matrix product of a convolution. Columns are (taps, N, OH, OW), one product for the whole batch, or
// (N, taps, OH, OW), one product per image; taps are (C, KH, KW). `tap` and `image` say how far apart those are.

struct NAME(Shape) {
    u32 n, c, h, w, kh, kw, stride, padding, oh, ow, tap, image;
};

// Image (N, C, H, W) to columns: a thread per (channel, image, position), over the taps.
KERNEL(NAME(im2col), u32 count, GIVEN(NAME(Shape)) s, const T *x, T *columns) {
    EACH(i, count) {
        u32 rest = i;
        u32 ox = rest % s.ow; rest /= s.ow;
        u32 oy = rest % s.oh; rest /= s.oh;
        u32 n = rest % s.n;
        u32 c = rest / s.n;
        const T *plane = x + ((u64)n * s.c + c) * s.h * s.w;
        T *to = columns + (u64)c * s.kh * s.kw * s.tap + (u64)n * s.image + oy * s.ow + ox;
        for (u32 ky = 0; ky < s.kh; ky++) {
            // Left of 0 wraps to a large number.
            u32 iy = oy * s.stride + ky - s.padding;
            for (u32 kx = 0; kx < s.kw; kx++) {
                u32 ix = ox * s.stride + kx - s.padding;
                *to = iy < s.h && ix < s.w ? plane[iy * s.w + ix] : (T)0;
                to += s.tap;
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
        u32 top = iy + s.padding, left = ix + s.padding;
        const T *from = columns + (u64)c * s.kh * s.kw * s.tap + (u64)n * s.image;
        T sum = 0;
        // The taps that met this pixel are a stride apart.
        for (u32 ky = top % s.stride, oy = top / s.stride; ky < s.kh && ky <= top; ky += s.stride, oy--) {
            if (oy >= s.oh) continue;
            for (u32 kx = left % s.stride, ox = left / s.stride; kx < s.kw && kx <= left; kx += s.stride, ox--) {
                if (ox < s.ow) sum += from[(u64)(ky * s.kw + kx) * s.tap + oy * s.ow + ox];
            }
        }
        x[i] = sum;
    }
}

#ifndef FEW
// Taps up to which a thread keeps all its pixels (`FEW` in convolution.rs), and kernels whose weights a block keeps.
#define FEW 32
#define KERNELS 64
#endif

// A convolution of few taps, as the first of a network is: a thread per position goes over the kernels. Bias and rectifier too.
KERNEL_OF_BLOCKS(NAME(conv_few), GIVEN(NAME(Shape)) s, u32 o, const T *x, const T *w, const T *bias, u32 relu, T *y) {
    __shared__ Wide<T, 4> weights[KERNELS * FEW / 4];
    __shared__ u32 places[FEW];
    u32 area = s.oh * s.ow, taps = s.c * s.kh * s.kw;
    u32 i = blockIdx.x * REDUCERS + threadIdx.x;
    bool mine = i < s.n * area;
    u32 n = i / area, p = i % area;
    u32 top = p / s.ow * s.stride - s.padding, left = p % s.ow * s.stride - s.padding;
    if (threadIdx.x < FEW) {
        u32 t = threadIdx.x;
        places[t] = t < taps ? t / (s.kh * s.kw) << 16 | t / s.kw % s.kh << 8 | t % s.kw : 0;
    }
    __syncthreads();
    T pixels[FEW];
#pragma unroll
    for (u32 t = 0; t < FEW; t++) {
        u32 place = places[t];
        // Above 0 wraps to a large number.
        u32 iy = top + (place >> 8 & 255), ix = left + (place & 255);
        bool inside = mine && t < taps && iy < s.h && ix < s.w;
        pixels[t] = inside ? x[(((u64)n * s.c + (place >> 16)) * s.h + iy) * s.w + ix] : (T)0;
    }
    for (u32 first = 0; first < o; first += KERNELS) {
        u32 now = o - first < KERNELS ? o - first : KERNELS;
        __syncthreads();
        for (u32 j = threadIdx.x; j < now * FEW; j += REDUCERS) {
            u32 t = j % FEW;
            ((T *)weights)[j] = t < taps ? w[(first + j / FEW) * taps + t] : (T)0;
        }
        __syncthreads();
        for (u32 r = 0; r < now && mine; r++) {
            T sum = 0;
#pragma unroll
            for (u32 t = 0; t < FEW; t += 4) {
                Wide<T, 4> four = weights[(r * FEW + t) / 4];
#pragma unroll
                for (u32 k = 0; k < 4; k++) sum = FMA(four.at[k], pixels[t + k], sum);
            }
            if (bias) sum += bias[first + r];
            y[((u64)n * o + first + r) * area + p] = relu && sum <= 0 ? (T)0 : sum;
        }
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
