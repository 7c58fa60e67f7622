//! `gauntlet new dataset`: the manifest of a folder of images.

use crate::arguments::NewDataset;
use crate::exit::{Code, Failure};
use crate::session::Session;
use gauntlet::data::{Arrays, Discovery, Found, Manifest, Part, Source, Transform};
use serde_json::json;
use std::fmt::Write;
use std::fs::OpenOptions;
use std::io::{ErrorKind, Write as _};
use std::path::{Component, Path, PathBuf};

/// Classes whose counts are listed.
const SHOWN: usize = 12;

pub(crate) fn dataset(session: &Session, arguments: &NewDataset) -> Result<Code, Failure> {
    let folder = &arguments.folder;
    let name = match &arguments.name {
        Some(name) => name.clone(),
        None => of_folder(folder)?,
    };
    let fine = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-_.".contains(c);
    if name.is_empty() || name.starts_with(['-', '.']) || !name.chars().all(fine) {
        let why = format!(
            "a data set's name is made of lower-case letters, digits, -, _ and ., got {name:?}; --name gives one"
        );
        return Err(Failure::user(why));
    }
    let out = arguments.out.clone().unwrap_or_else(|| Path::new("datasets").join(format!("{name}.toml")));
    if out.exists() {
        return Err(Failure::user(format!("{} exists already; --name or --out gives another one", out.display())));
    }
    if arguments.out.is_none() && session.catalogue.names().contains(&name) {
        return Err(Failure::user(format!("there is a data set {name} already; --name gives another name")));
    }
    let discovery = Discovery {
        name: name.clone(),
        classes: arguments.classes.clone(),
        image: arguments.image.clone(),
        label: arguments.label.clone(),
        transform: arguments.resize.zip(arguments.crop).map(|(resize, crop)| Transform { resize, crop }),
    };
    let found = discovery.of(folder)?;
    let text = text(&found, &from(&out, folder)?);
    // What is written is what will be read.
    Manifest::parse(&out.display().to_string(), &text)?;
    if let Some(parent) = out.parent().filter(|p| !p.as_os_str().is_empty()) {
        session.create(parent)?;
    }
    let written =
        OpenOptions::new().write(true).create_new(true).open(&out).and_then(|mut f| f.write_all(text.as_bytes()));
    written.map_err(|source| match source.kind() {
        ErrorKind::AlreadyExists => Failure::user(format!("{} exists already", out.display())),
        _ => Failure::from(gauntlet::core::Error::Io { action: "write", path: out.display().to_string(), source }),
    })?;
    let (train, test) = found.counts.iter().fold((0, 0), |(a, b), (x, y)| (a + x, b + y));
    session.result(
        || {
            json!({
                "manifest": out.display().to_string(), "name": name, "layout": found.layout, "shape": found.manifest.shape,
                "classes": found.manifest.classes, "train": train, "test": test,
            })
        },
        || said(&found, &out, (train, test)),
    )?;
    Ok(Code::Done)
}

/// A name made of a folder's.
fn of_folder(folder: &Path) -> Result<String, Failure> {
    let whole = folder.canonicalize().map_err(|_| Failure::user(format!("there is no folder {}", folder.display())))?;
    let last = whole.file_name().map(|n| n.to_string_lossy().to_lowercase()).unwrap_or_default();
    Ok(last.chars().map(|c| if c.is_ascii_alphanumeric() || "-_.".contains(c) { c } else { '-' }).collect())
}

/// The folder as the manifest names it: relative to itself where both lie in the working directory.
fn from(manifest: &Path, folder: &Path) -> Result<PathBuf, Failure> {
    let plain = |p: &Path| p.components().all(|c| matches!(c, Component::Normal(_) | Component::CurDir));
    let parent = manifest.parent().unwrap_or(Path::new(""));
    if plain(parent) && plain(folder) {
        let up = parent.components().filter(|c| matches!(c, Component::Normal(_))).map(|_| "..");
        return Ok(up.collect::<PathBuf>().join(folder));
    }
    let io = |source| gauntlet::core::Error::Io { action: "read", path: folder.display().to_string(), source };
    Ok(folder.canonicalize().map_err(io)?)
}

/// The manifest's text.
fn text(found: &Found, folder: &Path) -> String {
    let quoted = |text: &str| toml::Value::from(text).to_string();
    let m = &found.manifest;
    let classes: Vec<String> = m.classes.iter().map(|c| quoted(c)).collect();
    let (c, h, w) = m.shape;
    let mut out = format!(
        "name = {}\nsummary = {}\nshape = [{c}, {h}, {w}]\nclasses = [{}]\n# licence = \"...\"\n\n[source.local]\nfolder = {}\n",
        quoted(&m.name),
        quoted(&m.summary),
        classes.join(", "),
        quoted(&folder.to_string_lossy())
    );
    if let (Source::Local { image, label, .. }, "parquet") = (&m.source, found.layout) {
        let _ = write!(out, "image = {}\nlabel = {}\n", quoted(image), quoted(label));
    }
    if let Some(Transform { resize, crop }) = m.transform {
        let _ = write!(out, "\n[transform]\nresize = {resize}\ncrop = {crop}\n");
    }
    let mut part = |name: &str, part: &Part| {
        let _ = write!(out, "\n[{name}]\n");
        if let Some(folder) = &part.folder {
            let _ = writeln!(out, "folder = {}", quoted(folder));
        }
        if let Some(Arrays { images, labels }) = &part.arrays {
            let _ = writeln!(out, "arrays = {{ images = {}, labels = {} }}", quoted(images), quoted(labels));
        }
        if !part.files.is_empty() {
            let _ = writeln!(out, "files = [");
            for file in &part.files {
                let sha256 = file.sha256.as_deref().unwrap_or_default();
                let _ = writeln!(out, "  {{ path = {}, sha256 = {} }},", quoted(&file.path), quoted(sha256));
            }
            let _ = writeln!(out, "]");
        }
        let _ = writeln!(out, "content = {}", quoted(part.content.as_deref().unwrap_or_default()));
    };
    part("train", &m.train);
    part("test", &m.test);
    out
}

fn said(found: &Found, out: &Path, (train, test): (usize, usize)) -> String {
    let m = &found.manifest;
    let (c, h, w) = m.shape;
    let mut text = format!(
        "wrote {}: {train} training and {test} test images ({}), {c} × {h} × {w}, {} classes\n",
        out.display(),
        found.layout,
        m.classes.len()
    );
    let width = m.classes.iter().take(SHOWN).map(|name| name.chars().count()).max().unwrap_or(0);
    for (name, (train, test)) in m.classes.iter().zip(&found.counts).take(SHOWN) {
        let _ = writeln!(text, "  {name:width$}  {train} + {test}");
    }
    if m.classes.len() > SHOWN {
        let _ = writeln!(text, "  and {} more", m.classes.len() - SHOWN);
    }
    if !found.named {
        let _ = writeln!(
            text,
            "the files name no classes: they are numbers until you write names into `classes` (or give --classes)"
        );
    }
    for (split, at) in [("training", 0), ("test", 1)] {
        let empty: Vec<&str> = m
            .classes
            .iter()
            .zip(&found.counts)
            .filter(|(_, n)| [n.0, n.1][at] == 0)
            .map(|(name, _)| name.as_str())
            .collect();
        if !empty.is_empty() {
            let _ = writeln!(text, "the {split} split has no image of {}", empty.join(", "));
        }
    }
    let _ = write!(text, "\ngauntlet init mine.toml --data {}\n", m.name);
    text
}
