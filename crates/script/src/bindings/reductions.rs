//! Sums and means, above all per example: `(N, ..)` to `(N,)`.

use super::binder::Binder;
use super::values::wholes;
use crate::loan::operation;
use gauntlet_autograd::Var;
use rhai::Array;

pub(super) fn bind(b: &mut Binder<'_>) {
    macro_rules! functions {
        ($($name:ident $doc:literal)*) => {
            $(b.bind(concat!(stringify!($name), "(x)"), $doc, |x: Var| operation(|| x.$name()));)*
        };
    }
    functions! {
        sum_per_example "Σ over everything but the example, `(N,)`"
        mean_per_example "mean over everything but the example, `(N,)`"
        norm_l1_per_example "‖x‖₁ per example, `(N,)`"
        norm_l2_per_example "‖x‖₂ per example, `(N,)`; a zero row has value 0 and gradient 0"
    }
    b.bind("dot_per_example(x, y)", "⟨x, y⟩ per example, `(N,)`", |x: Var, y: Var| {
        operation(|| x.dot_per_example(&y))
    });
    b.bind(
        "cosine_per_example(x, y)",
        "cos(x, y) per example, `(N,)`; where either is negligible, 0 without gradient",
        |x: Var, y: Var| operation(|| x.cosine_per_example(&y)),
    );
    b.bind(
        "negligible_per_example(x)",
        "1 where the largest entry of an example is below 10⁻¹⁸, else 0, `(N,)`, a constant",
        |x: Var| operation(|| x.negligible_per_example()),
    );
    functions! {
        sum_all "Σ over all elements, shape `()`"
        mean_all "mean over all elements, shape `()`"
        sum_channels "Σ over all but the channel, `(N, C, ..)` to `(C,)`"
    }
    macro_rules! over {
        ($($name:ident $doc:literal)*) => {
            $(b.bind(concat!(stringify!($name), "(x, dims)"), $doc, |x: Var, dims: Array| {
                let dims = wholes("dims", dims)?;
                operation(|| x.$name(&dims))
            });)*
        };
    }
    over! {
        sum "Σ over dimensions, which vanish: `x.sum([2, 3])`"
        sum_keepdim "Σ over dimensions, which stay with size one"
        mean_keepdim "mean over dimensions, which stay with size one"
    }
}
