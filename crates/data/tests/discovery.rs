//! From a folder to a manifest: every layout that is read, made here, and what is said where there is nothing or too much.
#![cfg(feature = "hub")]
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)]

use gauntlet_data::{Discovery, Found, LoadOptions, Manifest, Source, Transform, load};
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

/// As `numpy.save` writes an array of bytes.
fn npy(shape: &str, body: &[u8]) -> Vec<u8> {
    let text = format!("{{'descr': '|u1', 'fortran_order': False, 'shape': ({shape}), }}\n");
    [b"\x93NUMPY\x01\x00", &(text.len() as u16).to_le_bytes()[..], text.as_bytes(), body].concat()
}

#[test]
fn folders_of_classes_go_round_them() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    for (path, value) in [("dog/a", 1), ("dog/b", 2), ("dog/images/c", 3), ("cat/z", 4), ("cat/notes", 0)] {
        let ends = if path.ends_with("notes") { "txt" } else { "png" };
        write(at, &format!("train/{path}.{ends}"), &grey(value));
    }
    fails(at, &["has folders of classes in train and none in test or val"]);
    write(at, "val/dog/1.PNG", &grey(9));
    let found = mine().of(at).unwrap();
    assert_eq!((found.manifest.shape, found.layout, found.named), ((1, 4, 5), "folders of images", true));
    assert_eq!(found.manifest.classes, ["cat", "dog"]);
    assert_eq!(found.counts, [(1, 0), (3, 1)]);
    assert_eq!(
        (found.manifest.train.folder.as_deref(), found.manifest.test.folder.as_deref()),
        (Some("train"), Some("val"))
    );
    loads(&found);
    let data = load(&found.manifest, &LoadOptions::default()).unwrap();
    let first: Vec<(u8, u32)> = (0..4).map(|i| (data.train.image(i).unwrap()[0], data.train.labels()[i])).collect();
    assert_eq!(first, [(4, 0), (1, 1), (2, 1), (3, 1)]);
    let other = Discovery { classes: vec!["cow".into(), "dog".into()], ..mine() }.of(at).unwrap_err().to_string();
    assert!(
        other.contains("its classes are the names of its folders (cat, dog), and \"cow\" is none of them"),
        "{other}"
    );
    // Sizes that differ need a transform, and it is said which file differs from the first.
    write(at, "train/cat/wide.png", &png(GrayImage::from_fn(40, 20, |_, _| image::Luma([7]))));
    fails(at, &["train/dog/a.png", "the image is 4×5, the manifest says 20×40", "a transform makes them alike"]);
    let transform = Some(Transform { resize: 4, crop: 3 });
    let found = Discovery { transform, ..mine() }.of(at).unwrap();
    assert_eq!((found.manifest.shape, found.manifest.transform), ((1, 3, 3), transform));
    loads(&found);
    let data = load(&found.manifest, &LoadOptions::default()).unwrap();
    assert_eq!(data.train.image(0).unwrap(), [7; 9], "wide.png comes first of the cats");
    write(at, "train/dog/broken.png", b"no image");
    let broken = Discovery { transform, ..mine() }.of(at).unwrap_err().to_string();
    assert!(broken.contains("broken.png") && broken.contains("does not decode"), "{broken}");
    std::fs::remove_file(at.join("train/dog/broken.png")).unwrap();
    // What a manifest was written for stays what is read: a class that is lost or came along is told.
    let told = |manifest: &Manifest| load(manifest, &LoadOptions::default()).unwrap_err().to_string();
    write(at, "val/cow/1.png", &grey(9));
    fails(at, &["val has a class \"cow\" that train has not"]);
    assert!(told(&found.manifest).contains("it has images of \"cow\", which is no class of the manifest"));
    std::fs::remove_dir_all(at.join("val/cow")).unwrap();
    std::fs::rename(at.join("train/cat"), at.join("cat")).unwrap();
    assert!(told(&found.manifest).contains("it has no images of the manifest's class \"cat\""));
    std::fs::rename(at.join("cat"), at.join("train/cat")).unwrap();
    write(at, "training/dog/1.png", &grey(9));
    fails(at, &["has several training splits (train, training)"]);
    std::fs::remove_dir_all(at.join("training")).unwrap();
    write(at, "train.parquet", b"PAR1");
    fails(at, &["holds several things, parquet and folders of images"]);
}

