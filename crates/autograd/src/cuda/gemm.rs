//! Matrix products by cuBLAS.

use super::arg::Arg;
use super::launch::{Grid, at, device, launch, of, place, place_of, tensor, unwritten};
use super::{Element, dense, int};
use crate::kernels::work;
use crate::{Error, Result};
use candle_core::cuda_backend::cudarc::cublas::{result, sys};
use candle_core::{CudaDevice, DType, Tensor, WithDType};

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

/// Several products in one call: how many, and how many elements lie between the factors and the results of one and the next.
#[derive(Clone, Copy)]
pub(super) struct Steps {
    pub(super) count: usize,
    pub(super) a: usize,
    pub(super) b: usize,
    pub(super) c: usize,
    /// Whether factors may be rounded where that was asked for.
    pub(super) tf32: bool,
}

impl Product {
    pub(super) fn run<T: Element + WithDType>(self, device: &CudaDevice, a: u64, b: u64, c: u64) -> Result<()> {
        self.several::<T>(device, Steps { count: 1, a: 0, b: 0, c: 0, tf32: true }, a, b, c)
    }

    pub(super) fn several<T: Element + WithDType>(
        self,
        device: &CudaDevice,
        steps: Steps,
        a: u64,
        b: u64,
        c: u64,
    ) -> Result<()> {
        if self.m == 0 || self.n == 0 || steps.count == 0 {
            return Ok(());
        }
        let blas = device.cublas_handle();
        let handle = *blas.handle();
        let failed = |error| Error::Gpu { op: "matmul", why: format!("{error:?}") };
        if steps.tf32 {
            return self.call::<T>(handle, steps, (a, b, c)).map_err(failed);
        }
        // SAFETY: the handle lives as long as the device.
        #[expect(unsafe_code, reason = "cuBLAS has no safe interface to its precision")]
        let (mode, exact) = unsafe {
            let mut mode = sys::cublasMath_t::CUBLAS_DEFAULT_MATH;
            sys::cublasGetMathMode(handle, &raw mut mode).result().map_err(failed)?;
            (mode, sys::cublasSetMathMode(handle, sys::cublasMath_t::CUBLAS_DEFAULT_MATH).result())
        };
        let done = exact.and_then(|()| self.call::<T>(handle, steps, (a, b, c)));
        // SAFETY: as above.
        #[expect(unsafe_code, reason = "cuBLAS has no safe interface to its precision")]
        let again = unsafe { sys::cublasSetMathMode(handle, mode) };
        done.and(again.result()).map_err(failed)
    }

    fn call<T: WithDType>(
        self,
        handle: sys::cublasHandle_t,
        steps: Steps,
        (a, b, c): (u64, u64, u64),
    ) -> std::result::Result<(), result::CublasError> {
        let flag = |t| if t { sys::cublasOperation_t::CUBLAS_OP_T } else { sys::cublasOperation_t::CUBLAS_OP_N };
        // cuBLAS counts columns first: it is asked for Cᵀ = op(B)ᵀ · op(A)ᵀ, which is where our rows lie.
        let (m, n, k) = (self.n as i32, self.m as i32, self.k as i32);
        let lda = if self.ta { self.m } else { self.k }.max(1) as i32;
        let ldb = if self.tb { self.k } else { self.n }.max(1) as i32;
        let (tb, ta, beta) = (flag(self.tb), flag(self.ta), f64::from(u8::from(self.onto)));
        let (sa, sb, sc) = (steps.a as i64, steps.b as i64, steps.c as i64);
        let count = steps.count as i32;
        // SAFETY: the callers hand over buffers of m × k, k × n and m × n elements, `count` of them as far apart as they say,
        // alive until the stream has passed.
        #[expect(unsafe_code, reason = "cuBLAS takes addresses")]
        unsafe {
            match (T::DTYPE, count) {
                (DType::F64, 1) => {
                    let (a, b, c) = (a as *const f64, b as *const f64, c as *mut f64);
                    result::dgemm(handle, tb, ta, m, n, k, &1.0, b, ldb, a, lda, &beta, c, m)
                }
                (DType::F64, _) => {
                    let (a, b, c) = (a as *const f64, b as *const f64, c as *mut f64);
                    result::dgemm_strided_batched(
                        handle, tb, ta, m, n, k, &1.0, b, ldb, sb, a, lda, sa, &beta, c, m, sc, count,
                    )
                }
                (_, 1) => {
                    let (a, b, c) = (a as *const f32, b as *const f32, c as *mut f32);
                    result::sgemm(handle, tb, ta, m, n, k, &1.0, b, ldb, a, lda, &(beta as f32), c, m)
                }
                _ => {
                    let (a, b, c) = (a as *const f32, b as *const f32, c as *mut f32);
                    result::sgemm_strided_batched(
                        handle,
                        tb,
                        ta,
                        m,
                        n,
                        k,
                        &1.0,
                        b,
                        ldb,
                        sb,
                        a,
                        lda,
                        sa,
                        &(beta as f32),
                        c,
                        m,
                        sc,
                        count,
                    )
                }
            }
        }
    }
}

/// C = op(A) · op(B) (+ bias per column, rectified).
pub(crate) fn matmul<T: Element + WithDType>(
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
