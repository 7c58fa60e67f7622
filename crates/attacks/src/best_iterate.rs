//! The iterate that a walk through every step proposes in the end.

use gauntlet_autograd::kernels::Real;
use gauntlet_core::attack::Turn;

/// Of the iterates that most draws misclassify (of all, if there is none) the one of the highest mean loss over the draws
/// at it.
///
/// The first misclassified draw of a randomised model stands where the path is weakest: to stop there overstates the model.
pub(crate) struct BestIterate<T> {
    draws: u32,
    /// At the present iterate: draws so far, those that misclassify, and the sum of their losses.
    taken: u32,
    wrong: u32,
    sum: f64,
    /// The best one, the steps up to it, whether most draws misclassify it, and its mean loss.
    x: Vec<T>,
    steps: u32,
    broken: bool,
    loss: f64,
}

impl<T: Real> BestIterate<T> {
    /// With `draws` answers per iterate, at least 1; the starting point `x`, until a loss is known.
    pub(crate) fn new(draws: u32, x: &[T]) -> Self {
        BestIterate {
            draws: draws.max(1),
            taken: 0,
            wrong: 0,
            sum: 0.0,
            x: x.to_vec(),
            steps: 0,
            broken: false,
            loss: f64::NEG_INFINITY,
        }
    }

    /// Takes one draw at `x`, which lies `steps` steps from the start; whether it was the last one there.
    pub(crate) fn add(&mut self, x: &[T], steps: u32, loss: f64, misclassified: bool) -> bool {
        self.taken += 1;
        self.wrong += u32::from(misclassified);
        self.sum += loss;
        if self.taken < self.draws {
            return false;
        }
        // A loss that is no number is the lowest.
        let loss = (self.sum / f64::from(self.draws)).max(f64::NEG_INFINITY);
        let broken = 2 * self.wrong > self.draws;
        (self.taken, self.wrong, self.sum) = (0, 0, 0.0);
        if (broken && !self.broken) || (broken == self.broken && loss > self.loss) {
            self.x.copy_from_slice(x);
            (self.steps, self.broken, self.loss) = (steps, broken, loss);
        }
        true
    }

    /// Ends the walk at the best iterate.
    pub(crate) fn end(&self, x: &mut [T]) -> Turn {
        x.copy_from_slice(&self.x);
        if self.broken { Turn::broken(self.steps) } else { Turn::withstood(self.steps) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn most_draws_count_before_the_mean_loss_and_no_number_never() {
        let mut best = BestIterate::new(2, &[0.0f64]);
        let mut at = |x: f64, steps, draws: [(f64, bool); 2]| {
            let last = draws.map(|(loss, wrong)| best.add(&[x], steps, loss, wrong));
            assert_eq!(last, [false, true]);
            let mut end = [9.0];
            (best.end(&mut end), end[0])
        };
        assert_eq!(at(1.0, 1, [(f64::NAN, false), (5.0, false)]), (Turn::withstood(0), 0.0));
        assert_eq!(at(2.0, 2, [(3.0, true), (1.0, false)]), (Turn::withstood(2), 2.0));
        assert_eq!(at(3.0, 3, [(3.0, false), (0.9, true)]), (Turn::withstood(2), 2.0));
        assert_eq!(at(4.0, 4, [(0.5, true), (0.7, true)]), (Turn::broken(4), 4.0));
        assert_eq!(at(5.0, 5, [(9.0, true), (9.0, false)]), (Turn::broken(4), 4.0));
        assert_eq!(at(6.0, 6, [(0.6, true), (0.7, true)]), (Turn::broken(6), 6.0));
    }
}
