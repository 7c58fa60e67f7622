//! What a file holds, whatever its format.

use crate::Result;
use candle_core::Tensor;
use std::collections::HashMap;

/// A tensor of a file, before it is read.
#[derive(Debug, Clone)]
pub(super) struct Listed {
    pub(super) name: String,
    pub(super) shape: Vec<usize>,
}

/// What a file holds.
pub(super) struct Contents<'f> {
    /// In the file's order.
    pub(super) listed: Vec<Listed>,
    /// The file's order is that of the modules.
    pub(super) ordered: bool,
    pub(super) metadata: HashMap<String, String>,
    pub(super) notes: Vec<String>,
    /// Reads one of those that are listed.
    pub(super) tensor: Box<dyn FnMut(usize) -> Result<Tensor, String> + 'f>,
}

impl Contents<'_> {
    /// Tensors that were read already, in the order of the modules.
    pub(super) fn of(named: Vec<(String, Tensor)>, notes: Vec<String>) -> Self {
        let (names, tensors): (Vec<String>, Vec<Tensor>) = named.into_iter().unzip();
        let list = |(name, t): (String, &Tensor)| Listed { name, shape: t.dims().to_vec() };
        let listed = names.into_iter().zip(&tensors).map(list).collect();
        let tensor = Box::new(move |place: usize| Ok(tensors[place].clone()));
        Contents { listed, ordered: true, metadata: HashMap::new(), notes, tensor }
    }
}
