//! Pickles in a row, as PyTorch wrote them before 1.6: written here byte by byte, whole, damaged and hostile.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use gauntlet_core::checkpoint::load;
use gauntlet_core::{Activation, Init, ModelInfo, ParamSpec, Precision, Weights};
use proptest::prelude::*;
use std::io::Write;
use std::path::Path;
use std::time::Instant;

/// A pickle under construction.
#[derive(Clone, Default)]
struct Pickle(Vec<u8>);

impl Pickle {
    fn new() -> Self {
        Pickle(b"\x80\x02".to_vec())
    }
    fn raw(mut self, bytes: impl AsRef<[u8]>) -> Self {
        self.0.extend(bytes.as_ref());
        self
    }
    fn text(self, text: &str) -> Self {
        self.raw(b"X").raw((text.len() as u32).to_le_bytes()).raw(text)
    }
    fn int(self, value: usize) -> Self {
        self.raw(b"J").raw((value as i32).to_le_bytes())
    }
    fn global(self, module: &str, name: &str) -> Self {
        self.raw(format!("c{module}\n{name}\n"))
    }
    fn ints(self, values: &[usize]) -> Self {
        values.iter().fold(self.raw(b"("), |p, v| p.int(*v)).raw(b"t")
    }
    /// A tensor of floats in row-major order; `elements`: its storage's.
    fn tensor(self, key: &str, elements: usize, offset: usize, shape: &[usize], stride: &[usize]) -> Self {
        self.global("torch._utils", "_rebuild_tensor")
            .raw(b"((")
            .text("storage")
            .global("torch", "FloatStorage")
            .text(key)
            .text("cuda:0")
            .int(elements)
            .raw(b"NtQ")
            .int(offset)
            .ints(shape)
            .ints(stride)
            .raw(b"tR")
    }
    fn end(self) -> Vec<u8> {
        self.raw(b".").0
    }
}

const MAGIC: &[u8] = b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.";

fn head(little: bool) -> Vec<u8> {
    let machine = Pickle::new().raw(b"}").text("little_endian").raw(if little { b"\x88" } else { b"\x89" }).raw(b"s");
    [MAGIC, &Pickle::new().int(1001).end(), &machine.end()].concat()
}

/// A file: the object's pickle, then the storages.
fn file(object: Pickle, storages: &[(&str, &[f32])]) -> Vec<u8> {
    let keys = storages.iter().fold(Pickle::new().raw(b"]("), |p, (key, _)| p.text(key)).raw(b"e").end();
    let mut bytes = [head(true), object.end(), keys].concat();
    for (_, values) in storages {
        bytes.extend((values.len() as u64).to_le_bytes());
        values.iter().for_each(|v| bytes.extend(v.to_le_bytes()));
    }
    bytes
}

const W: [f32; 4] = [1.0, 2.0, 3.0, 4.0];
const B: [f32; 2] = [5.0, 6.0];

fn state() -> Pickle {
    Pickle::new()
        .global("collections", "OrderedDict")
        .raw(b")R(")
        .text("weight")
        .tensor("30", 4, 0, &[2, 2], &[2, 1])
        .text("bias")
        .tensor("7", 2, 0, &[2], &[1])
        .raw(b"u")
}

fn good() -> Vec<u8> {
    file(state(), &[("30", &W), ("7", &B)])
}

fn read_as(bytes: &[u8], names: &[(&str, &[usize])]) -> Result<(Weights, Vec<String>), String> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("old.pth");
    std::fs::write(&path, bytes).unwrap();
    let spec = |name: &str, shape: &[usize]| ParamSpec {
        name: name.into(),
        shape: shape.to_vec(),
        init: Init::Constant(0.0),
        trainable: true,
    };
    let specs: Vec<ParamSpec> = names.iter().map(|(n, shape)| spec(n, shape)).collect();
    let info = ModelInfo {
        name: "linear".into(),
        input: (1, 1, 2),
        classes: 2,
        activation: Activation::Relu,
        mean: vec![],
        std: vec![],
        numerics: 1,
    };
    load(&path, &specs, &info, Precision::F32).map_err(|e| e.to_string())
}

