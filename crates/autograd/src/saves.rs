//! What of an operation is kept for its derivative.

/// Which values a vjp reads; everything else is dropped as soon as the operation is recorded.
#[derive(Debug, Clone)]
pub struct Saves {
    /// `None`: all.
    inputs: Option<Vec<usize>>,
    output: bool,
}

impl Saves {
    /// All inputs and the output.
    pub fn everything() -> Self {
        Saves { inputs: None, output: true }
    }
    /// Neither inputs nor output (shapes are always kept).
    pub fn nothing() -> Self {
        Saves { inputs: Some(Vec::new()), output: false }
    }
    /// These inputs, not the output.
    pub fn inputs(positions: &[usize]) -> Self {
        Saves { inputs: Some(positions.to_vec()), output: false }
    }
    /// The output, no input.
    pub fn output() -> Self {
        Saves { inputs: Some(Vec::new()), output: true }
    }
    /// These inputs and the output.
    pub fn inputs_and_output(positions: &[usize]) -> Self {
        Saves { inputs: Some(positions.to_vec()), output: true }
    }
    pub(crate) fn keeps_input(&self, i: usize) -> bool {
        self.inputs.as_ref().is_none_or(|kept| kept.contains(&i))
    }
    pub(crate) fn keeps_output(&self) -> bool {
        self.output
    }
}
