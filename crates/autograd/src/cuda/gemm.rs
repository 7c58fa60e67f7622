//! Matrix products by cuBLAS.

use super::launch::{Arg, Grid, at, device, launch, of, place, place_of, tensor, unwritten};
use super::{Element, dense, int};
use crate::kernels::work;
use crate::{Error, Result};
use candle_core::cuda_backend::cudarc::cublas::{result, sys};
use candle_core::{CudaDevice, DType, Tensor};

/// Row-major C (m × n) ← op(A) · op(B) (+ C if `onto`), at these addresses; `ta`, `tb` say that A, B are stored transposed.
#[derive(Clone, Copy)]
pub(super) struct Product {
    pub(super) m: usize,
    pub(super) n: usize,
    pub(super) k: usize,
    pub(super) ta: bool,
    pub(super) tb: bool,
    pub(super) onto: bool,
}

impl Product {
    pub(super) fn run<T: Element + candle_core::WithDType>(
        self,
        device: &CudaDevice,
        a: u64,
        b: u64,
        c: u64,
    ) -> Result<()> {
        if self.m == 0 || self.n == 0 {
            return Ok(());
        }
        let flag = |t| if t { sys::cublasOperation_t::CUBLAS_OP_T } else { sys::cublasOperation_t::CUBLAS_OP_N };
        let blas = device.cublas_handle();
        // cuBLAS counts columns first: it is asked for Cᵀ = op(B)ᵀ · op(A)ᵀ, which is where our rows lie.
        let (m, n, k) = (self.n as i32, self.m as i32, self.k as i32);
        let lda = if self.ta { self.m } else { self.k }.max(1) as i32;
        let ldb = if self.tb { self.k } else { self.n }.max(1) as i32;
        let (tb, ta, beta) = (flag(self.tb), flag(self.ta), f64::from(u8::from(self.onto)));
        let handle = *blas.handle();
        // SAFETY: the callers hand over buffers of m × k, k × n and m × n elements, alive until the stream has passed.
        #[expect(unsafe_code, reason = "cuBLAS takes addresses")]
        let done = unsafe {
            match T::DTYPE {
                DType::F64 => {
                    let (a, b, c) = (a as *const f64, b as *const f64, c as *mut f64);
                    result::dgemm(handle, tb, ta, m, n, k, &1.0, b, ldb, a, lda, &beta, c, self.n as i32)
                }
                _ => {
                    let (a, b, c) = (a as *const f32, b as *const f32, c as *mut f32);
                    result::sgemm(handle, tb, ta, m, n, k, &1.0, b, ldb, a, lda, &(beta as f32), c, self.n as i32)
                }
            }
        };
        done.map_err(|error| Error::Gpu { op: "matmul", why: format!("{error:?}") })
    }

    /// `count` products of f32 whose factors and results lie one behind the other; never with TF32, whose rounding the
    /// bases of [`super::winograd`] would multiply.
    pub(super) fn several(self, device: &CudaDevice, count: usize, a: u64, b: u64, c: u64) -> Result<()> {
        if self.m == 0 || self.n == 0 {
            return Ok(());
        }
        let flag = |t| if t { sys::cublasOperation_t::CUBLAS_OP_T } else { sys::cublasOperation_t::CUBLAS_OP_N };
        let blas = device.cublas_handle();
        let handle = *blas.handle();
        let (m, n, k) = (self.n as i32, self.m as i32, self.k as i32);
        let lda = if self.ta { self.m } else { self.k }.max(1) as i32;
        let ldb = if self.tb { self.k } else { self.n }.max(1) as i32;
        let (tb, ta, beta) = (flag(self.tb), flag(self.ta), f32::from(u8::from(self.onto)));
        let steps = [self.n * self.k, self.m * self.k, self.m * self.n].map(|x| x as i64);
        let failed = |error| Error::Gpu { op: "matmul", why: format!("{error:?}") };
        // SAFETY: the callers hand over buffers of `count` times m × k, k × n and m × n elements, alive until the stream has
        // passed; the handle lives as long as the device.
        #[expect(unsafe_code, reason = "cuBLAS takes addresses")]
        unsafe {
            let mut mode = sys::cublasMath_t::CUBLAS_DEFAULT_MATH;
            sys::cublasGetMathMode(handle, &raw mut mode).result().map_err(failed)?;
            sys::cublasSetMathMode(handle, sys::cublasMath_t::CUBLAS_DEFAULT_MATH).result().map_err(failed)?;
            let (a, b, c) = (a as *const f32, b as *const f32, c as *mut f32);
            let count = count as i32;
            let [b_step, a_step, c_step] = steps;
            let done = result::sgemm_strided_batched(
                handle, tb, ta, m, n, k, &1.0, b, ldb, b_step, a, lda, a_step, &beta, c, m, c_step, count,
            );
            sys::cublasSetMathMode(handle, mode).result().map_err(failed)?;
            done.map_err(failed)
        }
    }
}

/// C = op(A) · op(B) (+ bias per column, rectified).
pub(crate) fn matmul<T: Element + candle_core::WithDType>(
    op: &'static str,
    a: &Tensor,
    b: &Tensor,
    (ta, tb): (bool, bool),
    bias: Option<&Tensor>,
    relu: bool,
) -> Result<Tensor> {
    let ((ar, ac), (br, bc)) = (a.dims2()?, b.dims2()?);
    let (m, k) = if ta { (ac, ar) } else { (ar, ac) };
    let (k2, n) = if tb { (bc, br) } else { (br, bc) };
    if k != k2 {
        let why = format!("cannot multiply {m}×{k} by {k2}×{n} (from {:?} and {:?})", a.dims(), b.dims());
        return Err(crate::error::shape(op, why));
    }
    if let Some(bias) = bias.filter(|bias| bias.dims() != [n]) {
        return Err(crate::error::shape(op, format!("bias {:?} for {n} columns", bias.dims())));
    }
    work::count(m * n * k);
    let (device, a, b) = (device(a)?, dense(a)?, dense(b)?);
    let out = unwritten::<T>(&device, m * n)?;
    let product = Product { m, n, k, ta, tb, onto: false };
    product.run::<T>(&device, place_of::<T>(&device, &a)?, place_of::<T>(&device, &b)?, place(&device, &out))?;
    if bias.is_some() || relu {
        let bias = bias.map(dense).transpose()?;
        let bias = bias.as_ref().map_or(Ok(Arg::At(0)), |b| of::<T>(&device, b))?;
        let args = [int(m * n), int(n), int(1), bias, int(usize::from(relu)), at(&device, &out)];
        launch::<T>(&device, "bias_relu", Grid::Elements(m * n), &args)?;
    }
    Ok(tensor(&device, out, &[m, n]))
}