fn read(bytes: &[u8]) -> Result<(Weights, Vec<String>), String> {
    read_as(bytes, &[("weight", &[2, 2]), ("bias", &[2])])
}

fn fails(bytes: &[u8], words: &[&str]) {
    let error = read(bytes).unwrap_err();
    for word in words.iter().chain(&["old.pth"]) {
        assert!(error.contains(word), "{error:?} lacks {word:?}");
    }
}

fn values(weights: &Weights, name: &str) -> Vec<f32> {
    weights.get(name).unwrap().flatten_all().unwrap().to_vec1().unwrap()
}

#[test]
fn tensors_are_read_through_their_storages() {
    let (weights, notes) = read(&good()).unwrap();
    assert_eq!((values(&weights, "weight"), values(&weights, "bias")), (W.to_vec(), B.to_vec()));
    assert!(notes.is_empty(), "{notes:?}");
    // Both in one storage, one of them turned, under a key and a wrapper's prefix.
    let inner = Pickle::new()
        .raw(b"}")
        .text("epoch")
        .int(3)
        .raw(b"s")
        .text("state_dict")
        .raw(b"}(")
        .text("module.weight")
        .tensor("1", 6, 2, &[2, 2], &[1, 2])
        .text("module.bias")
        .tensor("1", 6, 0, &[2], &[1])
        .raw(b"us");
    let (weights, notes) = read(&file(inner, &[("1", &[5.0, 6.0, 1.0, 3.0, 2.0, 4.0])])).unwrap();
    assert_eq!((values(&weights, "weight"), values(&weights, "bias")), (W.to_vec(), B.to_vec()));
    assert!(notes[0].contains("under the key \"state_dict\"") && notes[1].contains("\"module.\""), "{notes:?}");
}

/// A view of a storage, as PyTorch up to 1.5 knew them: the last two of three elements.
#[test]
fn a_view_of_a_storage_begins_where_it_says() {
    let object = |first: usize| {
        Pickle::new()
            .raw(b"}")
            .text("bias")
            .global("torch._utils", "_rebuild_tensor")
            .raw(b"((")
            .text("storage")
            .global("torch", "FloatStorage")
            .text("1")
            .text("cpu")
            .int(3)
            .raw(b"(")
            .text("2")
            .int(first)
            .int(2)
            .raw(b"ttQ")
            .int(0)
            .ints(&[2])
            .ints(&[1])
            .raw(b"tRs")
    };
    let (weights, _) = read_as(&file(object(1), &[("1", &[0.0, 5.0, 6.0])]), &[("bias", &[2])]).unwrap();
    assert_eq!(values(&weights, "bias"), B);
    fails(&file(object(2), &[("1", &[0.0, 5.0, 6.0])]), &["tensor bias is described in an unknown way"]);
}

/// Python 2 writes texts as strings and hands an ordered dictionary a list of pairs.
#[test]
fn what_python_2_wrote_is_read() {
    let string = |p: Pickle, text: &str| p.raw(b"U").raw([text.len() as u8]).raw(text);
    let p = Pickle::new().global("collections", "OrderedDict").raw(b"(](](");
    let p = string(p, "weight").tensor("30", 4, 0, &[2, 2], &[2, 1]).raw(b"e](");
    let p = string(p, "bias").tensor("7", 2, 0, &[2], &[1]).raw(b"eetR");
    let (weights, _) = read(&file(p, &[("30", &W), ("7", &B)])).unwrap();
    assert_eq!((values(&weights, "weight"), values(&weights, "bias")), (W.to_vec(), B.to_vec()));
}

#[test]
fn a_file_that_ends_anywhere_is_an_error_that_says_where() {
    let whole = good();
    for length in 2..whole.len() {
        let error = read(&whole[..length]).unwrap_err();
        assert!(error.contains("byte") && error.contains("old.pth"), "{length}: {error}");
    }
    let first = whole.len() - (8 + 8) - (8 + 16);
    fails(
        &whole[..first + 3],
        &["the format before 1.6", &format!("ends within storage \"30\", which begins at byte {first}")],
    );
    fails(&whole[..whole.len() - 1], &["ends within storage \"7\""]);
    fails(
        &[&whole[..], b"more"].concat(),
        &[&format!("4 bytes follow its last storage, from byte {} on", whole.len())],
    );
    fails(&whole[..40], &["what it says of its machine, a pickle at byte 23, at byte 26", "13 bytes where 9 are left"]);
    fails(&whole[..22], &["its version, a pickle at byte 15", "ends at byte 22, before its end mark"]);
}

