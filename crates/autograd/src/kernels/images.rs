//! Batches from a data set that lies where it is trained on.

use super::border::Border;
use super::{Real, by_dtype, on_gpu};
use crate::Result;
use candle_core::{DType, Tensor};

/// Pixels in `[0, 1]` of the rows `(N,)` u32 of a data set `(rows, C, H, W)` u8, `(N, C, H, W)` of that dtype.
///
/// # Errors
/// A dtype other than f32 and f64; on the CPU a row that the data set does not have.
pub fn pixels(data: &Tensor, rows: &Tensor, dtype: DType) -> Result<Tensor> {
    match dtype {
        DType::F64 => of_rows::<f64>(data, rows),
        DType::F32 => of_rows::<f32>(data, rows),
        other => Err(crate::Error::Dtype { op: "pixels", dtype: other.as_str() }),
    }
}

fn of_rows<T: Real>(data: &Tensor, rows: &Tensor) -> Result<Tensor> {
    on_gpu!(data, crate::cuda::pixels::<T>(data, rows));
    let chosen = data.index_select(rows, 0)?;
    let values = chosen.flatten_all()?.to_vec1::<u8>()?.into_iter().map(|p| T::of(f64::from(p)) / T::of(255.0));
    Ok(Tensor::from_vec(values.collect::<Vec<T>>(), chosen.dims(), data.device())?)
}

/// How an image is shown: rows down and columns right in the padded image, and whether it is mirrored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Crop {
    /// From the padded image's top; twice the padding at most, and below 256.
    pub down: u8,
    /// From its left.
    pub right: u8,
    /// Mirrored left to right.
    pub flip: bool,
}

impl Crop {
    /// As the kernels read it.
    pub fn packed(self) -> u32 {
        u32::from(self.down) | u32::from(self.right) << 8 | u32::from(self.flip) << 16
    }
}

/// Padding by `border`, a crop of the original size, a flip: x `(N, C, H, W)`, packed crops `(N,)` u32.
///
/// # Errors
/// Other shapes; sides of `padding` pixels or less where they are to be reflected; a dtype other than f32 and f64.
pub fn crop_flip(x: &Tensor, crops: &Tensor, padding: usize, border: Border) -> Result<Tensor> {
    by_dtype!("crop_flip", x, T => cropped::<T>(x, crops, padding, border))
}

fn cropped<T: Real>(x: &Tensor, crops: &Tensor, padding: usize, border: Border) -> Result<Tensor> {
    let (n, c, h, w) = x.dims4()?;
    if border == Border::Reflect && h.min(w) <= padding {
        let why = format!("{h}×{w} images cannot be reflected by {padding} pixels, only by fewer than a side has");
        return Err(crate::error::shape("crop_flip", why));
    }
    on_gpu!(x, crate::cuda::crop_flip::<T>(x, crops, padding, border));
    let (from, crops) = (x.flatten_all()?.to_vec1::<T>()?, crops.to_vec1::<u32>()?);
    if crops.len() != n {
        return Err(crate::error::shape("crop_flip", format!("{} crops for {n} images", crops.len())));
    }
    let mut to = vec![T::zero(); from.len()];
    for (i, crop) in crops.iter().enumerate() {
        let (down, right, flip) = ((crop & 255) as usize, (crop >> 8 & 255) as usize, crop >> 16 != 0);
        for channel in i * c..(i + 1) * c {
            for row in 0..h {
                let Some(source) = border.source(row + down, padding, h) else { continue };
                for column in 0..w {
                    let shown = if flip { w - 1 - column } else { column };
                    let Some(from_column) = border.source(column + right, padding, w) else { continue };
                    to[(channel * h + row) * w + shown] = from[(channel * h + source) * w + from_column];
                }
            }
        }
    }
    Ok(Tensor::from_vec(to, (n, c, h, w), x.device())?)
}
