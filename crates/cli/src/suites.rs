//! Where suites are found: the given path, ./suites, the binary.

use crate::complaint;
use crate::exit::{Code, Failure};
use crate::session::Session;
use gauntlet::data::Catalogue;
use gauntlet::engine::Suite;
use gauntlet::records::regular_file;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// Name and text of every file in `suites/` at build time.
const BUILT_IN: &[(&str, &str)] = include!(concat!(env!("OUT_DIR"), "/suites.rs"));

/// The folder of suites in the working directory.
const FOLDER: &str = "suites";

/// Bytes of a suite's file: a hundred times the longest of ours.
const MAX_BYTES: u64 = 1 << 20;

/// A suite's text and where it came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) path: String,
    pub(crate) text: String,
    pub(crate) built_in: bool,
}

/// A path, not a name.
fn looks_like_a_file(given: &str) -> bool {
    given.ends_with(".toml") || given.contains(std::path::is_separator)
}

/// Where the suite that `given` names may lie.
fn candidates(given: &str) -> Vec<PathBuf> {
    if looks_like_a_file(given) {
        return vec![PathBuf::from(given)];
    }
    vec![PathBuf::from(format!("{given}.toml")), Path::new(FOLDER).join(format!("{given}.toml"))]
}

/// One word for the ways to name one suite: `quickstart`, `quickstart.toml`, `suites/quickstart.toml`, `./suites/quickstart.toml`.
pub(crate) fn plain(given: &str) -> &str {
    let bare = given.trim_start_matches("./").trim_end_matches(".toml");
    bare.strip_prefix(FOLDER).and_then(|rest| rest.strip_prefix('/')).unwrap_or(bare)
}

/// Whether `given` names a suite: a file, `suites/<given>.toml`, or a built-in one.
pub(crate) fn exists(given: &str) -> bool {
    candidates(given).iter().any(|p| p.is_file()) || BUILT_IN.iter().any(|(name, _)| *name == given)
}

/// The suite that `given` names: a file, `suites/<given>.toml`, or a built-in one.
pub(crate) fn find(given: &str) -> Result<Found, Failure> {
    for path in candidates(given) {
        match regular_file::read_text(&path, MAX_BYTES, "a suite") {
            Ok(text) => return Ok(Found { path: path.display().to_string(), text, built_in: false }),
            Err(e) if e.kind() == ErrorKind::NotFound => {}
            Err(e) => return Err(Failure::new(Code::User, format!("cannot read suite {}: {e}", path.display()))),
        }
    }
    let built_in = BUILT_IN.iter().find(|(name, _)| *name == given);
    if let Some((name, text)) = built_in {
        return Ok(Found { path: format!("{name}.toml"), text: text.to_string(), built_in: true });
    }
    if looks_like_a_file(given) {
        return Err(Failure::user(format!("suite {given} does not exist; gauntlet list suites shows those that do")));
    }
    let known = names();
    let error = gauntlet::core::Error::unknown("suite", given, known.iter().map(String::as_str));
    Err(Failure::user(format!("{error}: no {given}.toml here or in ./suites, none built in; gauntlet list suites")))
}

/// Names of ./suites and of the built-in suites, each once, with where they are.
pub(crate) fn all() -> Vec<(String, Found)> {
    let mut suites: Vec<(String, Found)> = Vec::new();
    let mut local: Vec<PathBuf> = std::fs::read_dir(FOLDER)
        .map(|entries| {
            entries.flatten().map(|e| e.path()).filter(|p| p.extension().is_some_and(|x| x == "toml")).collect()
        })
        .unwrap_or_default();
    local.sort();
    for path in local {
        if let (Some(stem), Ok(text)) = (path.file_stem(), regular_file::read_text(&path, MAX_BYTES, "a suite")) {
            suites.push((
                stem.to_string_lossy().into_owned(),
                Found { path: path.display().to_string(), text, built_in: false },
            ));
        }
    }
    for (name, text) in BUILT_IN {
        if !suites.iter().any(|(n, _)| n == name) {
            suites.push((name.to_string(), Found { path: "built in".into(), text: text.to_string(), built_in: true }));
        }
    }
    suites
}

/// Names of all suites.
pub(crate) fn names() -> Vec<String> {
    all().into_iter().map(|(name, _)| name).collect()
}

/// Finds and resolves a suite; every complaint about it is drawn. Its data set may have a manifest in a folder
/// `datasets` beside the suite, its scripts may lie beside it.
pub(crate) fn load(session: &Session, given: &str) -> Result<(Suite, Catalogue), Failure> {
    let found = find(given)?;
    let mut catalogue = session.catalogue.clone();
    if let Some(folder) = Path::new(&found.path).parent().filter(|_| !found.built_in) {
        catalogue.add_folder(&folder.join("datasets"));
        session.registry.recipes.look_in(folder);
        session.registry.models.look_in(folder);
    }
    let suite = Suite::load(&found.text, &found.path, &session.registry, &catalogue)
        .map_err(|complaints| complaint::failure(&found.path, &found.text, &complaints, session.colour_stderr()))?;
    Ok((suite, catalogue))
}

/// One line about a suite: its first comment.
pub(crate) fn summary(text: &str) -> String {
    // A line for editors says nothing to people.
    let comment = text.lines().filter(|l| !l.starts_with("#:")).find_map(|l| l.strip_prefix('#')).unwrap_or_default();
    comment.trim().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_found_is_named() {
        let message = |given: &str| find(given).unwrap_err().message;
        let folder = tempfile::tempdir().unwrap();
        let (long, path) = (folder.path().join("long.toml"), |p: &Path| p.display().to_string());
        std::fs::write(&long, "#".repeat(MAX_BYTES as usize + 1)).unwrap();
        let said = message(&path(&long));
        assert!(said.contains("long.toml: it has 1048577 bytes, and a suite has at most 1048576"), "{said}");
        let folder = folder.path().join("folder.toml");
        std::fs::create_dir(&folder).unwrap();
        assert!(message(&path(&folder)).contains("it is a directory, and a file is needed"));
        assert!(message("nowhere/a.toml").contains("nowhere/a.toml does not exist"));
        assert!(message("quikstart").contains("did you mean \"quickstart\""), "{}", message("quikstart"));
    }
}
