//! How ε and κ of certified training grow: nothing, then up to their ends.

use gauntlet_core::position::Position;
use gauntlet_core::{Args, ParamDoc, ParamKind, Result};

/// How a share grows from 0 to 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// In proportion.
    Linear,
    /// With the fourth power of the time over the first quarter, then along the tangent.
    Smooth,
}

/// Epochs of warm-up, epochs of growth, and its shape.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Growth {
    /// Epochs at 0.
    pub warm_up: f64,
    /// Epochs of growth after that.
    pub ramp: f64,
    /// How it grows.
    pub shape: Shape,
}

/// The parameter `warm_up`.
pub(crate) const WARM_UP: ParamDoc = ParamDoc {
    name: "warm_up",
    kind: ParamKind::WEIGHT,
    default: "1.0",
    unit: "epochs",
    doc: "epochs at ε = 0, which are those of ce, before ε and κ begin to move",
};
/// The parameter `ramp`.
pub(crate) const RAMP: ParamDoc = ParamDoc {
    name: "ramp",
    kind: ParamKind::WEIGHT,
    default: "",
    unit: "epochs",
    doc: "epochs over which ε grows from 0 and κ falls from 1 (at full ε from the start, nets give one answer for ever)",
};
/// The parameter `schedule`.
pub(crate) const SCHEDULE: ParamDoc = ParamDoc {
    name: "schedule",
    kind: ParamKind::Choice(&["linear", "smooth"]),
    default: "\"linear\"",
    unit: "",
    doc: "how they move over the ramp; smooth: t⁴ over its first quarter, then along the tangent",
};

/// Where the smooth one goes over into its tangent.
const QUARTER: f64 = 0.25;

impl Growth {
    pub(crate) fn read(args: &Args) -> Result<Self> {
        let shape = if args.str("schedule")? == "smooth" { Shape::Smooth } else { Shape::Linear };
        Ok(Growth { warm_up: args.f64("warm_up")?, ramp: args.f64("ramp")?, shape })
    }

    /// The share that is reached, in `[0, 1]`.
    ///
    /// `smooth`: a t⁴ up to m, then a m⁴ + 4 a m³ (t − m), with m = ¼ and a such that it ends at 1; t is the share of the ramp.
    pub fn at(&self, position: &Position) -> f64 {
        let done = position.epochs_done() - self.warm_up;
        let t = match self.ramp {
            ramp if ramp > 0.0 => (done / ramp).clamp(0.0, 1.0),
            _ => f64::from(u8::from(done >= 0.0)),
        };
        let (cube, fourth) = (QUARTER.powi(3), QUARTER.powi(4));
        let a = 1.0 / ((1.0 - QUARTER) * 4.0 * cube + fourth);
        match self.shape {
            Shape::Linear => t,
            Shape::Smooth if t < QUARTER => a * (t * t) * (t * t),
            Shape::Smooth => (a * (fourth + 4.0 * cube * (t - QUARTER))).min(1.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn position(epoch: u32, step: u32) -> Position {
        Position { epoch, epochs: 20, step, steps: 4, replay: 0 }
    }

    #[test]
    fn it_waits_grows_and_stays() {
        let growth = Growth { warm_up: 2.0, ramp: 8.0, shape: Shape::Linear };
        let at = |epoch, step| growth.at(&position(epoch, step));
        assert_eq!(
            [at(0, 0), at(1, 3), at(2, 0), at(2, 2), at(6, 0), at(10, 0), at(19, 3)],
            [0.0, 0.0, 0.0, 0.0625, 0.5, 1.0, 1.0]
        );
        let at_once = Growth { warm_up: 1.0, ramp: 0.0, shape: Shape::Linear };
        assert_eq!([at_once.at(&position(0, 3)), at_once.at(&position(1, 0))], [0.0, 1.0]);
    }

    #[test]
    fn the_smooth_one_is_a_fourth_power_and_its_tangent() {
        let growth = Growth { warm_up: 0.0, ramp: 16.0, shape: Shape::Smooth };
        let at = |epoch, step| growth.at(&position(epoch, step));
        // a = 1 / (3/64 + 1/256) = 256/13.
        assert!((at(2, 0) - 256.0 / 13.0 / 4096.0).abs() < 1e-15, "{}", at(2, 0));
        assert!((at(4, 0) - 1.0 / 13.0).abs() < 1e-15 && (at(16, 0) - 1.0).abs() < 1e-15);
        // Without a kink at the quarter: the slope is 4 a m³ on both sides.
        let (before, after) = (at(4, 0) - at(3, 3), at(4, 1) - at(4, 0));
        assert!((before / after - 1.0).abs() < 0.12, "{before} {after}");
        assert!((at(8, 1) - at(8, 0) - after).abs() < 1e-15);
    }
}
