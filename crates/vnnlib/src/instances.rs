//! A folder of instances: networks with properties, as the competition lists them.

use crate::answer::{Answer, Verdict};
use crate::error::{Error, Result};
use crate::property::Property;
use crate::search::{Limits, search};
use crate::subject::Subject;
use gauntlet_records::regular_file;
use std::fmt;
use std::path::{Path, PathBuf};

/// Bytes of a list.
const MOST: u64 = 16 << 20;

/// A network with a property.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Instance {
    /// As the list has it: the property's file.
    pub name: String,
    /// The network's file.
    pub network: PathBuf,
    /// The property's file, with `.gz` where only that is there.
    pub property: PathBuf,
    /// What the list says of it: `sat`, `unsat`, `unknown` or another word; none where it has a time limit there, as the competition's own.
    pub expected: Option<String>,
}

/// Reads `instances.csv` of a folder: network, property and possibly what is known, with or without a line of titles.
///
/// # Errors
/// There is no such list; a line has no property.
pub fn instances(folder: &Path) -> Result<Vec<Instance>> {
    let path = folder.join("instances.csv");
    let name = path.display().to_string();
    let text = regular_file::read_text(&path, MOST, "a list of instances");
    let text = text.map_err(|e| Error::File { path: name.clone(), why: e.to_string() })?;
    let mut found = Vec::new();
    for (number, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let mut fields = line.split(',').map(str::trim);
        let (Some(network), Some(property)) = (fields.next(), fields.next()) else {
            let why = "a network and a property are expected, with a comma between".into();
            return Err(Error::Line { path: name, line: number + 1, why });
        };
        if number == 0 && !property.contains(".vnnlib") {
            continue;
        }
        let plain = folder.join(property);
        let packed = folder.join(format!("{property}.gz"));
        found.push(Instance {
            name: property.into(),
            network: folder.join(network),
            property: if plain.exists() || !packed.exists() { plain } else { packed },
            expected: fields.next().filter(|v| !v.is_empty() && v.parse::<f64>().is_err()).map(Into::into),
        });
    }
    Ok(found)
}

/// What became of an instance; prints as a line of a table.
#[derive(Debug)]
pub struct Outcome {
    /// The instance.
    pub instance: Instance,
    /// The answer, or why there is none.
    pub answer: Result<Answer>,
}

impl Outcome {
    /// Whether a witness was found where the list says that there is none.
    pub fn contradicts(&self) -> bool {
        let sat = matches!(&self.answer, Ok(answer) if answer.result == Verdict::Sat);
        sat && self.instance.expected.as_deref() == Some("unsat")
    }
    /// A file's name for its witness: network and property, without folders.
    pub fn witness_file(&self) -> String {
        let network = self.instance.network.file_stem().unwrap_or_default().to_string_lossy();
        let property = Path::new(&self.instance.name).file_name().unwrap_or_default().to_string_lossy();
        format!("{network}.{property}.txt")
    }
    /// Titles of the columns.
    pub const TITLES: &'static str = "instance | network | known | result | seconds | attack | forwards";
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Instance { name, network, expected, .. } = &self.instance;
        let network = network.file_name().unwrap_or_default().to_string_lossy();
        write!(f, "{name} | {network} | {} | ", expected.as_deref().unwrap_or("-"))?;
        match &self.answer {
            Ok(a) => write!(f, "{} | {:.2} | {} | {}", a.result, a.seconds, a.attack.unwrap_or("-"), a.forwards),
            Err(e) => write!(f, "error | - | - | {e}"),
        }
    }
}

/// Searches every instance in turn and tells `each` what became of it; a network is opened once for instances in a row.
pub fn run(
    instances: Vec<Instance>,
    limits: &Limits,
    open: &mut dyn FnMut(&Path) -> Result<Subject>,
    each: &mut dyn FnMut(Outcome),
) {
    let mut last: Option<(PathBuf, Subject)> = None;
    for instance in instances {
        let mut answered = || -> Result<Answer> {
            let property = Property::open(&instance.property)?;
            let known = last.as_ref().filter(|(path, _)| *path == instance.network).map(|(_, s)| s.clone());
            let subject = match known {
                Some(subject) => subject,
                None => open(&instance.network)?,
            };
            last = Some((instance.network.clone(), subject.clone()));
            search(&subject, &property, limits)
        };
        let answer = answered();
        each(Outcome { instance, answer });
    }
}
