//! Loading from the hub, against a stand-in that also misbehaves; and a data set added by a manifest alone.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use gauntlet_data::{Dataset, Half, HubFile, LoadOptions, Manifest, load, load_half};
use image::{DynamicImage, GrayImage, ImageFormat, RgbImage};
use parquet::basic::Compression;
use parquet::data_type::{ByteArray, ByteArrayType, Int64Type};
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::io::{BufRead, BufReader, Cursor, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

fn png(image: DynamicImage) -> Vec<u8> {
    let mut out = Cursor::new(Vec::new());
    image.write_to(&mut out, ImageFormat::Png).unwrap();
    out.into_inner()
}

fn grey(value: u8) -> Vec<u8> {
    png(GrayImage::from_fn(4, 4, |x, y| image::Luma([value.wrapping_add((x + 4 * y) as u8)])).into())
}

/// A parquet file in the hub's layout: a struct column of encoded images and a label column.
fn parquet(image: &str, label: &str, rows: &[(Vec<u8>, i64)]) -> Vec<u8> {
    let schema = format!("message m {{ optional group {image} {{ optional binary bytes; }} optional int64 {label}; }}");
    let schema = Arc::new(parse_message_type(&schema).unwrap());
    let properties = Arc::new(WriterProperties::builder().set_compression(Compression::SNAPPY).build());
    let mut out = Vec::new();
    let mut writer = SerializedFileWriter::new(&mut out, schema, properties).unwrap();
    let mut group = writer.next_row_group().unwrap();
    let images: Vec<ByteArray> = rows.iter().map(|(b, _)| ByteArray::from(b.clone())).collect();
    let labels: Vec<i64> = rows.iter().map(|(_, l)| *l).collect();
    let mut column = group.next_column().unwrap().unwrap();
    column.typed::<ByteArrayType>().write_batch(&images, Some(&vec![2; rows.len()]), None).unwrap();
    column.close().unwrap();
    let mut column = group.next_column().unwrap().unwrap();
    column.typed::<Int64Type>().write_batch(&labels, Some(&vec![1; rows.len()]), None).unwrap();
    column.close().unwrap();
    group.close().unwrap();
    writer.close().unwrap();
    out
}

fn sha(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|b| format!("{b:02x}")).collect()
}

/// What the stand-in does to the body of the first file GETs.
#[derive(Clone, Copy, PartialEq)]
enum Fault {
    None,
    /// Status instead of the file.
    Status(u16),
    /// Half the body.
    Truncate,
    /// One flipped byte.
    Corrupt,
    /// No fault of the body, but every file is announced as stored in xet, which this hub does not speak.
    Xet,
    /// No fault of the body, but the tag of the file is not its sha256.
    Unnamed,
}

struct Hub {
    endpoint: String,
    gets: Arc<AtomicUsize>,
}

/// Serves `files` of the data set `me/tiny` and of the model of that name (below `models/`); the first `times` file GETs suffer `fault`; `redirect`: through a 302.
fn serve(files: HashMap<String, Vec<u8>>, fault: Fault, times: usize, redirect: bool) -> Hub {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let gets = Arc::new(AtomicUsize::new(0));
    let (counter, files, left) = (gets.clone(), Arc::new(files), Arc::new(Mutex::new(times)));
    let base = endpoint.clone();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let (files, left, counter, base) = (files.clone(), left.clone(), counter.clone(), base.clone());
            std::thread::spawn(move || answer(stream, &files, fault, &left, &counter, redirect.then_some(base)));
        }
    });
    Hub { endpoint, gets }
}

