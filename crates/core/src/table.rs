//! All components of one kind.

use crate::args::Args;
use crate::entry::Entry;
use crate::source::Source;
use crate::{Error, Result};
use indexmap::IndexMap;
use serde_json::{Map, Value};
use std::collections::HashMap;
use std::fmt::{Debug, Formatter};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// All components of one kind, in order of registration, and what was built of them.
///
/// A component is a value of its arguments and has no state of its own (what a recipe keeps of a training is its
/// [`Memory`](crate::Memory)), so it is built once and handed out whenever it is named again. A clone begins anew.
pub struct Table<T: ?Sized, C> {
    kind: &'static str,
    entries: IndexMap<String, Arc<Entry<T, C>>>,
    source: Option<Arc<dyn Source<T, C>>>,
    built: Mutex<HashMap<String, Arc<T>>>,
}

impl<T: ?Sized, C> Debug for Table<T, C> {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        f.debug_struct(self.kind).field("entries", &self.entries).field("source", &self.source).finish_non_exhaustive()
    }
}

impl<T: ?Sized, C> Clone for Table<T, C> {
    fn clone(&self) -> Self {
        let (entries, source) = (self.entries.clone(), self.source.clone());
        Table { kind: self.kind, entries, source, built: Mutex::default() }
    }
}

impl<T: ?Sized, C> Table<T, C> {
    /// No components yet; one is called `kind` in errors.
    pub fn new(kind: &'static str) -> Self {
        Table { kind, entries: IndexMap::new(), source: None, built: Mutex::default() }
    }
    /// Names with the source's prefix come from there.
    pub fn set_source(&mut self, source: Arc<dyn Source<T, C>>) {
        self.source = Some(source);
    }
    /// Lets the source look in this folder first.
    pub fn look_in(&self, folder: &Path) {
        if let Some(source) = &self.source {
            source.look_in(folder);
        }
    }
    fn source_of(&self, name: &str) -> Option<&dyn Source<T, C>> {
        self.source.as_deref().filter(|s| name.starts_with(s.prefix()))
    }
    /// Adds a component: a [`Spec`](crate::Spec) or an [`Entry`].
    ///
    /// # Errors
    /// A name that is taken; a default that its parameter's kind refuses.
    pub fn add(&mut self, entry: impl Into<Entry<T, C>>) -> Result<()> {
        let entry = entry.into();
        if self.entries.contains_key(&entry.name) {
            return Err(Error::Message(format!("{} {:?} is registered twice", self.kind, entry.name)));
        }
        for p in &entry.params {
            p.usual(&format!("{}.{}", entry.name, p.name))?;
        }
        self.entries.insert(entry.name.clone(), Arc::new(entry));
        Ok(())
    }
    /// The component of that name.
    ///
    /// # Errors
    /// No such component, with the nearest one; what the source says.
    pub fn get(&self, name: &str) -> Result<Arc<Entry<T, C>>> {
        if let Some(source) = self.source_of(name) {
            return source.find(name);
        }
        let known = || self.entries.keys().map(String::as_str);
        self.entries.get(name).cloned().ok_or_else(|| Error::unknown(self.kind, name, known()))
    }
    /// Whether that name is registered, or its source's to find.
    pub fn contains(&self, name: &str) -> bool {
        self.entries.contains_key(name) || self.source_of(name).is_some()
    }
    /// All components, in order of registration, and those that the source lists.
    pub fn iter(&self) -> impl Iterator<Item = Arc<Entry<T, C>>> {
        self.entries.values().cloned().chain(self.source.iter().flat_map(|s| s.list()))
    }
    /// The names of [`Table::iter`].
    pub fn names(&self) -> Vec<String> {
        self.iter().map(|entry| entry.name.clone()).collect()
    }
    /// What `given` names.
    ///
    /// # Errors
    /// As [`Table::get`]; no name.
    pub fn named(&self, given: &Map<String, Value>) -> Result<Arc<Entry<T, C>>> {
        let name = given.get("name").and_then(Value::as_str);
        self.get(name.ok_or_else(|| Error::value(self.kind, "needs a `name`"))?)
    }
    /// What `given` names, with its arguments; built once for the same arguments.
    ///
    /// # Errors
    /// As [`Table::named`], [`Args::new`] and [`Entry::build`].
    pub fn built(&self, given: &Map<String, Value>, context: &C) -> Result<(Arc<T>, Args)> {
        let entry = self.named(given)?;
        let args = Args::new(&entry, given)?;
        let built = self.once(&entry, &args, "", |_| true, || entry.build(&args, context))?;
        Ok((built, args))
    }
    /// What `build` gives for this component and these arguments, kept from the first time on if `keep` says so; `within`
    /// tells two apart that are built for different things.
    pub(crate) fn once(
        &self,
        entry: &Entry<T, C>,
        args: &Args,
        within: &str,
        keep: impl FnOnce(&T) -> bool,
        build: impl FnOnce() -> Result<Arc<T>>,
    ) -> Result<Arc<T>> {
        let values = serde_json::to_string(args.canonical()).map_err(|e| Error::Message(e.to_string()))?;
        let key = format!("{} {within} {values}", entry.name);
        if let Some(known) = self.kept().get(&key) {
            return Ok(known.clone());
        }
        // Not under the lock: a component may be made of others of its kind.
        let built = build()?;
        if !keep(&built) {
            return Ok(built);
        }
        Ok(self.kept().entry(key).or_insert(built).clone())
    }
    fn kept(&self) -> MutexGuard<'_, HashMap<String, Arc<T>>> {
        self.built.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
