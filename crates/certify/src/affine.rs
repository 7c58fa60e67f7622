//! Layers that are linear but for a constant.

use candle_core::{Device, Tensor};
use gauntlet_autograd::kernels::conv::{Geometry, conv2d, conv2d_input_grad};
use gauntlet_autograd::kernels::matmul::matmul;
use gauntlet_core::Result;

/// y = Σ_s W_s x_s + b of the values of one or more nodes.
#[derive(Debug, Clone)]
pub(crate) struct Affine {
    /// The nodes.
    pub(crate) of: Vec<usize>,
    /// W.
    pub(crate) map: Map,
    /// b, one for each output.
    pub(crate) bias: Vec<f64>,
    /// What |b| and the numbers that it was computed of come to: its error is at most `loose` roundings of this.
    pub(crate) bias_size: Vec<f64>,
    /// Roundings in each factor and constant: 0 where they are the network's own numbers.
    pub(crate) loose: usize,
    /// Nodes of which every output is the larger one, where that is what the layer is for: intervals are better for knowing.
    pub(crate) larger: Option<(usize, usize)>,
    /// Whether f32 kernels compute it by Winograd's algorithms, whose errors this crate has no account of.
    pub(crate) winograd: bool,
}

/// A linear map.
#[derive(Debug, Clone)]
pub(crate) enum Map {
    /// A matrix `(out, in)`, and that of its magnitudes.
    Dense(Tensor, Tensor),
    /// A convolution of one image, weight `(O, C, KH, KW)`, and that of its magnitudes.
    Conv(Geometry, Tensor, Tensor),
    /// Anything else, entry by entry.
    Sparse(Sparse),
}

/// A factor of a sparse map.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Entry {
    /// Of which of the layer's inputs.
    pub(crate) source: u32,
    /// Which of its values.
    pub(crate) place: u32,
    /// What it is multiplied with.
    pub(crate) factor: f64,
}

/// A linear map of few factors: those of every output behind one another.
#[derive(Debug, Clone)]
pub(crate) struct Sparse {
    /// Where the factors of output i begin; one more at the end.
    pub(crate) starts: Vec<usize>,
    /// The factors.
    pub(crate) entries: Vec<Entry>,
    /// Sizes of the inputs.
    pub(crate) inputs: Vec<usize>,
}

impl Sparse {
    pub(crate) fn of(&self, output: usize) -> &[Entry] {
        &self.entries[self.starts[output]..self.starts[output + 1]]
    }
    pub(crate) fn outputs(&self) -> usize {
        self.starts.len() - 1
    }
}

fn tensor(values: Vec<f64>, shape: &[usize]) -> Result<Tensor> {
    Ok(Tensor::from_vec(values, shape, &Device::Cpu)?)
}

fn numbers(t: &Tensor) -> Result<Vec<f64>> {
    Ok(t.flatten_all()?.to_vec1()?)
}

impl Map {
    pub(crate) fn dense(weight: &Tensor) -> Result<Self> {
        Ok(Map::Dense(weight.contiguous()?, weight.abs()?.contiguous()?))
    }

    pub(crate) fn conv(geometry: Geometry, weight: &Tensor) -> Result<Self> {
        Ok(Map::Conv(geometry, weight.contiguous()?, weight.abs()?.contiguous()?))
    }

    /// The largest number of products in one output.
    pub(crate) fn terms(&self) -> usize {
        match self {
            Map::Dense(weight, _) => weight.dims()[1],
            Map::Conv(g, ..) => g.c * g.kh * g.kw,
            Map::Sparse(s) => (0..s.outputs()).map(|i| s.of(i).len()).max().unwrap_or(0),
        }
    }

    /// At least the largest number of outputs that one input takes part in.
    pub(crate) fn fan(&self) -> usize {
        match self {
            Map::Dense(weight, _) => weight.dims()[0],
            Map::Conv(g, ..) => g.o * g.kh * g.kw,
            Map::Sparse(s) => {
                let mut counts: Vec<Vec<usize>> = s.inputs.iter().map(|n| vec![0; *n]).collect();
                s.entries.iter().for_each(|e| counts[e.source as usize][e.place as usize] += 1);
                counts.into_iter().flatten().max().unwrap_or(0)
            }
        }
    }

