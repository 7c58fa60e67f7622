//! What all commands share: components, data sets, how to talk.

use crate::arguments::{DataArgs, Global};
use crate::exit::{Code, Failure, to_stderr};
use crate::progress::Progress;
use gauntlet::autograd::kernels::Isa;
use gauntlet::core::{Compute, Registry};
use gauntlet::data::{Catalogue, LoadOptions};
use gauntlet::engine::{Context, Store};
use gauntlet::report::Screen;
use serde_json::Value;
use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

/// One process.
pub(crate) struct Session {
    pub(crate) registry: Registry,
    pub(crate) catalogue: Catalogue,
    pub(crate) global: Global,
    /// Where models are trained and attacked.
    pub(crate) compute: Compute,
}

impl Session {
    pub(crate) fn new(registry: Registry, global: Global) -> Result<Self, Failure> {
        Isa::chosen().map_err(|why| Failure::new(Code::User, why))?;
        let compute = Compute::open(global.device, global.tf32)?;
        Ok(Session { registry, catalogue: Catalogue::default(), global, compute })
    }

    /// What a run works with.
    pub(crate) fn context<'s>(
        &'s self,
        catalogue: &'s Catalogue,
        store: Store,
        interrupt: &'s AtomicBool,
    ) -> Context<'s> {
        Context { compute: self.compute.clone(), ..Context::new(&self.registry, catalogue, store, interrupt) }
    }

    /// Colour on stdout: a terminal, and NO_COLOR is not set.
    pub(crate) fn colour_stdout(&self) -> bool {
        std::io::stdout().is_terminal() && colours()
    }
    /// What stdout is: colours on a terminal unless NO_COLOR is set, and only there a width that lines are made to fit, unless
    /// COLUMNS says one.
    pub(crate) fn screen(&self) -> Screen {
        let terminal = std::io::stdout().is_terminal();
        let said = std::env::var("COLUMNS").ok().and_then(|c| c.trim().parse().ok()).filter(|c| *c > 0);
        let measured = || console::Term::stdout().size_checked().map(|(_, columns)| usize::from(columns));
        Screen { colour: self.colour_stdout(), width: said.or_else(measured), ascii: terminal && ascii() }
    }
    /// Colour on stderr.
    pub(crate) fn colour_stderr(&self) -> bool {
        std::io::stderr().is_terminal() && colours()
    }

    pub(crate) fn data(&self, from: &DataArgs) -> LoadOptions {
        let named = std::env::var_os("GAUNTLET_DATA").filter(|d| !d.is_empty()).map(PathBuf::from);
        let data_dir = from.data_dir.clone().or(named);
        LoadOptions { data_dir, quiet: self.global.quiet, lines: !bars(), ..LoadOptions::default() }
    }

    pub(crate) fn progress(&self) -> Progress {
        Progress::new(self.global.quiet, bars())
    }

    /// Creates a folder of results, before the work whose results it is to hold.
    pub(crate) fn create(&self, folder: &Path) -> Result<(), Failure> {
        std::fs::create_dir_all(folder).map_err(|source| {
            let path = folder.display().to_string();
            gauntlet::core::Error::Io { action: "create", path, source }.into()
        })
    }

    /// A line for people, to stderr.
    pub(crate) fn say(&self, line: impl AsRef<str>) {
        if !self.global.quiet {
            to_stderr(format_args!("{}", line.as_ref()));
        }
    }

    /// The result: `json` with `--json`, else `text`.
    pub(crate) fn result(&self, json: impl FnOnce() -> Value, text: impl FnOnce() -> String) -> Result<(), Failure> {
        let mut out = if self.global.json { json().to_string() } else { text() };
        if !out.ends_with('\n') {
            out.push('\n');
        }
        let mut stdout = std::io::stdout().lock();
        match stdout.write_all(out.as_bytes()).and_then(|()| stdout.flush()) {
            Ok(()) => Ok(()),
            // `gauntlet list | head` is no failure.
            Err(e) if e.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
            Err(e) => Err(Failure::new(crate::Code::Environment, format!("cannot write to stdout: {e}"))),
        }
    }
}

/// https://no-color.org: any value that is not empty switches colours off.
fn colours() -> bool {
    std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty()) && !dumb()
}

/// Bars move the cursor; a file or a dumb terminal gets lines.
fn bars() -> bool {
    std::io::stderr().is_terminal() && !dumb()
}

/// A terminal whose locale is there and is not of UTF-8 cannot show more than ASCII.
fn ascii() -> bool {
    let locale = ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().filter_map(std::env::var_os).find(|v| !v.is_empty());
    locale.is_some_and(|locale| {
        let locale = locale.to_string_lossy().to_lowercase();
        !(locale.contains("utf-8") || locale.contains("utf8"))
    })
}

fn dumb() -> bool {
    std::env::var_os("TERM").is_some_and(|t| t == "dumb")
}
