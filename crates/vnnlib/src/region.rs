//! A box of inputs.

/// lowerᵢ ≤ Xᵢ ≤ upperᵢ.
#[derive(Debug, Clone, PartialEq)]
pub struct Region {
    /// Smallest values, one for each input.
    pub lower: Vec<f64>,
    /// Largest values.
    pub upper: Vec<f64>,
}

impl Region {
    /// Whether x lies in it.
    pub fn contains(&self, x: &[f64]) -> bool {
        let bounds = self.lower.iter().zip(&self.upper);
        x.len() == self.lower.len() && bounds.zip(x).all(|((l, u), x)| l <= x && x <= u)
    }
    /// The nearest point of it.
    pub fn nearest(&self, x: &[f32]) -> Vec<f64> {
        let bounds = self.lower.iter().zip(&self.upper);
        bounds.zip(x).map(|((l, u), x)| f64::from(*x).max(*l).min(*u)).collect()
    }
    /// The float32 numbers between the bounds of each input: smallest and largest. Where there is none, the one nearest to the middle
    /// twice: [`Region::nearest`] takes it back into the box.
    pub(crate) fn single(&self) -> (Vec<f32>, Vec<f32>) {
        let bounds = self.lower.iter().zip(&self.upper);
        let of = |(l, u): (&f64, &f64)| {
            let (mut low, mut high) = (*l as f32, *u as f32);
            if f64::from(low) < *l {
                low = low.next_up();
            }
            if f64::from(high) > *u {
                high = high.next_down();
            }
            if low <= high {
                return (low, high);
            }
            let middle = (l / 2.0 + u / 2.0) as f32;
            (middle, middle)
        };
        bounds.map(of).unzip()
    }
}
