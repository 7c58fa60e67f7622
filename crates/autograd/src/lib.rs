//! Reverse-mode differentiation of any order over candle tensors.
//!
//! The question behind it: *how can a loss depend on a network's input gradient?* Compute g = ∇ₓℓ **with its graph**,
//! build a penalty from g, and differentiate the whole by the parameters (double backpropagation):
//!
//! ```
//! use candle_core::{Device, Tensor};
//! use gauntlet_autograd::{Graph, Var, grad};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let w = Var::leaf(Tensor::new(&[[3.0f64, -4.0]], &Device::Cpu)?); // a linear model 2 → 1
//! let x = Var::leaf(Tensor::new(&[[1.0f64, 2.0]], &Device::Cpu)?);
//! let output = x.linear(&w, None)?;
//! let g = grad(&output, &[&x], Graph::Keep)?.swap_remove(0); // = w, and it knows so
//! let penalty = g.norm_l2_per_example()?.sum_all()?; // ‖w‖ = 5
//! let dw = grad(&penalty, &[&w], Graph::Free)?.swap_remove(0); // w / ‖w‖
//! assert!((dw.tensor().to_vec2::<f64>()?[0][1] + 0.8).abs() < 1e-12);
//! # Ok(())
//! # }
//! ```
//!
//! candle's own `backward` is not used: its derivatives are detached node by node, so second-order values are wrong
//! rather than missing (see docs/architecture.md). Here an operation is recorded exactly when one of its inputs is, or depends on,
//! a leaf; [`Graph`] says per call whether the *results* can be differentiated again; there is no global state.

mod allowance;
pub mod check;
#[cfg(feature = "cuda")]
pub mod cuda;
mod error;
mod gradient;
pub mod kernels;
mod ops;
mod saves;
pub mod selftest;
mod var;

pub use allowance::limited;
pub use error::{Error, Result};
pub use gradient::{Graph, grad, grad_last, pull};
pub use ops::cross_entropy_slope;
pub use saves::Saves;
pub use var::{Op, Saved, Var};
