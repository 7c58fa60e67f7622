//! What a comparison with a published number comes to.

/// What became of a published number.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Judgement {
    /// The published value lies in our interval, or differs by no more than both sides' errors together.
    Reproduced,
    /// It does not, but the published ordering or bound holds.
    Compatible,
    /// Neither, by so much, in the number's own unit (infinite: ours is not a number).
    Outside {
        /// Distance to the nearest value that would not be; of several seeds judged by themselves, the largest.
        by: f64,
    },
    /// No training of ours has that number.
    NotRun,
    /// The run was shortened: shown, and not judged.
    Shown,
}
