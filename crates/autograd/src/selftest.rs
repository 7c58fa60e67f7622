//! The list of every operation with a gradient check of first and second order: what `gauntlet doctor` prints.

use crate::check::{Report, first, orders, second};
use crate::{Result, Var};
use candle_core::{DType, Device, Tensor};

/// One operation under check.
pub struct Case {
    /// Name of the operation.
    pub name: &'static str,
    arguments: Vec<Tensor>,
    function: fn(&[Var]) -> Result<Var>,
}

/// Largest relative error allowed at either order.
pub const TOLERANCE: f64 = 1e-6;

impl Case {
    /// First- and second-order check; an error if either exceeds [`TOLERANCE`].
    pub fn run(&self) -> Result<(Report, Report)> {
        let f: &crate::check::Function<'_> = &self.function;
        Ok((first(f, &self.arguments, TOLERANCE)?, second(f, &self.arguments, TOLERANCE)?))
    }

    /// Largest difference of value, gradients and second-order gradients on a device in a dtype from those of the CPU in f64,
    /// as a share of the largest entry of each.
    ///
    /// # Errors
    /// Those of the operation; answers of other shapes.
    pub fn difference(&self, device: &Device, dtype: DType) -> Result<f64> {
        let f: &crate::check::Function<'_> = &self.function;
        let moved = |t: &Tensor| t.to_dtype(dtype)?.to_device(device);
        let there = self.arguments.iter().map(moved).collect::<Result<Vec<_>, _>>()?;
        let (got, want) = (orders(f, &there)?, orders(f, &self.arguments)?);
        if got.len() != want.len() {
            return Err(crate::error::shape(self.name, "another number of derivatives"));
        }
        let mut worst = 0.0f64;
        for (got, want) in got.iter().zip(&want) {
            if got.dims() != want.dims() {
                return Err(crate::error::shape(self.name, format!("{:?} instead of {:?}", got.dims(), want.dims())));
            }
            let read = |t: &Tensor| t.to_device(&Device::Cpu)?.to_dtype(DType::F64)?.flatten_all()?.to_vec1::<f64>();
            let (got, want) = (read(got)?, read(want)?);
            let largest = want.iter().fold(1e-3, |m: f64, v| m.max(v.abs()));
            // Written so that a NaN is the largest difference of all.
            let off = got.iter().zip(&want).map(|(a, b)| (a - b).abs() / largest);
            worst = off.fold(worst, |m, d| if d <= m { m } else { d });
        }
        Ok(worst)
    }
}

/// Distinct values, none within 0.02 of zero or of one another's kinks.
fn values(dims: &[usize], low: f64, high: f64, salt: usize) -> Result<Tensor> {
    let count: usize = dims.iter().product();
    // A permutation of an even grid: no ties for max-pool, no zero for relu and abs.
    let stride = (0..).map(|k| count / 2 + 1 + k).find(|s| gcd(*s, count) == 1).unwrap_or(1);
    let v: Vec<f64> =
        (0..count).map(|i| low + (high - low) * (((i * stride + salt) % count) as f64 + 0.5) / count as f64).collect();
    Ok(Tensor::from_vec(v, dims, &Device::Cpu)?)
}

fn gcd(a: usize, b: usize) -> usize {
    if b == 0 { a } else { gcd(b, a % b) }
}

