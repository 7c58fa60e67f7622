//! Windows that move over an image.

use crate::Result;

/// Output size of a window `k` moved by `stride`, without padding.
pub fn pooled(op: &'static str, dims: &[usize], k: usize, stride: usize) -> Result<(usize, usize)> {
    let &[_, _, h, w] = dims else {
        return Err(crate::error::shape(op, format!("expected (N, C, H, W), got {dims:?}")));
    };
    if k == 0 || stride == 0 || k > h || k > w {
        return Err(crate::error::shape(
            op,
            format!("a {k}×{k} window (stride {stride}) does not fit an image of {h}×{w}"),
        ));
    }
    Ok(((h - k) / stride + 1, (w - k) / stride + 1))
}
