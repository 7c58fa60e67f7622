//! What a network is built for.

/// Images of a shape, to be told into classes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Task {
    /// Channels, height, width.
    pub input: (usize, usize, usize),
    /// K.
    pub classes: usize,
}
