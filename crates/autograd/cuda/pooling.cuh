// Pooling with stored places, and its adjoints; no two threads write one element.

// Maxima of k x k windows and their places within the plane; ties go to the first, a NaN wins.
KERNEL(NAME(max_pool), u32 count, u32 h, u32 w, u32 oh, u32 ow, u32 k, u32 stride, const T *x, T *y, u32 *places) {
    EACH(i, count) {
        u32 ox = i % ow, oy = i / ow % oh;
        const T *plane = x + i / ow / oh * h * w;
        u32 place = oy * stride * w + ox * stride;
        T best = plane[place];
        for (u32 iy = oy * stride; iy < oy * stride + k; iy++) {
            for (u32 ix = ox * stride; ix < ox * stride + k; ix++) {
                T v = plane[iy * w + ix];
                if (!(v <= best) && best == best) { best = v; place = iy * w + ix; }
            }
        }
        y[i] = best;
        places[i] = place;
    }
}

// Every pixel adds up the windows whose maximum it was.
KERNEL(NAME(unpool), u32 count, u32 h, u32 w, u32 oh, u32 ow, u32 k, u32 stride, const T *g, const u32 *places, T *x) {
    EACH(i, count) {
        u32 ix = i % w, iy = i / w % h;
        u32 plane = i / w / h;
        u32 first_y = iy >= k ? (iy - k) / stride + 1 : 0, first_x = ix >= k ? (ix - k) / stride + 1 : 0;
        T sum = 0;
        for (u32 oy = first_y; oy < oh && oy * stride <= iy; oy++) {
            for (u32 ox = first_x; ox < ow && ox * stride <= ix; ox++) {
                u32 at = (plane * oh + oy) * ow + ox;
                if (places[at] == iy * w + ix) sum += g[at];
            }
        }
        x[i] = sum;
    }
}

// The same for windows side by side (stride k): a thread per window, and per what is left of the plane at its ends.
KERNEL(NAME(unpool_apart), u32 count, u32 h, u32 w, u32 oh, u32 ow, u32 k, const T *g, const u32 *places, T *x) {
    u32 across = (w + k - 1) / k, down = (h + k - 1) / k;
    EACH(i, count) {
        u32 ox = i % across, oy = i / across % down, plane = i / across / down;
        bool window = ox < ow && oy < oh;
        u32 at = (plane * oh + oy) * ow + ox;
        u32 place = window ? places[at] : h * w;
        T value = window ? g[at] : (T)0;
        for (u32 iy = oy * k; iy < oy * k + k && iy < h; iy++) {
            for (u32 ix = ox * k; ix < ox * k + k && ix < w; ix++) {
                u32 within = iy * w + ix;
                x[plane * h * w + within] = within == place ? value : (T)0;
            }
        }
    }
}

KERNEL(NAME(gather_at), u32 count, u32 plane, u32 pooled, const T *x, const u32 *places, T *y) {
    EACH(i, count) y[i] = x[i / pooled * plane + places[i]];
}

// Means of k x k windows.
KERNEL(NAME(avg_pool), u32 count, u32 h, u32 w, u32 oh, u32 ow, u32 k, u32 stride, T scale, const T *x, T *y) {
    EACH(i, count) {
        u32 ox = i % ow, oy = i / ow % oh;
        const T *plane = x + i / ow / oh * h * w;
        T sum = 0;
        for (u32 iy = oy * stride; iy < oy * stride + k; iy++) {
            for (u32 ix = ox * stride; ix < ox * stride + k; ix++) sum += plane[iy * w + ix];
        }
        y[i] = sum * scale;
    }
}

KERNEL(NAME(avg_unpool), u32 count, u32 h, u32 w, u32 oh, u32 ow, u32 k, u32 stride, T scale, const T *g, T *x) {
    EACH(i, count) {
        u32 ix = i % w, iy = i / w % h;
        u32 plane = i / w / h;
        u32 first_y = iy >= k ? (iy - k) / stride + 1 : 0, first_x = ix >= k ? (ix - k) / stride + 1 : 0;
        T sum = 0;
        for (u32 oy = first_y; oy < oh && oy * stride <= iy; oy++) {
            for (u32 ox = first_x; ox < ow && ox * stride <= ix; ox++) sum += g[(plane * oh + oy) * ow + ox] * scale;
        }
        x[i] = sum;
    }
}
