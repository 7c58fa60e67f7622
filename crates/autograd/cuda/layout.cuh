// Strides of a copy.
#pragma once
#define RANK 6

struct Layout {
    u32 dims[RANK];
    // In elements; the last dimension is the fastest.
    u32 from[RANK];
    u32 to[RANK];
    u32 from_offset;
    u32 to_offset;
};
