//! Verdicts and what broke an example, on disk as they are found: an evaluation that was interrupted goes on from there.

use crate::failure::Failure;
use gauntlet::AttackEntry;
use gauntlet::candle::{Device, Tensor};
use gauntlet::core::Error as CoreError;
use gauntlet::engine::{Journal, fingerprint};
use gauntlet::evaluate::{Done, EVALUATOR_NUMERICS};
use gauntlet::records::{Fate, Verdict};
use serde_json::json;
use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

/// Proposals that broke an example, by (attack, budget, example).
pub(crate) type Kept = BTreeMap<(usize, usize, usize), Tensor>;

/// Where evaluations of one model on the same examples are kept.
pub(crate) struct Storage {
    pub(crate) folder: PathBuf,
    /// Everything that verdicts depend on, beside the attack.
    pub(crate) conditions: serde_json::Value,
    /// (C, H, W).
    pub(crate) input: (usize, usize, usize),
}

/// The files of one attack.
pub(crate) struct Open {
    journal: Journal,
    /// Records of two numbers of 4 bytes, place of ε and index of the example, and the pixels.
    pixels: File,
    path: PathBuf,
}

impl Storage {
    /// Opens what is known of an attack, the `at`th of an evaluation; proposals go to `kept`.
    pub(crate) fn open(&self, entry: &AttackEntry, at: usize, kept: &mut Kept) -> Result<(Open, Done), Failure> {
        let attack = json!({ "attack": entry.attack.describe(), "norm": entry.norm, "eps": entry.eps });
        let whole = json!({ "evaluator": EVALUATOR_NUMERICS, "conditions": self.conditions, "attack": attack });
        let key = fingerprint(&whole);
        std::fs::create_dir_all(&self.folder).map_err(|e| io("create", &self.folder, e))?;
        let stem: String = key.chars().filter(char::is_ascii_alphanumeric).take(16).collect();
        let (journal, mut done) = Journal::open_for(&self.folder.join(format!("{stem}.jsonl")), &key)?;
        let path = self.folder.join(format!("{stem}.pixels"));
        let mut found = self.proposals(&path)?;
        // What is said to be broken by a proposal that is lost is judged again.
        done.retain(|place, v| v.fate != Fate::Broken || found.contains_key(place));
        found.retain(|place, _| done.contains_key(place));
        kept.extend(found.into_iter().map(|((eps, index), x)| ((at, eps, index), x)));
        let pixels = OpenOptions::new().append(true).create(true).open(&path).map_err(|e| io("open", &path, e))?;
        Ok((Open { journal, pixels, path }, done))
    }

    /// Whole proposals of a file; what a kill cut off is cut off here.
    fn proposals(&self, path: &Path) -> Result<BTreeMap<(usize, usize), Tensor>, Failure> {
        let mut bytes = Vec::new();
        match File::open(path) {
            Ok(mut file) => file.read_to_end(&mut bytes).map_err(|e| io("read", path, e))?,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => 0,
            Err(e) => return Err(io("read", path, e)),
        };
        let size = 8 + 4 * self.input.0 * self.input.1 * self.input.2;
        let whole = bytes.len() / size * size;
        if whole < bytes.len() {
            let file = OpenOptions::new().write(true).open(path).map_err(|e| io("open", path, e))?;
            file.set_len(whole as u64).map_err(|e| io("write", path, e))?;
        }
        let word = |b: &[u8]| u32::from_le_bytes([b[0], b[1], b[2], b[3]]);
        let one = |record: &[u8]| {
            let pixels: Vec<f32> = record[8..].chunks_exact(4).map(|b| f32::from_bits(word(b))).collect();
            let x = Tensor::from_vec(pixels, self.input, &Device::Cpu)?;
            Ok(((word(record) as usize, word(&record[4..]) as usize), x))
        };
        bytes[..whole].chunks_exact(size).map(one).collect()
    }
}

impl Open {
    /// Keeps verdicts, proposals first.
    pub(crate) fn append(&mut self, eps: usize, verdicts: &[(usize, Verdict, Option<Tensor>)]) -> Result<(), Failure> {
        let mut bytes = Vec::new();
        for (index, _, proposal) in verdicts {
            let Some(x) = proposal else { continue };
            bytes.extend((eps as u32).to_le_bytes());
            bytes.extend((*index as u32).to_le_bytes());
            let pixels: Vec<f32> = x.flatten_all()?.to_vec1()?;
            pixels.iter().for_each(|p| bytes.extend(p.to_le_bytes()));
        }
        self.pixels.write_all(&bytes).map_err(|e| io("write", &self.path, e))?;
        Ok(self.journal.append(eps, verdicts)?)
    }
}

fn io(action: &'static str, path: &Path, source: std::io::Error) -> Failure {
    CoreError::Io { action, path: path.display().to_string(), source }.into()
}
