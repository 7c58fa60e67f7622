//! Verdicts on disk as they are given, so that a killed evaluation loses only the jobs in flight.

use crate::{Error, Result};
use candle_core::Tensor;
use gauntlet_evaluate::Done;
use gauntlet_records::file::sha256;
use gauntlet_records::{Verdict, VerdictLine, regular_file};
use serde::{Deserialize, Serialize};
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

/// Bytes of a journal: a million verdicts.
const MOST: u64 = 256 << 20;

/// One line of the journal.
#[derive(Serialize, Deserialize)]
struct Line {
    /// Position of ε in the attack's list.
    eps: usize,
    /// Index of the example.
    index: usize,
    /// The fields of its verdict, with commas between them: [`VerdictLine::fields`].
    verdict: String,
    /// The first digits of the sha256 of the three: a bit that turned on the disk is no verdict.
    check: String,
}

impl Line {
    fn of(eps: usize, index: usize, v: &Verdict) -> Line {
        let verdict = VerdictLine::fields(v).join(",");
        Line { check: Self::sum(eps, index, &verdict), eps, index, verdict }
    }
    fn sum(eps: usize, index: usize, verdict: &str) -> String {
        sha256(format!("{eps},{index},{verdict}").as_bytes()).chars().skip("sha256:".len()).take(16).collect()
    }
    /// `None`: damaged.
    fn verdict(&self) -> Option<Verdict> {
        let fields: Vec<&str> = self.verdict.split(',').collect();
        let columns = VerdictLine::of(VerdictLine::COLUMNS).ok()?;
        let verdict = columns.read(|k| fields.get(k).copied(), None).ok()?;
        (self.check == Self::sum(self.eps, self.index, &self.verdict)).then_some(verdict)
    }
}

/// The first line of a journal that is not named after what it belongs to.
#[derive(Serialize, Deserialize)]
struct Header {
    /// Of the lines: 2 since they carry a check.
    journal: u32,
    key: String,
}

/// An append-only file of verdicts, one JSON object per line.
pub struct Journal {
    path: PathBuf,
    file: File,
}

impl Journal {
    /// Opens the journal and returns what it holds. A line that was cut off by a kill or is damaged, and whatever follows
    /// it, is dropped; its example is judged again.
    pub(crate) fn open(path: &Path) -> Result<(Journal, Done)> {
        Self::read(path, None)
    }

    /// Opens the journal of what has that key, which its first line says, and returns what it holds: a line that was cut off by a kill
    /// or is damaged, and whatever follows it, is dropped.
    ///
    /// # Errors
    /// It belongs to something else, or is no journal.
    pub fn open_for(path: &Path, key: &str) -> Result<(Journal, Done)> {
        Self::read(path, Some(key))
    }

    fn read(path: &Path, key: Option<&str>) -> Result<(Journal, Done)> {
        let text = match regular_file::read(path, MOST, "a journal") {
            Ok(bytes) => bytes,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Vec::new(),
            Err(e) => return Err(Error::store("read", path, e)),
        };
        let mut done = Done::new();
        let mut whole = 0;
        let mut lines = text.split_inclusive(|b| *b == b'\n');
        let header = match key {
            Some(key) => line(&Header { journal: 2, key: key.to_string() })?,
            None => String::new(),
        };
        if text.starts_with(header.as_bytes()) {
            whole = header.len();
            lines.by_ref().take(usize::from(whole > 0)).for_each(drop);
        } else if !header.as_bytes().starts_with(&text) {
            // Not even a header that a kill cut off.
            return Err(Error::Damaged {
                path: path.display().to_string(),
                why: "it is not the journal of this attack on this checkpoint and these examples; name another file"
                    .into(),
            });
        }
        for line in lines {
            if !line.ends_with(b"\n") {
                break;
            }
            let Ok(l) = serde_json::from_slice::<Line>(line) else { break };
            let Some(verdict) = l.verdict() else { break };
            done.insert((l.eps, l.index), verdict);
            whole += line.len();
        }
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .append(true)
            .open(path)
            .map_err(|e| Error::store("open", path, e))?;
        file.set_len(whole as u64).map_err(|e| Error::store("write", path, e))?;
        let mut journal = Journal { path: path.to_path_buf(), file };
        if whole == 0 {
            journal.put(header.as_bytes())?;
        }
        Ok((journal, done))
    }

    /// Appends verdicts of one ε.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn append(&mut self, eps: usize, verdicts: &[(usize, Verdict, Option<Tensor>)]) -> Result<()> {
        let mut text = String::new();
        for (index, v, _) in verdicts {
            text += &self::line(&Line::of(eps, *index, v))?;
        }
        self.put(text.as_bytes())
    }

    fn put(&mut self, bytes: &[u8]) -> Result<()> {
        self.file.write_all(bytes).map_err(|e| Error::store("write", &self.path, e))
    }
}

