//! Expectation over transformation: the mean of gradients of several forwards at one point.

use gauntlet_autograd::kernels::Real;

/// Collects gradients at one point and gives their mean once there are enough, Athalye et al. 2018.
///
/// A model that answers the same point in the same way gains nothing from more than one.
#[derive(Debug, Clone)]
pub struct Average<T> {
    draws: u32,
    taken: u32,
    sum: Vec<T>,
}

impl<T: Real> Average<T> {
    /// Of `draws` gradients, at least 1.
    pub fn new(draws: u32) -> Self {
        Average { draws: draws.max(1), taken: 0, sum: Vec::new() }
    }
    /// Whether the next gradient is the first one at its point.
    pub fn first(&self) -> bool {
        self.taken == 0
    }
    /// Whether the next gradient completes the mean.
    pub fn last(&self) -> bool {
        self.taken + 1 == self.draws
    }
    /// Takes one gradient: the mean if it was the last one, else another forward is needed.
    pub fn add<'a>(&'a mut self, gradient: &'a [T]) -> Option<&'a [T]> {
        if self.draws == 1 {
            return Some(gradient);
        }
        if self.taken == 0 {
            self.sum = gradient.to_vec();
        } else {
            self.sum.iter_mut().zip(gradient).for_each(|(s, g)| *s += *g);
        }
        self.taken += 1;
        if self.taken < self.draws {
            return None;
        }
        self.taken = 0;
        let parts = T::of(f64::from(self.draws));
        self.sum.iter_mut().for_each(|s| *s /= parts);
        Some(&self.sum)
    }
}
