//! Keys of files that people write: what the reference, the JSON Schemas and the parsers know of each.

/// One key of a suite or a manifest.
#[derive(Debug, Clone, Copy)]
pub struct KeyDoc {
    /// The key.
    pub name: &'static str,
    /// What its value must be.
    pub form: Form,
    /// What holds where it is not given.
    pub omitted: Omitted,
    /// `pixels`, `epochs`, ... or empty.
    pub unit: &'static str,
    /// A value as TOML; of tables, which have their own keys, empty.
    pub example: &'static str,
    /// One line.
    pub doc: &'static str,
}

/// What a value must be.
#[derive(Debug, Clone, Copy)]
pub enum Form {
    /// A text.
    Text,
    /// true or false.
    Flag,
    /// A whole number of at least so much.
    Whole(u64),
    /// A number.
    Number,
    /// A number above 0.
    Positive,
    /// A length in pixels of images in [0, 1]: `"8/255"` or `0.3`.
    Length,
    /// This value alone, as TOML.
    Just(&'static str),
    /// One of these texts.
    OneOf(&'static [&'static str]),
    /// A component's name, or a table of its name and parameters.
    Component(Part),
    /// The name of an attack, whose parameters stand beside it.
    AttackName,
    /// A list.
    List(&'static Form),
    /// A value or a list of such values.
    OneOrMany(&'static Form),
    /// A list of so many values.
    Exactly(usize, &'static Form),
    /// A table of these keys.
    Table(&'static [KeyDoc]),
    /// Tables of these keys: `[[name]]`.
    Tables(&'static [KeyDoc]),
    /// A table with exactly one of these keys.
    OneKey(&'static [KeyDoc]),
}

/// A kind of component.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// An architecture.
    Model,
    /// A base recipe, or a penalty alone.
    Recipe,
    /// A base recipe.
    Base,
    /// A penalty.
    Penalty,
    /// An optimiser.
    Optimiser,
    /// A schedule of the learning rate.
    Schedule,
    /// An augmentation of training images.
    Augmentation,
    /// Weights at which the gradient is taken.
    Perturbation,
}

/// What holds where a key is not given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Omitted {
    /// It must be given.
    Refused,
    /// This value, as TOML.
    Is(&'static str),
    /// In words.
    Means(&'static str),
}

/// A key, for a table of them.
pub const fn key(
    name: &'static str,
    form: Form,
    omitted: Omitted,
    unit: &'static str,
    example: &'static str,
    doc: &'static str,
) -> KeyDoc {
    KeyDoc { name, form, omitted, unit, example, doc }
}

/// Names of keys, in their order.
pub fn names(keys: &[KeyDoc]) -> Vec<&'static str> {
    keys.iter().map(|k| k.name).collect()
}
