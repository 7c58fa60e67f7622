//! Step sizes: absolute, or relative to the budget.

use gauntlet_core::{Error, Result};
use gauntlet_records::Eps;
use std::str::FromStr;

/// The step size α of an iterative attack.
#[derive(Debug, Clone, PartialEq)]
pub enum StepSize {
    /// Pixels, e.g. `0.01` or `2/255`.
    Absolute(Eps),
    /// ε divided by a number, e.g. `eps/4` (or just `eps`).
    Relative(f64),
}

impl StepSize {
    /// α in pixels under budget `eps`.
    pub fn pixels(&self, eps: f64) -> f64 {
        match self {
            StepSize::Absolute(alpha) => alpha.value(),
            StepSize::Relative(parts) => eps / parts,
        }
    }
}

impl FromStr for StepSize {
    type Err = Error;
    fn from_str(text: &str) -> Result<Self> {
        let Some(rest) = text.trim().strip_prefix("eps") else {
            return Ok(StepSize::Absolute(text.parse()?));
        };
        let parts = match rest.trim().strip_prefix('/') {
            None if rest.trim().is_empty() => Some(1.0),
            None => None,
            Some(n) => n.trim().parse::<f64>().ok().filter(|n| *n > 0.0 && n.is_finite()),
        };
        parts.map(StepSize::Relative).ok_or_else(|| {
            Error::value(
                "alpha",
                format!("must be a length such as \"0.01\" or \"2/255\", or relative such as \"eps/4\", got {text:?}"),
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn absolute_and_relative() {
        assert_eq!("0.01".parse::<StepSize>().unwrap().pixels(0.3), 0.01);
        assert_eq!("2/255".parse::<StepSize>().unwrap().pixels(0.3), 2.0 / 255.0);
        assert_eq!("eps/4".parse::<StepSize>().unwrap().pixels(0.3), 0.3 / 4.0);
        assert_eq!("eps".parse::<StepSize>().unwrap().pixels(0.3), 0.3);
        for bad in ["eps/0", "eps*2", "epsilon", "-1", "eps/x"] {
            assert!(bad.parse::<StepSize>().is_err(), "{bad}");
        }
    }
}
