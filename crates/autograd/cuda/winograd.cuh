// Convolutions of stride 1 with fewer multiplications, for f32: F(4x4, 3x3) and F(2x2, 5x5) of Winograd 1980 and Lavin & Gray
// 2016, the forms of the CPU (winograd.rs). A tile of M x M outputs reads 6 x 6 pixels; in the basis of the interpolation
// points 0, +-1, +-2 and infinity the convolution is a product per position, over channels a matrix product: 36 of them.
// Every direction is made of three maps and their transposes: pixels (B), outputs (A), weights (G).
// Positions lie outermost: (part, position, channels, tiles of the part's images), so that threads write side by side.

// B^T d: pixels to the product basis.
DEVICE void to_basis(const T (&d)[6], T (&v)[6]) {
    v[0] = 4 * d[0] - 5 * d[2] + d[4];
    v[1] = (d[4] - 4 * d[2]) + (d[3] - 4 * d[1]);
    v[2] = (d[4] - 4 * d[2]) - (d[3] - 4 * d[1]);
    v[3] = (d[4] - d[2]) + 2 * (d[3] - d[1]);
    v[4] = (d[4] - d[2]) - 2 * (d[3] - d[1]);
    v[5] = 4 * d[1] - 5 * d[3] + d[5];
}
// A^T m: products to outputs.
DEVICE void to_outputs(const T (&m)[6], T (&y)[4]) {
    y[0] = m[0] + (m[1] + m[2]) + (m[3] + m[4]);
    y[1] = (m[1] - m[2]) + 2 * (m[3] - m[4]);
    y[2] = (m[1] + m[2]) + 4 * (m[3] + m[4]);
    y[3] = (m[1] - m[2]) + 8 * (m[3] - m[4]) + m[5];
}
DEVICE void to_outputs(const T (&m)[6], T (&y)[2]) {
    y[0] = m[0] + (m[1] + m[2]) + (m[3] + m[4]);
    y[1] = (m[1] - m[2]) + 2 * (m[3] - m[4]) + m[5];
}
// A y: the transpose.
DEVICE void of_outputs(const T (&y)[4], T (&m)[6]) {
    m[0] = y[0];
    m[1] = (y[0] + y[2]) + (y[1] + y[3]);
    m[2] = (y[0] + y[2]) - (y[1] + y[3]);
    m[3] = (y[0] + 4 * y[2]) + (2 * y[1] + 8 * y[3]);
    m[4] = (y[0] + 4 * y[2]) - (2 * y[1] + 8 * y[3]);
    m[5] = y[3];
}
DEVICE void of_outputs(const T (&y)[2], T (&m)[6]) {
    m[0] = y[0];
    m[1] = y[0] + y[1];
    m[2] = y[0] - y[1];
    m[3] = y[0] + 2 * y[1];
    m[4] = y[0] - 2 * y[1];
    m[5] = y[1];
}
// G w: weights to the product basis.
DEVICE void of_weights(const T (&w)[3], T (&u)[6]) {
    const T sixth = (T)(1.0 / 6), twelfth = (T)(1.0 / 12), share = (T)(1.0 / 24);
    u[0] = w[0] / 4;
    u[1] = -sixth * (w[0] + w[2]) - sixth * w[1];
    u[2] = -sixth * (w[0] + w[2]) + sixth * w[1];
    u[3] = (share * w[0] + sixth * w[2]) + twelfth * w[1];
    u[4] = (share * w[0] + sixth * w[2]) - twelfth * w[1];
    u[5] = w[2];
}
DEVICE void of_weights(const T (&w)[5], T (&u)[6]) {
    const T sixth = (T)(1.0 / 6), twelfth = (T)(1.0 / 12), share = (T)(1.0 / 24);
    T even = w[0] + w[2] + w[4], odd = w[1] + w[3];
    T far = share * w[0] + sixth * w[2] + 4 * sixth * w[4], away = twelfth * w[1] + 4 * twelfth * w[3];
    u[0] = w[0] / 4;
    u[1] = -sixth * even - sixth * odd;
    u[2] = -sixth * even + sixth * odd;
    u[3] = far + away;
    u[4] = far - away;
    u[5] = w[4];
}
// G^T u: the transpose.
DEVICE void to_weights(const T (&u)[6], T (&w)[3]) {
    const T sixth = (T)(1.0 / 6), twelfth = (T)(1.0 / 12), share = (T)(1.0 / 24);
    w[0] = u[0] / 4 - sixth * (u[1] + u[2]) + share * (u[3] + u[4]);
    w[1] = sixth * (u[2] - u[1]) + twelfth * (u[3] - u[4]);
    w[2] = sixth * ((u[3] + u[4]) - (u[1] + u[2])) + u[5];
}
DEVICE void to_weights(const T (&u)[6], T (&w)[5]) {
    const T sixth = (T)(1.0 / 6), twelfth = (T)(1.0 / 12), share = (T)(1.0 / 24);
    w[0] = u[0] / 4 - sixth * (u[1] + u[2]) + share * (u[3] + u[4]);
    w[1] = sixth * (u[2] - u[1]) + twelfth * (u[3] - u[4]);
    w[2] = sixth * ((u[3] + u[4]) - (u[1] + u[2]));
    w[3] = sixth * (u[2] - u[1]) + 4 * twelfth * (u[3] - u[4]);
    w[4] = 4 * sixth * (u[3] + u[4]) - sixth * (u[1] + u[2]) + u[5];
}

