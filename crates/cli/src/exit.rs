//! Exit codes, and errors on their way to one.

use gauntlet::core::Error as CoreError;
use gauntlet::records::Error as RecordError;
use std::fmt::{Arguments, Write as _};
use std::io::{ErrorKind, Write as _};
use std::process::ExitCode;

/// What the process says to its caller. A panic, which is a bug, exits with 101.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Code {
    /// Everything was done.
    Done = 0,
    /// Finished, but an expectation was not met, or a record is contradicted.
    Expectation = 1,
    /// The user's mistake: arguments, suite, checkpoint.
    User = 2,
    /// The environment's: network, disk, permissions.
    Environment = 3,
    /// Finished with failed parts.
    Parts = 4,
    /// A bug that was noticed: a certificate and the referee contradict one another.
    Bug = 101,
    /// Interrupted; the same command goes on.
    Interrupted = 130,
}

impl From<Code> for ExitCode {
    fn from(code: Code) -> ExitCode {
        ExitCode::from(code as u8)
    }
}

/// An error with its exit code and the text to print.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) code: Code,
    /// Without `error: `.
    pub(crate) message: String,
    /// Already rendered, with `error: ` in it (a suite's diagnostics).
    pub(crate) rendered: bool,
}

impl Failure {
    pub(crate) fn new(code: Code, message: impl Into<String>) -> Self {
        Failure { code, message: message.into(), rendered: false }
    }
    pub(crate) fn user(message: impl Into<String>) -> Self {
        Self::new(Code::User, message)
    }
    /// A flag with a value outside its domain.
    pub(crate) fn flag(flag: &str, error: impl Into<CoreError>) -> Self {
        let error = error.into();
        match error {
            CoreError::Value { why, .. } => Self::user(format!("--{flag} {why}")),
            other => Self::user(format!("--{flag}: {other}")),
        }
    }

    /// To stderr; with `--json` also an object to stdout, so that a caller never has to read prose. Returns what the process ends with:
    /// that stdout cannot be written to is the environment's trouble, whatever else there was.
    pub(crate) fn print(&self, json: bool) -> Code {
        let prefix = if self.rendered || self.code == Code::Interrupted { "" } else { "error: " };
        to_stderr(format_args!("{prefix}{}", self.message));
        if json {
            let object = serde_json::json!({ "error": self.message, "exit_code": self.code as u8 });
            let mut stdout = std::io::stdout().lock();
            if let Err(e) = writeln!(stdout, "{object}").and_then(|()| stdout.flush())
                && e.kind() != ErrorKind::BrokenPipe
            {
                // The likeliest trouble is that this was said already.
                let said = format!("cannot write to stdout: {e}");
                if self.message != said {
                    to_stderr(format_args!("error: {said}"));
                }
                return Code::Environment;
            }
        }
        self.code
    }
}

/// A line to stderr, or nowhere: a full disk behind it must not end what is under way.
pub(crate) fn to_stderr(line: Arguments<'_>) {
    let _ = writeln!(std::io::stderr().lock(), "{line}");
}

/// The message of an error and of its causes, where they say more than the message does.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let said = error.to_string();
        if !text.contains(&said) {
            let _ = write!(text, "\n  caused by: {said}");
        }
        cause = error.source();
    }
    text
}

/// A path that does not exist is a typing error; anything else the file system says is its own trouble.
fn code_of_io(error: &std::io::Error) -> Code {
    match error.kind() {
        ErrorKind::NotFound | ErrorKind::IsADirectory => Code::User,
        _ => Code::Environment,
    }
}

fn code_of_core(error: &CoreError) -> Code {
    match error {
        CoreError::Io { source, action: "read" | "list", .. } => code_of_io(source),
        CoreError::Io { .. } => Code::Environment,
        CoreError::NotFinite { .. } | CoreError::Proposal { .. } => Code::Parts,
        _ => Code::User,
    }
}

fn code_of_record(error: &RecordError) -> Code {
    match error {
        RecordError::Io { source, action: "read" | "list", .. } => code_of_io(source),
        RecordError::Io { .. } => Code::Environment,
        _ => Code::User,
    }
}

impl From<RecordError> for Failure {
    fn from(error: RecordError) -> Self {
        Failure::new(code_of_record(&error), chain(&error))
    }
}

impl From<CoreError> for Failure {
    fn from(error: CoreError) -> Self {
        Failure::new(code_of_core(&error), chain(&error))
    }
}

impl From<gauntlet::report::Error> for Failure {
    fn from(error: gauntlet::report::Error) -> Self {
        let code = match &error {
            gauntlet::report::Error::Record(e) => code_of_record(e),
            _ => Code::User,
        };
        Failure::new(code, chain(&error))
    }
}

impl From<gauntlet::data::Error> for Failure {
    fn from(error: gauntlet::data::Error) -> Self {
        Failure::new(code_of_data(&error), chain(&error))
    }
}

fn code_of_data(error: &gauntlet::data::Error) -> Code {
    if error.is_environment() { Code::Environment } else { Code::User }
}

impl From<gauntlet::engine::Error> for Failure {
    fn from(error: gauntlet::engine::Error) -> Self {
        use gauntlet::engine::Error::{Core, Damaged, Data, Interrupted, Store};
        let code = match &error {
            Core(e) => code_of_core(e),
            Data(e) => code_of_data(e),
            Store { .. } | Damaged { .. } => Code::Environment,
            Interrupted => Code::Interrupted,
            _ => Code::User,
        };
        Failure::new(code, chain(&error))
    }
}
