//! From a folder to a manifest: every layout that is read, made here, and what is said where there is nothing or too much.
#![cfg(feature = "hub")]
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)]

use gauntlet_data::{Discovery, Found, LoadOptions, Manifest, Source, load};
use image::{DynamicImage, GrayImage, ImageFormat, RgbImage};
use parquet::data_type::{ByteArray, ByteArrayType, Int64Type};
use parquet::file::metadata::KeyValue;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;
use std::io::Cursor;
use std::path::Path;
use std::sync::Arc;

fn png(image: impl Into<DynamicImage>) -> Vec<u8> {
    let mut out = Cursor::new(Vec::new());
    image.into().write_to(&mut out, ImageFormat::Png).unwrap();
    out.into_inner()
}

fn grey(value: u8) -> Vec<u8> {
    png(GrayImage::from_fn(5, 4, |x, y| image::Luma([value.wrapping_add((x + 4 * y) as u8)])))
}

/// A file with a struct column of images, a whole-number column for each of `labels`, and what the hub's tools write beside.
fn parquet(images: &[Vec<u8>], labels: &[&str], values: &[i64], about: Option<&str>) -> Vec<u8> {
    let columns: String = labels.iter().map(|l| format!("required int64 {l}; ")).collect();
    let schema = format!(
        "message m {{ optional group img {{ optional binary bytes; }} required binary title (UTF8); {columns} }}"
    );
    let about = about.map(|text| vec![KeyValue::new("huggingface".into(), text.to_string())]);
    let properties = Arc::new(WriterProperties::builder().set_key_value_metadata(about).build());
    let mut out = Vec::new();
    let mut writer =
        SerializedFileWriter::new(&mut out, Arc::new(parse_message_type(&schema).unwrap()), properties).unwrap();
    let mut group = writer.next_row_group().unwrap();
    let bytes: Vec<ByteArray> = images.iter().map(|i| ByteArray::from(i.clone())).collect();
    let mut column = group.next_column().unwrap().unwrap();
    column.typed::<ByteArrayType>().write_batch(&bytes, Some(&vec![2; images.len()]), None).unwrap();
    column.close().unwrap();
    let mut column = group.next_column().unwrap().unwrap();
    column.typed::<ByteArrayType>().write_batch(&vec![ByteArray::from("t"); images.len()], None, None).unwrap();
    column.close().unwrap();
    for _ in labels {
        let mut column = group.next_column().unwrap().unwrap();
        column.typed::<Int64Type>().write_batch(values, None, None).unwrap();
        column.close().unwrap();
    }
    group.close().unwrap();
    writer.close().unwrap();
    out
}

fn write(folder: &Path, name: &str, bytes: &[u8]) {
    let path = folder.join(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, bytes).unwrap();
}

fn mine() -> Discovery {
    Discovery { name: "mine".into(), ..Discovery::default() }
}

fn fails(folder: &Path, words: &[&str]) {
    let error = mine().of(folder).unwrap_err().to_string();
    for word in words {
        assert!(error.contains(word), "{error:?} lacks {word:?}");
    }
}

/// The manifest that was found loads what it says.
fn loads(found: &Found) {
    let data = load(&found.manifest, &LoadOptions::default()).unwrap();
    let train: usize = found.counts.iter().map(|n| n.0).sum();
    assert_eq!((data.train.len(), data.shape), (train, found.manifest.shape));
    assert_eq!(found.manifest.train.content, Some(data.train.sha256()));
    assert_eq!(found.manifest.test.content, Some(data.test.sha256()));
}

