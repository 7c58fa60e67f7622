//! The norm of one row, or of the difference of two, in vectors.

use gauntlet_autograd::kernels::{Real, Vectorised};
use gauntlet_records::{Norm, norm::changed};

/// A norm in sixteen interleaved accumulators: the same value whatever the vectors.
pub(crate) struct RowSize<'a, T> {
    pub(crate) norm: Norm,
    pub(crate) a: &'a [T],
    /// What is subtracted from it.
    pub(crate) b: Option<&'a [T]>,
}

const LANES: usize = 16;

impl<T: Real> RowSize<'_, T> {
    #[inline(always)]
    fn lanes(&self, add: impl Fn(f64, f64) -> f64) -> [f64; LANES] {
        let mut lanes = [0.0f64; LANES];
        let n = self.a.len();
        let (whole, rest) = self.a.split_at(n - n % LANES);
        match self.b {
            None => {
                for a in whole.chunks_exact(LANES) {
                    for i in 0..LANES {
                        lanes[i] = add(lanes[i], a[i].wide());
                    }
                }
                for (lane, a) in lanes.iter_mut().zip(rest) {
                    *lane = add(*lane, a.wide());
                }
            }
            Some(b) => {
                for (a, b) in whole.chunks_exact(LANES).zip(b.chunks_exact(LANES)) {
                    for i in 0..LANES {
                        lanes[i] = add(lanes[i], a[i].wide() - b[i].wide());
                    }
                }
                for (lane, (a, b)) in lanes.iter_mut().zip(rest.iter().zip(&b[whole.len()..])) {
                    *lane = add(*lane, a.wide() - b.wide());
                }
            }
        }
        lanes
    }
}

impl<T: Real> Vectorised for RowSize<'_, T> {
    type Out = f64;
    #[inline(always)]
    fn run(self) -> f64 {
        // A NaN stays one, and is larger than anything.
        let larger = |m: f64, v: f64| if v > m || v.is_nan() { v } else { m };
        match self.norm {
            Norm::Linf => self.lanes(|m, v| larger(m, v.abs())).into_iter().fold(0.0, larger),
            Norm::L2 => self.lanes(|sum, v| sum + v * v).iter().sum::<f64>().sqrt(),
            Norm::L1 => self.lanes(|sum, v| sum + v.abs()).iter().sum(),
            Norm::L0 => self.lanes(|sum, v| sum + changed(v)).iter().sum(),
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::norm::Measure;
    use crate::philox::Stream;
    use crate::{Key, Purpose};
    use gauntlet_records::Norm;

    #[test]
    fn norms_of_rows_are_those_of_sequences() {
        let mut stream = Key::new(5, Purpose::Sample).stream(0, 0, 0);
        for n in [0, 1, 15, 16, 50, 784] {
            let draw = |stream: &mut Stream| (0..n).map(|_| stream.normal()).collect::<Vec<f64>>();
            let (a, b) = (draw(&mut stream), draw(&mut stream));
            for norm in [Norm::Linf, Norm::L2, Norm::L1, Norm::L0] {
                let want = [norm.of(a.iter().copied()), norm.of(a.iter().zip(&b).map(|(a, b)| a - b))];
                for (got, want) in [norm.row(&a), norm.between(&a, &b)].into_iter().zip(want) {
                    assert!((got - want).abs() <= 1e-12 * want.max(1.0), "{norm} {n}: {got} {want}");
                }
            }
        }
        for norm in [Norm::Linf, Norm::L2, Norm::L1, Norm::L0] {
            for at in 0..40 {
                let mut v = vec![1.0f32; 40];
                v[at] = f32::NAN;
                assert!(norm.row(&v).is_nan(), "{norm}: a NaN at {at} is lost");
            }
        }
    }
}
