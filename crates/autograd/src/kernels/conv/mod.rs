//! Convolutions without unfolding: every tap of the kernel reads the (padded) image where it lies.
//!
//! Vectors run along output channels, whose weights are packed; pixels are broadcast. So neither strides nor small
//! images cost anything, nothing is unfolded, and a weight gradient is the same tile with pixels as the inner sum. 3×3
//! convolutions of stride 1 in f32 go through Winograd's algorithms where they pay.

mod forward;
mod geometry;
mod groups;
mod input_grad;
mod plan;
mod weight_grad;
mod winograd;

pub use geometry::Geometry;

use super::scratch::unwritten;
use super::simd::Isa;
use super::transpose::Epilogue;
use super::{Real, dense, from_vec, on_gpu, view, work};
use crate::Result;
use candle_core::Tensor;

/// y = x ⋆ weight (+ bias), rectified on the way out if asked: `(N, C, H, W)`, `(O, C, KH, KW)`, `(O,)` to `(N, O, OH, OW)`.
pub fn conv2d<T: Real>(g: &Geometry, x: &Tensor, weight: &Tensor, bias: Option<&Tensor>, relu: bool) -> Result<Tensor> {
    on_gpu!(x, crate::cuda::conv2d::<T>(g, x, weight, bias, relu));
    let op = "conv2d";
    work::count(g.multiplications());
    let (x, weight, bias) = (dense(x)?, dense(weight)?, bias.map(dense).transpose()?);
    let (x, weight) = (view::<T>(op, &x)?, view::<T>(op, &weight)?);
    let bias = bias.as_ref().map(|b| view::<T>(op, b)).transpose()?;
    let epilogue = Epilogue { bias: bias.as_deref(), relu };
    let mut out = unwritten(g.n * g.o * g.area());
    forward::forward(Isa::best(), g, &x, &weight, epilogue, &mut out);
    from_vec(out, &[g.n, g.o, g.oh, g.ow])
}

/// The input gradient: cotangent `(N, O, OH, OW)`, weight `(O, C, KH, KW)` to `(N, C, H, W)`.
pub fn conv2d_input_grad<T: Real>(g: &Geometry, cotangent: &Tensor, weight: &Tensor) -> Result<Tensor> {
    on_gpu!(cotangent, crate::cuda::conv2d_input_grad::<T>(g, cotangent, weight));
    let op = "conv2d_input_grad";
    work::count(g.multiplications());
    let (cotangent, weight) = (dense(cotangent)?, dense(weight)?);
    let (d, weight) = (view::<T>(op, &cotangent)?, view::<T>(op, &weight)?);
    let mut out = unwritten(g.n * g.image());
    input_grad::input_grad(Isa::best(), g, &d, &weight, &mut out);
    from_vec(out, &[g.n, g.c, g.h, g.w])
}