/// A flipped byte is noticed, or is one of a number that nothing protects: never a panic, never a wait.
#[test]
fn no_flipped_byte_harms() {
    let whole = good();
    for at in 0..whole.len() {
        for bit in [0x01, 0x10, 0x80, 0xff] {
            let mut bytes = whole.clone();
            bytes[at] ^= bit;
            let _ = read(&bytes);
        }
    }
}

#[test]
fn sizes_that_lie_are_told() {
    let bias = |elements, offset, shape: &[usize], stride: &[usize]| {
        let p = Pickle::new().raw(b"}").text("weight").tensor("30", 4, 0, &[2, 2], &[2, 1]).raw(b"s");
        p.text("bias").tensor("7", elements, offset, shape, stride).raw(b"s")
    };
    let both: [(&str, &[f32]); 2] = [("30", &W), ("7", &B)];
    let huge = i32::MAX as usize;
    fails(&file(bias(3, 0, &[2], &[1]), &both), &["storage \"7\" at byte", "has 2 elements, and its tensors say 3"]);
    fails(&file(bias(2, 1, &[2], &[1]), &both), &["tensor bias needs more numbers than its storage of 2 holds"]);
    fails(&file(bias(2, 0, &[huge, huge, huge], &[0, 0, 0]), &both), &["needs more numbers than its storage of 2"]);
    fails(&file(bias(2, 0, &[2], &[huge]), &both), &["needs more numbers than its storage of 2"]);
    fails(&file(bias(2, 0, &[2], &[1, 1]), &both), &["tensor bias is described in an unknown way"]);
    let mut bytes = good();
    let at = bytes.len() - (8 + 8) - (8 + 16);
    bytes[at..at + 8].copy_from_slice(&u64::MAX.to_le_bytes());
    fails(&bytes, &["storage \"30\" at byte", "has 18446744073709551615 elements"]);
    fails(&file(bias(huge, 0, &[2], &[1]), &both), &["has 2 elements, and its tensors say 2147483647"]);
    fails(&file(state(), &both[..1]), &["tensor bias lies in storage \"7\", which is not in its list"]);
    fails(&file(state(), &[both[0], both[1], ("9", &W)]), &["no tensor lies in storage \"9\""]);
    fails(&file(state(), &[both[0], both[0], both[1]]), &["storage \"30\" is twice in its list"]);
    // A thousand tensors that show one storage again and again.
    let wide = vec![0.0f32; 4096];
    let many = (0..1000)
        .fold(Pickle::new().raw(b"}"), |p, i| p.text(&format!("t{i}")).tensor("1", 4096, 0, &[4096], &[1]).raw(b"s"));
    fails(&file(many, &[("1", &wide)]), &["describes tensors of 16384000 bytes in all", "4 times"]);
}

#[test]
fn what_is_no_state_dict_says_what_to_do() {
    let both: [(&str, &[f32]); 2] = [("30", &W), ("7", &B)];
    fails(
        &Pickle::new().int(5).end(),
        &["is a pickle, but none that torch.save wrote", "torch.save(model.state_dict()"],
    );
    let version = [MAGIC, &Pickle::new().int(1002).end()].concat();
    fails(&version, &["in a version (Int(1002)) that is not 1001"]);
    fails(&[head(false), state().end()].concat(), &["big-endian"]);
    fails(&file(Pickle::new().raw(b"]"), &both), &["holds no dictionary of tensors"]);
    // A module: its class lies outside the pickle, beside its source.
    let module = |p: Pickle| {
        p.raw(b"(")
            .text("module")
            .global("torch.nn.modules.container", "Sequential")
            .text("container.py")
            .text("class ...")
            .raw(b"tQ)\x81}b")
    };
    fails(
        &file(module(Pickle::new()), &[]),
        &[
            "a whole object of class torch.nn.modules.container.Sequential, whose code is not run",
            "torch.save(torch.load(\"FILE\", weights_only=False).state_dict(), \"weights.pt\")",
        ],
    );
    let inside = module(Pickle::new().raw(b"}").text("net")).raw(b"s");
    fails(
        &file(inside, &[]),
        &["holds under \"net\" a whole object of class torch.nn", "False)[\"net\"].state_dict()"],
    );
    let mut tar = vec![0u8; 1024];
    tar[257..262].copy_from_slice(b"ustar");
    fails(&tar, &["is a tar archive, PyTorch's format before 0.1.10", "torch.save(model.state_dict()"]);
}

