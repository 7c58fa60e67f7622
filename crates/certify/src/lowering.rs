//! A graph as affine layers and curves.

mod convolutions;
mod places;

use crate::affine::{Affine, Entry, Map, Sparse};
use crate::curve::{Curve, Smooth};
use crate::network::{Network, Node, Op};
use candle_core::{DType, Tensor};
use gauntlet_core::{Activation, Error, Result, Weights};
use gauntlet_graph::{Binary, Function, Graph, Layer, Reduction, Windows};
use places::{Source, repeated};

/// Factors of one sparse layer: 2 GiB of memory.
const MOST: usize = 1 << 27;

/// What a node of the graph has become.
#[derive(Debug, Clone)]
enum Value {
    /// A node of the network, its numbers in the graph's order.
    Node(usize),
    /// Numbers that hang on the weights alone.
    Fixed(Vec<f64>),
}

struct Lowering<'a> {
    graph: &'a Graph,
    weights: &'a Weights,
    nodes: Vec<Node>,
    values: Vec<Value>,
    /// The layer that is being lowered.
    label: String,
}

impl Network {
    /// The graph with these weights in eval mode. Weights of any float type are taken as the numbers they are.
    ///
    /// # Errors
    /// A layer that has no bound, by its name; weights that are missing.
    pub fn new(graph: &Graph, weights: &Weights) -> Result<Self> {
        let mut lowering =
            Lowering { graph, weights, nodes: Vec::new(), values: Vec::new(), label: String::from("input") };
        for (i, node) in graph.nodes().iter().enumerate() {
            let kind = node.op.kind();
            lowering.label =
                if node.name.is_empty() { format!("{kind} (node {i})") } else { format!("{} ({kind})", node.name) };
            let value = lowering.layer(i)?;
            lowering.values.push(value);
        }
        match lowering.values[graph.output().index()].clone() {
            Value::Node(output) => Ok(Network::of(lowering.nodes, output)),
            Value::Fixed(_) => Err(lowering.without("does not depend on the image")),
        }
    }
}

fn count(shape: &[usize]) -> usize {
    shape.iter().product()
}