fn line<T: Serialize>(value: &T) -> Result<String> {
    Ok(serde_json::to_string(value).map_err(|e| Error::message(format!("verdict: {e}")))? + "\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use gauntlet_records::Fate;
    use proptest::prelude::*;

    fn verdict(id: u64) -> Verdict {
        Verdict {
            id,
            fate: Fate::Robust,
            restart: 1,
            steps: 7,
            size: 0.1 + 0.2,
            margin: Verdict::margin(Fate::Robust, if id == 2 { f64::NAN } else { 1.0 / 3.0 }),
            forwards: 8,
            backwards: 7,
            broken_by: if id == 1 { "square".into() } else { String::new() },
            blind: id as u32,
            rounded: id == 1,
            fooled: (id == 1).then_some(3),
        }
    }

    #[test]
    fn a_journal_of_something_else_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("mine.jsonl");
        let (mut journal, _) = Journal::open_for(&path, "abc").unwrap();
        journal.append(0, &[(0, verdict(0), None)]).unwrap();
        assert_eq!(Journal::open_for(&path, "abc").unwrap().1.len(), 1);
        let Err(error) = Journal::open_for(&path, "abd") else { panic!("taken for one's own") };
        assert!(error.to_string().contains("not the journal of this attack"), "{error}");
        // A header that was cut off by a kill is written again.
        std::fs::write(&path, "{\"jour").unwrap();
        assert!(Journal::open_for(&path, "abd").unwrap().1.is_empty());
        assert!(Journal::open_for(&path, "abd").is_ok());
        for other in ["a file of somebody's\n", "a file of somebody's", "{}\n"] {
            std::fs::write(&path, other).unwrap();
            assert!(Journal::open_for(&path, "abd").is_err());
            assert_eq!(std::fs::read_to_string(&path).unwrap(), other);
        }
    }

    #[test]
    fn a_torn_line_is_dropped_wherever_it_is_cut() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("partial.jsonl");
        let (mut journal, done) = Journal::open(&path).unwrap();
        assert!(done.is_empty());
        journal.append(0, &[(0, verdict(0), None), (1, verdict(1), None), (2, verdict(2), None)]).unwrap();
        let whole = std::fs::read(&path).unwrap();
        let second = whole.iter().enumerate().filter(|(_, b)| **b == b'\n').nth(1).unwrap().0 + 1;
        for cut in second..whole.len() {
            std::fs::write(&path, &whole[..cut]).unwrap();
            let (mut journal, done) = Journal::open(&path).unwrap();
            assert_eq!(done.len(), 2, "cut at {cut}");
            assert_eq!(done[&(0, 1)], verdict(1));
            journal.append(0, &[(2, verdict(2), None)]).unwrap();
            assert_eq!(std::fs::read(&path).unwrap(), whole);
        }
        let (_, done) = Journal::open(&path).unwrap();
        assert!(done[&(0, 2)].margin.is_some_and(f64::is_nan));
    }

    #[test]
    fn a_bit_that_turned_is_no_verdict() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("partial.jsonl");
        let (mut journal, _) = Journal::open(&path).unwrap();
        journal.append(0, &[(0, verdict(0), None), (1, verdict(1), None)]).unwrap();
        let whole = std::fs::read(&path).unwrap();
        let second = whole.iter().position(|b| *b == b'\n').unwrap() + 1;
        for at in second..whole.len() - 1 {
            for bit in 0..8 {
                let mut turned = whole.clone();
                turned[at] ^= 1 << bit;
                std::fs::write(&path, &turned).unwrap();
                let (_, done) = Journal::open(&path).unwrap();
                // JSON may be written in several ways; what it says must be the same or be dropped.
                assert!(done.get(&(0, 1)).is_none_or(|v| *v == verdict(1)), "byte {at}, bit {bit}");
                assert_eq!(done[&(0, 0)], verdict(0));
                assert!(done.len() < 3);
            }
        }
    }

    /// Cases of a target: PROPTEST_CASES where it is set, for scripts/hostile/long.sh.
    fn cases(usual: u32) -> u32 {
        std::env::var("PROPTEST_CASES").ok().and_then(|n| n.parse().ok()).unwrap_or(usual)
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: cases(200), failure_persistence: None, ..ProptestConfig::default() })]

        /// Bytes of a journal changed: an error that names it, or verdicts that were given, each at its place.
        #[test]
        fn no_harm_to_a_journal_harms_its_reader(
            harms in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0u8..5), 1..6)
        ) {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("partial.jsonl");
            let (mut journal, _) = Journal::open(&path).unwrap();
            journal.append(0, &[(0, verdict(0), None), (1, verdict(1), None), (3, verdict(3), None)]).unwrap();
            let mut bytes = std::fs::read(&path).unwrap();
            for (at, value, kind) in harms {
                let at = at.index(bytes.len().max(1));
                match kind {
                    0 => bytes.iter_mut().skip(at).take(1).for_each(|b| *b = value),
                    1 => bytes.insert(at, value),
                    2 => bytes.truncate(at),
                    3 => bytes.iter_mut().skip(at).find(|b| b.is_ascii_digit()).into_iter().for_each(|b| *b = b'0' + value % 10),
                    _ => {
                        let part: Vec<u8> = bytes[at..].iter().copied().take(usize::from(value)).collect();
                        bytes.splice(at..at, part);
                    }
                }
            }
            std::fs::write(&path, bytes).unwrap();
            match Journal::open(&path) {
                Ok((_, done)) => {
                    for ((eps, index), found) in done {
                        prop_assert_eq!((eps, &found), (0, &verdict(index as u64)));
                    }
                }
                Err(error) => prop_assert!(error.to_string().contains("partial.jsonl"), "{}", error),
            }
        }
    }
}