/// The pickle in a zip, as PyTorch writes it since 1.6.
fn zipped(pickle: &[u8]) -> Vec<u8> {
    let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    let stored = zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
    zip.start_file("a/data.pkl", stored).unwrap();
    zip.write_all(pickle).unwrap();
    zip.finish().unwrap().into_inner()
}

/// Lists in lists, tuples in tuples, objects that hold themselves, ten levels of ten: each an answer within a second, in both formats.
#[test]
fn pickles_that_nest_multiply_or_hold_themselves_cost_nothing() {
    let deep = [&b"\x80\x02}X\x01\x00\x00\x00a"[..], &b"]".repeat(50_000), &b"a".repeat(49_999), b"s."].concat();
    let wide = [&b"\x80\x02"[..], &b"(".repeat(50_000), b"."].concat();
    let tuples = [&b"\x80\x02}X\x01\x00\x00\x00aN"[..], &b"\x85".repeat(100_000), b"s."].concat();
    let mut laughs = b"\x80\x02}X\x01\x00\x00\x00a]q\x00".to_vec();
    for level in 0..200u8 {
        laughs.extend(b"0](");
        (0..10).for_each(|_| laughs.extend([b'h', level]));
        laughs.extend([b'e', b'q', level + 1]);
    }
    laughs.extend(b"s.");
    let own = b"\x80\x02}q\x00X\x01\x00\x00\x00ah\x00s.".to_vec();
    let tensor = b"ctorch._utils\n_rebuild_parameter\nq\x01";
    let nested = [
        &b"\x80\x02}X\x01\x00\x00\x00a"[..],
        &tensor[..],
        &b"h\x01".repeat(9_999),
        b"N",
        &b"\x85R".repeat(10_000),
        b"s.",
    ]
    .concat();
    let selfish = b"\x80\x02}X\x01\x00\x00\x00actorch._utils\n_rebuild_parameter\n(]q\x00h\x00atRs.".to_vec();
    let cases: [(&str, &[u8], &str); 7] = [
        ("deep", &deep, "holds no tensors by name (its keys: a)"),
        ("wide", &wide, "nests deeper than 10000"),
        ("tuples", &tuples, "holds no tensors by name"),
        ("laughs", &laughs, "holds no tensors by name (its keys: a)"),
        ("own", &own, "holds no tensors by name (its keys: a)"),
        ("nested", &nested, "tensor a is described in an unknown way"),
        ("selfish", &selfish, "tensor a is described in an unknown way"),
    ];
    for (name, pickle, words) in cases {
        for (kind, bytes) in [("zip", zipped(pickle)), ("legacy", [&head(true)[..], pickle].concat())] {
            let start = Instant::now();
            let error = read(&bytes).unwrap_err();
            assert!(error.contains(words), "{name}, {kind}: {error}");
            assert!(start.elapsed().as_secs_f64() < 1.0, "{name}, {kind}: {:?}", start.elapsed());
        }
    }
    // Two hundred thousand names of one tensor, and of one dictionary; a name that is a page long and steers the terminal.
    let tensor = Pickle::default().tensor("1", 1, 0, &[1], &[1]).raw(b"q\x00").0;
    let names = |value: &[u8]| (0..200_000).fold(Pickle::default(), |p, i| p.text(&i.to_string()).raw(value)).0;
    let many = [&b"\x80\x02}("[..], b"X\x01\x00\x00\x00a", &tensor, &names(b"h\x00"), b"u."].concat();
    let error = read(&zipped(&many)).unwrap_err();
    assert!(error.contains("names 200001 tensors, more than the 100000 of any network"), "{error}");
    let dictionary = [&b"}(X\x01\x00\x00\x00a"[..], &tensor, &names(b"h\x00"), b"uq\x01"].concat();
    let square = [&b"\x80\x02}(X\x01\x00\x00\x00a"[..], &dictionary, &names(b"h\x01"), b"u."].concat();
    let start = Instant::now();
    let error = read(&zipped(&square)).unwrap_err();
    assert!(error.contains("names 200001 tensors") && start.elapsed().as_secs_f64() < 5.0, "{error}");
    let long = Pickle::new().raw(b"}").text(&"\x1b[2J".repeat(100_000)).raw(b"Ns").end();
    let error = read(&zipped(&long)).unwrap_err();
    assert!(error.len() < 10_000 && !error.contains('\x1b') && error.ends_with('…'), "{}", error.len());
    // What would run in Python is a note of a call here.
    let system = b"\x80\x02cos\nsystem\n(X\x0b\x00\x00\x00touch pwnedtR.".to_vec();
    let error = read(&zipped(&system)).unwrap_err();
    assert!(error.contains("holds no dictionary of tensors") && !Path::new("pwned").exists(), "{error}");
}

