//! Elementwise functions of two values.

use gauntlet_autograd::Var;
use gauntlet_core::Result;

/// An elementwise function of two values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Binary {
    /// a + b.
    Add,
    /// a − b.
    Sub,
    /// a · b.
    Mul,
    /// a / b.
    Div,
    /// The larger one; where they are alike, the derivative goes to b.
    Max,
    /// The smaller one; where they are alike, the derivative goes to b.
    Min,
    /// max(0, a) + b · min(0, a): a rectifier with slopes b.
    Prelu,
}

impl Binary {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Binary::Add => "add",
            Binary::Sub => "subtract",
            Binary::Mul => "multiply",
            Binary::Div => "divide",
            Binary::Max => "maximum",
            Binary::Min => "minimum",
            Binary::Prelu => "prelu",
        }
    }

    /// Its value at every pair of elements, after repeating by numpy's rules.
    ///
    /// # Errors
    /// Shapes that do not go together.
    pub fn apply(self, a: &Var, b: &Var) -> Result<Var> {
        Ok(match self {
            Binary::Add => a.broadcast_add(b)?,
            Binary::Sub => a.broadcast_sub(b)?,
            Binary::Mul => a.broadcast_mul(b)?,
            Binary::Div => a.broadcast_div(b)?,
            // max(a, b) = b + relu(a − b), min(a, b) = b − relu(b − a)
            Binary::Max => a.broadcast_sub(b)?.relu()?.broadcast_add(b)?,
            Binary::Min => b.broadcast_sub(&b.broadcast_sub(a)?.relu()?)?,
            Binary::Prelu => a.relu()?.broadcast_add(&a.clamp(f64::NEG_INFINITY, 0.0)?.broadcast_mul(b)?)?,
        })
    }
}
