//! Pooling with stored places, and its adjoints.

use super::arg::Arg;
use super::launch::{Grid, at, device, launch, of, tensor, unwritten};
use super::{Element, dense, int, number};
use crate::Result;
use crate::kernels::window::pooled;
use candle_core::Tensor;

/// Height, width, pooled height and width, window and stride, as the kernels take them.
fn window((h, w): (usize, usize), (oh, ow): (usize, usize), (k, stride): (usize, usize)) -> [Arg; 6] {
    [h, w, oh, ow, k, stride].map(int)
}

/// Maxima of the windows and their places (u32) within each plane.
pub(crate) fn max_pool2d<T: Element>(x: &Tensor, k: usize, stride: usize) -> Result<(Tensor, Tensor)> {
    let (oh, ow) = pooled("max_pool2d", x.dims(), k, stride)?;
    let (device, x) = (device(x)?, dense(x)?);
    let (n, c, h, w) = x.dims4()?;
    let count = n * c * oh * ow;
    let (values, places) = (unwritten::<T>(&device, count)?, unwritten::<u32>(&device, count)?);
    let mut args = vec![int(count)];
    args.extend(window((h, w), (oh, ow), (k, stride)));
    args.extend([of::<T>(&device, &x)?, at(&device, &values), at(&device, &places)]);
    launch::<T>(&device, "max_pool", Grid::Elements(count), &args)?;
    let dims = [n, c, oh, ow];
    Ok((tensor(&device, values, &dims), tensor(&device, places, &dims)))
}

/// Values added at their places: `(N, C, OH, OW)` to `dims`.
pub(crate) fn unpool<T: Element>(
    g: &Tensor,
    places: &Tensor,
    dims: &[usize],
    (k, stride): (usize, usize),
) -> Result<Tensor> {
    let (device, g) = (device(g)?, dense(g)?);
    let (_, _, oh, ow) = g.dims4()?;
    let count = dims.iter().product();
    let out = unwritten::<T>(&device, count)?;
    let sizes = window((dims[2], dims[3]), (oh, ow), (k, stride));
    let tensors = [of::<T>(&device, &g)?, of::<u32>(&device, places)?, at(&device, &out)];
    if k == stride {
        let windows = dims[0] * dims[1] * dims[2].div_ceil(k) * dims[3].div_ceil(k);
        let args: Vec<Arg> = std::iter::once(int(windows)).chain(sizes.into_iter().take(5)).chain(tensors).collect();
        launch::<T>(&device, "unpool_apart", Grid::Elements(windows), &args)?;
    } else {
        let args: Vec<Arg> = std::iter::once(int(count)).chain(sizes).chain(tensors).collect();
        launch::<T>(&device, "unpool", Grid::Elements(count), &args)?;
    }
    Ok(tensor(&device, out, dims))
}

/// Values read at places.
pub(crate) fn gather_at<T: Element>(x: &Tensor, places: &Tensor) -> Result<Tensor> {
    let (device, x) = (device(x)?, dense(x)?);
    let ((_, _, h, w), (n, c, oh, ow)) = (x.dims4()?, places.dims4()?);
    let count = n * c * oh * ow;
    let out = unwritten::<T>(&device, count)?;
    let args =
        [int(count), int(h * w), int(oh * ow), of::<T>(&device, &x)?, of::<u32>(&device, places)?, at(&device, &out)];
    launch::<T>(&device, "gather_at", Grid::Elements(count), &args)?;
    Ok(tensor(&device, out, &[n, c, oh, ow]))
}

/// Means of the windows.
pub(crate) fn avg_pool2d<T: Element>(x: &Tensor, k: usize, stride: usize) -> Result<Tensor> {
    let (oh, ow) = pooled("avg_pool2d", x.dims(), k, stride)?;
    let (device, x) = (device(x)?, dense(x)?);
    let (n, c, h, w) = x.dims4()?;
    averages::<T>(&device, "avg_pool", &x, ((h, w), (oh, ow), (k, stride)), &[n, c, oh, ow])
}

/// The adjoint of [`avg_pool2d`].
pub(crate) fn avg_unpool<T: Element>(g: &Tensor, k: usize, stride: usize, dims: &[usize]) -> Result<Tensor> {
    let (device, g) = (device(g)?, dense(g)?);
    let (_, _, oh, ow) = g.dims4()?;
    averages::<T>(&device, "avg_unpool", &g, ((dims[2], dims[3]), (oh, ow), (k, stride)), dims)
}

type Sizes = ((usize, usize), (usize, usize), (usize, usize));

fn averages<T: Element>(
    device: &candle_core::CudaDevice,
    kernel: &'static str,
    from: &Tensor,
    (image, pooled, how): Sizes,
    dims: &[usize],
) -> Result<Tensor> {
    let count = dims.iter().product();
    let out = unwritten::<T>(device, count)?;
    let mut args = vec![int(count)];
    args.extend(window(image, pooled, how));
    let scale = number::<T>(1.0 / (how.0 * how.0) as f64);
    args.extend([scale, of::<T>(device, from)?, at(device, &out)]);
    launch::<T>(device, kernel, Grid::Elements(count), &args)?;
    Ok(tensor(device, out, dims))
}
