//! A component of the registry: what is known of it, and how it is built.

use crate::Result;
use crate::about::About;
use crate::args::Args;
use crate::spec::Spec;
use std::fmt::{Debug, Formatter};
use std::ops::Deref;
use std::sync::Arc;

/// Builds a `T` of its arguments and of what it is built for: the [`Registry`](crate::Registry), which serves inner
/// components, or the [`Task`](crate::Task) of a network.
pub type Builder<T, C> = dyn Fn(&Args, &C) -> Result<Arc<T>> + Send + Sync;

/// A registered component. Its fields are those of [`About`].
///
/// ```
/// use gauntlet_core::{About, Entry, Error, Plan, Registry};
/// let why = "not today".to_string(); // a builder may capture what it needs
/// let about = About { name: "mine".into(), origin: "plug-in".into(), ..About::default() };
/// let entry: Entry<Plan, Registry> = Entry::new(about, move |_, _| Err(Error::Message(why.clone())));
/// let mut registry = Registry::default();
/// registry.attacks.add(entry)?;
/// assert_eq!(registry.attacks.get("mine")?.origin, "plug-in");
/// # Ok::<(), Error>(())
/// ```
pub struct Entry<T: ?Sized, C> {
    about: About,
    build: Box<Builder<T, C>>,
}

impl<T: ?Sized, C> Entry<T, C> {
    /// A component with its builder.
    pub fn new(about: About, build: impl Fn(&Args, &C) -> Result<Arc<T>> + Send + Sync + 'static) -> Self {
        Entry { about, build: Box::new(build) }
    }
    /// What is known of it.
    pub fn about(&self) -> &About {
        &self.about
    }
    /// Builds it.
    ///
    /// # Errors
    /// Arguments that do not go together; whatever else the builder says.
    pub fn build(&self, args: &Args, within: &C) -> Result<Arc<T>> {
        (self.build)(args, within)
    }
}

impl<T: ?Sized, C> Deref for Entry<T, C> {
    type Target = About;
    fn deref(&self) -> &About {
        &self.about
    }
}

impl<T: ?Sized, C> Debug for Entry<T, C> {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        self.about.fmt(f)
    }
}

impl<T: ?Sized, C, B: Fn(&Args, &C) -> Result<Arc<T>> + Send + Sync + 'static> From<Spec<B>> for Entry<T, C> {
    fn from(spec: Spec<B>) -> Self {
        Entry::new(About::from(&spec), spec.build)
    }
}
