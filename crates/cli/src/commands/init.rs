//! `gauntlet init`: a suite to begin with, in which every key that could be there stands as a comment.

use crate::arguments::Init;
use crate::exit::{Code, Failure};
use crate::session::Session;
use crate::{quoted, schema};
use gauntlet::core::KeyDoc;
use gauntlet::core::key_doc::Omitted;
use gauntlet::engine::keys::{ATTACK, CERTIFY, EXPECT, QUICK, ROW, SUITE, TRAIN};
use serde_json::json;
use std::fmt::Write as _;
use std::fs::OpenOptions;
use std::io::{ErrorKind, Write as _};
use std::path::Path;

/// The schema beside a suite, which its first line names.
const SCHEMA: &str = "suite.schema.json";

pub(crate) fn init(session: &Session, arguments: &Init) -> Result<Code, Failure> {
    let file = &arguments.file;
    let (shown, named) = (file.display().to_string(), file.extension().is_some_and(|e| e == "toml"));
    if !named {
        return Err(Failure::user(format!("a suite is called something.toml, got {shown}")));
    }
    // Says which data sets there are.
    session.catalogue.get(&arguments.data)?;
    if let Some(folder) = file.parent().filter(|f| !f.as_os_str().is_empty()) {
        session.create(folder)?;
    }
    if !created(file, &template(&arguments.data))? {
        return Err(Failure::user(format!("{shown} exists already; give another name")));
    }
    let beside = file.with_file_name(SCHEMA);
    let new = created(&beside, &schema::text(&schema::suite(&session.registry)))?;
    session.result(
        || json!({ "suite": shown, "schema": beside.display().to_string() }),
        || {
            let what = if new { "for editors that know JSON Schema" } else { "was there already" };
            let word = quoted::quoted(&shown);
            format!(
                "wrote {shown}: two recipes, two attacks, a minute; every other key stands in it as a comment\n{} {what}\n\n\
                 gauntlet check {word}\ngauntlet run {word}\n",
                beside.display()
            )
        },
    )?;
    Ok(Code::Done)
}

/// Writes a file that is not there yet; false where it is.
fn created(path: &Path, text: &str) -> Result<bool, Failure> {
    let written =
        OpenOptions::new().write(true).create_new(true).open(path).and_then(|mut f| f.write_all(text.as_bytes()));
    match written {
        Ok(()) => Ok(true),
        Err(e) if e.kind() == ErrorKind::AlreadyExists => Ok(false),
        Err(source) => {
            let path = path.display().to_string();
            Err(gauntlet::core::Error::Io { action: "write", path, source }.into())
        }
    }
}

/// What is set in a part of the file: key and value.
type Chosen<'a> = [(&'static str, &'a str)];

/// The suite: a small network, two recipes, two attacks.
fn template(data: &str) -> String {
    let data = toml::Value::from(data).to_string();
    let mut out = format!(
        "#:schema {SCHEMA}\n\
         # A suite to begin with. `gauntlet check FILE` says what it would do, `gauntlet run FILE` does it.\n\
         # Keys behind a # are those that may be given; what they show is their default, or an example where it says so.\n\n"
    );
    let top = [("format", "1"), ("data", data.as_str()), ("model", "\"lenet-small\""), ("take", "200")];
    keys(&mut out, SUITE, &top);
    heading(&mut out, "[train]", "How rows are trained.");
    keys(&mut out, TRAIN, &[("epochs", "2"), ("optimiser", "{ name = \"adam\", lr = 2e-3 }")]);
    heading(&mut out, "[[row]]", "One for each recipe: `gauntlet list recipes`.");
    keys(&mut out, ROW, &[("id", "\"ce\""), ("recipe", "\"ce\"")]);
    out += "\n[[row]]\nid = \"fgsm-aug\"\nrecipe = { name = \"fgsm-aug\", eps = \"0.1\" }\n";
    heading(&mut out, "[[attack]]", "One for each attack, with its own parameters: `gauntlet list attacks --verbose`.");
    keys(&mut out, ATTACK, &[("name", "\"fgsm\""), ("eps", "[\"0.05\", \"0.1\"]")]);
    out += "\n[[attack]]\nname = \"pgd\"\neps = [\"0.05\", \"0.1\"]\nsteps = 10\nalpha = \"eps/4\"\n";
    heading(&mut out, "# [[certify]]", "What is proved beside the attacks, the other end of every robust accuracy.");
    keys(&mut out, CERTIFY, &[]);
    heading(&mut out, "# [[expect]]", "A published number, to stand beside ours.");
    keys(&mut out, EXPECT, &[]);
    heading(&mut out, "# [quick]", "The smaller version that `gauntlet run FILE --quick` runs.");
    keys(&mut out, QUICK, &[]);
    out
}

fn heading(out: &mut String, heading: &str, words: &str) {
    let _ = writeln!(out, "\n# {words}\n{heading}");
}

/// Every key of a part: those that are set, the others as comments.
fn keys(out: &mut String, keys: &[KeyDoc], chosen: &Chosen<'_>) {
    for key in keys.iter().filter(|k| !k.example.is_empty()) {
        let doc = key.doc.split(": [").next().unwrap_or(key.doc).split(" ([").next().unwrap_or(key.doc);
        let line = match (chosen.iter().find(|(name, _)| *name == key.name), key.omitted) {
            (Some((name, value)), _) => format!("{name} = {value}"),
            (None, Omitted::Is(value)) => format!("# {} = {value}", key.name),
            (None, Omitted::Means(words)) => {
                let _ =
                    writeln!(out, "{:<52} # {doc}; without it {words}", format!("# {} = {}", key.name, key.example));
                continue;
            }
            (None, Omitted::Refused) => format!("# {} = {}", key.name, key.example),
        };
        let _ = writeln!(out, "{line:<52} # {doc}");
    }
}
