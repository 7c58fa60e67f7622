//! Which commit had set a suite's expectations when its trainings began.

use gauntlet::records::{Expectation, Record, record::Registered};
use std::path::Path;
use std::process::Command;

/// The last commit of a suite's file, if the file is as that commit left it.
pub(crate) struct Origin {
    commit: String,
    /// When it was committed, RFC 3339 UTC.
    at: String,
}

impl Origin {
    /// `None`: the file is changed, is in no git repository, is built in, or there is no git.
    pub(crate) fn of(suite: &Path) -> Option<Origin> {
        let (folder, name) = (suite.parent()?, suite.file_name()?);
        let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
        let git = |arguments: &[&str]| {
            let mut command = Command::new("git");
            command.arg("-C").arg(folder).args(arguments).arg("--").arg(name).env("TZ", "UTC");
            let output = command.output().ok().filter(|o| o.status.success())?;
            Some(String::from_utf8_lossy(&output.stdout).trim().to_string())
        };
        let changed = git(&["status", "--porcelain", "--untracked-files=all"])?;
        let last = git(&["log", "-1", "--format=%H %cd", "--date=format-local:%Y-%m-%dT%H:%M:%SZ"])?;
        let (commit, at) = last.split_once(' ').filter(|_| changed.is_empty())?;
        Some(Origin { commit: commit.into(), at: at.into() })
    }
}

/// Writes into every record what is expected of its row. One that it carried already, judged alike, keeps its commit; one that
/// is new has the suite's, if the training began after it.
pub(crate) fn register(records: &mut [Record], expectations: &[Expectation], origin: Option<&Origin>) {
    for record in records {
        // Both are RFC 3339 in UTC, which sorts as text.
        let commit = origin.filter(|o| o.at < record.provenance.started).map(|o| &o.commit);
        let carried = |e: &Expectation| record.expectations.iter().find(|r| r.expectation.judged_as(e));
        let of_row = expectations.iter().filter(|e| e.row == record.row);
        let known = of_row.map(|e| Registered {
            expectation: e.clone(),
            set_in: carried(e).map_or_else(|| commit.cloned(), |r| r.set_in.clone()),
        });
        record.expectations = known.collect();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gauntlet::records::{
        Band, Quantity,
        record::{Outcome, Provenance, RECORD_FORMAT},
    };

    fn git(folder: &Path, arguments: &[&str]) {
        let mut command = Command::new("git");
        let set = ["-c", "user.name=a", "-c", "user.email=a@b", "-c", "commit.gpgsign=false"];
        let done = command.arg("-C").arg(folder).args(set).args(arguments).output().unwrap();
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    }

    fn expectation(value: f64) -> Expectation {
        Expectation {
            row: "ce".into(),
            of: Quantity::Clean,
            minus: None,
            value: Some(value),
            sd: None,
            n: None,
            band: Some(Band(Some(90.0), None)),
            or: None,
            source: Some("a table".into()),
            published_with: None,
        }
    }

    fn record(started: &str) -> Record {
        Record {
            format: RECORD_FORMAT,
            suite: "mine".into(),
            row: "ce".into(),
            seed: 0,
            failed: None,
            result: Outcome {
                configuration: serde_json::json!({}),
                data_sha256: String::new(),
                checkpoint_sha256: String::new(),
                curve: vec![],
                clean: vec![],
                attacked: vec![],
                certified: vec![],
                flags: vec![],
            },
            provenance: Provenance { started: started.into(), ..Provenance::default() },
            expectations: vec![],
        }
    }

    #[test]
    fn a_suite_has_a_commit_only_as_it_was_committed() {
        let folder = tempfile::tempdir().unwrap();
        let suite = folder.path().join("mine.toml");
        std::fs::write(&suite, "format = 1\n").unwrap();
        assert!(Origin::of(&suite).is_none(), "no repository");
        git(folder.path(), &["init", "-q"]);
        assert!(Origin::of(&suite).is_none(), "not committed");
        git(folder.path(), &["add", "."]);
        git(folder.path(), &["commit", "-q", "-m", "a suite"]);
        let origin = Origin::of(&suite).unwrap();
        assert!(origin.commit.len() >= 40 && origin.at.ends_with('Z') && origin.at.len() == 20, "{}", origin.at);
        std::fs::write(&suite, "format = 1\n# another band\n").unwrap();
        assert!(Origin::of(&suite).is_none(), "changed since");
    }

    #[test]
    fn only_what_the_commit_precedes_was_set_before() {
        let origin = Origin { commit: "c0ffee".into(), at: "2026-01-02T00:00:00Z".into() };
        let said = |records: &[Record]| -> Vec<Option<String>> {
            records.iter().flat_map(|r| r.expectations.iter().map(|e| e.set_in.clone())).collect()
        };
        let mut records = vec![record("2026-01-01T23:59:59Z"), record("2026-01-02T00:00:01Z")];
        register(&mut records, &[expectation(95.0)], Some(&origin));
        assert_eq!(said(&records), [None, Some("c0ffee".to_string())]);
        // Another commit changes nothing of what is known; another band was not set in the first one.
        let later = Origin { commit: "beef".into(), at: "2026-01-03T00:00:00Z".into() };
        register(&mut records, &[expectation(95.0), expectation(96.0)], Some(&later));
        assert_eq!(said(&records), [None, None, Some("c0ffee".to_string()), None]);
        // None of another row.
        let other = Expectation { row: "at".into(), ..expectation(95.0) };
        register(&mut records, &[other], None);
        assert!(said(&records).is_empty());
    }
}
