//! Opening a GPU.

use super::launch::failed;
use crate::{Error, Result};
use candle_core::Device;
use candle_core::cuda_backend::cudarc::cublas::sys as cublas;
use candle_core::cuda_backend::cudarc::driver::sys;

/// Bytes that cuBLAS takes for itself on the largest GPUs.
const WORKSPACE: usize = 32 << 20;

/// GPU number `ordinal` with a stream of its own, without event tracking, its memory pool kept, TF32 only if asked.
///
/// # Errors
/// No such GPU, no driver.
pub fn open(ordinal: usize, tf32: bool) -> Result<Device> {
    let device = Device::new_cuda_with_stream(ordinal)?;
    let cuda = device.as_cuda_device()?;
    let stream = cuda.cuda_stream();
    // SAFETY: there is one stream and one thread that submits to it, so nothing is left to track.
    #[expect(unsafe_code, reason = "one stream orders everything")]
    unsafe {
        cuda.disable_event_tracking();
    }
    // Memory that is kept outlives the device, so its context must too.
    std::mem::forget(stream.context().clone());
    // Without this every synchronisation gives the pool's memory back to the system.
    // SAFETY: handles of the open context, values of the types that the driver's manual names.
    #[expect(unsafe_code, reason = "the memory pool has no safe interface")]
    unsafe {
        let mut pool = std::ptr::null_mut();
        sys::cuDeviceGetDefaultMemPool(&mut pool, stream.context().cu_device())
            .result()
            .map_err(failed("the memory pool"))?;
        let mut keep = u64::MAX;
        let attribute = sys::CUmemPool_attribute::CU_MEMPOOL_ATTR_RELEASE_THRESHOLD;
        sys::cuMemPoolSetAttribute(pool, attribute, (&raw mut keep).cast())
            .result()
            .map_err(failed("the memory pool"))?;
    }
    let mode =
        if tf32 { cublas::cublasMath_t::CUBLAS_TF32_TENSOR_OP_MATH } else { cublas::cublasMath_t::CUBLAS_DEFAULT_MATH };
    let blas = cuda.cublas_handle();
    // SAFETY: the handle lives as long as the device.
    #[expect(unsafe_code, reason = "cuBLAS has no safe interface to its precision")]
    let set = unsafe { cublas::cublasSetMathMode(*blas.handle(), mode) };
    set.result().map_err(|error| Error::Gpu { op: "TF32", why: format!("{error:?}") })?;
    // With a workspace of its own cuBLAS allocates nothing, so that its launches can be recorded; as much as it would take.
    let workspace = super::launch::unwritten::<u8>(cuda, WORKSPACE)?;
    let place = super::launch::place(cuda, &workspace);
    // SAFETY: memory of that size, given away for good.
    #[expect(unsafe_code, reason = "cuBLAS takes addresses")]
    let set = unsafe { cublas::cublasSetWorkspace_v2(*blas.handle(), place as *mut _, WORKSPACE) };
    set.result().map_err(|error| Error::Gpu { op: "a workspace", why: format!("{error:?}") })?;
    std::mem::forget(workspace);
    // A GPU that cannot run the kernels is found here, not in the middle of a training.
    super::fill::<f32>(cuda, 1.0, &[1])?;
    synchronise(&device)?;
    Ok(device)
}

/// Make of the GPU and version of its driver: what its last bits depend on.
///
/// # Errors
/// A driver that does not say.
pub fn make(device: &Device) -> Result<String> {
    let name = device.as_cuda_device()?.cuda_stream().context().name().map_err(failed("the GPU's name"))?;
    let mut version = 0;
    // SAFETY: an integer to be written.
    #[expect(unsafe_code, reason = "the driver's version has no safe interface")]
    unsafe {
        sys::cuDriverGetVersion(&mut version).result().map_err(failed("the driver's version"))?;
    }
    Ok(format!("{name}, driver {version}"))
}

/// Waits until the GPU has done what it was asked.
///
/// # Errors
/// What went wrong there.
pub fn synchronise(device: &Device) -> Result<()> {
    device.as_cuda_device()?.cuda_stream().synchronize().map_err(failed("synchronise"))
}