fn answer(
    mut stream: TcpStream,
    files: &HashMap<String, Vec<u8>>,
    fault: Fault,
    left: &Mutex<usize>,
    gets: &AtomicUsize,
    redirect: Option<String>,
) -> Option<()> {
    let mut reader = BufReader::new(stream.try_clone().ok()?);
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    let mut header = String::new();
    while reader.read_line(&mut header).ok()? > 2 {
        header.clear();
    }
    let (method, path) = (line.split(' ').next()?, line.split(' ').nth(1)?.split('?').next()?);
    let mut name = path.rsplit("resolve/main/").next()?.trim_start_matches("/cdn/").to_string();
    if path.starts_with("/me/tiny/resolve/main/") {
        name = format!("models/{name}");
    }
    let commit = "0123456789abcdef0123456789abcdef01234567";
    let mut reply = |status: &str, headers: &str, body: &[u8], length: usize| {
        let head = format!(
            "HTTP/1.1 {status}\r\nConnection: close\r\nX-Repo-Commit: {commit}\r\n{headers}Content-Length: {length}\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).ok()?;
        if method != "HEAD" {
            stream.write_all(body).ok()?;
        }
        stream.flush().ok()
    };
    let Some(bytes) = files.get(&name) else {
        return reply("404 Not Found", "X-Error-Code: EntryNotFound\r\n", b"Entry not found", 15);
    };
    let mut tag = format!("ETag: \"{0}\"\r\nX-Linked-ETag: \"{0}\"\r\nX-Linked-Size: {1}\r\n", sha(bytes), bytes.len());
    if fault == Fault::Unnamed {
        tag = "ETag: \"abc\"\r\n".to_string();
    }
    if fault == Fault::Xet && !path.starts_with("/cdn/") {
        tag += &format!("X-Xet-Hash: {}\r\n", sha(bytes));
    }
    if let Some(base) = redirect.filter(|_| !path.starts_with("/cdn/")) {
        return reply("302 Found", &format!("{tag}Location: {base}/cdn/{name}\r\n"), b"", 0);
    }
    if method != "GET" {
        return reply("200 OK", &tag, b"", bytes.len());
    }
    gets.fetch_add(1, Ordering::SeqCst);
    let strike = {
        let mut left = left.lock().unwrap();
        let strike = *left > 0;
        *left = left.saturating_sub(1);
        strike
    };
    match (strike, fault) {
        (true, Fault::Status(code)) => reply(&format!("{code} Injected"), "", b"injected fault", 14),
        (true, Fault::Truncate) => reply("200 OK", &tag, &bytes[..bytes.len() / 2], bytes.len()),
        (true, Fault::Corrupt) => {
            let mut bad = bytes.clone();
            let middle = bad.len() / 2;
            bad[middle] ^= 0xff;
            reply("200 OK", &tag, &bad, bad.len())
        }
        _ => reply("200 OK", &tag, bytes, bytes.len()),
    }
}

fn tiny() -> HashMap<String, Vec<u8>> {
    let rows = |n: i64| -> Vec<(Vec<u8>, i64)> { (0..n).map(|i| (grey(i as u8 * 10), i % 3)).collect() };
    HashMap::from([
        ("train.parquet".to_string(), parquet("image", "label", &rows(9))),
        ("test.parquet".to_string(), parquet("image", "label", &rows(4))),
    ])
}

fn manifest(files: &HashMap<String, Vec<u8>>, change: impl Fn(String) -> String) -> Manifest {
    let text = format!(
        "name = \"tiny\"\nsummary = \"-\"\nshape = [1, 4, 4]\nclasses = [\"a\", \"b\", \"c\"]\nlicence = \"-\"\n\
         [source.hub]\nid = \"me/tiny\"\nrevision = \"main\"\n\
         [train]\nfiles = [{{ path = \"train.parquet\", sha256 = \"{}\" }}]\n\
         [test]\nfiles = [{{ path = \"test.parquet\", sha256 = \"{}\" }}]\n",
        sha(&files["train.parquet"]),
        sha(&files["test.parquet"])
    );
    Manifest::parse("datasets/tiny.toml", &change(text)).unwrap()
}

fn options(hub: &Hub, cache: &Path) -> LoadOptions {
    LoadOptions {
        data_dir: None,
        endpoint: Some(hub.endpoint.clone()),
        cache_dir: Some(cache.to_path_buf()),
        quiet: true,
        ..LoadOptions::default()
    }
}

fn check(set: &Dataset) {
    assert_eq!((set.train.len(), set.test.len()), (9, 4));
    assert_eq!(set.train.labels(), [0, 1, 2, 0, 1, 2, 0, 1, 2]);
    assert_eq!(set.train.image(2).unwrap()[..5], [20, 21, 22, 23, 24]);
}

#[test]
fn a_good_hub_delivers_once_and_the_cache_serves_the_rest() {
    let (files, cache) = (tiny(), tempfile::tempdir().unwrap());
    let hub = serve(files.clone(), Fault::None, 0, false);
    check(&load(&manifest(&files, |t| t), &options(&hub, cache.path())).unwrap());
    assert_eq!(hub.gets.load(Ordering::SeqCst), 2);
    check(&load(&manifest(&files, |t| t), &options(&hub, cache.path())).unwrap());
    assert_eq!(hub.gets.load(Ordering::SeqCst), 2, "the second load downloads nothing");
    // Offline: the endpoint is gone, the cache is enough.
    let gone = LoadOptions { endpoint: Some("http://127.0.0.1:9".into()), ..options(&hub, cache.path()) };
    check(&load(&manifest(&files, |t| t), &gone).unwrap());
}

#[test]
fn redirects_are_followed() {
    let (files, cache) = (tiny(), tempfile::tempdir().unwrap());
    let hub = serve(files.clone(), Fault::None, 0, true);
    check(&load(&manifest(&files, |t| t), &options(&hub, cache.path())).unwrap());
}

#[test]
fn where_xet_does_not_get_through_plain_http_does() {
    for redirect in [false, true] {
        let (files, cache) = (tiny(), tempfile::tempdir().unwrap());
        let hub = serve(files.clone(), Fault::Xet, 0, redirect);
        check(&load(&manifest(&files, |t| t), &options(&hub, cache.path())).unwrap());
        assert_eq!(hub.gets.load(Ordering::SeqCst), 2);
        // The cache is laid out as hf-hub does it: it serves the next load without the hub.
        let gone = LoadOptions { endpoint: Some("http://127.0.0.1:9".into()), ..options(&hub, cache.path()) };
        check(&load(&manifest(&files, |t| t), &gone).unwrap());
    }
}

#[test]
fn a_passing_fault_is_mended_by_one_more_download() {
    for fault in [Fault::Truncate, Fault::Corrupt, Fault::Status(403), Fault::Status(503)] {
        let (files, cache) = (tiny(), tempfile::tempdir().unwrap());
        let hub = serve(files.clone(), fault, 1, false);
        check(&load(&manifest(&files, |t| t), &options(&hub, cache.path())).unwrap());
    }
}

#[test]
fn a_lasting_fault_is_an_error_that_names_file_cause_and_way_out() {
    for (fault, needles) in [
        (Fault::Corrupt, vec!["train.parquet", "sha256", "downloaded twice", "--data-dir"]),
        (Fault::Truncate, vec!["train.parquet", "me/tiny", "--data-dir"]),
        (Fault::Status(403), vec!["train.parquet", "injected fault", "check access"]),
    ] {
        let (files, cache) = (tiny(), tempfile::tempdir().unwrap());
        let hub = serve(files.clone(), fault, usize::MAX, false);
        let message = load(&manifest(&files, |t| t), &options(&hub, cache.path())).unwrap_err().to_string();
        for needle in needles {
            assert!(message.contains(needle), "{message:?} lacks {needle:?}");
        }
        // Nothing of it is served again once the hub is well.
        let well = serve(files.clone(), Fault::None, 0, false);
        check(&load(&manifest(&files, |t| t), &options(&well, cache.path())).unwrap());
    }
}

#[test]
fn a_damaged_cache_is_noticed_and_mended() {
    let (files, cache) = (tiny(), tempfile::tempdir().unwrap());
    let hub = serve(files.clone(), Fault::None, 0, false);
    check(&load(&manifest(&files, |t| t), &options(&hub, cache.path())).unwrap());
    let blob = cache.path().join("datasets--me--tiny/blobs").join(sha(&files["train.parquet"]));
    std::fs::write(&blob, b"an error page").unwrap();
    check(&load(&manifest(&files, |t| t), &options(&hub, cache.path())).unwrap());
}

#[test]
fn a_missing_file_and_a_wrong_pin_are_named() {
    let (files, cache) = (tiny(), tempfile::tempdir().unwrap());
    let hub = serve(files.clone(), Fault::None, 0, false);
    let other = manifest(&files, |t| t.replace("\"train.parquet\"", "\"trian.parquet\""));
    let message = load(&other, &options(&hub, cache.path())).unwrap_err().to_string();
    assert!(message.contains("trian.parquet") && message.contains(&hub.endpoint), "{message}");
    let wrong = manifest(&files, |t| t.replace(&sha(&files["train.parquet"]), &"0".repeat(64)));
    let message = load(&wrong, &options(&hub, cache.path())).unwrap_err().to_string();
    assert!(message.contains(&"0".repeat(64)) && message.contains(&sha(&files["train.parquet"])), "{message}");
}

/// The repository `me/tiny` of a model with one file.
fn model() -> HashMap<String, Vec<u8>> {
    HashMap::from([("models/runs/m.safetensors".to_string(), (0..100_000u32).flat_map(u32::to_le_bytes).collect())])
}

fn fetch(reference: &str, hub: &Hub, cache: &Path) -> Result<Vec<u8>, String> {
    let file: HubFile = reference.parse().unwrap();
    let (path, commit) = file.fetch(&options(hub, cache)).map_err(|e| e.to_string())?;
    assert_eq!(commit.unwrap(), "0123456789abcdef0123456789abcdef01234567");
    Ok(std::fs::read(path).unwrap())
}

const MODEL: &str = "hf:me/tiny/runs/m.safetensors";

#[test]
fn a_models_file_comes_verified_and_once() {
    let files = model();
    let bytes = &files["models/runs/m.safetensors"];
    for (fault, redirect) in [(Fault::None, false), (Fault::None, true), (Fault::Xet, false), (Fault::Xet, true)] {
        let cache = tempfile::tempdir().unwrap();
        let hub = serve(files.clone(), fault, 0, redirect);
        for reference in [MODEL.to_string(), format!("{MODEL}@main#sha256={}", sha(bytes))] {
            assert_eq!(&fetch(&reference, &hub, cache.path()).unwrap(), bytes);
        }
        assert_eq!(hub.gets.load(Ordering::SeqCst), 1);
        let gone = Hub { endpoint: "http://127.0.0.1:9".into(), gets: hub.gets.clone() };
        assert_eq!(&fetch(MODEL, &gone, cache.path()).unwrap(), bytes, "the cache serves without the hub");
    }
    for fault in [Fault::Truncate, Fault::Corrupt, Fault::Status(403), Fault::Status(503)] {
        let cache = tempfile::tempdir().unwrap();
        assert_eq!(&fetch(MODEL, &serve(files.clone(), fault, 1, false), cache.path()).unwrap(), bytes);
    }
}

#[test]
fn a_models_file_that_does_not_come_whole_is_an_error_with_the_way_out() {
    let files = model();
    let other = "0".repeat(64);
    let cases: [(Fault, String, Vec<&str>); 6] = [
        (
            Fault::Corrupt,
            MODEL.into(),
            vec!["the hub announced", "downloaded twice", "download the file and give its path"],
        ),
        (Fault::Truncate, MODEL.into(), vec!["me/tiny", "download the file and give its path"]),
        (Fault::Status(403), MODEL.into(), vec!["injected fault", "check access"]),
        (
            Fault::None,
            MODEL.replace("m.safe", "n.safe"),
            vec!["cannot fetch runs/n.safetensors of me/tiny", "give its path"],
        ),
        (Fault::None, format!("{MODEL}#sha256={other}"), vec!["the checkpoint's reference pins 000000"]),
        (Fault::Unnamed, MODEL.into(), vec!["names no sha256 for runs/m.safetensors", "writing #sha256="]),
    ];
    for (fault, reference, needles) in cases {
        let cache = tempfile::tempdir().unwrap();
        let message = fetch(&reference, &serve(files.clone(), fault, usize::MAX, false), cache.path()).unwrap_err();
        for needle in needles {
            assert!(message.contains(needle), "{message:?} lacks {needle:?}");
        }
        assert!(!message.contains("--data-dir") && !message.contains("manifest"), "{message}");
    }
    // A pin stands in for the hub's word.
    let cache = tempfile::tempdir().unwrap();
    let hub = serve(files.clone(), Fault::Unnamed, 0, false);
    let pinned = format!("{MODEL}#sha256={}", sha(&files["models/runs/m.safetensors"]));
    assert_eq!(fetch(&pinned, &hub, cache.path()).unwrap(), files["models/runs/m.safetensors"]);
}

/// Loads a one-file data set from a folder and returns the error.
fn local_error(rows: &[(Vec<u8>, i64)], image: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    let mut files = tiny();
    files.insert("train.parquet".into(), parquet(image, "label", rows));
    for (name, bytes) in &files {
        std::fs::write(folder.path().join(name), bytes).unwrap();
    }
    let options = LoadOptions { data_dir: Some(folder.path().to_path_buf()), ..LoadOptions::default() };
    load(&manifest(&files, |t| t), &options).unwrap_err().to_string()
}

#[test]
fn bad_rows_name_the_file_the_row_and_the_way_out() {
    let good = (grey(0), 0);
    let message = local_error(&[good.clone(), (grey(1), 3)], "image");
    assert!(message.contains("train.parquet, row 1") && message.contains("label 3 is outside 0..3"), "{message}");
    assert!(local_error(&[(grey(1), -1)], "image").contains("label -1 is outside"));
    let message = local_error(&[good.clone(), (b"\x89PNG no".to_vec(), 0)], "image");
    assert!(message.contains("row 1") && message.contains("does not decode"), "{message}");
    let message = local_error(&[(png(GrayImage::new(5, 4).into()), 0)], "image");
    assert!(message.contains("4×5") && message.contains("4×4"), "{message}");
    let message = local_error(&[(png(RgbImage::new(4, 4).into()), 0)], "image");
    assert!(message.contains("colours"), "{message}");
    let message = local_error(&[good], "picture");
    assert!(message.contains("no column \"image\"") && message.contains("picture, label"), "{message}");
    assert!(local_error(&[], "image").contains("is empty"));
}

#[test]
fn any_parquet_data_set_is_added_by_a_manifest_alone() {
    let folder = tempfile::tempdir().unwrap();
    let colour = |v: u8| png(RgbImage::from_fn(3, 2, |x, y| image::Rgb([v, x as u8, y as u8])).into());
    for (i, name) in ["a-0.parquet", "a-1.parquet", "b.parquet"].iter().enumerate() {
        let rows = [(colour(i as u8), 1), (colour(10 + i as u8), 0)];
        std::fs::write(folder.path().join(name), parquet("picture", "kind", &rows)).unwrap();
    }
    let text = "name = \"mine\"\nsummary = \"-\"\nshape = [3, 2, 3]\nclasses = [\"no\", \"yes\"]\nlicence = \"-\"\n\
        [source.hub]\nid = \"me/mine\"\nrevision = \"main\"\nimage = \"picture\"\nlabel = \"kind\"\n\
        [train]\nfiles = [{ path = \"x/a-0.parquet\" }, { path = \"x/a-1.parquet\" }]\n[test]\nfiles = [{ path = \"x/b.parquet\" }]\n";
    let options = LoadOptions { data_dir: Some(folder.path().to_path_buf()), ..LoadOptions::default() };
    let set = load(&Manifest::parse("mine.toml", text).unwrap(), &options).unwrap();
    assert_eq!((set.train.len(), set.test.len(), set.train.labels()), (4, 2, &[1, 0, 1, 0][..]));
    // Channel first: the red plane, then green (x), then blue (y).
    assert_eq!(set.train.image(3).unwrap(), [11, 11, 11, 11, 11, 11, 0, 1, 2, 0, 1, 2, 0, 0, 0, 1, 1, 1]);
    let bad = text.replace("image = ", "imgae = ");
    let message = Manifest::parse("mine.toml", &bad).unwrap_err().to_string();
    assert!(message.contains("mine.toml") && message.contains("imgae"), "{message}");
}

#[test]
fn idx_and_binary_files_load_and_damaged_ones_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let idx = |dims: &[u32], body: &[u8]| {
        let mut out = vec![0, 0, 8, dims.len() as u8];
        dims.iter().for_each(|d| out.extend(d.to_be_bytes()));
        out.extend(body);
        out
    };
    let put = |name: &str, bytes: &[u8]| std::fs::write(folder.path().join(name), bytes).unwrap();
    let pixels: Vec<u8> = (0..32).collect();
    let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gz.write_all(&idx(&[2, 4, 4], &pixels)).unwrap();
    put("train-images-idx3-ubyte.gz", &gz.finish().unwrap());
    put("train-labels-idx1-ubyte", &idx(&[2], &[2, 0]));
    put("t10k-images-idx3-ubyte", &idx(&[1, 4, 4], &pixels[..16]));
    put("t10k-labels-idx1-ubyte", &idx(&[1], &[1]));
    let options = LoadOptions { data_dir: Some(folder.path().to_path_buf()), ..LoadOptions::default() };
    let tiny = manifest(&tiny(), |t| t);
    let set = load(&tiny, &options).unwrap();
    assert_eq!((set.train.labels(), set.train.image(1).unwrap()), (&[2, 0][..], &pixels[16..]));
    put("t10k-images-idx3-ubyte", &idx(&[1, 4, 4], &pixels[..15]));
    assert!(load(&tiny, &options).unwrap_err().to_string().contains("truncated"));
    put("t10k-labels-idx1-ubyte", b"no idx");
    assert!(load(&tiny, &options).is_err());
    let empty = tempfile::tempdir().unwrap();
    let options = LoadOptions { data_dir: Some(empty.path().to_path_buf()), ..LoadOptions::default() };
    let message = load(&tiny, &options).unwrap_err().to_string();
    assert!(message.contains("train.parquet") && message.contains("train-images-idx3-ubyte"), "{message}");
}

