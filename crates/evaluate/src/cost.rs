//! Executed work.

/// Executed work in examples, padding and the referee's own forwards included.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Cost {
    /// Forwards.
    pub forwards: u64,
    /// Backwards.
    pub backwards: u64,
}
