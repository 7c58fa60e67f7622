//! The training step, lent to the script that runs on this thread.
//!
//! Functions bound into the scripting engine live for the whole program, a step lives for one call; so the step is
//! handed to them through a scoped thread-local, which is empty again when the call ends, however it ends. While one
//! function has the step, no other can.

use crate::ran::{Ran, said};
use gauntlet_autograd::{Var, limited};
use gauntlet_core::Step;
use scoped_tls_hkt::scoped_thread_local;

/// Operations on tensors in one step: more than any recipe needs, few enough that an endless loop of them ends before
/// the memory does.
pub const MAX_TENSOR_OPERATIONS: u32 = 2000;
/// Passes through the network in one step, forward or backward; one of several batches at a time counts as several.
pub const MAX_PASSES: u32 = 200;
/// Operations on tensors in one step with those of its passes: a hundred times what a step of a network of a hundred layers takes.
pub const MAX_ALL_OPERATIONS: u64 = 50_000;
/// Gradients of gradients.
pub const MAX_ORDER: u32 = 3;
/// Elements of a tensor; for a large batch [`INPUTS`] times as many as that has.
pub const MAX_ELEMENTS: usize = 1 << 24;
/// Tensors as large as the input that one tensor may replace.
pub const INPUTS: usize = 16;
/// How many of the largest tensors one step may make in all.
pub const MAX_LARGEST: usize = 8;

struct Loan<'a, 's> {
    step: &'a mut Step<'s>,
    operations: u32,
    passes: u32,
    /// Elements that one tensor may have, and elements of all that were made.
    largest: usize,
    made: usize,
    /// Gradients that were taken with their graph, and their orders.
    gradients: Vec<(u64, u32)>,
}

/// Hides the lifetimes of a loan.
trait Visit {
    fn visit(&mut self, visitor: &mut dyn FnMut(&mut Loan<'_, '_>));
}

impl Visit for Loan<'_, '_> {
    fn visit(&mut self, visitor: &mut dyn FnMut(&mut Loan<'_, '_>)) {
        visitor(self);
    }
}