#[test]
fn cifar_binary_files_are_channel_first() {
    let folder = tempfile::tempdir().unwrap();
    let row = |label: u8, shift: u8| {
        let mut out = vec![label];
        out.extend((0..3072usize).map(|i| (i % 251) as u8 ^ shift));
        out
    };
    let batch: Vec<u8> = (0..10_000u32).flat_map(|i| row((i % 10) as u8, (i % 7) as u8)).collect();
    for name in ["data_batch_1", "data_batch_2", "data_batch_3", "data_batch_4", "data_batch_5", "test_batch"] {
        std::fs::write(folder.path().join(format!("{name}.bin")), &batch).unwrap();
    }
    let options = LoadOptions { data_dir: Some(folder.path().to_path_buf()), ..LoadOptions::default() };
    let set = load(&gauntlet_data::Catalogue::new([]).get("cifar10").unwrap(), &options).unwrap();
    assert_eq!((set.train.len(), set.test.len()), (50_000, 10_000));
    assert_eq!(set.train.labels()[10_003], 3);
    assert_eq!(set.test.image(3).unwrap(), &row(3, 3)[1..]);
    // Files of that shape are not taken for another data set's.
    for name in ["svhn", "cifar100", "cifar10-c-fog-3"] {
        let other = load_half(&gauntlet_data::Catalogue::new([]).get(name).unwrap(), &options, Half::Test).unwrap_err();
        assert!(other.to_string().contains(&format!("holds no test split of {name}; looked for")), "{other}");
    }
    let corrupted = gauntlet_data::Catalogue::new([]).get("cifar10-c-fog-3").unwrap();
    let none = load_half(&corrupted, &options, Half::Train).unwrap_err().to_string();
    assert!(none.contains("cifar10-c-fog-3 has no train split: its manifest names nothing of one"), "{none}");
    // Severities lie behind one another: the third one's first image is number 20,000.
    let mut fog = b"\x93NUMPY\x01\x00".to_vec();
    let about = "{'descr': '|u1', 'fortran_order': False, 'shape': (50000, 32, 32, 3), }\n";
    fog.extend((about.len() as u16).to_le_bytes());
    fog.extend(about.bytes());
    fog.extend((0..50_000u32).flat_map(|i| [(i / 10_000) as u8, (i % 251) as u8, 9].repeat(1024)));
    std::fs::write(folder.path().join("fog.npy"), fog).unwrap();
    let about = about.replace("(50000, 32, 32, 3)", "(50000,)");
    let mut labels = [&b"\x93NUMPY\x01\x00"[..], &(about.len() as u16).to_le_bytes(), about.as_bytes()].concat();
    labels.extend((0..50_000u32).map(|i| (i % 10) as u8));
    std::fs::write(folder.path().join("labels.npy"), labels).unwrap();
    let fog = load_half(&corrupted, &options, Half::Test).unwrap();
    let pixels = fog.image(5).unwrap();
    assert_eq!(
        (fog.len(), fog.labels()[5], pixels[0], pixels[1024], pixels[2048]),
        (10_000, 5, 2, (20_005 % 251) as u8, 9)
    );
    let mut all = Vec::new();
    std::fs::File::open(folder.path().join("test_batch.bin")).unwrap().read_to_end(&mut all).unwrap();
    assert_eq!(all.len(), 10_000 * 3073);
}

