//! Functions of one or two variables, element by element.

use super::binder::Binder;
use super::values::number;
use crate::loan::{growing, operation};
use crate::ran::Ran;
use gauntlet_autograd::Var;
use rhai::Dynamic;

pub(super) fn bind(b: &mut Binder<'_>) {
    unary(b);
    binary(b);
    operators(b);
    b.bind("affine(x, mul, add)", "mul · x + add", |x: Var, mul: Dynamic, add: Dynamic| {
        let (mul, add) = (number("mul", &mul)?, number("add", &add)?);
        operation(|| x.affine(mul, add))
    });
    b.bind(
        "clamp(x, lo, hi)",
        "min(max(x, lo), hi), gradient 1 inside and on the bounds",
        |x: Var, lo: Dynamic, hi: Dynamic| {
            let (lo, hi) = (number("lo", &lo)?, number("hi", &hi)?);
            operation(|| x.clamp(lo, hi))
        },
    );
}

fn unary(b: &mut Binder<'_>) {
    macro_rules! functions {
        ($($name:ident $doc:literal)*) => {
            $(b.bind(concat!(stringify!($name), "(x)"), $doc, |x: Var| operation(|| x.$name()));)*
        };
    }
    functions! {
        neg "−x, also `-x`"
        sqr "x²"
        sqrt "√x"
        guarded_sqrt "√x with derivative 0 at 0"
        recip "1/x"
        guarded_recip "1/x with value and derivative 0 at 0"
        exp "eˣ"
        log "ln x"
        abs "|x|, derivative 0 at 0"
        sign "−1, 0 or 1: a constant, its derivative is zero"
        relu "max(0, x), derivative 0 at 0"
        gelu "x · Φ(x)"
        normal_cdf "Φ(x), the normal distribution function"
        softplus "ln(1 + eˣ)"
        tanh "tanh x"
        sigmoid "1 / (1 + e⁻ˣ)"
    }
}

fn binary(b: &mut Binder<'_>) {
    macro_rules! functions {
        ($($name:ident $doc:literal)*) => {
            $(b.bind(concat!(stringify!($name), "(x, y)"), $doc, |x: Var, y: Var| {
                growing(broadcast(&x, &y), || x.$name(&y))
            });)*
        };
    }
    functions! {
        add "x + y, equal shapes; also `x + y`, as `-`, `*` and `/`, with a number on either side too"
        sub "x − y, equal shapes"
        mul "x · y, equal shapes"
        div "x / y, equal shapes"
        broadcast_add "x + y after broadcasting"
        broadcast_sub "x − y after broadcasting"
        broadcast_mul "x · y after broadcasting"
        broadcast_div "x / y after broadcasting"
    }
}

/// The shape of both after broadcasting: the longer of every pair of sides, the last ones beside each other.
fn broadcast(x: &Var, y: &Var) -> Option<Vec<usize>> {
    let rank = x.dims().len().max(y.dims().len());
    let side = |v: &Var, i: usize| (i + v.dims().len()).checked_sub(rank).map_or(1, |i| v.dims()[i]);
    Some((0..rank).map(|i| side(x, i).max(side(y, i))).collect())
}

fn operators(b: &mut Binder<'_>) {
    b.operator("-", |x: Var| operation(|| x.neg()));
    b.operator("+", |x: Var, y: Var| operation(|| x.add(&y)));
    b.operator("-", |x: Var, y: Var| operation(|| x.sub(&y)));
    b.operator("*", |x: Var, y: Var| operation(|| x.mul(&y)));
    b.operator("/", |x: Var, y: Var| operation(|| x.div(&y)));
    // With a number: the same affine function as in Rust.
    macro_rules! with_numbers {
        ($($number:ty)*) => {
            $(
                b.operator("+", |x: Var, c: $number| affine(&x, 1.0, c as f64));
                b.operator("+", |c: $number, x: Var| affine(&x, 1.0, c as f64));
                b.operator("-", |x: Var, c: $number| affine(&x, 1.0, -(c as f64)));
                b.operator("-", |c: $number, x: Var| affine(&x, -1.0, c as f64));
                b.operator("*", |x: Var, c: $number| affine(&x, c as f64, 0.0));
                b.operator("*", |c: $number, x: Var| affine(&x, c as f64, 0.0));
                b.operator("/", |x: Var, c: $number| affine(&x, 1.0 / c as f64, 0.0));
                b.operator("/", |c: $number, x: Var| operation(|| x.recip()?.affine(c as f64, 0.0)));
            )*
        };
    }
    with_numbers!(f64 i64);
}

fn affine(x: &Var, mul: f64, add: f64) -> Ran<Var> {
    operation(|| x.affine(mul, add))
}
