//! Writes records anew in the newest format: `cargo run --release -p gauntlet-records --example rewrite -- reports/*/records/*.json`.
//!
//! A report reads every format; this makes a folder of old ones as small as the newest.

use gauntlet_records::record_file;
use std::path::Path;

fn main() -> gauntlet_records::Result<()> {
    for path in std::env::args().skip(1).filter(|p| !p.ends_with("manifest.json")) {
        let path = Path::new(&path);
        let record = record_file::read(path)?;
        record_file::write(path.parent().unwrap_or(Path::new(".")), &record)?;
    }
    Ok(())
}
