//! A record as files: `<row>-<seed>.json` and, beside it, `<row>-<seed>.verdicts.csv.gz`; older tables are plain
//! `.csv`.
//!
//! The JSON names the sha256 of the table of verdicts, unpacked, so a copy that lost one of the two, or half of one, is noticed.
//! Numbers come back exactly: both formats write the shortest decimal that reads as the same f64.

use crate::checkpoint::{hex, write_atomically};
use crate::record::{CleanVerdict, Fate, RECORD_FORMAT, Record, Verdict};
use crate::{Error, Result, packed, regular_file};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::path::{Path, PathBuf};

/// What follows the record's name in the name of its table of verdicts.
pub const VERDICTS: &str = ".verdicts.csv.gz";

/// The same of a table that is not packed: it is read where there is no packed one.
pub const PLAIN: &str = ".verdicts.csv";

/// Bytes of one of a record's files: ten times the largest of ours.
const MOST: u64 = 256 << 20;

/// The JSON file: the record and what its table of verdicts must be.
#[derive(Serialize, Deserialize)]
struct Sheet<R> {
    #[serde(flatten)]
    record: R,
    verdicts_sha256: String,
}

/// A line of the table: `cell` 0 is the clean image, `cell` k the k-th attack × ε of the record.
#[derive(Serialize, Deserialize)]
struct Line {
    cell: usize,
    id: u64,
    label: Option<u32>,
    predicted: Option<u32>,
    fate: Option<Fate>,
    restart: Option<u32>,
    steps: Option<u32>,
    size: Option<f64>,
    margin: f64,
    forwards: Option<u32>,
    backwards: Option<u32>,
    // Tables of version 0.1 lack these.
    #[serde(default)]
    broken_by: Option<String>,
    #[serde(default)]
    blind: Option<u32>,
    #[serde(default)]
    rounded: Option<bool>,
    #[serde(default)]
    fooled: Option<u32>,
}

/// Bytes of a row id: what is written behind it, and beside it while a file is being written, still is a file name.
const LONGEST: usize = 128;

/// `<row>-<seed>`: the name that a record's files share.
///
/// # Errors
/// A row id that is no file name, or too long a one.
pub fn stem(row: &str, seed: u64) -> Result<String> {
    let plain = |c: char| c.is_alphanumeric() || "-_.+=".contains(c);
    if row.is_empty() || row.starts_with('.') || !row.chars().all(plain) {
        return Err(Error::value(
            "row id",
            format!("names the record's files, so it may hold letters, digits and - _ . + = only, got {row:?}"),
        ));
    }
    if row.len() > LONGEST {
        let why = format!("names the record's files, so it may have at most {LONGEST} bytes, got {}", row.len());
        return Err(Error::value("row id", why));
    }
    Ok(format!("{row}-{seed}"))
}

/// Writes a record's two files into `folder` (created if missing), each under a temporary name and renamed, the
/// verdicts first; a plain table of verdicts from before is removed. Returns the path of the JSON file.
///
/// # Errors
/// [`Error::Io`] with the path; a row id that is no file name.
pub fn write(folder: &Path, record: &Record) -> Result<PathBuf> {
    let stem = stem(&record.row, record.seed)?;
    let table = verdicts(record)?;
    let verdicts_sha256 = format!("sha256:{}", hex(&Sha256::digest(&table)));
    let mut json = serde_json::to_vec_pretty(&Sheet { record, verdicts_sha256 })
        .map_err(|e| Error::Message(format!("record {stem}: {e}")))?;
    json.push(b'\n');
    let path = folder.join(format!("{stem}.json"));
    let packed = packed::pack(&table).map_err(|e| Error::Message(format!("verdicts of {stem}: {e}")))?;
    write_atomically(&folder.join(format!("{stem}{VERDICTS}")), &packed)?;
    write_atomically(&path, &json)?;
    let plain = folder.join(format!("{stem}{PLAIN}"));
    match std::fs::remove_file(&plain) {
        Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
            Err(Error::Io { action: "remove", path: plain.display().to_string(), source })
        }
        _ => Ok(path),
    }
}