scoped_thread_local!(static mut LOAN: for<'a> &'a mut (dyn Visit + 'a));

/// Runs a script with the step.
pub(crate) fn lend<R>(step: &mut Step<'_>, run: impl FnOnce() -> R) -> R {
    let largest = step.input().tensor().elem_count().saturating_mul(INPUTS).max(MAX_ELEMENTS);
    let loan = &mut Loan { step, operations: 0, passes: 0, largest, made: 0, gradients: Vec::new() };
    limited(MAX_ALL_OPERATIONS, || LOAN.set(loan, run))
}

fn visit<R>(visitor: impl FnOnce(&mut Loan<'_, '_>) -> Ran<R>) -> Ran<R> {
    let outside = || Err("there is no training step outside `fn loss(step)`".into());
    if !LOAN.is_set() {
        return outside();
    }
    let (mut visitor, mut result) = (Some(visitor), None);
    LOAN.with(|loan| loan.visit(&mut |loan| result = visitor.take().map(|v| v(loan))));
    result.unwrap_or_else(outside)
}

fn count(so_far: &mut u32, limit: u32, what: &str) -> Ran<()> {
    *so_far += 1;
    if *so_far > limit {
        return Err(format!("more than {limit} {what} in one step: is there a loop without an end?").into());
    }
    Ok(())
}

/// What an operation returns, with the elements that it made.
pub(crate) trait Made {
    /// How many.
    fn elements(&self) -> usize;
}

impl Made for Var {
    fn elements(&self) -> usize {
        self.tensor().elem_count()
    }
}

impl Made for i64 {
    fn elements(&self) -> usize {
        0
    }
}

impl Loan<'_, '_> {
    /// Counts elements that were made or are about to be.
    fn make(&mut self, elements: usize) -> Ran<()> {
        self.made = self.made.saturating_add(elements);
        let most = self.largest.saturating_mul(MAX_LARGEST);
        if self.made > most {
            return Err(format!(
                "the tensors of this step have more than {most} elements together: is there a loop without an end?"
            )
            .into());
        }
        Ok(())
    }
}

/// An operation on tensors, of which none is larger than those that it takes; see [`growing`] for the others.
pub(crate) fn operation<R: Made>(run: impl FnOnce() -> gauntlet_autograd::Result<R>) -> Ran<R> {
    visit(|loan| count(&mut loan.operations, MAX_TENSOR_OPERATIONS, "operations on tensors"))?;
    let result = run().map_err(said)?;
    visit(|loan| loan.make(result.elements()))?;
    Ok(result)
}

/// An operation whose result has this shape, if it has one: it is not begun where that is too large.
pub(crate) fn growing(shape: Option<Vec<usize>>, run: impl FnOnce() -> gauntlet_autograd::Result<Var>) -> Ran<Var> {
    if let Some(shape) = shape {
        visit(|loan| fits(loan.largest, &shape))?;
    }
    operation(run)
}

/// Whether a shape is one that a tensor may have.
fn fits(largest: usize, shape: &[usize]) -> Ran<()> {
    let elements = shape.iter().try_fold(1usize, |n, side| n.checked_mul(*side));
    // What lies beyond an empty dimension must not run over either.
    let sides = shape.iter().filter(|n| **n > 0).try_fold(1usize, |n, side| n.checked_mul(*side));
    if sides.is_none() || elements.is_none_or(|n| n > largest) {
        return Err(format!(
            "a tensor of shape {shape:?} is too large: one of a script has at most {largest} elements"
        )
        .into());
    }
    Ok(())
}

/// A look at the step.
pub(crate) fn step<R>(look: impl FnOnce(&mut Step<'_>) -> gauntlet_core::Result<R>) -> Ran<R> {
    visit(|loan| {
        count(&mut loan.operations, MAX_TENSOR_OPERATIONS, "operations on tensors")?;
        look(loan.step).map_err(said)
    })
}

/// A tensor that the step makes: of these dimensions, behind the number of examples if `per_example`.
pub(crate) fn drawn(
    dims: &[usize],
    per_example: bool,
    draw: impl FnOnce(&mut Step<'_>) -> gauntlet_core::Result<Var>,
) -> Ran<Var> {
    visit(|loan| {
        count(&mut loan.operations, MAX_TENSOR_OPERATIONS, "operations on tensors")?;
        let n = per_example.then(|| loan.step.ids().len());
        fits(loan.largest, &n.into_iter().chain(dims.iter().copied()).collect::<Vec<_>>())?;
        let made = draw(loan.step).map_err(said)?;
        loan.make(made.elements())?;
        Ok(made)
    })
}

/// A pass of `x` through the network, forward.
pub(crate) fn pass(x: &Var, run: impl FnOnce(&mut Step<'_>) -> gauntlet_core::Result<Var>) -> Ran<Var> {
    visit(|loan| {
        let batches = x.elements().div_ceil(loan.step.input().elements().max(1)).max(1);
        for _ in 0..batches {
            count(&mut loan.passes, MAX_PASSES, "passes through the network")?;
        }
        run(loan.step).map_err(said)
    })
}

/// A pass backward, from values that may depend on gradients that were taken before.
pub(crate) fn differentiation(values: &Var, run: impl FnOnce(&mut Step<'_>) -> gauntlet_core::Result<Var>) -> Ran<Var> {
    visit(|loan| {
        count(&mut loan.passes, MAX_PASSES, "passes through the network")?;
        let taken: Vec<u64> = loan.gradients.iter().map(|(id, _)| *id).collect();
        let below = values.origins_among(&taken);
        let order = 1 + loan.gradients.iter().filter(|(id, _)| below.contains(id)).map(|g| g.1).max().unwrap_or(0);
        if order > MAX_ORDER {
            return Err(format!(
                "a derivative of order {order} by the input: gradients of gradients are taken up to order {MAX_ORDER}, \
                 each costs several times as much as the one below"
            )
            .into());
        }
        let gradient = run(loan.step).map_err(said)?;
        loan.make(gradient.elements())?;
        loan.gradients.extend(gradient.id().map(|id| (id, order)));
        Ok(gradient)
    })
}
