//! A record as files: `<row>-<seed>.json` and, beside it, `<row>-<seed>.verdicts.csv.gz`; older tables are plain
//! `.csv`.
//!
//! The JSON names the sha256 of the table of verdicts, unpacked, so a copy that lost one of the two, or half of one, is noticed.
//! Numbers come back exactly: both formats write the shortest decimal that reads as the same f64.

use crate::file::{sha256, write_atomically};
use crate::record::{RECORD_FORMAT, Record};
use crate::verdict_line::parsed;
use crate::{CleanVerdict, Error, Proof, Result, VerdictLine, packed, regular_file};
use serde::{Deserialize, Serialize};
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

/// Columns of the table before those of a verdict: `cell` 0 is the clean image, `cell` k the k-th attack × ε of the record, and
/// behind the last of them stand the certifications × ε.
const PLACE: [&str; 3] = ["cell", "label", "predicted"];

/// Where a proof's fields stand among a verdict's columns, in the order of [`Proof::COLUMNS`].
const OF_PROOF: [&str; Proof::COLUMNS.len()] = ["id", "fate", "broken_by", "margin", "steps", "blind"];

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
    let verdicts_sha256 = sha256(&table);
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
        Some(1..=NEWEST) if value.get("result").is_some() => {}
        Some(format) if value.get("result").is_some() => {
            return Err(wrong(format!(
                "it has format {format}, this version of gauntlet reads up to {NEWEST}; {AGAIN}"
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
    let sum = sha256(&table);
    if sum != verdicts_sha256 {
        return Err(Error::Record {
            path: beside,
            why: format!("it is cut off or belongs to another record ({sum}, expected {verdicts_sha256}); {AGAIN}"),
        });
    }
    record.format = RECORD_FORMAT;
    fill(&mut record, &table).map_err(|why| Error::Record { path: beside, why: format!("{why}; {AGAIN}") })?;
    Ok(record)
}

const NEWEST: u64 = RECORD_FORMAT as u64;
const AGAIN: &str = "copy it again or repeat the run";

fn bytes_of(path: &Path) -> Result<Vec<u8>> {
    regular_file::read(path, MOST, "a record").map_err(|source| Error::Io {
        action: "read",
        path: path.display().to_string(),
        source,
    })
}

/// The table: a row id is left out where it is the one after that of the line before, in the same cell.
fn verdicts(record: &Record) -> Result<Vec<u8>> {
    let wrong = |e: &dyn std::fmt::Display| Error::Message(format!("verdicts of {}: {e}", record.row));
    let mut out = csv::Writer::from_writer(Vec::new());
    let mut line = |fields: &mut dyn Iterator<Item = &str>| out.write_record(fields).map_err(|e| wrong(&e));
    line(&mut PLACE.into_iter().chain(VerdictLine::COLUMNS))?;
    let mut before = None;
    for v in &record.result.clean {
        let margin = format!("{:?}", v.margin);
        let of_verdict = VerdictLine::COLUMNS.map(|column| match column {
            "id" => shown(v.id, &mut before),
            "margin" => margin.clone(),
            _ => String::new(),
        });
        let place = ["0".to_string(), v.label.to_string(), v.predicted.to_string()];
        line(&mut place.iter().chain(&of_verdict).map(String::as_str))?;
    }
    for (k, cell) in record.result.attacked.iter().enumerate() {
        let place = [(k + 1).to_string(), String::new(), String::new()];
        let mut before = None;
        for v in &cell.verdicts {
            let mut of_verdict = VerdictLine::fields(v);
            of_verdict[0] = shown(v.id, &mut before);
            line(&mut place.iter().chain(&of_verdict).map(String::as_str))?;
        }
    }
    for (k, cell) in record.result.certified.iter().enumerate() {
        let place = [(record.result.attacked.len() + k + 1).to_string(), String::new(), String::new()];
        let mut before = None;
        for proof in &cell.proofs {
            let mut fields = proof.fields();
            fields[0] = shown(proof.id, &mut before);
            let of_verdict = VerdictLine::COLUMNS.map(|column| {
                let place = OF_PROOF.iter().position(|c| *c == column);
                place.map_or_else(String::new, |k| fields[k].clone())
            });
            line(&mut place.iter().chain(&of_verdict).map(String::as_str))?;
        }
    }
    out.into_inner().map_err(|e| wrong(&e))
}

/// A row id as a table holds it.
fn shown(id: u64, before: &mut Option<u64>) -> String {
    let follows = before.replace(id).and_then(|b| b.checked_add(1)) == Some(id);
    if follows { String::new() } else { id.to_string() }
}

fn fill(record: &mut Record, table: &[u8]) -> Result<(), String> {
    let mut reader = csv::Reader::from_reader(table);
    let header = reader.headers().map_err(|e| e.to_string())?.clone();
    let columns = VerdictLine::of(&header)?;
    let find =
        |column: &str| header.iter().position(|h| h == column).ok_or_else(|| format!("it lacks the column {column}"));
    let [cell, label, predicted, id, margin] =
        [find("cell")?, find("label")?, find("predicted")?, find("id")?, find("margin")?];
    let mut before: Option<(usize, u64)> = None;
    for line in reader.records() {
        let line = line.map_err(|e| e.to_string())?;
        let text = |k: usize| line.get(k).unwrap_or_default();
        let of: usize = parsed(text(cell), "cell")?;
        let next = before.filter(|(cell, _)| *cell == of).and_then(|(_, id)| id.checked_add(1));
        if of == 0 {
            let id = match (text(id), next) {
                ("", Some(next)) => next,
                (text, _) => parsed(text, "id")?,
            };
            let margin = CleanVerdict::margin(parsed(text(margin), "margin")?);
            let (label, predicted) = (parsed(text(label), "label")?, parsed(text(predicted), "predicted")?);
            before = Some((0, id));
            record.result.clean.push(CleanVerdict { id, label, predicted, margin });
            continue;
        }
        let attacked = record.result.attacked.len();
        if let Some(cell) = record.result.attacked.get_mut(of - 1) {
            let verdict = columns.read(|k| line.get(k), next)?;
            before = Some((of, verdict.id));
            cell.verdicts.push(verdict);
            continue;
        }
        let cells = attacked + record.result.certified.len();
        let cell = record.result.certified.get_mut(of - 1 - attacked);
        let cell = cell.ok_or_else(|| format!("it has a cell {of}, the record has {cells}"))?;
        let fields = OF_PROOF.map(|column| header.iter().position(|h| h == column).map_or("", text));
        let proof = Proof::read(fields, next)?;
        before = Some((of, proof.id));
        cell.proofs.push(proof);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{Attacked, Epoch, Flag, Outcome, Provenance, Registered};
    use crate::{Certified, Family, Fate, Norm, ProofFate, Verdict};
    use proptest::prelude::*;

    fn record() -> Record {
        // Numerical Recipes' linear congruence: digits enough.
        let mut state = 7u64;
        let mut next = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            state >> 11
        };
        let mut any = || (next() as f64 - 2f64.powi(52)) * 10f64.powi((next() % 60) as i32 - 45);
        let clean = (0..50).map(|id| CleanVerdict {
            // Some follow upon one another, some do not.
            id: id + id / 9,
            label: 3,
            predicted: id as u32 % 10,
            margin: CleanVerdict::margin(any()),
        });
        let clean = clean.collect();
        let fates = [Fate::Wrong, Fate::Robust, Fate::Broken, Fate::Carried];
        let mut cell = |eps: &str| Attacked {
            attack: "pgd".into(),
            parameters: serde_json::json!({"steps": 40, "alpha": any()}),
            family: Some(Family::Gradient),
            norm: Norm::Linf,
            eps: eps.parse().unwrap(),
            examples: None,
            verdicts: (0..50)
                .map(|id| Verdict {
                    id: id + id / 9,
                    fate: fates[id as usize % 4],
                    restart: 1,
                    steps: 40,
                    size: any().abs(),
                    margin: Verdict::margin(fates[id as usize % 4], any()),
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
                    evaluated: false,
                }],
                clean,
                attacked,
                certified: Vec::new(),
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
    fn certifications_stand_behind_the_attacks() {
        let folder = tempfile::tempdir().unwrap();
        let fates = [ProofFate::Wrong, ProofFate::Certified, ProofFate::Open, ProofFate::Broken];
        let proof = |id: u64| Proof {
            id: id + id / 9,
            fate: fates[id as usize % 4],
            method: if id.is_multiple_of(4) { String::new() } else { "crown".into() },
            bound: (!id.is_multiple_of(3)).then(|| id as f64 / 7.0).and_then(Proof::bound),
            nodes: id as u32 % 5,
            undecided: 77,
        };
        let cell = |eps: &str| Certified {
            certify: "bounds".into(),
            parameters: serde_json::json!({"methods": ["ibp", "crown"]}),
            norm: Norm::Linf,
            eps: eps.parse().unwrap(),
            examples: None,
            proofs: (0..50).map(proof).collect(),
        };
        let mut whole = record();
        whole.result.certified = vec![cell("0.1"), cell("0.3")];
        let path = write(folder.path(), &whole).unwrap();
        assert_eq!(read(&path).unwrap(), whole);
        assert_eq!(whole.result.proved().count(), 2);
        let table = String::from_utf8(verdicts(&whole).unwrap()).unwrap();
        let last: Vec<&str> = table.lines().last().unwrap().split(',').collect();
        assert_eq!((last[0], last[3], last[4], last[11]), ("4", "", "certified", "crown"));
        // A table with more cells than the record is another record's.
        let wrong = fill(&mut record(), table.as_bytes()).unwrap_err();
        assert!(wrong.contains("it has a cell 3, the record has 2"), "{wrong}");
    }

    #[test]
    fn a_table_says_only_what_does_not_follow() {
        let table = String::from_utf8(verdicts(&record()).unwrap()).unwrap();
        let lines: Vec<&str> = table.lines().collect();
        let header =
            "cell,label,predicted,id,fate,restart,steps,size,margin,forwards,backwards,broken_by,blind,rounded,fooled";
        assert_eq!((lines[0], lines.len()), (header, 151));
        let id = |line: usize| lines[line].split(',').nth(3).unwrap();
        assert_eq!([id(1), id(2), id(9), id(10), id(11), id(51), id(52)], ["0", "", "", "10", "", "0", ""]);
        let margin = |line: usize| lines[line].split(',').nth(8).unwrap();
        let kept: Vec<bool> = (51..55).map(|line| margin(line).is_empty()).collect();
        assert_eq!(kept, [true, false, true, true], "wrong, robust, broken, carried");
    }

    #[test]
    fn a_record_of_format_1_reads_as_the_same_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = write(folder.path(), &record()).unwrap();
        let mut table = String::from("cell,id,label,predicted,fate,restart,steps,size,margin,forwards,backwards,");
        table += "broken_by,blind,rounded,fooled\n";
        for v in &record().result.clean {
            table += &format!("0,{},{},{},,,,,{:?},,,,,,\n", v.id, v.label, v.predicted, v.margin);
        }
        for (k, cell) in record().result.attacked.iter().enumerate() {
            for v in &cell.verdicts {
                // It held a margin of every example, and more digits.
                let margin = v.margin.map_or(-0.123456789, |m| m * (1.0 + 1e-9));
                let fields = VerdictLine::fields(&Verdict { margin: Some(margin), ..v.clone() });
                table += &format!("{},{},,,{}\n", k + 1, v.id, fields[1..].join(","));
            }
        }
        let json = std::fs::read_to_string(&path).unwrap();
        let (head, tail) = json.split_once("\"verdicts_sha256\": \"").unwrap();
        let tail = tail.split_once('"').unwrap().1;
        let old = format!("{head}\"verdicts_sha256\": \"{}\"{tail}", sha256(table.as_bytes()));
        std::fs::write(&path, old.replace("\"format\": 2", "\"format\": 1")).unwrap();
        std::fs::write(folder.path().join("grad-norm-1.verdicts.csv.gz"), packed::pack(table.as_bytes()).unwrap())
            .unwrap();
        assert_eq!(read(&path).unwrap(), record());
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
        std::fs::write(&path, String::from_utf8(json.clone()).unwrap().replace("\"format\": 2", "\"format\": 9"))
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

    /// Cases of a target: PROPTEST_CASES where it is set, for scripts/hostile/long.sh.
    fn cases(usual: u32) -> u32 {
        std::env::var("PROPTEST_CASES").ok().and_then(|n| n.parse().ok()).unwrap_or(usual)
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: cases(200), failure_persistence: None, ..ProptestConfig::default() })]

        /// Bytes of a record or of its table changed: the same verdicts or an error that names a file, never a panic.
        #[test]
        fn no_harm_to_a_record_harms_its_reader(
            harms in prop::collection::vec((any::<bool>(), any::<prop::sample::Index>(), any::<u8>(), 0u8..4), 1..6)
        ) {
            let folder = tempfile::tempdir().unwrap();
            let path = write(folder.path(), &record()).unwrap();
            let files = [path.clone(), folder.path().join("grad-norm-1.verdicts.csv.gz")];
            for (which, at, value, kind) in harms {
                let file = &files[usize::from(which)];
                let mut bytes = std::fs::read(file).unwrap();
                let at = at.index(bytes.len().max(1));
                match kind {
                    0 => bytes.iter_mut().skip(at).take(1).for_each(|b| *b = value),
                    1 => bytes.insert(at, value),
                    2 => bytes.truncate(at),
                    // A digit for a digit: what is still JSON.
                    _ => bytes.iter_mut().skip(at).find(|b| b.is_ascii_digit()).into_iter().for_each(|b| *b = b'0' + value % 10),
                }
                std::fs::write(file, bytes).unwrap();
            }
            match read(&path) {
                // The table is held by its sha256, which the record says.
                Ok(found) => prop_assert_eq!(found.result.clean.len(), record().result.clean.len()),
                Err(error) => prop_assert!(error.to_string().contains("grad-norm-1"), "{}", error),
            }
        }
    }
}