impl Lowering<'_> {
    fn without(&self, why: &str) -> Error {
        Error::value(format!("{}, layer {}", self.graph.interface().name, self.label), why)
    }

    fn no_bound(&self) -> Error {
        self.without("has no bound: certificates are for affine layers, pools, residual sums and relu, leaky-relu, elu, softplus, sigmoid, tanh, gelu, silu, exp, abs and clamps")
    }

    fn push(&mut self, size: usize, op: Op) -> Value {
        self.nodes.push(Node { label: self.label.clone(), size, op });
        Value::Node(self.nodes.len() - 1)
    }

    fn curve(&mut self, of: usize, curve: Curve) -> Value {
        let size = self.nodes[of].size;
        self.push(size, Op::Curve(of, curve))
    }

    /// An affine layer with the network's own numbers.
    fn affine(&mut self, of: Vec<usize>, map: Map, bias: Vec<f64>, size: usize) -> Value {
        let bias_size = bias.iter().map(|b| b.abs()).collect();
        self.push(
            size,
            Op::Affine(Box::new(Affine { of, map, bias, bias_size, loose: 0, larger: None, winograd: false })),
        )
    }

    /// A layer of few factors: for every output those with their (source, place), and a constant.
    fn sparse(&mut self, of: Vec<usize>, outputs: Vec<(Vec<Entry>, f64)>, loose: usize) -> Result<Value> {
        let total: usize = outputs.iter().map(|(entries, _)| entries.len()).sum();
        if total > MOST {
            return Err(self.without(&format!("has {total} factors, more than the {MOST} that are kept one by one")));
        }
        let mut sparse = Sparse {
            starts: vec![0],
            entries: Vec::with_capacity(total),
            inputs: of.iter().map(|i| self.nodes[*i].size).collect(),
        };
        let mut bias = Vec::with_capacity(outputs.len());
        for (entries, constant) in outputs {
            sparse.entries.extend(entries);
            sparse.starts.push(sparse.entries.len());
            bias.push(constant);
        }
        let size = bias.len();
        let value = self.affine(of, Map::Sparse(sparse), bias, size);
        if let Some(Node { op: Op::Affine(affine), .. }) = self.nodes.last_mut() {
            affine.loose = loose;
        }
        Ok(value)
    }

    /// mul · x + add, number by number.
    fn scaled(&mut self, x: usize, of: impl Fn(usize) -> (f64, f64), loose: usize) -> Result<Value> {
        let outputs = (0..self.nodes[x].size).map(|i| {
            let (mul, add) = of(i);
            (vec![Entry { source: 0, place: i as u32, factor: mul }], add)
        });
        let outputs = outputs.collect();
        self.sparse(vec![x], outputs, loose)
    }

    /// a · x + b · y, number by number.
    fn sum(&mut self, (x, a): (usize, f64), (y, b): (usize, f64)) -> Result<Value> {
        let entry = |source, place: usize, factor| Entry { source, place: place as u32, factor };
        let outputs = (0..self.nodes[x].size).map(|i| (vec![entry(0, i, a), entry(1, i, b)], 0.0)).collect();
        self.sparse(vec![x, y], outputs, 0)
    }

    fn weight(&self, node: usize, i: usize) -> Result<Tensor> {
        let param = self.graph.param(self.graph.nodes()[node].params[i]);
        Ok(self.weights.get(&param.name)?.to_dtype(DType::F64)?)
    }

    fn numbers(&self, node: usize, i: usize) -> Result<Vec<f64>> {
        let numbers: Vec<f64> = self.weight(node, i)?.flatten_all()?.to_vec1()?;
        match numbers.iter().find(|v| !v.is_finite()) {
            Some(bad) => Err(self.without(&format!("has a weight of {bad}"))),
            None => Ok(numbers),
        }
    }

    /// The bias of a layer, as many times as there are places.
    fn bias(&self, node: usize, channels: usize, area: usize) -> Result<Vec<f64>> {
        if self.graph.nodes()[node].params.len() < 2 {
            return Ok(vec![0.0; channels * area]);
        }
        let bias = self.numbers(node, 1)?;
        Ok(bias.iter().flat_map(|b| std::iter::repeat_n(*b, area)).collect())
    }

    fn layer(&mut self, i: usize) -> Result<Value> {
        let graph = self.graph;
        let node = &graph.nodes()[i];
        let shape = |k: usize| graph.node(node.inputs[k]).shape.as_slice();
        let values: Vec<Value> = node.inputs.iter().map(|input| self.values[input.index()].clone()).collect();
        match (&node.op, values.as_slice()) {
            (Layer::Input, _) => Ok(self.push(count(&node.shape), Op::Input)),
            (Layer::Parameter, _) => self.numbers(i, 0).map(Value::Fixed),
            (Layer::Flatten | Layer::Reshape(_) | Layer::Dropout { .. }, [value]) => Ok(value.clone()),
            (
                Layer::Transpose(_)
                | Layer::Slice { .. }
                | Layer::Select { .. }
                | Layer::Pad { .. }
                | Layer::Concat { .. }
                | Layer::Expand(_),
                values,
            ) => {
                let shapes: Vec<&[usize]> = (0..values.len()).map(shape).collect();
                let places = places::moved(&node.op, &shapes, &node.shape).ok_or_else(|| self.no_bound())?;
                self.moved(values, places)
            }
            (op, [Value::Node(x)]) => self.of_one(i, op, *x, shape(0)),
            (Layer::Map(Function::Affine { mul, add }), [Value::Fixed(x)]) => {
                Ok(Value::Fixed(x.iter().map(|x| mul * x + add).collect()))
            }
            (Layer::Add | Layer::Binary(Binary::Add), [Value::Node(x), Value::Node(y)]) if shape(0) == shape(1) => {
                self.sum((*x, 1.0), (*y, 1.0))
            }
            (Layer::Binary(Binary::Sub), [Value::Node(x), Value::Node(y)]) if shape(0) == shape(1) => {
                self.sum((*x, 1.0), (*y, -1.0))
            }
            (Layer::Binary(Binary::Max), [Value::Node(x), Value::Node(y)]) if shape(0) == shape(1) => {
                self.larger(*x, *y)
            }
            (Layer::Binary(binary), [Value::Node(x), Value::Fixed(k)]) => {
                let (x, k) = (self.spread(*x, shape(0), &node.shape)?, repeated(k, shape(1), &node.shape));
                self.with_fixed(*binary, x, &k, false)
            }
            (Layer::Binary(binary), [Value::Fixed(k), Value::Node(x)]) => {
                let (x, k) = (self.spread(*x, shape(1), &node.shape)?, repeated(k, shape(0), &node.shape));
                self.with_fixed(*binary, x, &k, true)
            }
            (Layer::MatMul, [Value::Node(x), Value::Fixed(w)]) => self.product(*x, shape(0), w, shape(1)),
            _ => Err(self.no_bound()),
        }
    }

    /// Numbers in other places.
    fn moved(&mut self, values: &[Value], places: Vec<Source>) -> Result<Value> {
        let fixed: Option<Vec<&Vec<f64>>> =
            values.iter().map(|v| if let Value::Fixed(f) = v { Some(f) } else { None }).collect();
        if let Some(fixed) = fixed {
            let number = |s: &Source| match s {
                Source::Of(which, place) => fixed[*which][*place],
                Source::Constant(value) => *value,
            };
            return Ok(Value::Fixed(places.iter().map(number).collect()));
        }
        let of: Option<Vec<usize>> =
            values.iter().map(|v| if let Value::Node(n) = v { Some(*n) } else { None }).collect();
        let Some(of) = of else { return Err(self.no_bound()) };
        let outputs = places.into_iter().map(|s| match s {
            Source::Of(which, place) => (vec![Entry { source: which as u32, place: place as u32, factor: 1.0 }], 0.0),
            Source::Constant(value) => (Vec::new(), value),
        });
        let outputs = outputs.collect();
        self.sparse(of, outputs, 0)
    }

    fn spread(&mut self, x: usize, from: &[usize], to: &[usize]) -> Result<usize> {
        if from == to {
            return Ok(x);
        }
        let places = places::spread(from, to).into_iter().map(|place| Source::Of(0, place)).collect();
        match self.moved(&[Value::Node(x)], places)? {
            Value::Node(x) => Ok(x),
            Value::Fixed(_) => Err(self.no_bound()),
        }
    }

    /// An elementwise function of a node and numbers.
    fn with_fixed(&mut self, binary: Binary, x: usize, k: &[f64], swapped: bool) -> Result<Value> {
        match (binary, swapped) {
            (Binary::Add, _) => self.scaled(x, |i| (1.0, k[i]), 0),
            (Binary::Sub, false) => self.scaled(x, |i| (1.0, -k[i]), 0),
            (Binary::Sub, true) => self.scaled(x, |i| (-1.0, k[i]), 0),
            (Binary::Mul, _) => self.scaled(x, |i| (k[i], 0.0), 0),
            (Binary::Div, false) if k.iter().all(|k| *k != 0.0) => self.scaled(x, |i| (1.0 / k[i], 0.0), 1),
            (Binary::Max, _) if k.iter().all(|k| *k == 0.0) => Ok(self.curve(x, Curve::RELU)),
            (Binary::Prelu, false) if k.iter().all(|s| *s == k[0] && *s <= 1.0) => Ok(self.curve(x, Curve::Bent(k[0]))),
            _ => Err(self.no_bound()),
        }
    }

    /// max(x, y) = y + relu(x − y).
    fn larger(&mut self, x: usize, y: usize) -> Result<Value> {
        let Value::Node(apart) = self.sum((x, 1.0), (y, -1.0))? else { return Err(self.no_bound()) };
        let Value::Node(above) = self.curve(apart, Curve::RELU) else { return Err(self.no_bound()) };
        let value = self.sum((y, 1.0), (above, 1.0))?;
        if let Some(Node { op: Op::Affine(affine), .. }) = self.nodes.last_mut() {
            affine.larger = Some((x, y));
        }
        Ok(value)
    }

    /// The largest of every group of numbers, two by two.
    fn largest(&mut self, x: usize, mut groups: Vec<Vec<usize>>) -> Result<Value> {
        if groups.iter().any(Vec::is_empty) {
            return Err(self.without("has a window that lies outside of the image"));
        }
        let mut x = x;
        loop {
            let most = groups.iter().map(Vec::len).max().unwrap_or(0);
            let pick = |this: &mut Self, places: Vec<usize>| -> Result<usize> {
                let places = places.into_iter().map(|place| Source::Of(0, place)).collect();
                match this.moved(&[Value::Node(x)], places)? {
                    Value::Node(picked) => Ok(picked),
                    Value::Fixed(_) => Err(this.no_bound()),
                }
            };
            if most == 1 {
                let places = groups.iter().map(|g| g[0]).collect();
                return pick(self, places).map(Value::Node);
            }
            // An odd one meets itself.
            let (mut first, mut second) = (Vec::new(), Vec::new());
            for group in &mut groups {
                let begin = first.len();
                for pair in group.chunks(2) {
                    first.push(pair[0]);
                    second.push(*pair.last().unwrap_or(&pair[0]));
                }
                *group = (begin..first.len()).collect();
            }
            let (a, b) = (pick(self, first)?, pick(self, second)?);
            let Value::Node(next) = self.larger(a, b)? else { return Err(self.no_bound()) };
            x = next;
        }
    }

    /// Means over groups of numbers, each divided by its own count.
    fn means(&mut self, x: usize, groups: Vec<(Vec<usize>, f64)>) -> Result<Value> {
        let mean = |(group, of): (Vec<usize>, f64)| {
            let factor = 1.0 / of;
            (group.into_iter().map(|place| Entry { source: 0, place: place as u32, factor }).collect(), 0.0)
        };
        let outputs = groups.into_iter().map(mean).collect();
        self.sparse(vec![x], outputs, 2)
    }

    /// X W over the last axis.
    fn product(&mut self, x: usize, shape: &[usize], w: &[f64], sides: &[usize]) -> Result<Value> {
        let &[k, p] = sides else { return Err(self.no_bound()) };
        let rows = count(shape) / k.max(1);
        if rows == 1 {
            let weight = Tensor::from_slice(w, (k, p), &candle_core::Device::Cpu)?.t()?;
            return Ok(self.affine(vec![x], Map::dense(&weight)?, vec![0.0; p], p));
        }
        if (rows * p).saturating_mul(k) > MOST {
            return Err(self.without(&format!("has more than {MOST} factors")));
        }
        let outputs = (0..rows * p).map(|i| {
            let (row, column) = (i / p, i % p);
            let entry = |j: usize| Entry { source: 0, place: (row * k + j) as u32, factor: w[j * p + column] };
            ((0..k).map(entry).collect(), 0.0)
        });
        let outputs = outputs.collect();
        self.sparse(vec![x], outputs, 0)
    }

    fn of_one(&mut self, i: usize, op: &Layer, x: usize, shape: &[usize]) -> Result<Value> {
        let node = &self.graph.nodes()[i];
        let area = count(shape.get(1..).unwrap_or_default());
        match op {
            Layer::Affine { scale, shift } => self.scaled(x, |i| (scale[i / area], shift[i / area]), 0),
            Layer::Linear => {
                self.numbers(i, 0)?;
                let weight = self.weight(i, 0)?;
                let bias = self.bias(i, node.shape[0], 1)?;
                Ok(self.affine(vec![x], Map::dense(&weight)?, bias, node.shape[0]))
            }
            Layer::Conv2d { stride, padding } => self.conv(i, x, shape, *stride, *padding),
            Layer::Conv { windows, groups } => {
                let [top, left, bottom, right] = windows.pads;
                let even =
                    top == left && left == bottom && bottom == right && *groups == 1 && windows.dilations == (1, 1);
                if even && windows.strides.0 == windows.strides.1 {
                    return self.conv(i, x, shape, windows.strides.0, top);
                }
                self.any_conv(i, x, shape, windows, *groups)
            }
            Layer::BatchNorm { eps, .. } => {
                let (gamma, beta) = (self.numbers(i, 0)?, self.numbers(i, 1)?);
                let (mean, var) = (self.numbers(i, 2)?, self.numbers(i, 3)?);
                let scale: Vec<f64> = gamma.iter().zip(&var).map(|(g, v)| g / (v + eps).sqrt()).collect();
                if let Some(bad) = scale.iter().find(|s| !s.is_finite()) {
                    return Err(self.without(&format!("has a scale of {bad}")));
                }
                let value =
                    self.scaled(x, |i| (scale[i / area], beta[i / area] - mean[i / area] * scale[i / area]), 8)?;
                if let Some(Node { op: Op::Affine(affine), .. }) = self.nodes.last_mut() {
                    let size = |i: usize| beta[i / area].abs() + (mean[i / area] * scale[i / area]).abs();
                    affine.bias_size = (0..affine.bias.len()).map(size).collect();
                }
                Ok(value)
            }
            Layer::Act(activation) => {
                let curve = match activation {
                    Activation::Relu => Curve::RELU,
                    Activation::LeakyRelu => Curve::Bent(0.01),
                    Activation::Softplus => Curve::Smooth(Smooth::Softplus),
                    Activation::Gelu => Curve::Smooth(Smooth::Gelu),
                    Activation::Silu => Curve::Smooth(Smooth::Silu),
                    Activation::Elu => Curve::Smooth(Smooth::Elu(1.0)),
                    Activation::Tanh => Curve::Smooth(Smooth::Tanh),
                    Activation::Sigmoid => Curve::Smooth(Smooth::Sigmoid),
                };
                Ok(self.curve(x, curve))
            }
            Layer::Map(function) => self.function(*function, x),
            Layer::MaxPool { size, stride } => {
                let (size, stride) = (*size, *stride);
                let windows =
                    Windows { size: (size, size), strides: (stride, stride), pads: [0; 4], dilations: (1, 1) };
                self.max_pool(x, places::windows(shape, &node.shape, &windows))
            }
            Layer::WindowMax(windows) => self.max_pool(x, places::windows(shape, &node.shape, windows)),
            Layer::WindowMean { windows, overhang, padding_counts } => {
                let inside = places::windows(shape, &node.shape, windows);
                let counts = places::counted(shape, &node.shape, windows, *overhang, *padding_counts);
                self.means(x, inside.into_iter().zip(counts).collect())
            }
            Layer::GlobalAvgPool => {
                let groups = (0..shape[0]).map(|c| ((c * area..(c + 1) * area).collect(), area as f64));
                let groups = groups.collect();
                self.means(x, groups)
            }
            Layer::Reduce { kind: Reduction::Max, axes, .. } => self.max_pool(x, places::reduced(shape, axes)),
            Layer::Reduce { kind: kind @ (Reduction::Sum | Reduction::Mean), axes, .. } => {
                let groups = places::reduced(shape, axes);
                let of = |group: Vec<usize>| {
                    let n = group.len() as f64;
                    (group, if *kind == Reduction::Mean { n } else { 1.0 })
                };
                self.means(x, groups.into_iter().map(of).collect())
            }
            Layer::Maxout { pieces } => {
                let units = node.shape[0];
                let groups = (0..units).map(|u| (0..*pieces).map(|p| p * units + u).collect()).collect();
                self.largest(x, groups)
            }
            _ => Err(self.no_bound()),
        }
    }

    /// A rectifier commutes with maxima: one behind the pool is less to decide than one for each of its numbers.
    fn max_pool(&mut self, x: usize, groups: Vec<Vec<usize>>) -> Result<Value> {
        if let Op::Curve(of, curve @ Curve::Bent(slope)) = self.nodes[x].op
            && slope >= 0.0
        {
            let Value::Node(largest) = self.largest(of, groups)? else { return Err(self.no_bound()) };
            return Ok(self.curve(largest, curve));
        }
        self.largest(x, groups)
    }

    fn function(&mut self, function: Function, x: usize) -> Result<Value> {
        match function {
            Function::Affine { mul, add } => self.scaled(x, |_| (mul, add), 0),
            Function::LeakyRelu { slope } if slope <= 1.0 => Ok(self.curve(x, Curve::Bent(slope))),
            Function::Abs => Ok(self.curve(x, Curve::Bent(-1.0))),
            Function::Elu { alpha } if (0.0..=1.0).contains(&alpha) => {
                Ok(self.curve(x, Curve::Smooth(Smooth::Elu(alpha))))
            }
            Function::Exp => Ok(self.curve(x, Curve::Smooth(Smooth::Exp))),
            Function::Clamp { lo, hi } => self.clamp(x, lo, hi),
            Function::HardSigmoid { alpha, beta } => {
                let Value::Node(x) = self.scaled(x, |_| (alpha, beta), 0)? else { return Err(self.no_bound()) };
                self.clamp(x, 0.0, 1.0)
            }
            _ => Err(self.no_bound()),
        }
    }

    /// min(max(x, lo), hi) = lo + relu(x − lo) − relu(x − hi).
    fn clamp(&mut self, x: usize, lo: f64, hi: f64) -> Result<Value> {
        if lo > hi || lo == f64::INFINITY || hi == f64::NEG_INFINITY {
            return Err(self.no_bound());
        }
        let mut part = |end: f64| -> Result<usize> {
            let Value::Node(shifted) = self.scaled(x, |_| (1.0, -end), 0)? else { return Err(self.no_bound()) };
            match self.curve(shifted, Curve::RELU) {
                Value::Node(part) => Ok(part),
                Value::Fixed(_) => Err(self.no_bound()),
            }
        };
        let entry = |source, place: usize, factor| Entry { source, place: place as u32, factor };
        match (lo.is_finite(), hi.is_finite()) {
            (false, false) => Ok(Value::Node(x)),
            (true, false) => {
                let above = part(lo)?;
                self.scaled(above, |_| (1.0, lo), 0)
            }
            (false, true) => {
                let above = part(hi)?;
                self.sum((x, 1.0), (above, -1.0))
            }
            (true, true) => {
                let (first, second) = (part(lo)?, part(hi)?);
                let outputs =
                    (0..self.nodes[x].size).map(|i| (vec![entry(0, i, 1.0), entry(1, i, -1.0)], lo)).collect();
                self.sparse(vec![first, second], outputs, 0)
            }
        }
    }
}
