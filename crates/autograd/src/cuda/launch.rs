//! Kernels of ours on one stream of one GPU.

use super::Element;
use super::arg::Arg;
use crate::{Error, Result};
use candle_core::cuda_backend::cudarc::driver::{
    CudaFunction, CudaSlice, DevicePtr, DeviceRepr, LaunchConfig, PushKernelArg,
};
use candle_core::cuda_backend::{CudaDType, CudaStorage, DeviceId};
use candle_core::op::BackpropOp;
use candle_core::{CudaDevice, Storage, Tensor};
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

/// Made by `scripts/cuda/ptx.sh` of `crates/autograd/cuda`.
const PTX: &str = include_str!("../../cuda/kernels.ptx");
/// Threads of a block, also of one that reduces (`REDUCERS` in gpu.cuh).
const THREADS: u32 = 256;
/// Blocks of an elementwise kernel at most; its threads go round.
const BLOCKS: u32 = 1 << 16;
/// Elements that 32-bit indices count, a grid's stride included.
const MOST: usize = 1 << 31;

/// How many threads.
#[derive(Clone, Copy)]
pub(super) enum Grid {
    /// One per element.
    Elements(usize),
    /// Whole blocks, each with something to reduce.
    Blocks(usize),
}

pub(super) fn failed(op: &'static str) -> impl Fn(candle_core::cuda_backend::cudarc::driver::DriverError) -> Error {
    move |error| Error::Gpu { op, why: error.to_string() }
}

/// Device, kernel, element type.
type Name = (DeviceId, &'static str, &'static str);
/// Functions found before: finding one asks the driver.
static FOUND: Mutex<Option<HashMap<Name, CudaFunction>>> = Mutex::new(None);

fn function<T: Element>(device: &CudaDevice, kernel: &'static str) -> Result<CudaFunction> {
    let mut found = FOUND.lock().unwrap_or_else(PoisonError::into_inner);
    let found = found.get_or_insert_default();
    let key = (device.id(), kernel, T::SUFFIX);
    if let Some(function) = found.get(&key) {
        return Ok(function.clone());
    }
    let name = format!("{kernel}_{}", T::SUFFIX);
    let function = device.get_or_load_custom_func(&name, "gauntlet", PTX)?.into_cuda_function();
    found.insert(key, function.clone());
    Ok(function)
}

/// Launches `kernel_T`. What is written must be written by this launch alone until it ends: there is one stream.
pub(super) fn launch<T: Element>(device: &CudaDevice, kernel: &'static str, grid: Grid, args: &[Arg]) -> Result<()> {
    let blocks = match grid {
        Grid::Elements(0) | Grid::Blocks(0) => return Ok(()),
        Grid::Elements(n) if n > MOST => {
            return Err(crate::error::shape(kernel, format!("{n} elements are more than the GPU's kernels count")));
        }
        Grid::Elements(n) => (n as u32).div_ceil(THREADS).min(BLOCKS),
        Grid::Blocks(n) => n as u32,
    };
    let function = function::<T>(device, kernel)?;
    let stream = device.cuda_stream();
    let mut builder = stream.launch_builder(&function);
    for arg in args {
        match arg {
            Arg::Int(v) => builder.arg(v),
            Arg::Single(v) => builder.arg(v),
            Arg::Double(v) => builder.arg(v),
            Arg::At(v) => builder.arg(v),
            Arg::Layout(v) => builder.arg(v),
            Arg::Shape(v) => builder.arg(v),
            Arg::Tiles(v) => builder.arg(v),
            Arg::Group(v) => builder.arg(&**v),
        };
    }
    let config = LaunchConfig { grid_dim: (blocks, 1, 1), block_dim: (THREADS, 1, 1), shared_mem_bytes: 0 };
    // SAFETY: the callers in this folder hand over what the kernel of that name declares, and addresses of buffers that
    // are large enough and alive: freeing is ordered behind the launch on the same stream.
    #[expect(unsafe_code, reason = "a kernel's arguments are not typed")]
    unsafe {
        builder.launch(config).map_err(failed(kernel))?;
    }
    Ok(())
}

/// A buffer with whatever was there before.
pub(super) fn unwritten<T: CudaDType + DeviceRepr>(device: &CudaDevice, n: usize) -> Result<CudaSlice<T>> {
    // SAFETY: every element is written by the launch that follows.
    #[expect(unsafe_code, reason = "a result that is written at once")]
    Ok(unsafe { device.alloc::<T>(n.max(1))? })
}

/// Where a buffer lies.
pub(super) fn place<T>(device: &CudaDevice, buffer: &CudaSlice<T>) -> u64 {
    buffer.device_ptr(&device.cuda_stream()).0
}

/// The same for a kernel.
pub(super) fn at<T>(device: &CudaDevice, buffer: &CudaSlice<T>) -> Arg {
    Arg::At(place(device, buffer))
}

/// Where the elements of a contiguous tensor lie.
pub(super) fn place_of<T: CudaDType + DeviceRepr>(device: &CudaDevice, tensor: &Tensor) -> Result<u64> {
    let (storage, layout) = tensor.storage_and_layout();
    if !layout.is_contiguous() {
        return Err(crate::error::shape("a kernel", "internal: it was handed a strided tensor"));
    }
    match &*storage {
        Storage::Cuda(storage) => {
            let start = (layout.start_offset() * size_of::<T>()) as u64;
            Ok(place(device, storage.as_cuda_slice::<T>()?) + start)
        }
        _ => Err(Error::Device { op: "a kernel of the GPU" }),
    }
}

/// The same for a kernel.
pub(super) fn of<T: CudaDType + DeviceRepr>(device: &CudaDevice, tensor: &Tensor) -> Result<Arg> {
    Ok(Arg::At(place_of::<T>(device, tensor)?))
}

/// The address of image `first` of images of `size` elements.
pub(super) fn image<T: Element>(start: u64, first: usize, size: usize) -> u64 {
    start + (first * size * size_of::<T>()) as u64
}

/// A buffer as a tensor.
pub(super) fn tensor<T: CudaDType + DeviceRepr>(device: &CudaDevice, buffer: CudaSlice<T>, dims: &[usize]) -> Tensor {
    let storage = Storage::Cuda(CudaStorage::wrap_cuda_slice(buffer, device.clone()));
    Tensor::from_storage(storage, dims, BackpropOp::none(), false)
}

/// An error unless 32 bits count the tensor's elements.
pub(super) fn countable(op: &'static str, tensor: &Tensor) -> Result<()> {
    match tensor.elem_count() {
        n if n > MOST => Err(crate::error::shape(op, format!("{n} elements are more than the GPU's kernels count"))),
        _ => Ok(()),
    }
}

/// The device of a tensor that lies on one.
pub(super) fn device(tensor: &Tensor) -> Result<CudaDevice> {
    Ok(tensor.device().as_cuda_device()?.clone())
}