/// Reads a record: its JSON at `path` and the table of verdicts beside it, packed or plain.
///
/// # Errors
/// [`Error::Io`] if a file cannot be read, [`Error::Record`] if it is not a record, is cut off, is of another format,
/// or does not belong to the other file.
pub fn read(path: &Path) -> Result<Record> {
    let bytes = bytes_of(path)?;
    let wrong = |why: String| Error::Record { path: path.display().to_string(), why };
    let value: serde_json::Value = serde_json::from_slice(&bytes).map_err(|e| {
        wrong(if e.is_eof() { format!("it is cut off ({e}); {AGAIN}") } else { format!("it is not JSON ({e})") })
    })?;
    match value.get("format").and_then(serde_json::Value::as_u64) {
        Some(format) if format == u64::from(RECORD_FORMAT) && value.get("result").is_some() => {}
        Some(format) if value.get("result").is_some() => {
            return Err(wrong(format!(
                "it has format {format}, this version of gauntlet reads format {RECORD_FORMAT}; {AGAIN}"
            )));
        }
        _ => return Err(wrong("it is not a record of gauntlet; move it out of the folder".into())),
    }
    let Sheet { mut record, verdicts_sha256 } =
        serde_json::from_value::<Sheet<Record>>(value).map_err(|e| wrong(format!("{e}; {AGAIN}")))?;
    let stem = path.with_extension("").display().to_string();
    let plain = stem.clone() + PLAIN;
    let (beside, table) = match (stem + VERDICTS, Path::new(&plain).exists()) {
        (packed, true) if !Path::new(&packed).exists() => {
            let table = bytes_of(Path::new(&plain))?;
            (plain, table)
        }
        (packed, _) => match packed::unpack(&bytes_of(Path::new(&packed))?, packed::MOST) {
            Ok(table) => (packed, table),
            Err(why) => return Err(Error::Record { path: packed, why: format!("{why}; {AGAIN}") }),
        },
    };
    let sum = format!("sha256:{}", hex(&Sha256::digest(&table)));
    if sum != verdicts_sha256 {
        return Err(Error::Record {
            path: beside,
            why: format!("it is cut off or belongs to another record ({sum}, expected {verdicts_sha256}); {AGAIN}"),
        });
    }
    fill(&mut record, &table).map_err(|why| Error::Record { path: beside, why: format!("{why}; {AGAIN}") })?;
    Ok(record)
}

const AGAIN: &str = "copy it again or repeat the run";

fn bytes_of(path: &Path) -> Result<Vec<u8>> {
    regular_file::read(path, MOST, "a record")
        .map_err(|source| Error::Io { action: "read", path: path.display().to_string(), source })
}

fn verdicts(record: &Record) -> Result<Vec<u8>> {
    let result = &record.result;
    let clean = result.clean.iter().map(|v| Line {
        cell: 0,
        id: v.id,
        label: Some(v.label),
        predicted: Some(v.predicted),
        fate: None,
        restart: None,
        steps: None,
        size: None,
        margin: v.margin,
        forwards: None,
        backwards: None,
        broken_by: None,
        blind: None,
        rounded: None,
        fooled: None,
    });
    let attacked = result.attacked.iter().enumerate().flat_map(|(k, cell)| {
        cell.verdicts.iter().map(move |v| Line {
            cell: k + 1,
            id: v.id,
            label: None,
            predicted: None,
            fate: Some(v.fate),
            restart: Some(v.restart),
            steps: Some(v.steps),
            size: Some(v.size),
            margin: v.margin,
            forwards: Some(v.forwards),
            backwards: Some(v.backwards),
            broken_by: Some(v.broken_by.clone()),
            blind: Some(v.blind),
            rounded: Some(v.rounded),
            fooled: v.fooled,
        })
    });
    let mut out = csv::Writer::from_writer(Vec::new());
    for line in clean.chain(attacked) {
        out.serialize(line).map_err(|e| Error::Message(format!("verdicts of {}: {e}", record.row)))?;
    }
    out.into_inner().map_err(|e| Error::Message(format!("verdicts of {}: {e}", record.row)))
}

