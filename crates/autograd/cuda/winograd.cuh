// Convolutions of stride 1 with fewer multiplications, for f32: F(4x4, 3x3) and F(4x4, 5x5) of Winograd 1980 and Lavin & Gray
// 2016. A tile of 4 x 4 outputs reads D x D pixels, D = 6 or 8; in the basis of the interpolation points 0, +-1, +-2 (and
// +-1/2) and infinity the convolution is a product per position, over channels a matrix product: D * D of them. Every direction
// is made of three maps and their transposes: pixels (B), outputs (A), weights (G).
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
DEVICE void to_basis(const T (&d)[8], T (&v)[8]) {
    const T a = (T)5.25, b = (T)4.25, h = (T)0.5, q = (T)0.25;
    T even = d[2] - b * d[4] + d[6], odd = d[1] - b * d[3] + d[5];
    T near = q * d[2] - 5 * q * d[4] + d[6], off = h * d[1] - 5 * h * d[3] + 2 * d[5];
    T far = 4 * d[2] - 5 * d[4] + d[6], away = 2 * d[1] - 5 * h * d[3] + h * d[5];
    v[0] = (d[6] - d[0]) + a * (d[2] - d[4]);
    v[1] = even + odd;
    v[2] = even - odd;
    v[3] = near + off;
    v[4] = near - off;
    v[5] = far + away;
    v[6] = far - away;
    v[7] = (d[7] - d[1]) + a * (d[3] - d[5]);
}
// A^T m: products to outputs.
DEVICE void to_outputs(const T (&m)[6], T (&y)[4]) {
    y[0] = m[0] + (m[1] + m[2]) + (m[3] + m[4]);
    y[1] = (m[1] - m[2]) + 2 * (m[3] - m[4]);
    y[2] = (m[1] + m[2]) + 4 * (m[3] + m[4]);
    y[3] = (m[1] - m[2]) + 8 * (m[3] - m[4]) + m[5];
}
DEVICE void to_outputs(const T (&m)[8], T (&y)[4]) {
    y[0] = m[0] + (m[1] + m[2]) + (m[3] + m[4]) + (m[5] + m[6]);
    y[1] = (m[1] - m[2]) + 2 * (m[3] - m[4]) + (T)0.5 * (m[5] - m[6]);
    y[2] = (m[1] + m[2]) + 4 * (m[3] + m[4]) + (T)0.25 * (m[5] + m[6]);
    y[3] = (m[1] - m[2]) + 8 * (m[3] - m[4]) + (T)0.125 * (m[5] - m[6]) + m[7];
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
DEVICE void of_outputs(const T (&y)[4], T (&m)[8]) {
    m[0] = y[0];
    m[1] = (y[0] + y[2]) + (y[1] + y[3]);
    m[2] = (y[0] + y[2]) - (y[1] + y[3]);
    m[3] = (y[0] + 4 * y[2]) + (2 * y[1] + 8 * y[3]);
    m[4] = (y[0] + 4 * y[2]) - (2 * y[1] + 8 * y[3]);
    m[5] = (y[0] + (T)0.25 * y[2]) + ((T)0.5 * y[1] + (T)0.125 * y[3]);
    m[6] = (y[0] + (T)0.25 * y[2]) - ((T)0.5 * y[1] + (T)0.125 * y[3]);
    m[7] = y[3];
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
DEVICE void of_weights(const T (&w)[5], T (&u)[8]) {
    const T ninth = (T)(2.0 / 9), share = (T)(1.0 / 45);
    T even = w[0] + w[2] + w[4], odd = w[1] + w[3];
    T far = share * (w[0] / 2 + 2 * w[2] + 8 * w[4]), away = share * (w[1] + 4 * w[3]);
    T near = share * (32 * w[0] + 8 * w[2] + 2 * w[4]), off = share * (16 * w[1] + 4 * w[3]);
    u[0] = -w[0];
    u[1] = -ninth * even - ninth * odd;
    u[2] = -ninth * even + ninth * odd;
    u[3] = far + away;
    u[4] = far - away;
    u[5] = near + off;
    u[6] = near - off;
    u[7] = w[4];
}
// G^T u: the transpose.
DEVICE void to_weights(const T (&u)[6], T (&w)[3]) {
    const T sixth = (T)(1.0 / 6), twelfth = (T)(1.0 / 12), share = (T)(1.0 / 24);
    w[0] = u[0] / 4 - sixth * (u[1] + u[2]) + share * (u[3] + u[4]);
    w[1] = sixth * (u[2] - u[1]) + twelfth * (u[3] - u[4]);
    w[2] = sixth * ((u[3] + u[4]) - (u[1] + u[2])) + u[5];
}
DEVICE void to_weights(const T (&u)[8], T (&w)[5]) {
    const T ninth = (T)(2.0 / 9), share = (T)(1.0 / 45);
    T p = ninth * (u[1] + u[2]), q = ninth * (u[1] - u[2]);
    T s = share * (u[3] + u[4]), t = share * (u[3] - u[4]), y = share * (u[5] + u[6]), z = share * (u[5] - u[6]);
    w[0] = s / 2 + 32 * y - p - u[0];
    w[1] = t + 16 * z - q;
    w[2] = 2 * s + 8 * y - p;
    w[3] = 4 * t + 4 * z - q;
    w[4] = 8 * s + 2 * y - p + u[7];
}

// Tiles of a batch of images: `tiles` of 4 x 4 outputs per image, `across` of them in a row, `part` of them to a part.
struct Tiles {
    u32 n, channels, h, w, padding, tiles, across, part;
};

// Where position 0 of a tile lies among `positions`, and how far apart positions are.
DEVICE u32 position(const Tiles &s, u32 positions, u32 channel, u32 tile, u32 *apart) {
    *apart = s.channels * s.part;
    return tile / s.part * positions * *apart + channel * s.part + tile % s.part;
}

// V = B^T d B of every tile of (N, C, H, W); outside the image is 0.
template <int D> DEVICE void winograd_pixels(u32 count, const Tiles &s, const T *x, T *v) {
    EACH(i, count) {
        u32 all = s.n * s.tiles;
        u32 tile = i % all, channel = i / all;
        u32 image = tile / s.tiles, within = tile % s.tiles;
        // Left of 0 wraps to a large number.
        u32 top = within / s.across * 4 - s.padding, left = within % s.across * 4 - s.padding;
        const T *plane = x + ((u64)image * s.channels + channel) * s.h * s.w;
        T half[D][D];
#pragma unroll
        for (u32 r = 0; r < D; r++) {
            T d[D];
            u32 y = top + r;
#pragma unroll
            for (u32 c = 0; c < D; c++) {
                u32 z = left + c;
                d[c] = y < s.h && z < s.w ? plane[y * s.w + z] : (T)0;
            }
            to_basis(d, half[r]);
        }
        u32 apart, at = position(s, D * D, channel, tile, &apart);
#pragma unroll
        for (u32 c = 0; c < D; c++) {
            T d[D], column[D];
#pragma unroll
            for (u32 r = 0; r < D; r++) d[r] = half[r][c];
            to_basis(d, column);
#pragma unroll
            for (u32 r = 0; r < D; r++) v[at + (r * D + c) * apart] = column[r];
        }
    }
}

// y = A^T m A (+ bias, rectified) of every tile, to (N, O, H, W).
template <int D> DEVICE void winograd_outputs(u32 count, const Tiles &s, const T *products, const T *bias, u32 relu, T *y) {
    EACH(i, count) {
        u32 all = s.n * s.tiles;
        u32 tile = i % all, channel = i / all;
        u32 image = tile / s.tiles, within = tile % s.tiles;
        u32 top = within / s.across * 4, left = within % s.across * 4;
        u32 apart, at = position(s, D * D, channel, tile, &apart);
        T half[D][4];
#pragma unroll
        for (u32 r = 0; r < D; r++) {
            T m[D];
#pragma unroll
            for (u32 c = 0; c < D; c++) m[c] = products[at + (r * D + c) * apart];
            to_outputs(m, half[r]);
        }
        T shift = bias ? bias[channel] : (T)0;
        Wide<T, 4> rows[4];
#pragma unroll
        for (u32 c = 0; c < 4; c++) {
            T m[D], column[4];
#pragma unroll
            for (u32 r = 0; r < D; r++) m[r] = half[r][c];
            to_outputs(m, column);
#pragma unroll
            for (u32 r = 0; r < 4; r++) {
                T value = column[r] + shift;
                rows[r].at[c] = relu && value <= 0 ? (T)0 : value;
            }
        }
        T *plane = y + ((u64)image * s.channels + channel) * s.h * s.w;
#pragma unroll
        for (u32 r = 0; r < 4; r++) {
            if (top + r >= s.h) break;
            T *row = plane + (top + r) * s.w + left;
            if (s.w % 4 == 0) {
                *(Wide<T, 4> *)row = rows[r];
            } else {
#pragma unroll
                for (u32 c = 0; c < 4; c++) if (left + c < s.w) row[c] = rows[r].at[c];
            }
        }
    }
}

// A y A^T of every tile of a cotangent (N, O, H, W): the transpose of the outputs.
template <int D> DEVICE void winograd_cotangents(u32 count, const Tiles &s, const T *y, T *to) {
    EACH(i, count) {
        u32 all = s.n * s.tiles;
        u32 tile = i % all, channel = i / all;
        u32 image = tile / s.tiles, within = tile % s.tiles;
        u32 top = within / s.across * 4, left = within % s.across * 4;
        const T *plane = y + ((u64)image * s.channels + channel) * s.h * s.w;
        T half[4][D];
#pragma unroll
        for (u32 r = 0; r < 4; r++) {
            T d[4];
#pragma unroll
            for (u32 c = 0; c < 4; c++) {
                bool inside = top + r < s.h && left + c < s.w;
                d[c] = inside ? plane[(top + r) * s.w + left + c] : (T)0;
            }
            of_outputs(d, half[r]);
        }
        u32 apart, at = position(s, D * D, channel, tile, &apart);
#pragma unroll
        for (u32 c = 0; c < D; c++) {
            T d[4], column[D];
#pragma unroll
            for (u32 r = 0; r < 4; r++) d[r] = half[r][c];
            of_outputs(d, column);
#pragma unroll
            for (u32 r = 0; r < D; r++) to[at + (r * D + c) * apart] = column[r];
        }
    }
}

// U = G w G^T of every pair of channels (`count` = O * C), the kernel turned by half a turn if asked; positions outermost.
template <int D> DEVICE void winograd_weights(u32 count, u32 turned, const T *w, T *u) {
    constexpr int R = D - 3;
    EACH(i, count) {
        T half[R][D];
#pragma unroll
        for (u32 r = 0; r < R; r++) {
            T d[R];
#pragma unroll
            for (u32 c = 0; c < R; c++) d[c] = w[i * R * R + (turned ? R * R - 1 - (r * R + c) : r * R + c)];
            of_weights(d, half[r]);
        }
#pragma unroll
        for (u32 c = 0; c < D; c++) {
            T d[R], column[D];
#pragma unroll
            for (u32 r = 0; r < R; r++) d[r] = half[r][c];
            of_weights(d, column);
#pragma unroll
            for (u32 r = 0; r < D; r++) u[(r * D + c) * count + i] = column[r];
        }
    }
}

// dw = G^T u G, onto what is there if asked: the transpose of the weights.
template <int D> DEVICE void winograd_weights_back(u32 count, u32 onto, const T *u, T *w) {
    constexpr int R = D - 3;
    EACH(i, count) {
        T half[D][R];
#pragma unroll
        for (u32 r = 0; r < D; r++) {
            T d[D];
#pragma unroll
            for (u32 c = 0; c < D; c++) d[c] = u[(r * D + c) * count + i];
            to_weights(d, half[r]);
        }
#pragma unroll
        for (u32 c = 0; c < R; c++) {
            T d[D], column[R];
#pragma unroll
            for (u32 r = 0; r < D; r++) d[r] = half[r][c];
            to_weights(d, column);
#pragma unroll
            for (u32 r = 0; r < R; r++) {
                u32 at = i * R * R + r * R + c;
                w[at] = onto ? w[at] + column[r] : column[r];
            }
        }
    }
}

// Both forms of every kernel, by the side of a tile of pixels.
#define BOTH(kernel, parameters, ...)                                                                                   \
    KERNEL(kernel##_6_f32, REST parameters) { kernel<6>(__VA_ARGS__); }                                                 \
    KERNEL(kernel##_8_f32, REST parameters) { kernel<8>(__VA_ARGS__); }
#define REST(...) __VA_ARGS__
BOTH(winograd_pixels, (u32 count, GIVEN(Tiles) s, const T *x, T *v), count, s, x, v)
BOTH(winograd_outputs, (u32 count, GIVEN(Tiles) s, const T *products, const T *bias, u32 relu, T *y), count, s, products, bias, relu, y)
BOTH(winograd_cotangents, (u32 count, GIVEN(Tiles) s, const T *y, T *to), count, s, y, to)
BOTH(winograd_weights, (u32 count, u32 turned, const T *w, T *u), count, turned, w, u)
BOTH(winograd_weights_back, (u32 count, u32 onto, const T *u, T *w), count, onto, u, w)
#undef BOTH
#undef REST
