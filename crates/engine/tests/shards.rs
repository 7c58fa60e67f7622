//! An evaluation in shards, killed and taken up again, is the undivided one.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)]

mod halves;

use gauntlet_core::Registry;
use gauntlet_data::Catalogue;
use gauntlet_engine::{Context, Error, Event, Events, Images, Shard, Store, Suite, run_on};
use gauntlet_records::{Record, record_file};
use halves::split;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

const SUITE: &str = r#"format = 1
name = "shards"
data = "glyphs"
model = "lenet-small"
take = 30
carry = true
train = { epochs = 1, batch = 32, validation = 60 }
[[row]]
recipe = "ce"
[[attack]]
name = "pgd"
eps = ["0.05", "0.2"]
steps = 3
[[attack]]
name = "fgsm"
eps = "0.1"
take = 11
"#;

#[derive(Default)]
struct Brake {
    at: Option<usize>,
    verdicts: AtomicUsize,
    stop: AtomicBool,
}
impl Events for Brake {
    fn event(&self, event: &Event<'_>) {
        if matches!(event, Event::Judged { .. }) {
            let n = self.verdicts.fetch_add(1, Ordering::Relaxed) + 1;
            if self.at.is_some_and(|k| n >= k) {
                self.stop.store(true, Ordering::Relaxed);
            }
        }
    }
}

fn go(store: &Path, shard: Option<&str>, brake: &Brake) -> gauntlet_engine::Result<Vec<Record>> {
    let mut registry = Registry::default();
    gauntlet_models::register(&mut registry).unwrap();
    gauntlet_attacks::register(&mut registry).unwrap();
    gauntlet_recipes::register(&mut registry).unwrap();
    let suite = Suite::load(SUITE, "shards.toml", &registry, &Catalogue::default()).unwrap();
    let classes = ["left", "right", "top"].map(String::from).to_vec();
    let images = Images { train: split(1, 260), test: split(2, 40), classes, order: None };
    let catalogue = Catalogue::default();
    let mut context = Context::new(&registry, &catalogue, Store::new(store), &brake.stop);
    context.width = 4;
    context.shard = shard.map(|text| text.parse::<Shard>().unwrap());
    run_on(&suite, images, &context, brake)
}

fn bytes(records: &[Record]) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(records[0].failed, None);
    let still = Record { provenance: gauntlet_records::Provenance::default(), ..records[0].clone() };
    let path = record_file::write(folder.path(), &still).unwrap();
    [std::fs::read(&path).unwrap(), std::fs::read(path.with_extension("verdicts.csv.gz")).unwrap()].concat()
}

#[test]
fn shards_together_are_the_undivided_evaluation() {
    let (whole, divided) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let wanted = bytes(&go(whole.path(), None, &Brake::default()).unwrap());
    for shard in ["1/4", "2/4", "3/4", "4/4"] {
        // Two of them are killed after every few verdicts, and requeued.
        let at = if shard < "3" { Some(2) } else { None };
        let mut killed = 0;
        while let Err(error) = go(divided.path(), Some(shard), &Brake { at, ..Brake::default() }) {
            assert!(matches!(error, Error::Interrupted), "{error}");
            killed += 1;
        }
        assert_eq!(killed > 0, at.is_some(), "{shard}");
    }
    // Nothing is left to be judged but put together.
    let brake = Brake::default();
    let records = go(divided.path(), None, &brake).unwrap();
    assert_eq!(brake.verdicts.load(Ordering::Relaxed), 0);
    assert!(bytes(&records) == wanted);
    // What the shards wrote is gone.
    let left = |folder: &Path| {
        let evaluations = std::fs::read_dir(folder.join("evaluations")).unwrap();
        let names = evaluations.flat_map(|e| std::fs::read_dir(e.unwrap().path()).unwrap());
        names.filter(|n| n.as_ref().unwrap().file_name().to_string_lossy().contains("shard")).count()
    };
    assert_eq!(left(divided.path()), 0);
    // A shard that is missing is judged by the run that puts them together.
    let partly = tempfile::tempdir().unwrap();
    go(partly.path(), Some("2/3"), &Brake::default()).unwrap();
    let brake = Brake::default();
    assert!(bytes(&go(partly.path(), None, &brake).unwrap()) == wanted);
    assert!(brake.verdicts.load(Ordering::Relaxed) > 0);
}

#[test]
fn a_shard_is_a_number_of_so_many() {
    assert_eq!("3/16".parse::<Shard>().unwrap().to_string(), "3/16");
    for wrong in ["0/4", "5/4", "3", "a/b", "", "1/0", "-1/4"] {
        let said = wrong.parse::<Shard>().unwrap_err().to_string();
        assert!(said.contains("such as 3/16") && said.contains(&format!("{wrong:?}")), "{said}");
    }
}
