//! Files of a few kilobytes that would unpack to gigabytes, and files that are longer than what they are.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use gauntlet_data::{Catalogue, LoadOptions, Manifest, Source, load};
use image::{GrayImage, ImageFormat};
use parquet::basic::{Compression, ZstdLevel};
use parquet::data_type::{ByteArray, ByteArrayType, Int64Type};
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;
use proptest::prelude::*;
use std::io::{Cursor, Write};
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

const TINY: &str = r#"
name = "tiny"
summary = "tiny"
shape = [1, 4, 4]
classes = ["a", "b", "c"]
licence = "none"
[source.hub]
id = "me/tiny"
revision = "main"
[train]
files = [{ path = "train.parquet" }]
[test]
files = [{ path = "test.parquet" }]
"#;

fn grey() -> Vec<u8> {
    let mut out = Cursor::new(Vec::new());
    GrayImage::from_fn(4, 4, |x, y| image::Luma([(x + 4 * y) as u8])).write_to(&mut out, ImageFormat::Png).unwrap();
    out.into_inner()
}

/// Images and labels in the hub's layout.
fn parquet(images: &[ByteArray], compression: Compression) -> Vec<u8> {
    let schema =
        "message m { optional group image { optional binary bytes; optional binary path; } optional int64 label; }";
    let properties =
        WriterProperties::builder().set_compression(compression).set_dictionary_page_size_limit(1 << 30).build();
    let mut out = Vec::new();
    let mut writer =
        SerializedFileWriter::new(&mut out, Arc::new(parse_message_type(schema).unwrap()), Arc::new(properties))
            .unwrap();
    let mut group = writer.next_row_group().unwrap();
    let n = images.len();
    // Somebody's path of a megabyte is never unpacked.
    let paths = vec![ByteArray::from(vec![b'p'; 1 << 20]); n];
    for values in [images, &paths] {
        let mut column = group.next_column().unwrap().unwrap();
        column.typed::<ByteArrayType>().write_batch(values, Some(&vec![2; n]), None).unwrap();
        column.close().unwrap();
    }
    let mut column = group.next_column().unwrap().unwrap();
    column.typed::<Int64Type>().write_batch(&vec![1; n], Some(&vec![1; n]), None).unwrap();
    column.close().unwrap();
    group.close().unwrap();
    writer.close().unwrap();
    out
}

fn gzipped(bytes: &[u8]) -> Vec<u8> {
    let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gz.write_all(bytes).unwrap();
    gz.finish().unwrap()
}

fn idx(dims: &[u32], body: &[u8]) -> Vec<u8> {
    let dimensions: Vec<u8> = dims.iter().flat_map(|d| d.to_be_bytes()).collect();
    [&[0, 0, 8, dims.len() as u8], dimensions.as_slice(), body].concat()
}

/// What is said of a folder with these files, within ten seconds; nothing, if it is read.
fn said(manifest: &Manifest, files: &[(&str, &[u8])]) -> Result<usize, String> {
    let folder = tempfile::tempdir().unwrap();
    for (name, bytes) in files {
        std::fs::write(folder.path().join(name), bytes).unwrap();
    }
    read(manifest, folder.path())
}

fn read(manifest: &Manifest, folder: &Path) -> Result<usize, String> {
    let options = LoadOptions { data_dir: Some(folder.to_path_buf()), ..LoadOptions::default() };
    let start = Instant::now();
    let set = load(manifest, &options);
    assert!(start.elapsed().as_secs_f64() < 10.0, "{:?}", start.elapsed());
    set.map(|set| set.test.len()).map_err(|e| e.to_string())
}

fn test_split(bytes: &[u8]) -> Result<usize, String> {
    let whole = parquet(&vec![ByteArray::from(grey()); 3], Compression::SNAPPY);
    said(&Manifest::parse("tiny.toml", TINY).unwrap(), &[("train.parquet", &whole), ("test.parquet", bytes)])
}

#[test]
fn a_parquet_file_is_held_against_its_manifest_before_it_is_unpacked() {
    let image = ByteArray::from(grey());
    let zstd = Compression::ZSTD(ZstdLevel::default());
    for compression in [
        Compression::UNCOMPRESSED,
        Compression::SNAPPY,
        zstd,
        Compression::GZIP(Default::default()),
        Compression::LZ4_RAW,
    ] {
        assert_eq!(test_split(&parquet(&vec![image.clone(); 2500], compression)), Ok(2500), "{compression}");
    }
    // A dictionary of one value of a megabyte and more, which would be copied for every row.
    let large = ByteArray::from([grey(), vec![0; 2 << 20]].concat());
    let bomb = parquet(&vec![large.clone(); 600], Compression::SNAPPY);
    let error = test_split(&bomb).unwrap_err();
    assert!(
        error.contains("test.parquet, row 0: the image has 20") && error.contains("has at most 1048640"),
        "{error}"
    );
    // Pages of hundreds of megabytes in a file of kilobytes, by every way of packing them.
    for compression in [Compression::SNAPPY, zstd, Compression::GZIP(Default::default())] {
        let values: Vec<ByteArray> = (0..8u8).map(|i| ByteArray::from(vec![i; 16 << 20])).collect();
        let error = test_split(&parquet(&values, compression)).unwrap_err();
        let words = "its column \"image.bytes\" unpacks to";
        assert!(
            error.contains(words) && error.contains("where images of the manifest's shape have at most 1081856"),
            "{error}"
        );
    }
}

