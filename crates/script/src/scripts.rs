//! Where scripts are found: beside the suite, in the working directory, in `scripts/recipes`, in the binary.

use crate::recipe::ScriptRecipe;
use crate::script::{MAX_BYTES, Script};
use gauntlet_core::{About, Entry, Error, Param, ParamKind, Recipe, Registry, Result, Source};
use gauntlet_records::regular_file;
use serde_json::Value;
use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What the names of scripts begin with.
pub const PREFIX: &str = "script:";

/// The examples that come with the binary: file names in `scripts/recipes`, and texts.
pub const SHIPPED: &[(&str, &str)] = &[
    ("grad-norm.rhai", include_str!("../../../scripts/recipes/grad-norm.rhai")),
    ("direction-matching.rhai", include_str!("../../../scripts/recipes/direction-matching.rhai")),
    ("fgsm-aug.rhai", include_str!("../../../scripts/recipes/fgsm-aug.rhai")),
];

/// The folder of scripts in the working directory.
const FOLDER: &str = "scripts/recipes";

/// Raised when the numbers of bound functions change.
const NUMERICS: u32 = 1;

type Found = Arc<Entry<dyn Recipe, Registry>>;

/// The registry's source of scripts.
#[derive(Debug, Default)]
pub struct Scripts {
    folders: Mutex<Vec<PathBuf>>,
    /// What was read so far: a name means one text for the whole process.
    found: Mutex<BTreeMap<String, Found>>,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Scripts {
    /// Path and text of the script that `file` names.
    fn read(&self, file: &str) -> Result<(String, String)> {
        let folders = locked(&self.folders).clone();
        let places = folders.iter().map(|f| f.join(file)).chain([PathBuf::from(file), Path::new(FOLDER).join(file)]);
        for path in places {
            match regular_file::read_text(&path, MAX_BYTES as u64, "a script") {
                Ok(text) => return Ok((path.display().to_string(), text)),
                Err(e) if [ErrorKind::NotFound, ErrorKind::NotADirectory].contains(&e.kind()) => {}
                Err(source) => return Err(Error::Io { action: "read", path: path.display().to_string(), source }),
            }
        }
        if let Some((name, text)) = SHIPPED.iter().find(|(name, _)| *name == file) {
            return Ok((name.to_string(), text.to_string()));
        }
        let shipped = || SHIPPED.iter().map(|(name, _)| *name);
        let near = match Error::unknown("script", file, shipped()) {
            Error::Unknown { hint: Some(near), .. } => format!("; did you mean \"{PREFIX}{near}\"?"),
            _ => String::new(),
        };
        Err(Error::Message(format!(
            "there is no script {file:?}: not beside the suite, not here, not in {FOLDER}, and not among those built \
             in ({}){near}",
            shipped().collect::<Vec<_>>().join(", ")
        )))
    }

    /// Files of the working directory's folder, then what is built in, each name once.
    fn names(&self) -> Vec<String> {
        let entries = std::fs::read_dir(FOLDER).into_iter().flatten().flatten();
        let mut names: Vec<String> = entries
            .filter(|e| e.path().extension().is_some_and(|x| x == "rhai"))
            .map(|e| e.file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        for (name, _) in SHIPPED {
            if !names.iter().any(|n| n == name) {
                names.push(name.to_string());
            }
        }
        names
    }
}

impl Source<dyn Recipe, Registry> for Scripts {
    fn prefix(&self) -> &'static str {
        PREFIX
    }
    fn find(&self, name: &str) -> Result<Found> {
        if let Some(found) = locked(&self.found).get(name) {
            return Ok(found.clone());
        }
        let (path, text) = self.read(name.strip_prefix(PREFIX).unwrap_or(name))?;
        let found = Arc::new(entry(name, Script::parse(&path, &text)?));
        locked(&self.found).insert(name.to_string(), found.clone());
        Ok(found)
    }
    fn list(&self) -> Vec<Found> {
        let named = |file: String| {
            let name = format!("{PREFIX}{file}");
            // One broken script must not hide the others.
            self.find(&name).unwrap_or_else(|error| Arc::new(broken(&name, error)))
        };
        self.names().into_iter().map(named).collect()
    }
    fn look_in(&self, folder: &Path) {
        let mut folders = locked(&self.folders);
        if !folders.iter().any(|f| f == folder) {
            folders.insert(0, folder.to_path_buf());
        }
    }
}

/// The recipe of a script.
fn entry(name: &str, script: Script) -> Entry<dyn Recipe, Registry> {
    let mut params: Vec<Param> = Vec::new();
    for constant in &script.constants {
        params.push(Param {
            name: constant.parameter.clone(),
            kind: constant.kind(),
            default: constant.value.to_string(),
            unit: String::new(),
            doc: constant.doc.clone(),
        });
    }
    params.push(Param {
        name: "sha256".into(),
        kind: ParamKind::Text,
        default: Value::from(script.sha256.as_str()).to_string(),
        unit: String::new(),
        doc: "of the script's text; written into a suite, it pins the text".into(),
    });
    let about = About {
        params,
        formula: script.formula.clone(),
        paper: script.paper.clone(),
        ..about(name, script.summary.clone())
    };
    Entry::new(about, move |args, _| {
        let (name, own, given) = (args.owner(), &script.sha256, args.str("sha256")?);
        if given != own {
            let why = format!("the script's text has the sha256 {own}, not {given}: it was changed");
            return Err(Error::value(format!("{name}.sha256"), why));
        }
        let values = script.constants.iter().map(|c| args.value(&c.parameter).cloned()).collect::<Result<Vec<_>>>()?;
        Ok(Arc::new(ScriptRecipe::new(name, script.clone(), &values)?) as Arc<dyn Recipe>)
    })
}

/// A script that cannot be read, as a line of a list.
fn broken(name: &str, error: Error) -> Entry<dyn Recipe, Registry> {
    let why = error.to_string();
    let summary = format!("cannot be used: {}", why.lines().next().unwrap_or_default());
    Entry::new(about(name, summary), move |_, _| Err(Error::Message(why.clone())))
}

fn about(name: &str, summary: String) -> About {
    About { name: name.into(), summary, numerics: NUMERICS, origin: "script".into(), ..About::default() }
}