/// Every operation of this crate.
pub fn cases() -> Result<Vec<Case>> {
    let mut cases = Vec::new();
    let mut add = |name, arguments: Vec<Tensor>, function| cases.push(Case { name, arguments, function });
    let wide = || values(&[3, 4], -1.9, 2.1, 1);
    let positive = || values(&[3, 4], 0.3, 2.1, 2);
    let image = |c: usize, h: usize| values(&[2, c, h, h], -1.3, 1.1, 3);

    add("affine", vec![wide()?], |v| v[0].affine(1.7, -0.3));
    add("sqr", vec![wide()?], |v| v[0].sqr());
    add("sqrt", vec![positive()?], |v| v[0].sqrt());
    add("guarded_sqrt", vec![positive()?], |v| v[0].guarded_sqrt());
    add("recip", vec![positive()?], |v| v[0].recip());
    add("guarded_recip", vec![positive()?], |v| v[0].guarded_recip());
    add("exp", vec![wide()?], |v| v[0].exp());
    add("log", vec![positive()?], |v| v[0].log());
    add("abs", vec![wide()?], |v| v[0].abs()?.sqr());
    add("tanh", vec![wide()?], |v| v[0].tanh());
    add("sigmoid", vec![wide()?], |v| v[0].sigmoid());
    add("relu", vec![wide()?], |v| v[0].relu()?.sqr());
    add("softplus", vec![wide()?], |v| v[0].softplus());
    add("gelu", vec![wide()?], |v| v[0].gelu());
    add("normal_cdf", vec![wide()?], |v| v[0].normal_cdf());
    add("clamp", vec![wide()?], |v| v[0].clamp(-1.0, 1.0)?.sqr());
    add("sign (a constant)", vec![wide()?], |v| v[0].mul(&v[0].sign()?)?.sqr());
    add("add", vec![wide()?, positive()?], |v| v[0].add(&v[1])?.sqr());
    add("sub", vec![wide()?, positive()?], |v| v[0].sub(&v[1])?.sqr());
    add("mul", vec![wide()?, positive()?], |v| v[0].mul(&v[1]));
    add("div", vec![wide()?, positive()?], |v| v[0].div(&v[1]));
    add("broadcast_add", vec![wide()?, values(&[4], -1.0, 1.0, 0)?], |v| v[0].broadcast_add(&v[1])?.exp());
    add("broadcast_sub", vec![wide()?, values(&[3, 1], -1.0, 1.0, 0)?], |v| v[0].broadcast_sub(&v[1])?.exp());
    add("broadcast_mul", vec![wide()?, values(&[4], -1.0, 1.0, 0)?], |v| v[0].broadcast_mul(&v[1])?.exp());
    add("broadcast_div", vec![wide()?, values(&[1, 4], 0.5, 1.0, 0)?], |v| v[0].broadcast_div(&v[1]));
    add("broadcast_channels", vec![values(&[3], -1.0, 1.0, 0)?], |v| v[0].broadcast_channels(&[2, 3, 2])?.exp());
    add("sum_all", vec![wide()?], |v| v[0].sum_all()?.sqr());
    add("mean_all", vec![wide()?], |v| v[0].mean_all()?.exp());
    add("sum", vec![image(3, 2)?], |v| v[0].sum(&[1, 3])?.exp());
    add("sum_keepdim", vec![image(3, 2)?], |v| v[0].sum_keepdim(&[0, 2])?.exp());
    add("mean_keepdim", vec![image(3, 2)?], |v| v[0].mean_keepdim(&[2])?.exp());
    add("sum_channels", vec![image(3, 2)?], |v| v[0].sum_channels()?.affine(0.2, 0.0)?.exp());
    add("sum_per_example", vec![image(1, 2)?], |v| v[0].sum_per_example()?.exp());
    add("mean_per_example", vec![image(1, 2)?], |v| v[0].mean_per_example()?.exp());
    add("norm_l1_per_example", vec![image(1, 3)?], |v| v[0].norm_l1_per_example()?.sqr());
    add("norm_l2_per_example", vec![image(1, 3)?], |v| v[0].norm_l2_per_example());
    add("dot_per_example", vec![image(1, 3)?, image(1, 3)?], |v| v[0].dot_per_example(&v[1]));
    add("cosine_per_example", vec![image(1, 3)?, values(&[2, 1, 3, 3], -0.5, 1.4, 5)?], |v| {
        v[0].cosine_per_example(&v[1])
    });
    add("reshape", vec![wide()?], |v| v[0].reshape(&[2, 6])?.exp());
    add("flatten", vec![image(2, 2)?], |v| v[0].flatten()?.exp());
    add("transpose", vec![wide()?], |v| v[0].transpose(0, 1)?.exp());
    add("narrow", vec![wide()?], |v| v[0].narrow(1, 1, 2)?.exp());
    add("pad_zeros", vec![wide()?], |v| v[0].pad_zeros(1, 1, 2)?.exp());
    add("cat", vec![wide()?, positive()?], |v| Var::cat(&[&v[0], &v[1]], 1)?.exp());
    add("unsqueeze", vec![wide()?], |v| v[0].unsqueeze(1)?.exp());
    add("squeeze", vec![values(&[3, 1, 2], -1.0, 1.0, 0)?], |v| v[0].squeeze(1)?.exp());
    add("broadcast_to", vec![values(&[3, 1], -1.0, 1.0, 0)?], |v| v[0].broadcast_to(&[2, 3, 2])?.exp());
    add("matmul", vec![wide()?, values(&[4, 2], -1.0, 1.0, 3)?], |v| v[0].matmul(&v[1])?.sqr());
    let affine =
        || -> Result<Vec<Tensor>> { Ok(vec![wide()?, values(&[5, 4], -1.0, 1.0, 3)?, values(&[5], -1.0, 1.0, 3)?]) };
    add("linear", affine()?, |v| v[0].linear(&v[1], Some(&v[2]))?.tanh());
    add("linear_relu", affine()?, |v| v[0].linear_relu(&v[1], &v[2])?.tanh());
    let conv = |k: usize| -> Result<Vec<Tensor>> {
        Ok(vec![image(2, 5)?, values(&[3, 2, k, k], -0.6, 0.5, 1)?, values(&[3], -0.4, 0.4, 0)?])
    };
    add("conv2d 3×3", conv(3)?, |v| v[0].conv2d(&v[1], Some(&v[2]), 1, 1)?.tanh());
    add("conv2d 3×3 stride 2", conv(3)?, |v| v[0].conv2d(&v[1], Some(&v[2]), 2, 0)?.tanh());
    add("conv2d 4×4 stride 2 padding 1", conv(4)?, |v| v[0].conv2d(&v[1], None, 2, 1)?.tanh());
    add("conv2d 1×1", conv(1)?, |v| v[0].conv2d(&v[1], Some(&v[2]), 1, 0)?.tanh());
    add("conv2d_relu", conv(3)?, |v| v[0].conv2d_relu(&v[1], Some(&v[2]), 1, 1)?.tanh());
    // The gradients of a convolution as functions of their own: their second order is the third of the convolution.
    add("conv2d input gradient", conv(3)?, |v| {
        let y = v[0].conv2d(&v[1], None, 2, 1)?.sqr()?;
        Ok(crate::grad(&y, &[&v[0]], crate::Graph::Keep)?.swap_remove(0))
    });
    add("conv2d weight gradient", conv(3)?, |v| {
        let y = v[0].conv2d(&v[1], None, 2, 1)?.sqr()?;
        Ok(crate::grad(&y, &[&v[1]], crate::Graph::Keep)?.swap_remove(0))
    });
    add("max_pool2d", vec![image(2, 4)?], |v| v[0].max_pool2d(2, 2)?.exp());
    add("max_pool2d overlapping", vec![image(1, 5)?], |v| v[0].max_pool2d(3, 2)?.exp());
    add("avg_pool2d", vec![image(2, 4)?], |v| v[0].avg_pool2d(2, 2)?.exp());
    add("log_softmax", vec![wide()?], |v| v[0].log_softmax());
    add("softmax", vec![wide()?], |v| v[0].softmax());
    add("gather_labels", vec![wide()?], |v| v[0].exp()?.gather_labels(&Tensor::new(&[2u32, 0, 3], &Device::Cpu)?));
    add("cross_entropy", vec![wide()?], |v| v[0].cross_entropy(&Tensor::new(&[2u32, 0, 3], &Device::Cpu)?));
    let norm =
        || -> Result<Vec<Tensor>> { Ok(vec![image(3, 2)?, values(&[3], 0.5, 1.5, 0)?, values(&[3], -0.5, 0.5, 0)?]) };
    add("batch_norm_train", norm()?, |v| v[0].batch_norm_train(&v[1], &v[2], 1e-5)?.0.tanh());
    /// Mean and variance of three channels.
    fn given(v: &[Var]) -> Result<(Tensor, Tensor)> {
        let here = |t: [f64; 3]| Tensor::new(&t, &Device::Cpu)?.to_dtype(v[0].dtype())?.to_device(v[0].device());
        Ok((here([0.1, -0.2, 0.3])?, here([1.1, 0.7, 0.9])?))
    }
    add("batch_norm_eval", norm()?, |v| {
        let (mean, var) = given(v)?;
        v[0].batch_norm_eval(&v[1], &v[2], &mean, &var, 1e-5)?.tanh()
    });
    add("batch_norm_relu_train", norm()?, |v| v[0].batch_norm_relu_train(&v[1], &v[2], 1e-5)?.0.tanh());
    add("batch_norm_relu_eval", norm()?, |v| {
        let (mean, var) = given(v)?;
        v[0].batch_norm_relu_eval(&v[1], &v[2], &mean, &var, 1e-5)?.tanh()
    });
    add("channel_affine", norm()?, |v| v[0].channel_affine(&v[1], &v[2])?.tanh());
    Ok(cases)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_operation_agrees_with_central_differences_at_both_orders() {
        let mut failures = Vec::new();
        for case in cases().unwrap() {
            match case.run() {
                Ok((first, second)) => {
                    println!(
                        "{:32} {:.1e} {:.1e} ({} directions)",
                        case.name, first.worst, second.worst, first.compared
                    );
                    assert!(first.compared > 0 && first.discarded == 0, "{} probes a kink", case.name);
                }
                Err(e) => failures.push(format!("{}: {e}", case.name)),
            }
        }
        assert!(failures.is_empty(), "{}", failures.join("\n"));
    }
}
