//! Tells the provenance what compiled it: rustc, and the candle that Cargo.lock names.

use std::path::Path;
use std::process::Command;
use std::{env, fs};

fn main() {
    let output = Command::new(env::var("RUSTC").unwrap_or("rustc".into())).arg("--version").output();
    let said = output.map(|o| String::from_utf8_lossy(&o.stdout).trim().to_string()).unwrap_or_default();
    println!("cargo::rustc-env=GAUNTLET_RUSTC={}", said.trim_start_matches("rustc "));

    let lock = Path::new(&env::var("CARGO_MANIFEST_DIR").unwrap_or_default()).join("../../Cargo.lock");
    println!("cargo::rerun-if-changed={}", lock.display());
    println!("cargo::rerun-if-changed=build.rs");
    let text = fs::read_to_string(&lock).unwrap_or_default();
    let mut lines = text.lines().skip_while(|l| *l != "name = \"candle-core\"");
    let version = lines.nth(1).and_then(|l| l.strip_prefix("version = \"")).unwrap_or_default();
    println!("cargo::rustc-env=GAUNTLET_CANDLE={}", version.trim_end_matches('"'));
}