fn fill(record: &mut Record, table: &[u8]) -> Result<(), String> {
    for line in csv::Reader::from_reader(table).deserialize::<Line>() {
        let l = line.map_err(|e| e.to_string())?;
        if l.cell == 0 {
            let (Some(label), Some(predicted)) = (l.label, l.predicted) else {
                return Err(format!("example {} lacks its label or its prediction", l.id));
            };
            record.result.clean.push(CleanVerdict { id: l.id, label, predicted, margin: l.margin });
            continue;
        }
        let (Some(fate), Some(restart), Some(steps), Some(size), Some(forwards), Some(backwards)) =
            (l.fate, l.restart, l.steps, l.size, l.forwards, l.backwards)
        else {
            return Err(format!("example {} in cell {} lacks a column", l.id, l.cell));
        };
        let cells = record.result.attacked.len();
        let cell = record
            .result
            .attacked
            .get_mut(l.cell - 1)
            .ok_or_else(|| format!("it has a cell {}, the record has {cells}", l.cell))?;
        cell.verdicts.push(Verdict {
            id: l.id,
            fate,
            restart,
            steps,
            size,
            margin: l.margin,
            forwards,
            backwards,
            broken_by: l.broken_by.unwrap_or_default(),
            blind: l.blind.unwrap_or_default(),
            rounded: l.rounded.unwrap_or_default(),
            fooled: l.fooled,
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{Attacked, Epoch, Flag, Outcome, Provenance, Registered};
    use crate::{Norm, Purpose};

    fn record() -> Record {
        let mut stream = crate::Key::new(7, Purpose::Sample).stream(0, 0, 0);
        let mut any = || stream.normal() * 10f64.powi((stream.next_u32() % 60) as i32 - 30);
        let clean = (0..50).map(|id| CleanVerdict { id, label: 3, predicted: id as u32 % 10, margin: any() }).collect();
        let fates = [Fate::Wrong, Fate::Robust, Fate::Broken, Fate::Carried];
        let mut cell = |eps: &str| Attacked {
            attack: "pgd".into(),
            parameters: serde_json::json!({"steps": 40, "alpha": any()}),
            norm: Norm::Linf,
            eps: eps.parse().unwrap(),
            examples: None,
            verdicts: (0..50)
                .map(|id| Verdict {
                    id,
                    fate: fates[id as usize % 4],
                    restart: 1,
                    steps: 40,
                    size: any().abs(),
                    margin: any(),
                    forwards: 41,
                    backwards: 40,
                    broken_by: if id % 4 == 2 { "fab-t".into() } else { String::new() },
                    blind: id as u32 % 3,
                    rounded: id % 4 == 2,
                    fooled: (id % 3 > 0).then_some(id as u32),
                })
                .collect(),
        };
        let attacked = vec![cell("8/255"), cell("0.3")];
        let expectation = serde_json::from_value(serde_json::json!({
            "row": "grad-norm", "of": "clean", "value": 98.5, "n": 10000, "band": [97.5, null], "source": "a table",
        }));
        let expectation = expectation.unwrap();
        Record {
            format: RECORD_FORMAT,
            suite: "quickstart".into(),
            row: "grad-norm".into(),
            seed: 1,
            failed: None,
            result: Outcome {
                configuration: serde_json::json!({"row": {"id": "grad-norm", "weight": 0.1}}),
                data_sha256: "sha256:00".into(),
                checkpoint_sha256: "sha256:01".into(),
                curve: vec![Epoch {
                    epoch: 1,
                    terms: vec![("ce".into(), any())],
                    clean_accuracy: 0.1 + 0.2,
                    robust_accuracy: 1.0 / 3.0,
                    gradient_l1: any(),
                    gradient_l2: any(),
                    alignment: Some(any()),
                    own_fgsm_accuracy: Some(2.0 / 3.0),
                    own_pgd_accuracy: None,
                    monitored_on: "validation".into(),
                }],
                clean,
                attacked,
                flags: vec![Flag { name: "fgsm-beats-pgd".into(), detail: "fgsm 1.0, pgd 2.0".into() }],
            },
            provenance: Provenance { version: "0.1.0".into(), train_seconds: any(), ..Provenance::default() },
            expectations: vec![Registered { expectation, set_in: Some("abc".into()) }],
        }
    }

    #[test]
    fn a_record_comes_back_bit_for_bit() {
        let folder = tempfile::tempdir().unwrap();
        let path = write(&folder.path().join("records"), &record()).unwrap();
        assert!(path.ends_with("records/grad-norm-1.json"));
        assert_eq!(read(&path).unwrap(), record());
        let before = std::fs::read(&path).unwrap();
        write(&folder.path().join("records"), &read(&path).unwrap()).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), before);
    }

    #[test]
    fn damage_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = write(folder.path(), &record()).unwrap();
        let table = folder.path().join("grad-norm-1.verdicts.csv.gz");
        let (json, packed) = (std::fs::read(&path).unwrap(), std::fs::read(&table).unwrap());
        let message = || read(&path).unwrap_err().to_string();
        std::fs::write(&path, &json[..json.len() / 2]).unwrap();
        assert!(message().contains("it is cut off"), "{}", message());
        std::fs::write(&path, "{\"a\": 1}").unwrap();
        assert!(message().contains("not a record of gauntlet"), "{}", message());
        std::fs::write(&path, String::from_utf8(json.clone()).unwrap().replace("\"format\": 1", "\"format\": 9"))
            .unwrap();
        assert!(message().contains("format 9"), "{}", message());
        std::fs::write(&path, &json).unwrap();
        std::fs::write(&table, &packed[..packed.len() - 20]).unwrap();
        assert!(message().contains("verdicts.csv.gz: it is cut off; copy it again"), "{}", message());
        let mut flipped = packed.clone();
        flipped[packed.len() / 2] ^= 1;
        std::fs::write(&table, &flipped).unwrap();
        assert!(message().contains("verdicts.csv.gz: it is damaged"), "{}", message());
        // Whole, but of another record.
        std::fs::write(&table, packed::pack(b"cell,id\n").unwrap()).unwrap();
        assert!(message().contains("verdicts.csv.gz: it is cut off or belongs to another record"), "{}", message());
        std::fs::remove_file(&table).unwrap();
        assert!(message().contains("cannot read") && message().contains("verdicts.csv.gz"), "{}", message());
        // As it was written before, and packed again when it is written again.
        let plain = folder.path().join("grad-norm-1.verdicts.csv");
        let csv = packed::unpack(&packed, packed::MOST).unwrap();
        std::fs::write(&plain, &csv).unwrap();
        assert_eq!(read(&path).unwrap(), record());
        std::fs::write(&plain, &csv[..csv.len() - 20]).unwrap();
        assert!(message().contains("verdicts.csv: it is cut off"), "{}", message());
        write(folder.path(), &record()).unwrap();
        assert_eq!((plain.exists(), std::fs::read(&table).unwrap() == packed), (false, true));
    }

    #[test]
    fn a_row_that_is_no_file_name_is_refused() {
        for row in ["", "../x", "a/b", ".hidden", "a b"] {
            assert!(stem(row, 0).unwrap_err().to_string().contains("row id"), "{row}");
        }
    }
}
