//! Proofs on disk as they are made, so that a killed certification loses only those in work.

use crate::{Error, Result};
use gauntlet_records::file::sha256;
use gauntlet_records::{Proof, regular_file};
use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

/// Bytes of a journal: a million proofs.
const MOST: u64 = 256 << 20;

/// By place of the budget and of the example.
pub(crate) type Proved = HashMap<(usize, usize), Proof>;

/// An append-only file of proofs: place of the budget, place of the example, the proof's fields, and the first digits of the sha256
/// of all that, a line each.
pub(crate) struct ProofJournal {
    path: PathBuf,
    file: File,
}

impl ProofJournal {
    /// Opens the journal and returns what it holds. A line that was cut off by a kill or is damaged, and whatever follows it, is
    /// dropped.
    pub(crate) fn open(path: &Path) -> Result<(Self, Proved)> {
        let bytes = match regular_file::read(path, MOST, "a journal") {
            Ok(bytes) => bytes,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Vec::new(),
            Err(e) => return Err(Error::store("read", path, e)),
        };
        let (mut proved, mut whole) = (Proved::new(), 0);
        for line in bytes.split_inclusive(|b| *b == b'\n') {
            let text = std::str::from_utf8(line).ok().and_then(|text| text.strip_suffix('\n'));
            let Some((place, proof)) = text.and_then(read) else { break };
            proved.insert(place, proof);
            whole += line.len();
        }
        let mut options = OpenOptions::new();
        let file = options.create(true).truncate(false).append(true).open(path);
        let file = file.map_err(|e| Error::store("open", path, e))?;
        file.set_len(whole as u64).map_err(|e| Error::store("write", path, e))?;
        Ok((ProofJournal { path: path.to_path_buf(), file }, proved))
    }

    /// Appends proofs of one ε.
    pub(crate) fn append(&mut self, eps: usize, proofs: &[(usize, Proof)]) -> Result<()> {
        let mut text = String::new();
        for (index, proof) in proofs {
            let said = format!("{eps},{index},{}", proof.fields().join(","));
            text += &format!("{said},{}\n", check(&said));
        }
        self.file.write_all(text.as_bytes()).map_err(|e| Error::store("write", &self.path, e))
    }
}

fn check(said: &str) -> String {
    sha256(said.as_bytes()).chars().skip("sha256:".len()).take(16).collect()
}

/// `None`: damaged.
fn read(line: &str) -> Option<((usize, usize), Proof)> {
    let (said, sum) = line.rsplit_once(',')?;
    let mut fields = said.splitn(3, ',');
    let place = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
    let fields: Vec<&str> = fields.next()?.split(',').collect();
    let proof = Proof::read(fields.try_into().ok()?, None).ok()?;
    (sum == check(said)).then_some((place, proof))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use gauntlet_records::ProofFate;

    #[test]
    fn what_was_cut_off_is_dropped_and_what_is_whole_stays() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("proofs.csv");
        let proof = |id| Proof {
            id,
            fate: ProofFate::Certified,
            method: "crown".into(),
            bound: Some(0.25),
            nodes: 0,
            undecided: 12,
        };
        let (mut journal, known) = ProofJournal::open(&path).unwrap();
        assert!(known.is_empty());
        journal.append(0, &[(0, proof(7)), (1, proof(8))]).unwrap();
        journal.append(1, &[(0, proof(7))]).unwrap();
        drop(journal);
        let whole = std::fs::read(&path).unwrap();
        let of = |bytes: &[u8]| {
            std::fs::write(&path, bytes).unwrap();
            ProofJournal::open(&path).unwrap().1
        };
        assert_eq!(of(&whole).len(), 3);
        assert_eq!(of(&whole[..whole.len() - 3]).len(), 2);
        let mut turned = whole.clone();
        turned[whole.iter().position(|b| *b == b'\n').unwrap() + 6] ^= 1;
        assert_eq!(of(&turned), Proved::from([((0, 0), proof(7))]));
        // What follows is written behind what is whole.
        let (mut journal, _) = ProofJournal::open(&path).unwrap();
        journal.append(1, &[(5, proof(12))]).unwrap();
        assert_eq!(ProofJournal::open(&path).unwrap().1.len(), 2);
    }
}