// Tiles of a batch of images: `tiles` of M x M outputs per image, `across` of them in a row, `part` of them to a part.
struct Tiles {
    u32 n, channels, h, w, padding, tiles, across, part;
};

// Where position 0 of a tile lies, and how far apart positions are.
DEVICE u32 position(const Tiles &s, u32 channel, u32 tile, u32 *apart) {
    *apart = s.channels * s.part;
    return tile / s.part * 36 * *apart + channel * s.part + tile % s.part;
}

// V = B^T d B of every tile of (N, C, H, W), M x M outputs apart; outside the image is 0.
KERNEL(winograd_pixels_f32, u32 count, u32 m, GIVEN(Tiles) s, const T *x, T *v) {
    EACH(i, count) {
        u32 all = s.n * s.tiles;
        u32 tile = i % all, channel = i / all;
        u32 image = tile / s.tiles, within = tile % s.tiles;
        // Left of 0 wraps to a large number.
        u32 top = within / s.across * m - s.padding, left = within % s.across * m - s.padding;
        const T *plane = x + ((u64)image * s.channels + channel) * s.h * s.w;
        T half[6][6];
#pragma unroll
        for (u32 r = 0; r < 6; r++) {
            T d[6];
            u32 y = top + r;
#pragma unroll
            for (u32 c = 0; c < 6; c++) {
                u32 z = left + c;
                d[c] = y < s.h && z < s.w ? plane[y * s.w + z] : (T)0;
            }
            to_basis(d, half[r]);
        }
        u32 apart, at = position(s, channel, tile, &apart);
#pragma unroll
        for (u32 c = 0; c < 6; c++) {
            T d[6], column[6];
#pragma unroll
            for (u32 r = 0; r < 6; r++) d[r] = half[r][c];
            to_basis(d, column);
#pragma unroll
            for (u32 r = 0; r < 6; r++) v[at + (r * 6 + c) * apart] = column[r];
        }
    }
}

// M side by side, written at once.
template <int M> struct alignas(M * sizeof(T)) Row {
    T at[M];
};

// y = A^T m A (+ bias, rectified) of every tile, to (N, O, H, W).
template <int M> DEVICE void winograd_outputs(u32 count, const Tiles &s, const T *products, const T *bias, u32 relu, T *y) {
    EACH(i, count) {
        u32 all = s.n * s.tiles;
        u32 tile = i % all, channel = i / all;
        u32 image = tile / s.tiles, within = tile % s.tiles;
        u32 top = within / s.across * M, left = within % s.across * M;
        u32 apart, at = position(s, channel, tile, &apart);
        T half[6][M];
#pragma unroll
        for (u32 r = 0; r < 6; r++) {
            T m[6];
#pragma unroll
            for (u32 c = 0; c < 6; c++) m[c] = products[at + (r * 6 + c) * apart];
            to_outputs(m, half[r]);
        }
        T shift = bias ? bias[channel] : (T)0;
        Row<M> rows[M];
#pragma unroll
        for (u32 c = 0; c < M; c++) {
            T m[6], column[M];
#pragma unroll
            for (u32 r = 0; r < 6; r++) m[r] = half[r][c];
            to_outputs(m, column);
#pragma unroll
            for (u32 r = 0; r < M; r++) {
                T value = column[r] + shift;
                rows[r].at[c] = relu && value <= 0 ? (T)0 : value;
            }
        }
        T *plane = y + ((u64)image * s.channels + channel) * s.h * s.w;
#pragma unroll
        for (u32 r = 0; r < M; r++) {
            if (top + r >= s.h) break;
            T *row = plane + (top + r) * s.w + left;
            if (s.w % M == 0) {
                *(Row<M> *)row = rows[r];
            } else {
#pragma unroll
                for (u32 c = 0; c < M; c++) if (left + c < s.w) row[c] = rows[r].at[c];
            }
        }
    }
}
KERNEL(winograd_outputs_4_f32, u32 count, GIVEN(Tiles) s, const T *products, const T *bias, u32 relu, T *y) {
    winograd_outputs<4>(count, s, products, bias, relu, y);
}
KERNEL(winograd_outputs_2_f32, u32 count, GIVEN(Tiles) s, const T *products, const T *bias, u32 relu, T *y) {
    winograd_outputs<2>(count, s, products, bias, relu, y);
}

