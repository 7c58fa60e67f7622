//! A network of a file, to be attacked and trained like a built-in one.

use crate::export::PRODUCER;
use crate::import::{Imported, TRAINABLE_EXPORT};
use gauntlet_autograd::Var;
use gauntlet_core::{Error, ModelInfo, Network, ParamSpec, Params, Pass, Result, Weights};
use gauntlet_graph::{Graph, Interpreter, Layer};
use std::any::Any;

/// A network of a file with what is known of it.
#[derive(Debug)]
pub struct FileNetwork {
    interpreter: Interpreter,
    own: Option<Weights>,
    notes: Vec<String>,
}

impl FileNetwork {
    /// `name`: what notes call it; `anew`: its weights start as PyTorch's do, not as the file has them.
    ///
    /// # Errors
    /// A parameter that is not finite.
    pub fn new(name: &str, net: Imported, anew: bool) -> Result<Self> {
        for (parameter, tensor, trained) in net.weights.iter().filter(|_| !anew) {
            let finite = |v: &f32| v.is_finite();
            if trained && !tensor.flatten_all()?.to_vec1::<f32>()?.iter().all(finite) {
                let why =
                    format!("{parameter} is not finite: a network with it answers NaN, so nothing can be measured");
                return Err(Error::value(name, why));
            }
        }
        let notes = notes(name, &net, anew);
        Ok(FileNetwork { interpreter: Interpreter::new(net.graph), own: (!anew).then_some(net.weights), notes })
    }

    /// What it computes.
    pub fn graph(&self) -> &Graph {
        self.interpreter.graph()
    }
}

fn notes(name: &str, net: &Imported, anew: bool) -> Vec<String> {
    let count = |trained: bool| {
        let sizes: Vec<usize> = net.weights.iter().filter(|w| w.2 == trained).map(|w| w.1.elem_count()).collect();
        (sizes.len(), sizes.iter().sum::<usize>())
    };
    let ((parameters, numbers), (buffers, constants)) = (count(true), count(false));
    let start = if anew { "trainings start anew, as PyTorch does" } else { "trainings start from the file's" };
    let by = if net.producer.is_empty() { String::new() } else { format!(", of {}", net.producer) };
    let mut notes = vec![format!(
        "{name}{by}: {numbers} numbers in {parameters} parameters, {constants} in {buffers} buffers; {start}"
    )];
    notes.extend(net.notes.iter().map(|note| format!("{name}: {note}")));
    let layers = |of: fn(&Layer) -> bool| net.graph.nodes().iter().filter(|n| of(&n.op)).count();
    let norms = layers(|l| matches!(l, Layer::BatchNorm { .. }));
    let convolutions = layers(|l| matches!(l, Layer::Conv2d { .. } | Layer::Conv { .. }));
    if norms > 0 {
        notes.push(format!(
            "{name}: {norms} batch norms take the batch's statistics in training and the running ones in attacks, whatever mode they were \
             exported in"
        ));
    } else if convolutions > 0 && !net.producer.starts_with(PRODUCER) && !net.notes.iter().any(|n| n.contains("folded"))
    {
        notes.push(format!(
            "{name}: there is no batch norm in it; if the network had some, its exporter folded it away, and it trains without: \
             {TRAINABLE_EXPORT} keeps it"
        ));
    }
    notes
}

impl Network for FileNetwork {
    fn info(&self) -> &ModelInfo {
        self.interpreter.info()
    }
    fn specs(&self) -> Vec<ParamSpec> {
        self.interpreter.specs()
    }
    fn activations(&self) -> u64 {
        self.interpreter.activations()
    }
    fn own_weights(&self) -> Option<&Weights> {
        self.own.as_ref()
    }
    fn layers(&self) -> Option<&dyn Any> {
        self.interpreter.layers()
    }
    fn notes(&self) -> &[String] {
        &self.notes
    }
    fn forward(&self, params: &Params, x: &Var, pass: &mut Pass<'_>) -> Result<Var> {
        self.interpreter.forward(params, x, pass)
    }
}