#[test]
fn a_column_that_announces_more_than_it_has_is_damaged() {
    // The number of values in a page's header, three in zigzag, is made sixty.
    let mut lies = parquet(&vec![ByteArray::from(grey()); 3], Compression::UNCOMPRESSED);
    let header = [0x2c, 0x15, 6, 0x15];
    let places: Vec<usize> = (0..lies.len() - 4).filter(|i| lies[*i..*i + 4] == header).collect();
    assert!(!places.is_empty());
    places.iter().for_each(|at| lies[at + 2] = 120);
    assert!(test_split(&lies).unwrap_err().contains("a page announces"));
}

#[test]
fn a_page_that_lies_about_its_length_is_an_error() {
    let whole = parquet(&[ByteArray::from(vec![7; 100_000])], Compression::GZIP(Default::default()));
    // The page header's length of the unpacked page, 100,004 in zigzag, is made 4.
    let announced = [0x15, 0xc8, 0x9a, 0x0c];
    let at = whole.windows(4).position(|w| w == announced).unwrap();
    let mut lies = whole;
    lies[at + 1..at + 4].copy_from_slice(&[0x88, 0x80, 0x00]);
    assert!(test_split(&lies).unwrap_err().contains("test.parquet"));
}

fn with_chunk(kind: &[u8], content: &[u8]) -> Vec<u8> {
    let body = [kind, content].concat();
    let mut crc = flate2::Crc::new();
    crc.update(&body);
    let chunk = [&(content.len() as u32).to_be_bytes(), body.as_slice(), &crc.sum().to_be_bytes()].concat();
    let plain = grey();
    [&plain[..33], &chunk, &plain[33..]].concat()
}

#[test]
fn what_stands_beside_the_pixels_of_an_image_is_bounded() {
    // A colour profile that would unpack to 64 MB is not unpacked, and no pixel needs it.
    let mut zlib = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::best());
    zlib.write_all(&vec![0; 64 << 20]).unwrap();
    let profile = with_chunk(b"iCCP", &[&b"p\0\0"[..], &zlib.finish().unwrap()].concat());
    assert_eq!(test_split(&parquet(&[ByteArray::from(profile)], Compression::SNAPPY)), Ok(1));
    let text = |length: usize| with_chunk(b"tEXt", &[&b"a\0"[..], &vec![b't'; length]].concat());
    assert_eq!(test_split(&parquet(&[ByteArray::from(text(1000))], Compression::SNAPPY)), Ok(1));
    let error = test_split(&parquet(&[ByteArray::from(text((1 << 20) + 1000))], Compression::SNAPPY)).unwrap_err();
    assert!(error.contains("row 0: the image has 10") && error.contains("has at most 1048640"), "{error}");
}

#[test]
fn an_idx_file_unpacks_to_what_its_header_says_and_no_further() {
    let tiny = Manifest::parse("tiny.toml", TINY).unwrap();
    let (pixels, labels) = (idx(&[2, 4, 4], &[9; 32]), idx(&[2], &[0, 1]));
    let with = |images: &[u8], test_labels: &[u8]| {
        let files = [
            ("train-images-idx3-ubyte", pixels.as_slice()),
            ("train-labels-idx1-ubyte", labels.as_slice()),
            ("t10k-images-idx3-ubyte.gz", images),
            ("t10k-labels-idx1-ubyte.gz", test_labels),
        ];
        said(&tiny, &files)
    };
    assert_eq!(with(&gzipped(&pixels), &gzipped(&labels)), Ok(2));
    let bomb = gzipped(&idx(&[2, 4, 4], &vec![0; 200 << 20]));
    let error = with(&bomb, &gzipped(&labels)).unwrap_err();
    assert!(error.contains("t10k-images-idx3-ubyte.gz: its header says [2, 4, 4], it holds more"), "{error}");
    let error = with(&gzipped(&idx(&[2, 4, 4], &[0; 31])), &gzipped(&labels)).unwrap_err();
    assert!(error.contains("it holds 31 bytes: it is truncated"), "{error}");
    // Of sizes that lie, the manifest and the labels know better.
    let error = with(&gzipped(&idx(&[2, 5, 4], &[0; 40])), &gzipped(&labels)).unwrap_err();
    assert!(error.contains("images [2, 5, 4] with [2] labels do not fit the manifest's shape (1, 4, 4)"), "{error}");
    let error = with(&idx(&[u32::MAX, 4, 4], &[]), &idx(&[u32::MAX], &[])).unwrap_err();
    let words = ["it announces 4294967295 images, which would take 68.7 GB", "it holds 0 bytes"];
    assert!(words.iter().any(|w| error.contains(w)), "{error}");
}