#[test]
fn parquet_with_the_hubs_metadata() {
    let folder = tempfile::tempdir().unwrap();
    let about = r#"{"info":{"features":{"img":{"_type":"Image"},"label":{"names":["cat","dog","none"],"_type":"ClassLabel"}}}}"#;
    let images: Vec<Vec<u8>> = (0..4).map(grey).collect();
    write(
        folder.path(),
        "data/train-00000-of-00002.parquet",
        &parquet(&images, &["label"], &[0, 1, 0, 1], Some(about)),
    );
    write(folder.path(), "data/train-00001-of-00002.parquet", &parquet(&images[..2], &["label"], &[1, 1], Some(about)));
    write(folder.path(), "data/test-00000-of-00001.parquet", &parquet(&images[..2], &["label"], &[1, 0], Some(about)));
    write(folder.path(), "data/validation-00000-of-00001.parquet", &parquet(&images[..2], &["label"], &[1, 0], None));
    write(folder.path(), "README.md", b"about it");
    let found = mine().of(folder.path()).unwrap();
    assert_eq!((found.manifest.shape, found.layout, found.named), ((1, 4, 5), "parquet", true));
    assert_eq!(found.manifest.classes, ["cat", "dog", "none"]);
    assert_eq!(found.counts, [(2, 1), (4, 1), (0, 0)]);
    assert_eq!(found.manifest.summary, "4×5 grey, 6 + 2");
    let names: Vec<&str> = found.manifest.train.files.iter().map(|f| f.path.as_str()).collect();
    assert_eq!(names, ["data/train-00000-of-00002.parquet", "data/train-00001-of-00002.parquet"]);
    assert!(found.manifest.train.files.iter().all(|f| f.sha256.as_ref().is_some_and(|s| s.len() == 64)));
    let Source::Local { image, label, .. } = &found.manifest.source else { panic!() };
    assert_eq!((image.as_str(), label.as_str()), ("img", "label"));
    loads(&found);
    // The content is pinned: other pixels are noticed.
    write(folder.path(), "data/test-00000-of-00001.parquet", &parquet(&images[2..], &["label"], &[1, 0], Some(about)));
    let error = load(&found.manifest, &LoadOptions::default()).unwrap_err().to_string();
    assert!(error.contains("the test split of mine decodes to sha256:"), "{error}");
}

#[test]
fn parquet_in_colour_whose_classes_are_counted() {
    let folder = tempfile::tempdir().unwrap();
    let colour = |v: u8| png(RgbImage::from_fn(3, 3, |x, _| image::Rgb([v, x as u8, 7])));
    let images: Vec<Vec<u8>> = (0..3).map(colour).collect();
    write(folder.path(), "train/0.parquet", &parquet(&images, &["kind"], &[0, 2, 1], None));
    write(folder.path(), "test/0.parquet", &parquet(&images, &["kind"], &[0, 0, 3], None));
    let found = mine().of(folder.path()).unwrap();
    assert_eq!((found.manifest.shape, found.named), ((3, 3, 3), false));
    assert_eq!(found.manifest.classes, ["0", "1", "2", "3"]);
    loads(&found);
    let named =
        Discovery { classes: vec!["a".into(), "b".into()], ..mine() }.of(folder.path()).unwrap_err().to_string();
    assert!(named.contains("label 2 is outside 0..2"), "{named}");
}

#[test]
fn columns_that_cannot_be_told_apart_are_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    for split in ["train", "test"] {
        write(
            folder.path(),
            &format!("{split}.parquet"),
            &parquet(&[grey(0), grey(9)], &["fine", "coarse"], &[0, 1], None),
        );
    }
    fails(folder.path(), &["several columns can hold labels: fine, coarse", "--label"]);
    let of = |image: Option<&str>, label: Option<&str>| {
        let (image, label) = (image.map(String::from), label.map(String::from));
        Discovery { image, label, ..mine() }.of(folder.path()).map_err(|e| e.to_string())
    };
    loads(&of(None, Some("coarse")).unwrap());
    let said = |image, label| of(image, label).unwrap_err();
    assert!(said(Some("title"), None).contains("its column \"title\" cannot hold images"));
    assert!(said(None, Some("corse")).contains("it has no column \"corse\", only img, title, fine, coarse"));
    let text = parquet(&[b"no image".to_vec()], &["label"], &[0], None);
    write(folder.path(), "train.parquet", &text);
    fails(folder.path(), &["train.parquet", "the image does not decode"]);
}

fn idx(dims: &[u32], body: &[u8]) -> Vec<u8> {
    let mut out = vec![0, 0, 8, dims.len() as u8];
    dims.iter().for_each(|d| out.extend(d.to_be_bytes()));
    out.extend(body);
    out
}

