//! A temporary folder to run the binary in, with a small data set and a small suite.

use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

pub struct Sandbox {
    folder: tempfile::TempDir,
}

/// What a process left behind.
pub struct Done {
    pub code: i32,
    pub out: String,
    pub err: String,
}

/// 400 + 100 drawn images: enough to learn something in a second.
const TINY: &str = r#"
name = "tiny"
summary = "a few glyphs"
shape = [1, 28, 28]
classes = ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"]
licence = "MIT OR Apache-2.0"

[source.glyphs]
seed = 5
train = 400
test = 100
"#;

/// Three recipes and two attacks on it.
pub const SUITE: &str = r#"
# A suite for tests.
format = 1
name = "small"
data = "tiny"
model = "lenet-small"
seeds = [0]
take = 60

[train]
epochs = 2
batch = 50
optimiser = { name = "adam", lr = 4e-3 }
validation = 50

[[row]]
id = "ce"
recipe = "ce"

[[row]]
id = "kept"
base = "ce"
penalties = [{ name = "grad-norm", weight = 1.0 }]

[[row]]
id = "cut"
base = "ce"
penalties = [{ name = "grad-norm", weight = 1.0, graph = "cut" }]

[[attack]]
name = "fgsm"
eps = ["0.05"]

[[attack]]
name = "pgd"
eps = ["0.02", "0.05"]
steps = 5
"#;

impl Sandbox {
    pub fn new() -> Sandbox {
        let sandbox = Sandbox { folder: tempfile::tempdir().unwrap() };
        sandbox.write("datasets/tiny.toml", TINY);
        sandbox.write("small.toml", SUITE);
        sandbox
    }

    pub fn path(&self, inside: &str) -> PathBuf {
        self.folder.path().join(inside)
    }
    pub fn write(&self, inside: &str, text: impl AsRef<[u8]>) {
        let path = self.path(inside);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    pub fn read(&self, inside: &str) -> String {
        fs::read_to_string(self.path(inside)).unwrap_or_else(|e| panic!("{inside}: {e}"))
    }
    /// Files below `inside` whose name ends with `end`.
    pub fn find(&self, inside: &str, end: &str) -> Vec<PathBuf> {
        let mut found = Vec::new();
        let mut open = vec![self.path(inside)];
        while let Some(folder) = open.pop() {
            for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
                let path = entry.path();
                if path.is_dir() {
                    open.push(path);
                } else if path.to_string_lossy().ends_with(end) {
                    found.push(path);
                }
            }
        }
        found.sort();
        found
    }

    /// The binary with words of `line`, in the sandbox, cut off from the caller's environment.
    pub fn command(&self, line: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_gauntlet"));
        command.args(line.split_whitespace());
        self.settle(&mut command);
        command
    }
    /// The same through a shell: `"$GAUNTLET"` is the binary.
    pub fn shell(&self, script: &str) -> Done {
        let mut command = Command::new("bash");
        command.args(["-c", script]).env("GAUNTLET", env!("CARGO_BIN_EXE_gauntlet"));
        self.settle(&mut command);
        done(command.output().unwrap())
    }
    fn settle(&self, command: &mut Command) {
        command.current_dir(self.folder.path()).stdin(Stdio::null());
        command.env("HF_HOME", self.path("hub")).env("HF_ENDPOINT", "http://127.0.0.1:9");
        for variable in [
            "COLUMNS",
            "NO_COLOR",
            "RAYON_NUM_THREADS",
            "CANDLE_NUM_THREADS",
            "HF_HUB_CACHE",
            "GAUNTLET_ISA",
            "GAUNTLET_DATA",
        ] {
            command.env_remove(variable);
        }
    }

    pub fn run(&self, line: &str) -> Done {
        done(self.command(line).output().unwrap())
    }
    /// Runs and expects exit code 0.
    pub fn ok(&self, line: &str) -> Done {
        self.run(line).expect(0)
    }
    /// Runs with `--json` and parses stdout.
    pub fn json(&self, line: &str) -> Value {
        let done = self.ok(&format!("{line} --json"));
        serde_json::from_str(&done.out).unwrap_or_else(|e| panic!("{e}: {}", done.out))
    }
    pub fn start(&self, line: &str) -> Child {
        self.command(line).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    }

    /// The part of every record of the suite that must repeat: name, `result` and the table of verdicts.
    pub fn results(&self, report: &str) -> Vec<(String, Value, Vec<u8>)> {
        let files = self.find(&format!("{report}/records"), ".json");
        let records = files.iter().filter(|f| !f.ends_with("manifest.json"));
        records.map(|f| (name(f), result(f), fs::read(verdicts(f)).unwrap())).collect()
    }
}

fn name(path: &Path) -> String {
    path.file_name().unwrap().to_string_lossy().into_owned()
}
fn result(path: &Path) -> Value {
    serde_json::from_str::<Value>(&fs::read_to_string(path).unwrap()).unwrap()["result"].clone()
}
fn verdicts(path: &Path) -> PathBuf {
    path.with_extension("verdicts.csv.gz")
}

pub fn done(output: Output) -> Done {
    use std::os::unix::process::ExitStatusExt;
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    let code = output.status.code().unwrap_or_else(|| -output.status.signal().unwrap());
    Done { code, out: text(output.stdout), err: text(output.stderr) }
}

impl Done {
    #[track_caller]
    pub fn expect(self, code: i32) -> Done {
        assert_eq!(self.code, code, "stdout:\n{}\nstderr:\n{}", self.out, self.err);
        self
    }
    /// Every one of `needles` is in what was written to stderr.
    #[track_caller]
    pub fn says(self, needles: &[&str]) -> Done {
        for needle in needles {
            assert!(self.err.contains(needle), "{needle:?} is not in:\n{}", self.err);
        }
        self
    }
}

/// Waits until `there` holds, or panics.
pub fn wait(what: &str, there: impl Fn() -> bool) {
    let begun = Instant::now();
    while !there() {
        assert!(begun.elapsed() < Duration::from_secs(60), "{what} did not happen within a minute");
        std::thread::sleep(Duration::from_millis(5));
    }
}