#[test]
fn arrays_of_any_number_of_channels() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    // Five channels, last; the test split has them first.
    let body: Vec<u8> = (0..60).collect();
    write(at, "x_train.npy", &npy("3, 2, 2, 5", &body));
    write(at, "y_train.npy", &npy("3, 1", &[0, 2, 1]));
    write(at, "x_test.npy", &npy("2, 5, 2, 2", &body[..40]));
    fails(at, &["NumPy's files (x_test.npy, x_train.npy, y_train.npy) without arrays of the two splits"]);
    write(at, "y_test.npy", &npy("2,", &[1, 1]));
    // 2×2 with five channels looks like 5 × 2 with two: the last axis is that of the channels unless it is wider than the first.
    let found = mine().of(at);
    let text = |shape: &str| {
        format!(
            "name = \"mine\"\nsummary = \"s\"\nshape = {shape}\nclasses = [\"a\", \"b\", \"c\"]\n[source.local]\nfolder = {:?}\n[train]\n\
             arrays = {{ images = \"x_train.npy\", labels = \"y_train.npy\" }}\n[test]\nskip = 1\n\
             arrays = {{ images = \"x_test.npy\", labels = \"y_test.npy\" }}\n",
            at.display().to_string()
        )
    };
    assert!(found.unwrap_err().to_string().contains("which is no list of images of the manifest's shape [2, 2, 5]"));
    let manifest = Manifest::parse("mine.toml", &text("[5, 2, 2]")).unwrap();
    let data = load(&manifest, &LoadOptions::default()).unwrap();
    assert_eq!((data.shape, data.train.labels(), data.test.len()), ((5, 2, 2), &[0, 2, 1][..], 1));
    assert_eq!(data.train.image(0).unwrap()[..8], [0, 5, 10, 15, 1, 6, 11, 16]);
    assert_eq!(data.test.image(0).unwrap(), &body[20..40]);
    let wrong = load(&Manifest::parse("mine.toml", &text("[2, 3, 3]")).unwrap(), &LoadOptions::default());
    assert!(wrong.unwrap_err().to_string().contains("the manifest's shape [2, 3, 3]"));
    let both = text("[5, 2, 2]").replace("[test]", "[test]\nfolder = \"t\"");
    let said = Manifest::parse("mine.toml", &both).unwrap_err().to_string();
    assert!(said.contains("[test] names several of files, arrays and folder"), "{said}");
    // Square ones are recognised.
    let square = tempfile::tempdir().unwrap();
    for (split, n) in [("train", 3), ("test", 2)] {
        write(square.path(), &format!("{split}_images.npy"), &npy(&format!("{n}, 4, 4, 2"), &vec![7; 32 * n]));
        write(square.path(), &format!("{split}_labels.npy"), &npy(&format!("{n},"), &vec![1; n]));
    }
    let found = mine().of(square.path()).unwrap();
    assert_eq!((found.manifest.shape, found.manifest.classes.len(), found.layout), ((2, 4, 4), 2, "NumPy's arrays"));
    assert_eq!(found.manifest.summary, "4×4 with 2 channels, 3 + 2");
    loads(&found);
    write(square.path(), "train_labels.npy", &npy("2,", &[1, 1]));
    fails(square.path(), &["it has 2 labels for 3 images"]);
}

#[test]
fn what_is_no_data_set_is_told_with_a_way_out() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    fails(&at.join("nowhere"), &["there is no folder", "nowhere"]);
    fails(at, &["holds no data set: it is empty", "what is read: parquet files"]);
    write(at, "cats/1.png", &grey(1));
    fails(at, &["it holds images, but not in folders of classes below train and test", "train/CLASS/ and test/CLASS/"]);
    let other = tempfile::tempdir().unwrap();
    write(other.path(), "x_train.npz", b"PK");
    fails(other.path(), &["NumPy's files (x_train.npz) without arrays of the two splits", "arrays = { images ="]);
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
