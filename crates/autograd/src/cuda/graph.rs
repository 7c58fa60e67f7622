//! What a step launches, recorded once and handed to the driver in one call (a CUDA graph).

use super::launch::{Arg, Grid, Layout, RANK, device, launch, of, place_of};
use super::memory::{MODE, Reserved, capture, captured};
use super::{Element, int};
use crate::Result;
use candle_core::cuda_backend::cudarc::driver::{CudaGraph, sys};
use candle_core::{Device, Tensor};

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
    let begun = stream.begin_capture(MODE);
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

/// Writes `from` over `to`, where it lies: for buffers that a graph reads, whose tensor nobody else holds.
///
/// # Errors
/// Shapes that differ.
pub fn overwrite<T: Element>(to: &Tensor, from: &Tensor) -> Result<()> {
    if to.dims() != from.dims() {
        return Err(crate::error::shape("overwrite", format!("{:?} over {:?}", from.dims(), to.dims())));
    }
    let (device, from, n) = (device(to)?, super::dense(from)?, to.elem_count());
    let mut layout = Layout { dims: [1; RANK], ..Layout::default() };
    (layout.dims[RANK - 1], layout.from[RANK - 1], layout.to[RANK - 1]) = (n as u32, 1, 1);
    let args = [int(n), Arg::Layout(layout), of::<T>(&device, &from)?, Arg::At(place_of::<T>(&device, to)?)];
    launch::<T>(&device, "copy", Grid::Elements(n), &args)
}