/// Parts of a zip that lie over one another are not read beyond the length of the file.
#[test]
fn a_zip_holds_no_more_than_its_length() {
    let pickle = (0..3).fold(Pickle::new().raw(b"}"), |p, i| {
        p.text(&format!("t{i}")).tensor(&format!("{i}"), 4096, 0, &[4096], &[1]).raw(b"s")
    });
    let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    let stored = zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
    zip.start_file("a/data.pkl", stored).unwrap();
    zip.write_all(&pickle.end()).unwrap();
    for i in 0..3 {
        zip.start_file(format!("a/data/{i}"), stored).unwrap();
        if i == 0 {
            zip.write_all(&[0; 4 * 4096]).unwrap();
        }
    }
    let mut bytes = zip.finish().unwrap().into_inner();
    // The entries of the empty ones in the central directory are given the sizes, the checksum and the place of the first.
    let entries: Vec<usize> = (0..bytes.len() - 4).filter(|i| bytes[*i..i + 4] == *b"PK\x01\x02").collect();
    let first: Vec<u8> = bytes[entries[1]..entries[1] + 46].to_vec();
    for entry in &entries[2..] {
        bytes[entry + 16..entry + 28].copy_from_slice(&first[16..28]);
        bytes[entry + 42..entry + 46].copy_from_slice(&first[42..46]);
    }
    fails(&bytes, &["holds more than its", "one part over another"]);
}
/// Cases of a target: PROPTEST_CASES where it is set, for scripts/hostile/long.sh.
fn cases(usual: u32) -> u32 {
    std::env::var("PROPTEST_CASES").ok().and_then(|n| n.parse().ok()).unwrap_or(usual)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(1000), failure_persistence: None, ..ProptestConfig::default() })]

    /// Pickles in a row with bytes changed: weights of the right shapes or an error that names the file; never a panic, never a second.
    #[test]
    fn no_harm_to_a_pickle_harms_its_reader(
        harms in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0u8..5), 1..6)
    ) {
        let mut bytes = good();
        for (at, value, kind) in harms {
            let at = at.index(bytes.len());
            match kind {
                0 => bytes[at] = value,
                1 => bytes.insert(at, value),
                2 => drop(bytes.remove(at)),
                // What a pickle does with its stack, once more.
                3 => bytes.insert(at, b"(t)0)e}sR.Q2qrhj"[usize::from(value) % 16]),
                _ => {
                    let part: Vec<u8> = bytes[at..].iter().copied().take(usize::from(value)).collect();
                    bytes.splice(at..at, part);
                }
            }
            if bytes.is_empty() {
                bytes.push(value);
            }
        }
        let start = Instant::now();
        match read(&bytes) {
            Ok((weights, _)) => prop_assert!(weights.iter().all(|(_, t, _)| [4, 2].contains(&t.elem_count()))),
            Err(error) => prop_assert!(error.starts_with("checkpoint ") && error.len() < 5000, "{error}"),
        }
        prop_assert!(start.elapsed().as_secs_f64() < 1.0);
    }
}