// A y A^T of every tile of a cotangent (N, O, H, W): the transpose of the outputs.
template <int M> DEVICE void winograd_cotangents(u32 count, const Tiles &s, const T *y, T *to) {
    EACH(i, count) {
        u32 all = s.n * s.tiles;
        u32 tile = i % all, channel = i / all;
        u32 image = tile / s.tiles, within = tile % s.tiles;
        u32 top = within / s.across * M, left = within % s.across * M;
        const T *plane = y + ((u64)image * s.channels + channel) * s.h * s.w;
        T half[M][6];
#pragma unroll
        for (u32 r = 0; r < M; r++) {
            T d[M];
#pragma unroll
            for (u32 c = 0; c < M; c++) {
                bool inside = top + r < s.h && left + c < s.w;
                d[c] = inside ? plane[(top + r) * s.w + left + c] : (T)0;
            }
            of_outputs(d, half[r]);
        }
        u32 apart, at = position(s, channel, tile, &apart);
#pragma unroll
        for (u32 c = 0; c < 6; c++) {
            T d[M], column[6];
#pragma unroll
            for (u32 r = 0; r < M; r++) d[r] = half[r][c];
            of_outputs(d, column);
#pragma unroll
            for (u32 r = 0; r < 6; r++) to[at + (r * 6 + c) * apart] = column[r];
        }
    }
}
KERNEL(winograd_cotangents_4_f32, u32 count, GIVEN(Tiles) s, const T *y, T *to) {
    winograd_cotangents<4>(count, s, y, to);
}
KERNEL(winograd_cotangents_2_f32, u32 count, GIVEN(Tiles) s, const T *y, T *to) {
    winograd_cotangents<2>(count, s, y, to);
}

// U = G w G^T of every pair of channels (`count` = O * C), the kernel turned by half a turn if asked; positions outermost.
template <int R> DEVICE void winograd_weights(u32 count, u32 turned, const T *w, T *u) {
    EACH(i, count) {
        T half[R][6];
#pragma unroll
        for (u32 r = 0; r < R; r++) {
            T d[R];
#pragma unroll
            for (u32 c = 0; c < R; c++) d[c] = w[i * R * R + (turned ? R * R - 1 - (r * R + c) : r * R + c)];
            of_weights(d, half[r]);
        }
#pragma unroll
        for (u32 c = 0; c < 6; c++) {
            T d[R], column[6];
#pragma unroll
            for (u32 r = 0; r < R; r++) d[r] = half[r][c];
            of_weights(d, column);
#pragma unroll
            for (u32 r = 0; r < 6; r++) u[(r * 6 + c) * count + i] = column[r];
        }
    }
}
KERNEL(winograd_weights_3_f32, u32 count, u32 turned, const T *w, T *u) { winograd_weights<3>(count, turned, w, u); }
KERNEL(winograd_weights_5_f32, u32 count, u32 turned, const T *w, T *u) { winograd_weights<5>(count, turned, w, u); }

// The sums of `parts`, `count` elements each, in place of the first.
KERNEL(winograd_sum_f32, u32 count, u32 parts, T *u) {
    EACH(i, count) {
        double sum = 0;
        for (u32 part = 0; part < parts; part++) sum += u[part * count + i];
        u[i] = (T)sum;
    }
}

// dw = G^T u G, onto what is there if asked: the transpose of the weights.
template <int R> DEVICE void winograd_weights_back(u32 count, u32 onto, const T *u, T *w) {
    EACH(i, count) {
        T half[6][R];
#pragma unroll
        for (u32 r = 0; r < 6; r++) {
            T d[6];
#pragma unroll
            for (u32 c = 0; c < 6; c++) d[c] = u[(r * 6 + c) * count + i];
            to_weights(d, half[r]);
        }
#pragma unroll
        for (u32 c = 0; c < R; c++) {
            T d[6], column[R];
#pragma unroll
            for (u32 r = 0; r < 6; r++) d[r] = half[r][c];
            to_weights(d, column);
#pragma unroll
            for (u32 r = 0; r < R; r++) {
                u32 at = i * R * R + r * R + c;
                w[at] = onto ? w[at] + column[r] : column[r];
            }
        }
    }
}
KERNEL(winograd_weights_back_3_f32, u32 count, u32 onto, const T *u, T *w) { winograd_weights_back<3>(count, onto, u, w); }
KERNEL(winograd_weights_back_5_f32, u32 count, u32 onto, const T *u, T *w) { winograd_weights_back<5>(count, onto, u, w); }
