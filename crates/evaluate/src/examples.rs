//! Labelled images to be judged.

use candle_core::{DType, Tensor};
use gauntlet_core::{Error, Result};

/// Images in memory with labels and data set rows: what the evaluator attacks.
#[derive(Debug, Clone)]
pub struct Examples {
    x: Tensor,
    labels: Vec<u32>,
    ids: Vec<u64>,
}

impl Examples {
    /// From pixels `x (N, C, H, W)` in `[0, 1]`, labels and data set rows (what randomness is keyed by).
    ///
    /// # Errors
    /// No examples, lengths that differ, an id given twice, pixels outside `[0, 1]` (most often: a normalisation that
    /// belongs inside the model).
    pub fn new(x: Tensor, labels: Vec<u32>, ids: Vec<u64>) -> Result<Self> {
        let (n, ..) = x.dims4()?;
        if n == 0 {
            return Err(Error::value("examples", "there are none"));
        }
        if labels.len() != n || ids.len() != n {
            let why = format!("{n} images, {} labels, {} ids", labels.len(), ids.len());
            return Err(Error::value("examples", why));
        }
        let mut sorted = ids.clone();
        sorted.sort_unstable();
        if let Some(pair) = sorted.windows(2).find(|p| p[0] == p[1]) {
            return Err(Error::value("examples", format!("id {} is given twice", pair[0])));
        }
        for (i, id) in ids.iter().enumerate() {
            let pixels: Vec<f64> = x.get(i)?.flatten_all()?.to_dtype(DType::F64)?.to_vec1()?;
            if let Some(bad) = pixels.iter().find(|v| !(0.0..=1.0).contains(*v)) {
                return Err(Error::value(
                    "examples",
                    format!("pixels must lie in [0,1], example {id} has {bad}; normalise inside the model"),
                ));
            }
        }
        Ok(Examples { x: x.contiguous()?, labels, ids })
    }

    /// The first n of them (all, if there are fewer).
    ///
    /// # Errors
    /// A tensor operation that fails.
    pub fn first(&self, n: usize) -> Result<Self> {
        let n = n.min(self.len());
        let x = self.x.narrow(0, 0, n)?.contiguous()?;
        Ok(Examples { x, labels: self.labels[..n].to_vec(), ids: self.ids[..n].to_vec() })
    }

    /// Those at these places.
    ///
    /// # Errors
    /// No places.
    pub fn at(&self, places: &[usize]) -> Result<Self> {
        if places.is_empty() {
            return Err(Error::value("examples", "there are none"));
        }
        let index: Vec<u32> = places.iter().map(|i| *i as u32).collect();
        let x = self.x.index_select(&Tensor::new(index, self.x.device())?, 0)?;
        let (labels, ids) = places.iter().map(|i| (self.labels[*i], self.ids[*i])).unzip();
        Ok(Examples { x, labels, ids })
    }

    /// Number of examples.
    pub fn len(&self) -> usize {
        self.ids.len()
    }
    /// Never: there is at least one.
    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }
    /// Pixels `(N, C, H, W)`.
    pub fn pixels(&self) -> &Tensor {
        &self.x
    }
    /// Pixels `(1, C, H, W)` of one example.
    ///
    /// # Errors
    /// There is none at that place.
    pub fn image(&self, index: usize) -> Result<Tensor> {
        Ok(self.x.narrow(0, index, 1)?)
    }
    /// True labels.
    pub fn labels(&self) -> &[u32] {
        &self.labels
    }
    /// Data set rows.
    pub fn ids(&self) -> &[u64] {
        &self.ids
    }
}
