//! What is a constant and what is not.

use super::binder::Binder;
use super::step::StepHandle;
use super::values::{number, numbers, wholes};
use crate::loan::{drawn, operation};
use gauntlet_autograd::Var;
use gauntlet_autograd::kernels::{numbers_like, zeros_like};
use rhai::{Array, Dynamic};

pub(super) fn bind(b: &mut Binder<'_>) {
    b.bind("detach(x)", "the value as a constant: no gradient passes", |x: Var| operation(|| Ok(x.detach())));
    b.bind("leaf(x)", "the value as something to differentiate by, such as a moved input", |x: Var| {
        operation(|| Ok(Var::leaf(x.tensor().clone())))
    });
    b.bind(
        "constant(step, values, dims)",
        "a constant of these numbers: `step.constant([1.0, -1.0], [2])`",
        |_: StepHandle, values: Array, dims: Array| {
            let (values, dims) = (numbers("values", &values)?, wholes("dims", dims)?);
            drawn(&dims, false, |s| {
                let x = s.input();
                Ok(Var::constant(numbers_like(&values, &dims, x.tensor())?))
            })
        },
    );
    b.bind("full_like(x, value)", "a constant of x's shape, everywhere `value`", |x: Var, value: Dynamic| {
        let value = number("value", &value)?;
        operation(|| Var::constant(zeros_like(x.tensor())?).affine(1.0, value))
    });
}
