//! `gauntlet help`, `completions`, `man`: the command line about itself.

use crate::arguments::{Completions, Help, List, Man, What};
use crate::exit::{Code, Failure};
use crate::help::command;
use crate::session::Session;
use clap::ValueEnum;
use clap::error::ErrorKind;
use serde_json::json;

/// `help attack` is `attack --help`, `help attacks pgd` is `list attacks pgd`.
pub(crate) fn help(session: &Session, arguments: &Help) -> Result<Code, Failure> {
    if let Some((first, names)) = arguments.words.split_first()
        && let Ok(what) = What::from_str(first, false)
    {
        let list = List { what, names: names.to_vec(), verbose: false, markdown: false };
        return super::list::list(session, &list);
    }
    let mut shown = command();
    shown.build();
    for word in &arguments.words {
        let Some(found) = shown.find_subcommand(word).cloned() else {
            let lists =
                What::value_variants().iter().filter_map(|w| Some(w.to_possible_value()?.get_name().to_string()));
            let known: Vec<String> = shown.get_subcommands().map(|c| c.get_name().to_string()).chain(lists).collect();
            let error = gauntlet::core::Error::unknown("command", word, known.iter().map(String::as_str));
            return Err(Failure::user(error.to_string()));
        };
        shown = found;
    }
    // What `--help` says, short or long as clap decides.
    let words = std::iter::once("gauntlet").chain(arguments.words.iter().map(String::as_str)).chain(["--help"]);
    let text = match command().try_get_matches_from(words) {
        Err(error) if error.kind() == ErrorKind::DisplayHelp => error.render().to_string(),
        _ => shown.render_help().to_string(),
    };
    session.result(|| json!({ "help": text }), || text.clone())?;
    Ok(Code::Done)
}

pub(crate) fn completions(session: &Session, arguments: &Completions) -> Result<Code, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut command(), "gauntlet", &mut script);
    let script = String::from_utf8_lossy(&script).into_owned();
    session.result(|| json!({ "shell": arguments.shell.to_string(), "script": script }), || script.clone())?;
    Ok(Code::Done)
}

pub(crate) fn man(session: &Session, arguments: &Man) -> Result<Code, Failure> {
    session.create(&arguments.folder)?;
    let failed =
        |error| Failure::new(Code::Environment, format!("cannot write into {}: {error}", arguments.folder.display()));
    clap_mangen::generate_to(command(), &arguments.folder).map_err(failed)?;
    let told = format!(
        "manual pages of all commands are in {}; man gauntlet-run, where MANPATH has it",
        arguments.folder.display()
    );
    session.result(|| json!({ "folder": arguments.folder.display().to_string() }), || told)?;
    Ok(Code::Done)
}
