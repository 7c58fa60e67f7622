// Batches from a data set that stays on the device.

// Pixels in [0,1] of the chosen rows.
KERNEL(NAME(pixels), u32 n, u32 width, const u8 *data, const u32 *rows, T *y) {
    EACH(i, n) y[i] = (T)data[(u64)rows[i / width] * width + i % width] / (T)255;
}

// A place beside a side of n pixels, mirrored at its outermost ones; places before the first are numbers near 2^32.
DEVICE u32 NAME(mirrored)(u32 place, u32 n) { return place < n ? place : place >> 31 ? 0 - place : 2 * (n - 1) - place; }

// Padding, by zeros or mirrored, a crop of the original size, a flip: down | right << 8 | flip << 16 per image.
KERNEL(NAME(crop_flip), u32 n, u32 c, u32 h, u32 w, u32 padding, u32 reflect, const T *x, const u32 *draws, T *y) {
    EACH(i, n) {
        u32 column = i % w, row = i / w % h;
        u32 plane = i / w / h;
        u32 draw = draws[plane / c], down = draw & 255, right = draw >> 8 & 255, flip = draw >> 16;
        u32 source = row + down - padding, from = (flip ? w - 1 - column : column) + right - padding;
        if (reflect) source = NAME(mirrored)(source, h), from = NAME(mirrored)(from, w);
        y[i] = source < h && from < w ? x[(plane * h + source) * w + from] : (T)0;
    }
}
