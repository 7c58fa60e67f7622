//! What a run works on: the images, and the examples of a suite made ready.

use crate::run::context::TRAINED;
use crate::{Context, Images, Result, Suite, examples_of};
use gauntlet_core::Network;
use gauntlet_data::Split;
use gauntlet_evaluate::{AttackEntry, CleanPass, Component, Examples, Selection};
use std::cell::{OnceCell, RefCell};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The images that a suite, or a training, names.
pub(crate) fn load(data: &str, context: &Context<'_>) -> Result<Images> {
    let manifest = context.catalogue.get(data)?;
    let data = gauntlet_data::load(&manifest, &context.data)?;
    Ok(Images { train: data.train, test: data.test, classes: data.classes, order: manifest.order })
}

/// Images, and what is made of them once.
pub(crate) struct Inputs<'a> {
    pub(crate) context: &'a Context<'a>,
    pub(crate) images: Images,
    pub(crate) train_sha256: String,
    /// Training splits of other data sets, by name.
    extra: RefCell<BTreeMap<String, (Arc<Split>, String)>>,
    /// Read from the test split when the first checkpoint is to be judged, not before.
    examples: OnceCell<Examples>,
}

impl<'a> Inputs<'a> {
    pub(crate) fn new(images: Images, context: &'a Context<'a>) -> Self {
        Inputs {
            context,
            train_sha256: images.train.sha256(),
            images,
            extra: RefCell::default(),
            examples: OnceCell::new(),
        }
    }

    /// The training split of another data set, with its sha256, read at the first call.
    ///
    /// # Errors
    /// A data set that cannot be loaded, or whose images or classes are not those of this one.
    pub(crate) fn extra(&self, name: &str) -> Result<(Arc<Split>, String)> {
        if let Some(found) = self.extra.borrow().get(name) {
            return Ok(found.clone());
        }
        let Images { train, classes, .. } = load(name, self.context)?;
        let (shape, own) = (train.shape(), self.images.train.shape());
        let (count, wanted) = (classes.len(), self.images.classes.len());
        if shape != own || count != wanted || train.is_empty() {
            let why = format!(
                "the {} extra images {shape:?} in {count} classes do not go with the training's {own:?} in {wanted}",
                train.len()
            );
            return Err(gauntlet_core::Error::value("train.extra.data", why).into());
        }
        let sha256 = train.sha256();
        let found = (Arc::new(train), sha256);
        self.extra.borrow_mut().insert(name.to_string(), found.clone());
        Ok(found)
    }

    /// A network of that architecture for these images, to be trained in batches of `batch` images (0: it is not).
    ///
    /// # Errors
    /// An architecture that they do not fit; weights, or the outputs of a step's layers, that would not fit into the memory.
    pub(crate) fn network(&self, model: &Component, batch: usize) -> Result<Arc<dyn Network>> {
        let (shape, classes) = (self.images.train.shape(), self.images.classes.len());
        let network = self.context.registry.model(&model.given(), shape, classes)?.0;
        self.context.affordable(network.as_ref(), TRAINED, batch)?;
        Ok(network)
    }

    /// The test rows of all attacks of the suite together, read at the first call.
    pub(crate) fn examples(&self, suite: &Suite) -> Result<&Examples> {
        if let Some(examples) = self.examples.get() {
            return Ok(examples);
        }
        let rows = Selection::all_indices(&suite.covered(), self.images.test.labels(), suite.attack_seed);
        let examples = examples_of(&self.images.test, &rows, self.context.precision)?;
        Ok(self.examples.get_or_init(|| examples))
    }

    /// An attack's own examples and their part of the clean pass over all; `None`: it has none of its own.
    pub(crate) fn own_examples(
        &self,
        suite: &Suite,
        attack: &AttackEntry,
        pass: &CleanPass,
    ) -> Result<Option<(Examples, CleanPass)>> {
        let Some(own) = suite.own(attack) else { return Ok(None) };
        let all = self.examples(suite)?;
        let rows = own.indices(self.images.test.labels(), suite.attack_seed);
        let place = |row: &usize| all.ids().binary_search(&(*row as u64)).ok();
        let places: Vec<usize> = rows.iter().filter_map(place).collect();
        Ok(Some((all.at(&places)?, pass.at(&places))))
    }
}
