//! The training step, lent to the script that runs on this thread.
//!
//! Functions bound into the scripting engine live for the whole program, a step lives for one call; so the step is
//! handed to them through a scoped thread-local, which is empty again when the call ends, however it ends. While one
//! function has the step, no other can.

use crate::explanation::{Ran, said};
use gauntlet_core::Step;
use scoped_tls_hkt::scoped_thread_local;

/// Operations on tensors in one step: more than any recipe needs, few enough that an endless loop of them ends before
/// the memory does.
pub const MAX_TENSOR_OPERATIONS: u32 = 2000;
/// Passes through the network in one step, forward or backward.
pub const MAX_PASSES: u32 = 200;

struct Loan<'a, 's> {
    step: &'a mut Step<'s>,
    operations: u32,
    passes: u32,
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
    LOAN.set(&mut Loan { step, operations: 0, passes: 0 }, run)
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

/// An operation on tensors.
pub(crate) fn operation<R>(run: impl FnOnce() -> gauntlet_autograd::Result<R>) -> Ran<R> {
    visit(|loan| count(&mut loan.operations, MAX_TENSOR_OPERATIONS, "operations on tensors"))?;
    run().map_err(said)
}

/// A look at the step.
pub(crate) fn step<R>(look: impl FnOnce(&mut Step<'_>) -> gauntlet_core::Result<R>) -> Ran<R> {
    visit(|loan| {
        count(&mut loan.operations, MAX_TENSOR_OPERATIONS, "operations on tensors")?;
        look(loan.step).map_err(said)
    })
}

/// A pass through the network.
pub(crate) fn pass<R>(run: impl FnOnce(&mut Step<'_>) -> gauntlet_core::Result<R>) -> Ran<R> {
    visit(|loan| {
        count(&mut loan.passes, MAX_PASSES, "passes through the network")?;
        run(loan.step).map_err(said)
    })
}