/// No file of the other half is looked for, and a folder may hold several data sets.
#[test]
fn one_half_needs_its_own_files_alone() {
    let (files, folder) = (tiny(), tempfile::tempdir().unwrap());
    let own = folder.path().join("tiny");
    std::fs::create_dir(&own).unwrap();
    std::fs::write(own.join("test.parquet"), &files["test.parquet"]).unwrap();
    let options = LoadOptions { data_dir: Some(folder.path().to_path_buf()), ..LoadOptions::default() };
    let tiny = manifest(&files, |t| t);
    assert_eq!(load_half(&tiny, &options, Half::Test).unwrap().len(), 4);
    let message = load(&tiny, &options).unwrap_err().to_string();
    assert!(message.contains("holds no train split of tiny; looked for train.parquet"), "{message}");
    assert!(message.contains("there and in tiny/ below it"), "{message}");
    // From the hub too.
    let (hub, cache) = (serve(files.clone(), Fault::None, 0, false), tempfile::tempdir().unwrap());
    load_half(&tiny, &self::options(&hub, cache.path()), Half::Test).unwrap();
    assert_eq!(hub.gets.load(Ordering::SeqCst), 1);
}

#[test]
fn offline_nothing_is_asked_of_the_hub() {
    let (files, cache) = (tiny(), tempfile::tempdir().unwrap());
    let (tiny, hub) = (manifest(&files, |t| t), serve(files.clone(), Fault::None, 0, false));
    let offline = LoadOptions { offline: true, ..options(&hub, cache.path()) };
    let message = load(&tiny, &offline).unwrap_err().to_string();
    assert!(
        message.contains("train.parquet of me/tiny is not on this machine; it would be downloaded from"),
        "{message}"
    );
    assert_eq!(hub.gets.load(Ordering::SeqCst), 0);
    check(&load(&tiny, &options(&hub, cache.path())).unwrap());
    check(&load(&tiny, &offline).unwrap());
}

