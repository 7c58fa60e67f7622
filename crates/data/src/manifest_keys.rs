//! Every key of a manifest, for the reference and the JSON Schema; a test holds them to what is read.

use gauntlet_core::KeyDoc;
use gauntlet_core::key_doc::{Form, Omitted, key};

use Form::{Exactly, List, OneKey, Table, Tables, Text, Whole};
use Omitted::{Is, Means, Refused};

/// Keys of a manifest, in the order of the reference.
pub const MANIFEST: &[KeyDoc] = &[
    key("name", Text, Refused, "", "\"mine\"", "the data set's name in suites; the file is called `<name>.toml`"),
    key("summary", Text, Refused, "", "\"stripes, 16×16 grey, 2,000 + 500\"", "one line for `gauntlet list datasets`"),
    key(
        "shape",
        Exactly(3, &Whole(1)),
        Refused,
        "",
        "[3, 32, 32]",
        "channels, height and width of every image; images in files have 1, 3 or 4 channels, arrays any number",
    ),
    key(
        "classes",
        List(&Text),
        Refused,
        "",
        "[\"left\", \"right\"]",
        "names of the classes, in the order of the labels 0, 1, ...",
    ),
    key(
        "subset",
        List(&Text),
        Is("[]"),
        "",
        "[\"right\", \"left\"]",
        "only these classes, in this order; their labels become 0, 1, ... (empty: all)",
    ),
    key(
        "order",
        Text,
        Means("the rows are in random order"),
        "",
        "\"sorted by difficulty\"",
        "how the rows are ordered, where that is not random: the first n are then no sample of the whole",
    ),
    key(
        "transform",
        Table(TRANSFORM),
        Means("none: all images have the shape"),
        "",
        "",
        "how images of any size are made alike; the shape is then that of the crop",
    ),
    key("licence", Text, Means("not stated, and said so"), "", "\"CC BY 4.0\"", "licence of the data"),
    key(
        "numerics",
        Whole(0),
        Is("1"),
        "",
        "2",
        "raise it when the decoded content changes: what was trained on the old one is done again",
    ),
    key("source", OneKey(SOURCES), Refused, "", "", "where the images come from"),
    key("train", Table(PART), Means("no files: idx, CIFAR-10 binary, or drawn"), "", "", "the training split"),
    key("test", Table(PART), Means("no files: idx, CIFAR-10 binary, or drawn"), "", "", "the test split"),
];

/// Keys of `[transform]`.
pub const TRANSFORM: &[KeyDoc] = &[
    key(
        "resize",
        Whole(1),
        Refused,
        "pixels",
        "256",
        "the shorter side after resizing (bilinear, smoothed where the image shrinks)",
    ),
    key("crop", Whole(1), Refused, "pixels", "224", "side of the square that is kept of the middle"),
];

/// Keys of `[train.arrays]`.
pub const ARRAYS: &[KeyDoc] = &[
    key(
        "images",
        Text,
        Refused,
        "",
        "\"pathmnist.npz/train_images\"",
        "`file.npy` or `file.npz/array`: unsigned bytes (N, H, W), (N, H, W, C) or (N, C, H, W)",
    ),
    key("labels", Text, Refused, "", "\"labels.npy\"", "whole numbers (N) or (N, 1)"),
];

/// Kinds of sources: exactly one.
pub const SOURCES: &[KeyDoc] = &[
    key("local", Table(LOCAL), Means("another source"), "", "", "files of one's own; no hub is ever asked for them"),
    key("hub", Table(HUB), Means("another source"), "", "", "parquet files of a data set on the Hugging Face hub"),
    key("glyphs", Table(GLYPHS), Means("another source"), "", "", "drawn by gauntlet"),
];

/// Keys of `[source.local]`.
pub const LOCAL: &[KeyDoc] = &[
    key(
        "folder",
        Text,
        Means("`--data-dir` or `GAUNTLET_DATA`"),
        "",
        "\"../stripes\"",
        "where the files lie, relative to the manifest",
    ),
    IMAGE,
    LABEL,
];

/// Keys of `[source.hub]`.
pub const HUB: &[KeyDoc] = &[
    key("id", Text, Refused, "", "\"ylecun/mnist\"", "owner and name on the hub"),
    key("revision", Text, Refused, "", "\"77f3279092a1c1579b2250db8eafed0ad422088c\"", "a commit, or a branch"),
    IMAGE,
    LABEL,
];

const IMAGE: KeyDoc = key(
    "image",
    Text,
    Is("\"image\""),
    "",
    "\"img\"",
    "parquet column of the encoded images: a struct with `bytes`, or bytes",
);
const LABEL: KeyDoc =
    key("label", Text, Is("\"label\""), "", "\"fine_label\"", "parquet column of the labels, whole numbers");

/// Keys of `[source.glyphs]`.
pub const GLYPHS: &[KeyDoc] = &[
    key("seed", Whole(0), Refused, "", "0", "seed of the drawing"),
    key("train", Whole(0), Refused, "images", "10000", "training images"),
    key("test", Whole(0), Refused, "images", "2000", "test images"),
];

