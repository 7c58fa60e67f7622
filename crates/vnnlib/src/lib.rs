//! Properties of networks as the verification competition VNN-COMP writes them, and a search for inputs that have them.
//!
//! A property in VNN-LIB is a condition on inputs `X_i` and outputs `Y_j`: usually a box around an image, and that some wrong class is
//! at least as high as the right one. It is *satisfied* (`sat`) by an input in the box whose outputs meet the condition: a
//! counterexample to robustness. [`Property`] is any such condition as a disjunction of boxes with linear inequalities of the
//! outputs; [`search()`] looks for an input by gradient ascent and says `sat` with a [`Witness`], or `unknown`: it never proves that
//! there is none.
//!
//! ```
//! use gauntlet_vnnlib::Property;
//! let text = "(declare-const X_0 Real) (declare-const Y_0 Real) (declare-const Y_1 Real)
//!     (assert (>= X_0 0.25)) (assert (<= X_0 0.75)) (assert (or (>= Y_1 Y_0) (<= Y_0 (- 2))))";
//! let property = Property::parse(text, "p.vnnlib")?;
//! assert_eq!((property.inputs(), property.outputs(), property.cases().len()), (1, 2, 2));
//! assert!(property.satisfied(&[0.5], &[1.0, 1.5]) && !property.satisfied(&[0.8], &[1.0, 1.5]));
//! # Ok::<(), gauntlet_vnnlib::Error>(())
//! ```

mod answer;
mod climb;
mod disjunction;
mod error;
mod expression;
mod formula;
mod halfspace;
mod instances;
mod linear;
mod property;
mod region;
mod search;
mod subject;
mod text;

pub use answer::{Answer, Verdict, Witness};
pub use error::{Error, Result};
pub use halfspace::Halfspace;
pub use instances::{Instance, Outcome, instances, run};
pub use property::{Case, Property};
pub use region::Region;
pub use search::{Limits, search};
pub use subject::Subject;
