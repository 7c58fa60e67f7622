//! A network in print: one line per layer.

use crate::{Cost, Graph, Layer, Node, Windows, shape};
use std::fmt;

/// A layer in print.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// What its parameters' names begin with; empty for layers without.
    pub name: String,
    /// The layer with its settings, e.g. `conv2d 4×4, stride 2, padding 1`.
    pub layer: String,
    /// The shape of its value for one example.
    pub shape: Vec<usize>,
    /// What it costs.
    pub cost: Cost,
}

/// A network in print: a table of its layers, ending in their sum.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Summary {
    /// Its layers, in the order in which they are computed.
    pub rows: Vec<Row>,
    /// Of all layers.
    pub total: Cost,
}

impl Graph {
    /// The network in print.
    pub fn summary(&self) -> Summary {
        let row = |node: &Node| Row {
            name: node.name.clone(),
            layer: self.described(node),
            shape: node.shape.clone(),
            cost: self.cost_of(node),
        };
        Summary { rows: self.nodes().iter().map(row).collect(), total: self.cost() }
    }

    fn described(&self, node: &Node) -> String {
        let kind = node.op.kind();
        let mut words = match (&node.op, node.params.first()) {
            (
                Layer::Conv2d { .. } | Layer::Conv { .. } | Layer::Conv1d { .. } | Layer::ConvTranspose { .. },
                Some(weight),
            ) => {
                format!("{kind} {}", shape::written(&self.param(*weight).shape[2..]))
            }
            (Layer::MaxPool { size, .. }, _) => format!("{kind} {size}×{size}"),
            (Layer::WindowMax(windows) | Layer::WindowMean { windows, .. }, _) => {
                format!("{kind} {}×{}", windows.size.0, windows.size.1)
            }
            (Layer::Map(function), _) => function.to_string(),
            (Layer::Maxout { pieces }, _) => format!("{kind} of {pieces}"),
            (Layer::Dropout { p }, _) => format!("{kind} {p}"),
            _ => kind.to_string(),
        };
        if let Layer::Conv2d { stride, .. } | Layer::MaxPool { stride, .. } = node.op {
            words += &format!(", stride {stride}");
        }
        match node.op {
            Layer::Conv2d { padding, .. } if padding > 0 => words += &format!(", padding {padding}"),
            Layer::Conv { windows, .. }
            | Layer::ConvTranspose { windows, .. }
            | Layer::WindowMax(windows)
            | Layer::WindowMean { windows, .. } => {
                words += &windows.to_string();
            }
            Layer::Conv1d {
                windows: Windows { strides: (_, s), pads: [_, left, _, right], dilations: (_, d), .. },
                ..
            } => {
                words += &format!(", stride {s}, padding {left}, {right}, dilation {d}");
            }
            _ => {}
        }
        match node.op {
            Layer::Conv { groups, .. } | Layer::Conv1d { groups, .. } | Layer::ConvTranspose { groups, .. }
                if groups > 1 =>
            {
                words += &format!(", {groups} groups")
            }
            _ => {}
        }
        words
    }
}

/// 1234567 as `1,234,567`, 0 as nothing.
fn number(n: usize) -> String {
    let digits = if n == 0 { String::new() } else { n.to_string() };
    let mut written = String::new();
    for (i, digit) in digits.char_indices() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            written.push(',');
        }
        written.push(digit);
    }
    written
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let line = |name: &str, layer: &str, shape: String, parameters: String, multiply_adds: String| {
            [name.to_string(), layer.to_string(), shape, parameters, multiply_adds]
        };
        let mut lines = vec![line("name", "layer", "output".into(), "parameters".into(), "multiply-adds".into())];
        let costs = |c: &Cost| (number(c.parameters), number(c.multiply_adds));
        for Row { name, layer, shape, cost } in &self.rows {
            let (parameters, multiply_adds) = costs(cost);
            lines.push(line(name, layer, shape::written(shape), parameters, multiply_adds));
        }
        let (parameters, multiply_adds) = costs(&self.total);
        lines.push(line("total", "", String::new(), parameters, multiply_adds));
        let width = |i: usize| lines.iter().map(|l| l[i].chars().count()).max().unwrap_or(0);
        let (a, b, c, d, e) = (width(0), width(1), width(2), width(3), width(4));
        for [name, layer, shape, parameters, multiply_adds] in &lines {
            let text = format!("{name:a$}  {layer:b$}  {shape:c$}  {parameters:>d$}  {multiply_adds:>e$}");
            writeln!(f, "{}", text.trim_end())?;
        }
        Ok(())
    }
}
