//! Choices by row: the largest entry, the largest of the wrong ones, chosen rows.

use super::on_gpu;
use crate::Result;
use candle_core::Tensor;

/// The column of every row's largest entry, the first of equal ones: `(N, K)` to `(N,)` u32.
///
/// # Errors
/// Another shape or dtype.
pub fn argmax_rows(x: &Tensor) -> Result<Tensor> {
    on_gpu!(x, super::by_dtype!("argmax", x, T => crate::cuda::best_column::<T>(x, None)));
    Ok(x.argmax(1)?)
}

/// The column of the largest entry that is not the label's: `(N, K)`, labels `(N,)` u32, to `(N,)` u32.
///
/// # Errors
/// Another shape or dtype.
pub fn runner_up(z: &Tensor, labels: &Tensor) -> Result<Tensor> {
    on_gpu!(z, super::by_dtype!("runner_up", z, T => crate::cuda::best_column::<T>(z, Some(labels))));
    let labels = labels.to_vec1::<u32>()?;
    let rows: Vec<Vec<f64>> = z.to_dtype(candle_core::DType::F64)?.to_vec2()?;
    let best = |(row, y): (&Vec<f64>, &u32)| {
        let wrong = row.iter().enumerate().filter(|(k, _)| *k != *y as usize);
        wrong.fold((0, f64::NEG_INFINITY), |m, (k, z)| if *z > m.1 { (k as u32, *z) } else { m }).0
    };
    let chosen: Vec<u32> = rows.iter().zip(&labels).map(best).collect();
    Ok(Tensor::from_vec(chosen, labels.len(), z.device())?)
}

/// 1 in the given column of every row, 0 elsewhere: columns `(N,)` u32 to `(N, width)`, of `like`'s dtype.
///
/// # Errors
/// Another dtype.
pub fn one_hot(columns: &Tensor, width: usize, like: &Tensor) -> Result<Tensor> {
    on_gpu!(columns, super::by_dtype!("one_hot", like, T => crate::cuda::one_hot::<T>(columns, width)));
    let places = Tensor::arange(0u32, width as u32, columns.device())?;
    Ok(places.unsqueeze(0)?.broadcast_eq(&columns.unsqueeze(1)?)?.to_dtype(like.dtype())?)
}

/// The chosen rows `(N,)` u32 of x.
///
/// # Errors
/// Another dtype; on the CPU a row that x does not have.
pub fn select_rows(x: &Tensor, rows: &Tensor) -> Result<Tensor> {
    on_gpu!(x, super::by_dtype!("select_rows", x, T => crate::cuda::select_rows::<T>(x, rows)));
    Ok(x.index_select(rows, 0)?)
}
