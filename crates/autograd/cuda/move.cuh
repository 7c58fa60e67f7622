// Values that move without changing.

// Transposition, broadcasting, cutting and joining: all are strides.
KERNEL(NAME(copy), u32 n, GIVEN(Layout) layout, const T *x, T *y) {
    EACH(i, n) {
        u32 rest = i, from = layout.from_offset, to = layout.to_offset;
        for (int d = RANK - 1; d >= 0; d--) {
            u32 at = rest % layout.dims[d];
            rest /= layout.dims[d];
            from += at * layout.from[d];
            to += at * layout.to[d];
        }
        y[to] = x[from];
    }
}

// `count` values, each along a stretch of its own, all of that over and over.
KERNEL(NAME(repeat), u32 n, u32 count, u32 stretch, const T *x, T *y) {
    EACH(i, n) y[i] = x[i / stretch % count];
}

// (a, b, area) to (b, a, area).
KERNEL(NAME(swap_leading), u32 n, u32 a, u32 b, u32 area, const T *x, T *y) {
    EACH(i, n) {
        u32 p = i % area, j = i / area % a, k = i / area / a;
        y[i] = x[(j * b + k) * area + p];
    }
}

// Chosen rows.
KERNEL(NAME(select_rows), u32 n, u32 width, const u32 *rows, const T *x, T *y) {
    EACH(i, n) y[i] = x[(u64)rows[i / width] * width + i % width];
}
