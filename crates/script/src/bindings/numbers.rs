//! Functions of plain numbers and lists.

use super::binder::Binder;
use super::values::number;
use crate::ran::Ran;
use gauntlet_records::Eps;
use rhai::{Array, Dynamic};

pub(super) fn bind(b: &mut Binder<'_>) {
    b.bind("min(a, b)", "the smaller number", |a: Dynamic, b: Dynamic| -> Ran<f64> {
        Ok(number("a", &a)?.min(number("b", &b)?))
    });
    b.bind("max(a, b)", "the larger number", |a: Dynamic, b: Dynamic| -> Ran<f64> {
        Ok(number("a", &a)?.max(number("b", &b)?))
    });
    // The same names as for Vars.
    b.bind("exp(a)", "eᵃ of a number", f64::exp);
    b.bind("log(a)", "ln a of a number", f64::ln);
    b.bind("sqrt(a)", "√a of a number", f64::sqrt);
    b.bind("abs(a)", "|a| of a number", f64::abs);
    b.bind("floor(a)", "the largest whole number up to a", f64::floor);
    b.bind("pixels(text)", "a length in pixels: `pixels(\"8/255\")`", |text: &str| -> Ran<f64> {
        let eps: Eps = text.parse().map_err(crate::ran::said)?;
        Ok(eps.value())
    });
    b.bind("len(list)", "how many items a list has", |list: Array| list.len() as i64);
    b.bind("push(list, item)", "adds an item to a list", |list: &mut Array, item: Dynamic| list.push(item));
}