/// Keys of `[train]` and `[test]`.
pub const PART: &[KeyDoc] = &[
    key("files", Tables(FILE), Is("[]"), "", "", "parquet files, in order"),
    key(
        "arrays",
        Table(ARRAYS),
        Means("none"),
        "",
        "",
        "arrays of NumPy's instead of files, in the folder of a local source",
    ),
    key(
        "folder",
        Text,
        Means("none"),
        "",
        "\"train\"",
        "instead of files, a folder of a local source in which every class has a folder of images",
    ),
    key("skip", Whole(0), Means("none"), "images", "10000", "without so many images at the beginning"),
    key(
        "content",
        Text,
        Means("not pinned"),
        "",
        "\"sha256:6b1a85afa3a077996193cfda0b55da94385a4649b16fbd3ebeb42d5c052bac9a\"",
        "sha256 of the decoded split; other pixels or labels are refused",
    ),
    key("take", Whole(0), Means("all"), "images", "5000", "only the first images (behind those that are skipped)"),
];

/// Keys of an entry of `files`.
pub const FILE: &[KeyDoc] = &[
    key("path", Text, Refused, "", "\"data/train.parquet\"", "path in the repository or the folder"),
    key(
        "sha256",
        Text,
        Means("not pinned"),
        "",
        "\"f2c01285a9f89399335b00ee4e8d499dc4e46db5e39c74903ce5618d895eb3bf\"",
        "sha256 of the file as it comes from the hub",
    ),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Manifest, Source};
    use gauntlet_core::key_doc::names;

    /// A manifest with a table that has `line` in it, and nothing that is not needed elsewhere.
    fn with(table: &str, line: &str) -> String {
        let [top, source, part] = ["", "source", "train"].map(|t| if t == table { line } else { "" });
        let [local, hub, glyphs] = ["local", "hub", "glyphs"].map(|t| if t == table { line } else { "" });
        let source = match table {
            "hub" => format!("[source.hub]\nid = \"a/b\"\nrevision = \"c\"\n{hub}"),
            "glyphs" => format!("[source.glyphs]\nseed = 0\ntrain = 20\ntest = 20\n{glyphs}"),
            _ => format!("[source.local]\n{local}\n[source]\n{source}").replace("\n[source]\n\n", "\n"),
        };
        let file = if table == "file" { line } else { "" };
        format!(
            "name = \"a\"\nsummary = \"b\"\nshape = [1, 4, 4]\nclasses = [\"left\", \"right\"]\n{top}\n{source}\n[train]\n{part}\n\
             [[test.files]]\npath = \"t\"\n{file}\n{}",
            if table == "hub" { "[[train.files]]\npath = \"t\"\n" } else { "" }
        )
    }

    const TABLES: [(&str, &[KeyDoc]); 6] =
        [("", MANIFEST), ("local", LOCAL), ("hub", HUB), ("glyphs", GLYPHS), ("train", PART), ("file", FILE)];

    #[test]
    fn every_key_that_is_read_is_described_and_no_other() {
        for (table, keys) in TABLES {
            let said = Manifest::parse("a.toml", &with(table, "what_is_this = 1")).unwrap_err().to_string();
            // serde's words, or those of the TOML parser about a variant's table.
            let read: Vec<&str> = match said.split_once("available keys: ") {
                Some((_, keys)) => keys.lines().next().unwrap().split(", ").collect(),
                None => said.split(", expected ").nth(1).unwrap().split('`').skip(1).step_by(2).collect(),
            };
            let (mut read, mut described) = (read, names(keys));
            read.sort_unstable();
            described.sort_unstable();
            assert_eq!(read, described, "[{table}]");
        }
        let said =
            Manifest::parse("a.toml", &with("", "").replace("source.local", "source.lokal")).unwrap_err().to_string();
        assert!(
            SOURCES.iter().all(|s| said.contains(&format!("`{}`", s.name))) && said.matches('`').count() >= 6,
            "{said}"
        );
    }

    #[test]
    fn defaults_are_what_a_manifest_without_the_key_has() {
        for (table, keys) in TABLES {
            let without = Manifest::parse("a.toml", &with(table, "")).unwrap_or_else(|e| panic!("{table}: {e}"));
            for key in keys {
                if let Is(default) = key.omitted {
                    let text = with(table, &format!("{} = {default}", key.name));
                    assert_eq!(Manifest::parse("a.toml", &text).unwrap(), without, "[{table}] {}", key.name);
                }
                if key.omitted == Refused && table.is_empty() {
                    let line = with("", "");
                    let gone: String = line
                        .lines()
                        .filter(|l| !l.starts_with(&format!("{} =", key.name)))
                        .map(|l| format!("{l}\n"))
                        .collect();
                    let gone = if key.name == "source" { gone.replace("[source.local]\n", "") } else { gone };
                    assert!(Manifest::parse("a.toml", &gone).is_err(), "{} is not required", key.name);
                }
            }
        }
    }

    #[test]
    fn examples_are_read() {
        for (table, keys) in TABLES {
            for key in keys.iter().filter(|k| !k.example.is_empty()) {
                let line = format!("{} = {}", key.name, key.example);
                let text: String = with(table, "")
                    .lines()
                    .filter(|l| !(l.starts_with(&format!("{} =", key.name)) && key.omitted == Refused))
                    .map(|l| format!("{l}\n"))
                    .collect();
                let heading = match table {
                    "" => "name =".to_string(),
                    "file" => "[[test.files]]".into(),
                    "train" => "[train]".into(),
                    source => format!("[source.{source}]"),
                };
                let text = if table.is_empty() {
                    format!("{line}\n{text}")
                } else {
                    text.replacen(&heading, &format!("{heading}\n{line}"), 1)
                };
                let parsed = Manifest::parse("a.toml", &text);
                assert!(parsed.is_ok(), "[{table}] {line}: {}", parsed.unwrap_err());
                assert!(!matches!(parsed.unwrap().source, Source::Glyphs { .. }) || table == "glyphs");
            }
        }
    }
}
