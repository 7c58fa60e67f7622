//! Batches from a data set that stays on the device.

use super::launch::{Grid, at, device, launch, of, tensor, unwritten};
use super::{Element, dense, int};
use crate::Result;
use crate::kernels::border::Border;
use candle_core::Tensor;

/// Pixels in [0,1], `(N, C, H, W)`, of the rows `(N,)` u32 of a data set `(rows, C, H, W)` u8.
///
/// # Errors
/// Other shapes; a failed launch. Rows are not checked: they must lie in the data set.
pub fn pixels<T: Element>(data: &Tensor, rows: &Tensor) -> Result<Tensor> {
    let (_, c, h, w) = data.dims4()?;
    let (device, n) = (device(data)?, rows.dims1()?);
    let count = n * c * h * w;
    let out = unwritten::<T>(&device, count)?;
    let args = [int(count), int(c * h * w), of::<u8>(&device, data)?, of::<u32>(&device, rows)?, at(&device, &out)];
    launch::<T>(&device, "pixels", Grid::Elements(count), &args)?;
    Ok(tensor(&device, out, &[n, c, h, w]))
}

/// Padding by `border`, a crop of the original size, a flip: `draws (N,)` u32 are down | right << 8 | flip << 16.
///
/// # Errors
/// Other shapes; a failed launch.
pub fn crop_flip<T: Element>(x: &Tensor, draws: &Tensor, padding: usize, border: Border) -> Result<Tensor> {
    let (device, x) = (device(x)?, dense(x)?);
    let (n, c, h, w) = x.dims4()?;
    if draws.dims() != [n] {
        return Err(crate::error::shape("crop_flip", format!("{:?} draws for {n} images", draws.dims())));
    }
    let count = x.elem_count();
    let out = unwritten::<T>(&device, count)?;
    let args = [
        int(count),
        int(c),
        int(h),
        int(w),
        int(padding),
        int(usize::from(border == Border::Reflect)),
        of::<T>(&device, &x)?,
        of::<u32>(&device, draws)?,
        at(&device, &out),
    ];
    launch::<T>(&device, "crop_flip", Grid::Elements(count), &args)?;
    Ok(tensor(&device, out, x.dims()))
}
