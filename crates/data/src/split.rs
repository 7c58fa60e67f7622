//! Decoded data: pixels as u8, labels, and batches of them.

use crate::{Error, Result};
use candle_core::{Device, Tensor};
use gauntlet_core::Batch;
use gauntlet_core::Precision;
use sha2::{Digest, Sha256};

/// A whole data set in memory.
#[derive(Debug, Clone)]
pub struct Dataset {
    /// Name of its manifest.
    pub name: String,
    /// Training images.
    pub train: Split,
    /// Test images.
    pub test: Split,
    /// Class names, in the order of the labels.
    pub classes: Vec<String>,
    /// Channels, height, width.
    pub shape: (usize, usize, usize),
}

/// One split: images `(C, H, W)` one after the other, and their labels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Split {
    shape: (usize, usize, usize),
    pixels: Vec<u8>,
    labels: Vec<u32>,
}

impl Split {
    /// From decoded images, channel first, one after the other.
    ///
    /// # Errors
    /// Pixels and labels that do not match in number.
    pub fn new(shape: (usize, usize, usize), pixels: Vec<u8>, labels: Vec<u32>) -> Result<Self> {
        if pixels.len() != labels.len() * shape.0 * shape.1 * shape.2 {
            return Err(Error::Message(format!(
                "{} pixels for {} labels of images {shape:?}",
                pixels.len(),
                labels.len()
            )));
        }
        Ok(Split { shape, pixels, labels })
    }
    /// Number of examples.
    pub fn len(&self) -> usize {
        self.labels.len()
    }
    /// Whether there is no example.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }
    /// Labels in order.
    pub fn labels(&self) -> &[u32] {
        &self.labels
    }
    /// Channels, height, width.
    pub fn shape(&self) -> (usize, usize, usize) {
        self.shape
    }
    fn area(&self) -> usize {
        self.shape.0 * self.shape.1 * self.shape.2
    }
    /// Pixels of one image, channel first.
    pub fn image(&self, row: usize) -> Option<&[u8]> {
        self.pixels.get(row * self.area()..(row + 1) * self.area())
    }
    /// Only the rows with these labels, which become 0, 1, ... in the order given.
    #[must_use]
    pub fn only(&self, labels: &[u32]) -> Split {
        let mut kept = Split { shape: self.shape, pixels: Vec::new(), labels: Vec::new() };
        for (image, label) in self.pixels.chunks_exact(self.area().max(1)).zip(&self.labels) {
            if let Some(new) = labels.iter().position(|l| l == label) {
                kept.pixels.extend_from_slice(image);
                kept.labels.push(new as u32);
            }
        }
        kept
    }
    /// Without the first rows.
    pub fn skip(&mut self, rows: usize) {
        let rows = rows.min(self.len());
        self.labels.drain(..rows);
        self.pixels.drain(..rows * self.area());
    }
    /// The first rows only.
    pub fn truncate(&mut self, rows: usize) {
        self.labels.truncate(rows);
        self.pixels.truncate(rows * self.area());
    }
    /// A batch of rows: x `(N, C, H, W)` = pixel / 255 in the given dtype, labels `(N,)`, ids = row numbers.
    ///
    /// # Errors
    /// A row outside the split.
    pub fn batch(&self, rows: &[usize], precision: Precision, device: &Device) -> Result<Batch> {
        let mut pixels = Vec::with_capacity(rows.len() * self.area());
        let mut labels = Vec::with_capacity(rows.len());
        for row in rows {
            let image = self
                .image(*row)
                .ok_or_else(|| Error::Message(format!("row {row} is outside the split of {} examples", self.len())))?;
            pixels.extend_from_slice(image);
            labels.push(self.labels[*row]);
        }
        let (c, h, w) = self.shape;
        let dims = (rows.len(), c, h, w);
        let x = match precision {
            Precision::F64 => {
                Tensor::from_vec(pixels.iter().map(|p| f64::from(*p) / 255.0).collect::<Vec<f64>>(), dims, device)?
            }
            Precision::F32 => {
                Tensor::from_vec(pixels.iter().map(|p| f32::from(*p) / 255.0).collect::<Vec<f32>>(), dims, device)?
            }
        };
        let y = Tensor::from_vec(labels, rows.len(), device)?;
        Ok(Batch { x, y, ids: rows.iter().map(|r| *r as u64).collect() })
    }
    /// `sha256:<hex>` of the decoded split: N, C, H, W as little-endian u64, all pixels, all labels as little-endian u32.
    pub fn sha256(&self) -> String {
        let mut hash = Sha256::new();
        for d in [self.len(), self.shape.0, self.shape.1, self.shape.2] {
            hash.update((d as u64).to_le_bytes());
        }
        hash.update(&self.pixels);
        for label in &self.labels {
            hash.update(label.to_le_bytes());
        }
        format!("sha256:{}", gauntlet_records::file::hex(&hash.finalize()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_are_pixels_over_255_with_their_row_numbers() {
        let split = Split::new((1, 1, 2), vec![0, 255, 51, 102], vec![3, 1]).unwrap();
        let batch = split.batch(&[1, 0], Precision::F32, &Device::Cpu).unwrap();
        assert_eq!(batch.x.flatten_all().unwrap().to_vec1::<f32>().unwrap(), [0.2, 0.4, 0.0, 1.0]);
        assert_eq!((batch.y.to_vec1::<u32>().unwrap(), batch.ids), (vec![1, 3], vec![1, 0]));
        assert!(split.batch(&[2], Precision::F32, &Device::Cpu).unwrap_err().to_string().contains("row 2 is outside"));
        assert!(Split::new((1, 1, 2), vec![0], vec![0]).is_err());
        let three = Split::new((1, 1, 1), vec![10, 20, 30, 40], vec![7, 3, 5, 7]).unwrap();
        let kept = three.only(&[3, 7]);
        assert_eq!(kept, Split::new((1, 1, 1), vec![10, 20, 40], vec![1, 0, 1]).unwrap());
        let mut last = kept;
        last.skip(2);
        assert_eq!(last, Split::new((1, 1, 1), vec![40], vec![1]).unwrap());
        last.skip(9);
        assert!(last.is_empty());
    }
}
