//! The angle between two fields.

use gauntlet_autograd::Var;
use gauntlet_core::{Result, Term};

/// 1 − cos(aₙ, bₙ), the cosine, and whether the row was dropped; all `(N,)`.
///
/// A row where a or b is negligible (below 10⁻¹⁸) has no direction: it counts 0, has no gradient, stays in the
/// denominator of the mean, and is counted in `dropped`.
pub(crate) struct Alignment {
    pub(crate) apart: Var,
    pub(crate) cos: Var,
    pub(crate) dropped: Var,
}

impl Alignment {
    pub(crate) fn of(a: &Var, b: &Var) -> Result<Self> {
        let cos = a.cosine_per_example(b)?;
        let (gone, aimless) = (a.negligible_per_example()?, b.negligible_per_example()?);
        let kept = gone.affine(-1.0, 1.0)?.mul(&aimless.affine(-1.0, 1.0)?)?;
        let dropped = kept.affine(-1.0, 1.0)?;
        // 1 − cos, and 0 where a row was dropped: its cosine is 0.
        Ok(Alignment { apart: kept.sub(&cos)?, cos, dropped })
    }

    /// `align` with its weight, and the logged terms `cos` and `dropped`.
    pub(crate) fn terms(self, weight: f64) -> Vec<Term> {
        let logged = [Term::logged("cos", &self.cos), Term::logged("dropped", &self.dropped)];
        std::iter::once(Term::new("align", weight, self.apart)).chain(logged).collect()
    }
}
