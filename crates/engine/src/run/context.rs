//! What a run works with, beside the suite.

use crate::provenance;
use crate::{Shard, Store};
use gauntlet_core::{Compute, Error, Network, Precision, Registry, Result, memory};
use gauntlet_data::{Catalogue, LoadOptions};
use gauntlet_records::Provenance;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};

/// Components, data, store and the switches of one process. Nothing here changes a number but `precision` and `compute`, which
/// are in every key.
pub struct Context<'a> {
    /// Recipes, attacks, models.
    pub registry: &'a Registry,
    /// Data sets.
    pub catalogue: &'a Catalogue,
    /// Where results are kept.
    pub store: Store,
    /// How data sets are found.
    pub data: LoadOptions,
    /// Folders with committed records that may be imported, e.g. `reports/mnist-recipes/records`.
    pub records: Vec<PathBuf>,
    /// f32, or f64 for checks.
    pub precision: Precision,
    /// Where tensors are computed with.
    pub compute: Compute,
    /// Threads, for the provenance only.
    pub threads: usize,
    /// Slots of an attack in flight; changes speed and memory, no result.
    pub width: usize,
    /// Set to stop at the next step; what is finished is saved.
    pub interrupt: &'a AtomicBool,
    /// Which rows and seeds to run.
    pub only: Filters,
    /// Trainings that failed since this moment (RFC 3339 in UTC), in whatever process, are not tried again: for several
    /// processes that work on one suite.
    pub failed_since: Option<String>,
    /// Attacks are run on this share of the examples alone, and no record is made: a run without it puts the shares together.
    pub shard: Option<Shard>,
    /// Models are built even where their weights would take more memory than is left.
    pub force: bool,
}

/// Copies of the weights: themselves and what an attack or a reader of files makes of them.
pub(crate) const ATTACKED: u64 = 2;
/// Copies of the weights: themselves, their gradients, and two moments of an optimiser.
pub(crate) const TRAINED: u64 = 4;

impl<'a> Context<'a> {
    /// f32, 256 slots, every row, no committed records.
    pub fn new(registry: &'a Registry, catalogue: &'a Catalogue, store: Store, interrupt: &'a AtomicBool) -> Self {
        Context {
            registry,
            catalogue,
            store,
            data: LoadOptions::default(),
            records: Vec::new(),
            precision: Precision::F32,
            compute: Compute::default(),
            threads: rayon::current_num_threads(),
            width: 256,
            interrupt,
            only: Filters::default(),
            failed_since: None,
            shard: None,
            force: false,
        }
    }
    /// The provenance of work that begins now.
    pub(crate) fn provenance(&self) -> Provenance {
        Provenance { device: self.compute.name(), ..provenance(self.threads) }
    }
    /// Whether so many copies of a network's weights fit into the memory, and the outputs of its layers for a step of `batch` images
    /// (0: nothing is trained), before the first is made.
    ///
    /// # Errors
    /// They do not, with both figures and the way out, unless [`Context::force`].
    pub(crate) fn affordable(&self, network: &dyn Network, copies: u64, batch: usize) -> Result<()> {
        let count = |dims: &[usize]| dims.iter().fold(1u64, |n, side| n.saturating_mul(*side as u64));
        let parameters = network.specs().iter().fold(0u64, |n, s| n.saturating_add(count(&s.shape)));
        let outputs = network.activations().saturating_mul(batch as u64);
        let numbers = parameters.saturating_mul(copies).saturating_add(outputs);
        let bytes = numbers.saturating_mul(self.precision.dtype().size_in_bytes() as u64);
        let name = &network.info().name;
        let mut what = format!("{name} has {parameters} parameters: {copies} copies (weights, gradients, optimiser)");
        if outputs > 0 {
            what += &format!(" and the outputs of its layers for {batch} images");
        }
        match memory::room(bytes, &what) {
            Err(why) if !self.force => {
                Err(Error::value("model", format!("{why}; choose a smaller one, or go on with --force")))
            }
            _ => Ok(()),
        }
    }
    pub(crate) fn interrupted(&self) -> bool {
        self.interrupt.load(Ordering::Relaxed)
    }
}

/// Which parts of a suite to run; empty lists mean all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filters {
    /// Row ids.
    pub rows: Vec<String>,
    /// Row ids, or names of recipes and penalties.
    pub recipes: Vec<String>,
    /// Seeds.
    pub seeds: Vec<u64>,
    /// Labels of attacks.
    pub attacks: Vec<String>,
}
