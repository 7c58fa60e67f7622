//! Values that move without changing.

use super::arg::{Arg, Layout, RANK};
use super::launch::{Grid, at, device, launch, of, tensor, unwritten};
use super::{Element, fill, int};
use crate::Result;
use crate::kernels::by_dtype;
use candle_core::cuda_backend::cudarc::driver::CudaSlice;
use candle_core::{CudaDevice, Storage, Tensor};

/// Copies `dims` elements from one set of strides to another.
fn copy<T: Element>(
    device: &CudaDevice,
    dims: &[usize],
    (x, from, from_offset): (&Tensor, &[usize], usize),
    (out, to, to_offset): (&CudaSlice<T>, &[usize], usize),
) -> Result<()> {
    if dims.len() > RANK {
        return Err(crate::error::shape("copy", format!("more than {RANK} dimensions: {dims:?}")));
    }
    let mut layout =
        Layout { dims: [1; RANK], from_offset: from_offset as u32, to_offset: to_offset as u32, ..Layout::default() };
    let first = RANK - dims.len();
    for (d, ((size, from), to)) in dims.iter().zip(from).zip(to).enumerate() {
        layout.dims[first + d] = *size as u32;
        layout.from[first + d] = *from as u32;
        layout.to[first + d] = *to as u32;
    }
    let n = dims.iter().product();
    let start = {
        let (storage, _) = x.storage_and_layout();
        match &*storage {
            Storage::Cuda(storage) => super::launch::place(device, storage.as_cuda_slice::<T>()?),
            _ => return Err(crate::Error::Device { op: "copy" }),
        }
    };
    let args = [int(n), Arg::Layout(layout), Arg::At(start), at(device, out)];
    launch::<T>(device, "copy", Grid::Elements(n), &args)
}

/// Strides of contiguous dimensions.
fn strides(dims: &[usize]) -> Vec<usize> {
    let mut strides = vec![1; dims.len()];
    for d in (0..dims.len().saturating_sub(1)).rev() {
        strides[d] = strides[d + 1] * dims[d + 1];
    }
    strides
}

fn compact<T: Element>(x: &Tensor) -> Result<Tensor> {
    let device = device(x)?;
    let layout = x.layout();
    let out = unwritten::<T>(&device, x.elem_count())?;
    copy(&device, x.dims(), (x, layout.stride(), layout.start_offset()), (&out, &strides(x.dims()), 0))?;
    Ok(tensor(&device, out, x.dims()))
}

/// A contiguous tensor with the same values (the same tensor if it is contiguous).
pub(crate) fn dense(x: &Tensor) -> Result<Tensor> {
    if x.is_contiguous() {
        return Ok(x.clone());
    }
    by_dtype!("copy", x, T => compact::<T>(x))
}

/// Zeros before and after along a dimension.
pub(crate) fn pad<T: Element>(x: &Tensor, dim: usize, before: usize, after: usize) -> Result<Tensor> {
    let device = device(x)?;
    let mut dims = x.dims().to_vec();
    let Some(size) = dims.get_mut(dim) else {
        return Err(crate::error::shape("pad_zeros", format!("no dimension {dim} in {:?}", x.dims())));
    };
    *size += before + after;
    let whole = fill::<T>(&device, 0.0, &dims)?;
    into::<T>(&device, x, &whole, dim, before)?;
    Ok(whole)
}

/// Copies x into a contiguous tensor, from `start` of a dimension on.
fn into<T: Element>(device: &CudaDevice, x: &Tensor, whole: &Tensor, dim: usize, start: usize) -> Result<()> {
    let to = strides(whole.dims());
    let layout = x.layout();
    let (storage, _) = whole.storage_and_layout();
    let Storage::Cuda(storage) = &*storage else { return Err(crate::Error::Device { op: "copy" }) };
    let out = storage.as_cuda_slice::<T>()?;
    copy(device, x.dims(), (x, layout.stride(), layout.start_offset()), (out, &to, start * to[dim]))
}

/// Joined along a dimension.
pub(crate) fn cat<T: Element>(parts: &[&Tensor], dim: usize) -> Result<Tensor> {
    let [first, ..] = parts else { return Err(crate::error::shape("cat", "nothing to join")) };
    let device = device(first)?;
    let mut dims = first.dims().to_vec();
    if dim >= dims.len() {
        return Err(crate::error::shape("cat", format!("no dimension {dim} in {dims:?}")));
    }
    dims[dim] = 0;
    for part in parts {
        let fits = part.dims().len() == dims.len() && (0..dims.len()).all(|d| d == dim || part.dims()[d] == dims[d]);
        if !fits {
            return Err(crate::error::shape("cat", format!("{:?} beside {:?}", part.dims(), first.dims())));
        }
        dims[dim] += part.dims()[dim];
    }
    let whole = tensor(&device, unwritten::<T>(&device, dims.iter().product())?, &dims);
    let mut start = 0;
    for part in parts {
        into::<T>(&device, part, &whole, dim, start)?;
        start += part.dims()[dim];
    }
    Ok(whole)
}

/// The values of x, each along a stretch of its own, all of that as often as `dims` holds.
pub(crate) fn repeat<T: Element>(x: &Tensor, dims: &[usize], stretch: usize) -> Result<Tensor> {
    let (device, x) = (device(x)?, dense(x)?);
    let n = dims.iter().product();
    let out = unwritten::<T>(&device, n)?;
    let args = [int(n), int(x.elem_count()), int(stretch), of::<T>(&device, &x)?, at(&device, &out)];
    launch::<T>(&device, "repeat", Grid::Elements(n), &args)?;
    Ok(tensor(&device, out, dims))
}

/// The chosen rows `(N,)` u32 of x; they are not checked.
pub(crate) fn select_rows<T: Element>(x: &Tensor, rows: &Tensor) -> Result<Tensor> {
    let (device, x, n) = (device(x)?, dense(x)?, rows.dims1()?);
    let width = x.elem_count() / x.dim(0)?.max(1);
    let mut dims = x.dims().to_vec();
    dims[0] = n;
    let out = unwritten::<T>(&device, n * width)?;
    let args = [int(n * width), int(width), of::<u32>(&device, rows)?, of::<T>(&device, &x)?, at(&device, &out)];
    launch::<T>(&device, "select_rows", Grid::Elements(n * width), &args)?;
    Ok(tensor(&device, out, &dims))
}
