//! What a model tells of an image.

/// What a model tells of an image, from least to most: a program behind a pipe has no gradients, and may have no more than a class.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Answers {
    /// The predicted class. Logits are 1 for it and 0 for the others.
    Labels,
    /// Logits.
    Logits,
    /// Logits, and gradients by the image.
    Gradients,
}