    /// W x of `rows` rows, those of every input behind one another; `|W| x` where `sizes` are asked for.
    pub(crate) fn forward(&self, x: &[&[f64]], rows: usize, sizes: bool) -> Result<Vec<f64>> {
        match self {
            Map::Dense(weight, size) => {
                let inputs = weight.dims()[1];
                let x = tensor(x[0].to_vec(), &[rows, inputs])?;
                numbers(&matmul::<f64>("bound", &x, if sizes { size } else { weight }, (false, true), None, false)?)
            }
            Map::Conv(g, weight, size) => {
                let g = Geometry { n: rows, ..*g };
                let x = tensor(x[0].to_vec(), &[rows, g.c, g.h, g.w])?;
                numbers(&conv2d::<f64>(&g, &x, if sizes { size } else { weight }, None, false)?)
            }
            Map::Sparse(s) => {
                let mut y = Vec::with_capacity(rows * s.outputs());
                for row in 0..rows {
                    let value = |e: &Entry| x[e.source as usize][row * s.inputs[e.source as usize] + e.place as usize];
                    y.extend((0..s.outputs()).map(|i| {
                        let product = |e: &Entry| if sizes { e.factor.abs() } else { e.factor } * value(e);
                        s.of(i).iter().map(product).sum::<f64>()
                    }));
                }
                Ok(y)
            }
        }
    }

    /// A W of `rows` rows A, for every input.
    pub(crate) fn backward(&self, a: Vec<f64>, rows: usize) -> Result<Vec<Vec<f64>>> {
        match self {
            Map::Dense(weight, _) => {
                let a = tensor(a, &[rows, weight.dims()[0]])?;
                Ok(vec![numbers(&matmul::<f64>("bound", &a, weight, (false, false), None, false)?)?])
            }
            Map::Conv(g, weight, _) => {
                let g = Geometry { n: rows, ..*g };
                let a = tensor(a, &[rows, g.o, g.oh, g.ow])?;
                Ok(vec![numbers(&conv2d_input_grad::<f64>(&g, &a, weight)?)?])
            }
            Map::Sparse(s) => {
                let mut back: Vec<Vec<f64>> = s.inputs.iter().map(|n| vec![0.0; n * rows]).collect();
                for (row, a) in a.chunks(s.outputs().max(1)).enumerate() {
                    for (i, a) in a.iter().enumerate().filter(|(_, a)| **a != 0.0) {
                        for e in s.of(i) {
                            let source = e.source as usize;
                            back[source][row * s.inputs[source] + e.place as usize] += a * e.factor;
                        }
                    }
                }
                Ok(back)
            }
        }
    }

    /// The rows `sign · W_unit`, for every input.
    pub(crate) fn rows(&self, units: &[(usize, f64)]) -> Result<Vec<Vec<f64>>> {
        match self {
            Map::Dense(weight, _) => {
                let inputs = weight.dims()[1];
                let mut picked = Vec::with_capacity(units.len() * inputs);
                for (unit, sign) in units {
                    let row: Vec<f64> = weight.get(*unit)?.to_vec1()?;
                    picked.extend(row.iter().map(|w| sign * w));
                }
                Ok(vec![picked])
            }
            Map::Conv(g, weight, _) => {
                let weight = numbers(weight)?;
                let (image, area) = (g.c * g.h * g.w, g.oh * g.ow);
                let mut picked = vec![0.0; units.len() * image];
                for ((unit, sign), row) in units.iter().zip(picked.chunks_mut(image)) {
                    let (o, i, j) = (unit / area, unit % area / g.ow, unit % g.ow);
                    for c in 0..g.c {
                        for (ki, kj) in (0..g.kh).flat_map(|ki| (0..g.kw).map(move |kj| (ki, kj))) {
                            let (y, x) = (i * g.stride + ki, j * g.stride + kj);
                            if (g.padding..g.padding + g.h).contains(&y) && (g.padding..g.padding + g.w).contains(&x) {
                                let w = weight[((o * g.c + c) * g.kh + ki) * g.kw + kj];
                                row[(c * g.h + y - g.padding) * g.w + x - g.padding] = sign * w;
                            }
                        }
                    }
                }
                Ok(vec![picked])
            }
            Map::Sparse(s) => {
                let mut picked: Vec<Vec<f64>> = s.inputs.iter().map(|n| vec![0.0; n * units.len()]).collect();
                for (row, (unit, sign)) in units.iter().enumerate() {
                    for e in s.of(*unit) {
                        let source = e.source as usize;
                        picked[source][row * s.inputs[source] + e.place as usize] += sign * e.factor;
                    }
                }
                Ok(picked)
            }
        }
    }
}
