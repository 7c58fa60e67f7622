//! `gauntlet new recipe`: a crate with a recipe of one's own. Its template is the plug-in that the tests build and run.
//! `gauntlet new dataset`: a manifest.

mod dataset;

use crate::arguments::{New, NewRecipe, NewWhat};
use crate::exit::{Code, Failure};
use crate::session::Session;
use serde_json::json;
use std::path::{Path, PathBuf};

/// Files of `plugins/example-recipe`.
const TEMPLATE: &[(&str, &str)] = &[
    (".gitignore", include_str!("../../../../plugins/example-recipe/.gitignore")),
    ("Cargo.lock", include_str!("../../../../plugins/example-recipe/Cargo.lock")),
    ("Cargo.toml", include_str!("../../../../plugins/example-recipe/Cargo.toml")),
    ("README.md", include_str!("../../../../plugins/example-recipe/README.md")),
    ("src/lib.rs", include_str!("../../../../plugins/example-recipe/src/lib.rs")),
    ("src/main.rs", include_str!("../../../../plugins/example-recipe/src/main.rs")),
    ("suite.toml", include_str!("../../../../plugins/example-recipe/suite.toml")),
    ("tests/conformance.rs", include_str!("../../../../plugins/example-recipe/tests/conformance.rs")),
];

/// Its dependencies on gauntlet: the library, and the command line over it.
const DEPENDENCIES: &str =
    "gauntlet = { path = \"../../crates/gauntlet\" }\ngauntlet-cli = { path = \"../../crates/cli\" }";

/// Names that cargo or rustc refuse for a crate, and ours.
const RESERVED: &[&str] = &[
    "abstract",
    "alloc",
    "as",
    "async",
    "await",
    "become",
    "box",
    "break",
    "build",
    "const",
    "continue",
    "core",
    "crate",
    "deps",
    "do",
    "dyn",
    "else",
    "enum",
    "examples",
    "extern",
    "false",
    "final",
    "fn",
    "for",
    "gauntlet",
    "gen",
    "if",
    "impl",
    "in",
    "incremental",
    "let",
    "loop",
    "macro",
    "match",
    "mod",
    "move",
    "mut",
    "override",
    "priv",
    "proc-macro",
    "pub",
    "ref",
    "return",
    "self",
    "static",
    "std",
    "struct",
    "super",
    "test",
    "trait",
    "true",
    "try",
    "type",
    "typeof",
    "unsafe",
    "unsized",
    "use",
    "virtual",
    "where",
    "while",
    "yield",
];

pub(crate) fn new(session: &Session, arguments: &New) -> Result<Code, Failure> {
    match &arguments.what {
        NewWhat::Recipe(arguments) => recipe(session, arguments),
        NewWhat::Dataset(arguments) => dataset::dataset(session, arguments),
    }
}

fn recipe(session: &Session, arguments: &NewRecipe) -> Result<Code, Failure> {
    let name = arguments.name.as_str();
    valid(session, name)?;
    let folder = arguments.path.clone().unwrap_or_else(|| PathBuf::from(name));
    if folder.exists() {
        let why = format!("{} exists already; --path chooses another folder", folder.display());
        return Err(Failure::user(why));
    }
    let dependencies = dependencies(arguments)?;
    let mut written = Vec::new();
    for (file, text) in TEMPLATE {
        let path = folder.join(file);
        if let Some(parent) = path.parent() {
            session.create(parent)?;
        }
        let mut text = filled(text, name, &dependencies);
        if *file == "Cargo.lock" {
            text = sorted(&text);
        }
        std::fs::write(&path, text).map_err(|source| {
            let path = path.display().to_string();
            Failure::from(gauntlet::core::Error::Io { action: "write", path, source })
        })?;
        written.push(*file);
    }
    session.result(
        || json!({ "folder": folder.display().to_string(), "files": written, "dependencies": dependencies }),
        || {
            let shown = folder.display();
            format!(
                "{shown}: {}\n\n{dependencies}\n\ncd {shown}\ncargo run --release -- check {name}\ncargo run --release -- run \
                 suite.toml\n",
                written.join(", ")
            )
        },
    )?;
    Ok(Code::Done)
}

