//! What a step launches, recorded once and handed to the driver in one call (a CUDA graph).

use super::arg::{Arg, GROUP, Group};
use super::launch::{Grid, device, launch, place_of};
use super::memory::{Reserved, capture, captured};
use crate::Result;
use candle_core::cuda_backend::cudarc::driver::{CudaGraph, sys};
use candle_core::{DType, Device, Tensor};

/// Launches that can be repeated: with the same arguments, in the same buffers.
pub struct Graph {
    // Dropped in this order: the buffers go when nothing runs in them any more.
    graph: CudaGraph,
    _memory: Reserved,
}

impl Graph {
    /// Once more.
    ///
    /// # Errors
    /// What the driver reports.
    pub fn launch(&self) -> Result<()> {
        self.graph.launch().map_err(super::launch::failed("a graph"))
    }
}

/// Records what `step` launches, without running it: what it computes is not there afterwards, so it must give all its buffers
/// back, and what it reads must live as long as the graph. `None` where that cannot be: it waited for the device, sent
/// something to it, or kept a buffer. Have it run once before, so that kernels are loaded.
pub fn record(device: &Device, step: impl FnOnce() -> Result<()>) -> Result<Option<Graph>> {
    let stream = device.as_cuda_device()?.cuda_stream();
    if !capture(stream.cu_stream()) {
        return Ok(None);
    }
    // Relaxed: nothing that this thread asks of the driver meanwhile concerns another stream.
    let begun = stream.begin_capture(sys::CUstreamCaptureMode::CU_STREAM_CAPTURE_MODE_RELAXED);
    let done = begun.is_ok().then(step);
    let flag = sys::CUgraphInstantiate_flags::CUDA_GRAPH_INSTANTIATE_FLAG_AUTO_FREE_ON_LAUNCH;
    let ended = done.as_ref().and_then(|_| stream.end_capture(flag).ok().flatten());
    // Whatever went wrong here goes wrong again, and is reported, when the step simply runs.
    let (Some(graph), Some(memory), Some(Ok(()))) = (ended, captured(), done) else { return Ok(None) };
    Ok(only_kernels(&graph).then_some(Graph { graph, _memory: memory }))
}

/// A copy from the host would read memory that is gone when the graph runs.
#[expect(unsafe_code, reason = "the driver's functions have no safe interface")]
fn only_kernels(graph: &CudaGraph) -> bool {
    let mut count = 0;
    // SAFETY: a graph that lives, an array as long as the driver said.
    unsafe {
        if sys::cuGraphGetNodes(graph.cu_graph(), std::ptr::null_mut(), &raw mut count) != sys::CUresult::CUDA_SUCCESS {
            return false;
        }
        let mut nodes = vec![std::ptr::null_mut(); count];
        if sys::cuGraphGetNodes(graph.cu_graph(), nodes.as_mut_ptr(), &raw mut count) != sys::CUresult::CUDA_SUCCESS {
            return false;
        }
        nodes.into_iter().all(|node| {
            let mut kind = sys::CUgraphNodeType::CU_GRAPH_NODE_TYPE_EMPTY;
            let known = sys::cuGraphNodeGetType(node, &raw mut kind) == sys::CUresult::CUDA_SUCCESS;
            // cuBLAS clears a workspace of its own now and then.
            let harmless = [
                sys::CUgraphNodeType::CU_GRAPH_NODE_TYPE_KERNEL,
                sys::CUgraphNodeType::CU_GRAPH_NODE_TYPE_MEMSET,
                sys::CUgraphNodeType::CU_GRAPH_NODE_TYPE_EMPTY,
            ];
            known && harmless.contains(&kind)
        })
    }
}

/// Writes `from` over `to` of every pair, where it lies, a launch per group of them: for buffers that a graph reads or writes,
/// whose tensors nobody takes for values. Elements are of any type of four or eight bytes.
///
/// # Errors
/// Shapes or types that differ.
pub fn overwrite_each(pairs: &[(&Tensor, &Tensor)]) -> Result<()> {
    let Some((first, _)) = pairs.first() else { return Ok(()) };
    let device = device(first)?;
    for chunk in pairs.chunks(GROUP) {
        let mut group = Box::new(Group { count: chunk.len() as u32, ..Group::default() });
        let mut kept = Vec::new();
        for (i, (to, from)) in chunk.iter().enumerate() {
            if to.dims() != from.dims() || to.dtype() != from.dtype() {
                let why = format!("{:?} {:?} over {:?} {:?}", from.dims(), from.dtype(), to.dims(), to.dtype());
                return Err(crate::error::shape("overwrite", why));
            }
            let from = super::dense(from)?;
            let (place, source, bytes) = match to.dtype() {
                DType::F64 => (place_of::<f64>(&device, to)?, place_of::<f64>(&device, &from)?, 8),
                DType::U32 => (place_of::<u32>(&device, to)?, place_of::<u32>(&device, &from)?, 4),
                DType::F32 => (place_of::<f32>(&device, to)?, place_of::<f32>(&device, &from)?, 4),
                other => return Err(crate::Error::Dtype { op: "overwrite", dtype: other.as_str() }),
            };
            (group.new_parameter[i], group.parameter[i]) = (place, source);
            group.start[i + 1] = group.start[i] + (to.elem_count() * bytes / 4) as u32;
            kept.push(from);
        }
        let n = group.start[group.count as usize] as usize;
        launch::<f32>(&device, "overwrite_each", Grid::Elements(n), &[Arg::Group(group)])?;
    }
    Ok(())
}