#[test]
fn idx_files_say_their_shape() {
    let folder = tempfile::tempdir().unwrap();
    let name = |prefix: &str, what: &str| format!("{prefix}-{what}-ubyte");
    write(folder.path(), &name("train", "images-idx3"), &idx(&[3, 2, 5], &[7; 30]));
    fails(
        folder.path(),
        &["has idx files, but not train-labels-idx1-ubyte[.gz], t10k-images-idx3-ubyte[.gz], t10k-labels"],
    );
    write(folder.path(), &name("train", "labels-idx1"), &idx(&[3], &[0, 1, 1]));
    write(folder.path(), &name("t10k", "images-idx3"), &idx(&[2, 2, 5], &[9; 20]));
    write(folder.path(), &name("t10k", "labels-idx1"), &idx(&[2], &[1, 0]));
    let found = mine().of(folder.path()).unwrap();
    assert_eq!(
        (found.manifest.shape, found.layout, found.counts.as_slice()),
        ((1, 2, 5), "idx", [(1, 1), (2, 1)].as_slice())
    );
    loads(&found);
    write(folder.path(), "train.parquet", b"PAR1");
    fails(folder.path(), &["holds several things, parquet and idx", "a folder of its own"]);
}

#[test]
fn cifars_binary_files_and_their_names() {
    let folder = tempfile::tempdir().unwrap();
    let whole: Vec<u8> = (0..10_000u32).flat_map(|i| std::iter::once((i % 10) as u8).chain([i as u8; 3072])).collect();
    write(folder.path(), "cifar-10-batches-bin/test_batch.bin", &whole);
    for i in 1..=5 {
        let path = folder.path().join(format!("cifar-10-batches-bin/data_batch_{i}.bin"));
        std::fs::hard_link(folder.path().join("cifar-10-batches-bin/test_batch.bin"), path).unwrap();
    }
    let names: String = (0..10).map(|i| format!("kind {i}\n")).collect();
    write(folder.path(), "cifar-10-batches-bin/batches.meta.txt", names.as_bytes());
    let found = mine().of(folder.path()).unwrap();
    assert_eq!((found.manifest.shape, found.manifest.classes[9].as_str(), found.named), ((3, 32, 32), "kind 9", true));
    assert_eq!(found.counts, [(5000, 1000); 10]);
}

#[test]
fn what_is_no_data_set_is_told_with_a_way_out() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    fails(&at.join("nowhere"), &["there is no folder", "nowhere"]);
    fails(at, &["holds no data set: it is empty", "what is read: parquet files"]);
    write(at, "cats/1.png", &grey(1));
    fails(at, &["images in files of their own, which are not read", "train.parquet and test.parquet"]);
    let other = tempfile::tempdir().unwrap();
    write(other.path(), "x_train.npz", b"PK");
    fails(other.path(), &["NumPy's files, which are not read"]);
    let text = tempfile::tempdir().unwrap();
    write(text.path(), "a.csv", b"1,2");
    fails(text.path(), &["it holds a.csv;"]);
    let splits = tempfile::tempdir().unwrap();
    let one = parquet(&[grey(0), grey(9)], &["label"], &[0, 1], None);
    write(splits.path(), "train.parquet", &one);
    fails(splits.path(), &["has no parquet file of the test split"]);
    write(splits.path(), "valid.parquet", &one);
    fails(splits.path(), &["valid.parquet looks like a validation split: rename it"]);
    write(splits.path(), "more.parquet", &one);
    fails(splits.path(), &["the name of more.parquet says neither train nor test"]);
    std::fs::remove_file(splits.path().join("more.parquet")).unwrap();
    write(splits.path(), "second/test.parquet", &one);
    fails(splits.path(), &["parquet files in several folders (., second)"]);
}

#[test]
fn one_class_is_no_classification() {
    let folder = tempfile::tempdir().unwrap();
    for split in ["train", "test"] {
        write(folder.path(), &format!("{split}.parquet"), &parquet(&[grey(0)], &["label"], &[0], None));
    }
    let found = mine().of(folder.path()).unwrap();
    assert_eq!(found.manifest.classes, ["0"]);
    let text = "name = \"a\"\nsummary = \"b\"\nshape = [1, 4, 5]\nclasses = [\"0\"]\n[source.local]\n";
    assert!(Manifest::parse("a.toml", text).unwrap_err().to_string().contains("needs at least two classes"));
}