/// The weight gradient: input `(N, C, H, W)`, cotangent `(N, O, OH, OW)` to `(O, C, KH, KW)`.
pub fn conv2d_weight_grad<T: Real>(g: &Geometry, x: &Tensor, cotangent: &Tensor) -> Result<Tensor> {
    on_gpu!(x, crate::cuda::conv2d_weight_grad::<T>(g, x, cotangent));
    let op = "conv2d_weight_grad";
    work::count(g.multiplications());
    let (x, cotangent) = (dense(x)?, dense(cotangent)?);
    let (x, d) = (view::<T>(op, &x)?, view::<T>(op, &cotangent)?);
    let mut out = unwritten(g.o * g.k());
    weight_grad::weight_grad(Isa::best(), g, &x, &d, &mut out);
    from_vec(out, &[g.o, g.c, g.kh, g.kw])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(n: usize, seed: u32) -> Vec<f64> {
        let mut s = seed.wrapping_mul(2_654_435_761).wrapping_add(1);
        (0..n)
            .map(|_| {
                s = s.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                f64::from(s >> 8) / f64::from(1 << 23) - 1.0
            })
            .collect()
    }

    fn to<T: Real>(x: &[f64]) -> Vec<T> {
        x.iter().map(|x| T::of(*x)).collect()
    }

    /// channels, height, width, output channels, kernel, stride, padding
    type Shape = (usize, usize, usize, usize, usize, usize, usize);

    fn geometry(n: usize, (c, h, w, o, k, stride, padding): Shape) -> Geometry {
        Geometry::new("test", &[n, c, h, w], &[o, c, k, k], stride, padding).unwrap()
    }

    /// Forward, input gradient and weight gradient.
    fn all<T: Real>(isa: Isa, g: &Geometry, winograd: bool) -> [Vec<T>; 3] {
        let x: Vec<T> = to(&numbers(g.n * g.image(), 1));
        let w: Vec<T> = to(&numbers(g.o * g.k(), 2));
        let d: Vec<T> = to(&numbers(g.n * g.o * g.area(), 3));
        let mut out = [vec![T::zero(); d.len()], vec![T::zero(); x.len()], vec![T::zero(); w.len()]];
        let [y, dx, dw] = &mut out;
        if winograd {
            forward::forward(isa, g, &x, &w, Epilogue::NONE, y);
            input_grad::input_grad(isa, g, &d, &w, dx);
            weight_grad::weight_grad(isa, g, &x, &d, dw);
        } else {
            forward::direct(isa, g, &x, &w, Epilogue::NONE, y);
            input_grad::direct(isa, g, &d, &w, dx);
            weight_grad::direct(isa, g, &x, &d, dw);
        }
        out
    }

    const SHAPES: [Shape; 11] = [
        (1, 9, 7, 5, 4, 2, 1),
        (3, 8, 8, 20, 3, 1, 1),
        (17, 6, 5, 3, 3, 2, 1),
        (2, 5, 5, 33, 1, 1, 0),
        (2, 7, 9, 3, 1, 2, 0),
        (2, 11, 10, 4, 3, 3, 2),
        (4, 3, 3, 2, 3, 1, 0),
        (16, 14, 14, 18, 5, 1, 2),
        (18, 10, 9, 16, 3, 1, 0),
        (16, 4, 4, 20, 3, 1, 1),
        (1, 4, 4, 2, 4, 3, 3),
    ];

    #[test]
    fn every_instruction_set_gives_the_same_bits() {
        for shape in SHAPES {
            let g = geometry(3, shape);
            let reference = (all::<f32>(Isa::Portable, &g, true), all::<f64>(Isa::Portable, &g, true));
            for isa in Isa::available() {
                assert!(all::<f32>(isa, &g, true) == reference.0, "{isa:?} f32 {shape:?}");
                assert!(all::<f64>(isa, &g, true) == reference.1, "{isa:?} f64 {shape:?}");
            }
        }
    }

    /// ⟨x ⋆ w, d⟩ = ⟨x, dx⟩ = ⟨w, dw⟩: the three maps are each other's adjoints.
    #[test]
    fn the_three_maps_are_adjoint() {
        for shape in SHAPES {
            for n in [1, 5] {
                let g = geometry(n, shape);
                let [y, dx, dw] = all::<f64>(Isa::best(), &g, true);
                let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
                let (x, w, d) = (numbers(dx.len(), 1), numbers(dw.len(), 2), numbers(y.len(), 3));
                let scale = y.len() as f64 * g.k() as f64;
                let (a, b, c) = (dot(&y, &d), dot(&x, &dx), dot(&w, &dw));
                assert!((a - b).abs() < 1e-13 * scale && (a - c).abs() < 1e-13 * scale, "{shape:?}: {a} {b} {c}");
            }
        }
    }

    /// Errors against f64, as shares of the result's root mean square: the direct sum's, and what fewer
    /// multiplications cost beside it (docs/architecture.md, "Kernels").
    #[test]
    fn fewer_multiplications_cost_a_known_accuracy() {
        let shapes = [
            (64, 16, 16, 64, 3, 1, 1), // 4×4 outputs of 3×3
            (64, 4, 4, 64, 3, 1, 1),   // 2×2 outputs of 3×3
            (32, 14, 14, 64, 5, 1, 2), // 2×2 outputs of 5×5
        ];
        for shape in shapes {
            let g = geometry(4, shape);
            assert!(winograd::pays::<f32>(&g));
            let exact = all::<f64>(Isa::best(), &g, false);
            let (direct, fewer) = (all::<f32>(Isa::best(), &g, false), all::<f32>(Isa::best(), &g, true));
            for (i, exact) in exact.iter().enumerate() {
                let rms = (exact.iter().map(|y| y * y).sum::<f64>() / exact.len() as f64).sqrt();
                let worst = |got: &[f32]| {
                    got.iter().zip(exact).map(|(a, b)| (f64::from(*a) - b).abs()).fold(0.0, f64::max) / rms
                };
                println!(
                    "{shape:?} map {i}: direct {:.1e}, fewer multiplications {:.1e}",
                    worst(&direct[i]),
                    worst(&fewer[i])
                );
                assert!(worst(&direct[i]) < 2e-5, "{shape:?} {i}: direct {:e}", worst(&direct[i]));
                assert!(worst(&fewer[i]) < 1e-4, "{shape:?} {i}: {:e}", worst(&fewer[i]));
                assert!(fewer[i] != direct[i], "{shape:?} {i}: the other algorithm did not run");
            }
        }
    }
}