fn valid(session: &Session, name: &str) -> Result<(), Failure> {
    let word =
        |w: &str| w.starts_with(|c: char| c.is_ascii_lowercase()) && w.chars().all(|c| c.is_ascii_alphanumeric());
    if !name.split('-').all(word) || name.chars().any(|c| c.is_ascii_uppercase()) {
        let why = format!("a recipe's name is lower-case words joined by -, such as my-loss; got {name:?}");
        return Err(Failure::user(why));
    }
    if RESERVED.contains(&name) || name.starts_with("gauntlet-") {
        return Err(Failure::user(format!(
            "{name:?} cannot be the name of a crate; choose another, such as my-{name}"
        )));
    }
    let r = &session.registry;
    if r.recipes.contains(name) || r.penalties.contains(name) {
        let why = format!("{name:?} is registered already; choose another name, such as my-{name}");
        return Err(Failure::user(why));
    }
    Ok(())
}

/// The lines of Cargo.toml that say where gauntlet is.
fn dependencies(arguments: &NewRecipe) -> Result<String, Failure> {
    let quoted = |s: &str| toml::Value::String(s.to_string()).to_string();
    let lines = |library: &str, cli: &str| format!("gauntlet = {{ {library} }}\ngauntlet-cli = {{ {cli} }}");
    let given = arguments.gauntlet.as_deref();
    if let Some(url) = given.filter(|g| g.contains("://") || g.starts_with("git@")) {
        let git = format!("git = {}", quoted(url));
        return Ok(lines(&git, &git));
    }
    // Where this binary was built, if it is still there.
    let checkout = given.unwrap_or(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."));
    let package = |checkout: &Path, folder: &str, name: &str| {
        let folder = checkout.join("crates").join(folder);
        let manifest = std::fs::read_to_string(folder.join("Cargo.toml")).ok()?;
        manifest.lines().find(|l| l.trim() == format!("name = {name:?}"))?;
        Some(format!("path = {}", quoted(&folder.canonicalize().ok()?.display().to_string())))
    };
    // The checkout, or the folder of one of its packages.
    let places = [PathBuf::from(checkout), Path::new(checkout).join("../..")];
    let packages = |p: &PathBuf| Some((package(p, "gauntlet", "gauntlet")?, package(p, "cli", "gauntlet-cli")?));
    match (places.iter().find_map(packages), given) {
        (Some((library, cli)), _) => Ok(lines(&library, &cli)),
        (None, Some(given)) => Err(Failure::user(format!(
            "--gauntlet {given}: no checkout of gauntlet is there (crates/gauntlet and crates/cli), and it is no git \
             address (https://...)"
        ))),
        (None, None) => Err(Failure::user(
            "the checkout that this binary was built from is gone; say where gauntlet is: --gauntlet DIR, or a git address",
        )),
    }
}

/// The template's text with the new names.
fn filled(text: &str, name: &str, dependencies: &str) -> String {
    let upper = |word: &str| {
        let mut letters = word.chars();
        letters.next().map(|c| c.to_ascii_uppercase()).into_iter().chain(letters).collect::<String>()
    };
    let camel: String = name.split('-').map(upper).collect();
    text.replace(DEPENDENCIES, dependencies)
        .replace("gradient-times-input", name)
        .replace("gradient_times_input", &name.replace('-', "_"))
        .replace("GradientTimesInput", &camel)
}

/// A lock file with its packages in the order of their names, as cargo writes them.
fn sorted(lock: &str) -> String {
    const START: &str = "\n[[package]]\n";
    let mut parts = lock.trim_end().split(START);
    let head = parts.next().unwrap_or_default();
    let mut packages: Vec<&str> = parts.map(str::trim_end).collect();
    packages.sort_by_key(|p| p.lines().next());
    packages.iter().fold(head.trim_end().to_string() + "\n", |out, p| out + START + *p + "\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sorted_lock_file_stays_as_it_is() {
        let lock = TEMPLATE.iter().find(|(f, _)| *f == "Cargo.lock").unwrap().1;
        assert_eq!(sorted(lock), *lock);
        let moved = sorted(&lock.replace("gradient-times-input", "zz-last"));
        assert!(moved.contains("dependencies = [\n \"gauntlet\",\n \"gauntlet-cli\",\n]\n") && moved != lock);
    }

    #[test]
    fn no_name_of_the_template_is_left() {
        for (file, text) in TEMPLATE {
            let filled = filled(text, "my-own-loss", "gauntlet = { git = \"https://x.y/z\" }");
            assert!(!filled.to_lowercase().contains("times"), "{file}");
            assert!(!filled.contains("../"), "{file}");
        }
        let lib = TEMPLATE.iter().find(|(f, _)| *f == "src/lib.rs").unwrap().1;
        let lib = filled(lib, "my-own-loss", "");
        assert!(lib.contains("pub struct MyOwnLoss {") && lib.contains("Term::new(\"my_own_loss\""), "{lib}");
    }
}
