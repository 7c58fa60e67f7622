//! An example before it is attacked.

/// What is known about an example before it is attacked.
#[derive(Debug, Clone)]
pub struct Clean {
    /// Position in the evaluation (what the driver uses to find the pixels).
    pub index: usize,
    /// Data set row: what randomness is keyed by.
    pub id: u64,
    /// True label.
    pub label: u32,
    /// Clean logits, K of them; empty inside recipes, unless the attack [needs](crate::Attack::needs_clean) them.
    pub logits: Vec<f64>,
}

impl Clean {
    /// Wrong classes by falling clean logit: the first is what the example is most easily mistaken for. At most `n`.
    ///
    /// Of equal logits the later class comes first, as in a sort by rising logit that is read from its end.
    pub fn runners_up(&self, n: usize) -> Vec<u32> {
        let mut order: Vec<u32> = (0..self.logits.len() as u32).collect();
        order.sort_by(|a, b| self.logits[*a as usize].total_cmp(&self.logits[*b as usize]));
        order.into_iter().rev().filter(|k| *k != self.label).take(n).collect()
    }
}