#[test]
fn local_data_are_local() {
    let (files, folder) = (tiny(), tempfile::tempdir().unwrap());
    let hub = serve(files.clone(), Fault::None, 0, false);
    let cache = tempfile::tempdir().unwrap();
    let text = "name = \"mine\"\nsummary = \"-\"\nshape = [1, 4, 4]\nclasses = [\"a\", \"b\", \"c\"]\n\
        [source.local]\n[train]\nfiles = [{ path = \"train.parquet\" }]\n[test]\nfiles = [{ path = \"test.parquet\" }]\n";
    let path = folder.path().join("datasets/mine.toml").display().to_string();
    let mine = Manifest::parse(&path, text).unwrap();
    assert_eq!(mine.licence, None);
    let message = load(&mine, &options(&hub, cache.path())).unwrap_err().to_string();
    for needle in ["mine is local ([source.local])", "--data-dir DIR", "GAUNTLET_DATA", "`folder = "] {
        assert!(message.contains(needle), "{message}");
    }
    std::fs::create_dir(folder.path().join("datasets")).unwrap();
    for (name, bytes) in &files {
        std::fs::write(folder.path().join(name), bytes).unwrap();
    }
    let named = Manifest::parse(&path, &text.replace("[source.local]", "[source.local]\nfolder = \"..\"")).unwrap();
    check(&load(&named, &options(&hub, cache.path())).unwrap());
    assert_eq!(hub.gets.load(Ordering::SeqCst), 0);
    let american =
        Manifest::parse(&path, &text.replace("[source", "license = \"MIT\"\n[source")).unwrap_err().to_string();
    assert!(american.contains("license") && american.contains("did you mean `licence`?"), "{american}");
}