#[test]
fn cifar_files_have_one_length() {
    let cifar = Catalogue::new([]).get("cifar10").unwrap();
    let folder = tempfile::tempdir().unwrap();
    let put = |name: &str, bytes: &[u8]| std::fs::write(folder.path().join(name), bytes).unwrap();
    let whole = vec![1; 10_000 * 3073];
    (1..=5).for_each(|i| put(&format!("data_batch_{i}.bin"), &whole));
    put("test_batch.bin", &whole);
    let options = LoadOptions { data_dir: Some(folder.path().to_path_buf()), ..LoadOptions::default() };
    let said = || load(&cifar, &options).map(|set| set.test.len()).map_err(|e| e.to_string());
    assert_eq!(said(), Ok(10_000));
    for (length, words) in [
        (
            whole.len() + 1,
            "test_batch.bin: it has 30730001 bytes, and a batch of CIFAR-10's 10,000 images has at most 30730000",
        ),
        (2 * whole.len(), "it has 61460000 bytes"),
        (
            whole.len() - 1,
            "test_batch.bin: it has 30729999 bytes, and a batch of CIFAR-10's 10,000 images has 30730000: it is cut off",
        ),
    ] {
        put("test_batch.bin", &vec![1; length]);
        let error = said().unwrap_err();
        assert!(error.contains(words), "{error}");
    }
}

/// Cases of a target: PROPTEST_CASES where it is set, for scripts/hostile/long.sh.
fn cases(usual: u32) -> u32 {
    std::env::var("PROPTEST_CASES").ok().and_then(|n| n.parse().ok()).unwrap_or(usual)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(300), failure_persistence: None, ..ProptestConfig::default() })]

    /// Bytes of a parquet file changed at random: rows or an error, never a panic, never long.
    #[test]
    fn no_harm_to_a_parquet_file_harms_its_reader(harms in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0u8..3), 1..8)) {
        let mut bytes = parquet(&vec![ByteArray::from(grey()); 3], Compression::SNAPPY);
        for (at, value, kind) in harms {
            let at = at.index(bytes.len());
            match kind {
                0 => bytes[at] = value,
                1 => bytes.insert(at, value),
                _ => drop(bytes.remove(at)),
            }
        }
        let _ = test_split(&bytes);
    }

    /// The same of idx files, zipped and plain: a split of the manifest's shape or an error that names the file.
    #[test]
    fn no_harm_to_an_idx_file_harms_its_reader(
        zipped in any::<bool>(),
        harms in prop::collection::vec((any::<bool>(), any::<prop::sample::Index>(), any::<u8>(), 0u8..4), 1..6)
    ) {
        let tiny = Manifest::parse("tiny.toml", TINY).unwrap();
        let whole = [idx(&[2, 4, 4], &[9; 32]), idx(&[2], &[0, 1])];
        let mut harmed = if zipped { whole.clone().map(|file| gzipped(&file)) } else { whole.clone() };
        for (which, at, value, kind) in harms {
            let bytes = &mut harmed[usize::from(which)];
            let at = at.index(bytes.len());
            match kind {
                0 => bytes[at] = value,
                1 => bytes.insert(at, value),
                2 => bytes.truncate(at.max(1)),
                _ => drop(bytes.remove(at)),
            }
            if bytes.is_empty() {
                bytes.push(value);
            }
        }
        let files = [
            ("train-images-idx3-ubyte", whole[0].as_slice()),
            ("train-labels-idx1-ubyte", whole[1].as_slice()),
            ("t10k-images-idx3-ubyte", harmed[0].as_slice()),
            ("t10k-labels-idx1-ubyte", harmed[1].as_slice()),
        ];
        let start = Instant::now();
        match said(&tiny, &files) {
            Ok(rows) => prop_assert!(rows > 0 && rows < 100),
            Err(error) => prop_assert!(error.contains("t10k") || error.contains("test"), "{error}"),
        }
        prop_assert!(start.elapsed().as_secs_f64() < 1.0);
    }

    /// The same of a manifest's text.
    #[test]
    fn no_harm_to_a_manifest_harms_its_reader(harms in prop::collection::vec((any::<prop::sample::Index>(), any::<char>()), 1..6)) {
        let mut text: Vec<char> = TINY.chars().collect();
        for (at, c) in harms {
            let at = at.index(text.len());
            text[at] = c;
        }
        if let Err(error) = Manifest::parse("tiny.toml", &text.into_iter().collect::<String>()) {
            prop_assert!(error.to_string().starts_with("manifest tiny.toml: "), "{error}");
        }
    }
}

#[test]
fn glyphs_without_number_are_refused_before_the_first_is_drawn() {
    let mut manifest = Catalogue::default().get("glyphs").unwrap();
    manifest.source = Source::Glyphs { seed: 0, train: usize::MAX, test: 1_000_000_000_000 };
    let error = load(&manifest, &LoadOptions::default()).unwrap_err().to_string();
    assert!(error.starts_with("glyphs: it announces 18446744073709551615 images, which would take "), "{error}");
}
