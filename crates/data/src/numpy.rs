//! NumPy's arrays: `.npy`, and `.npz` files of several, as `numpy.save`, `savez` and `savez_compressed` write them.

use crate::ceiling::Ceiling;
use crate::{Error, Result};
use flate2::bufread::DeflateDecoder;
use gauntlet_records::regular_file;
use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom};
use std::ops::Range;
use std::path::{Path, PathBuf};
use zip::{CompressionMethod, ZipArchive};

const MAGIC: &[u8] = b"\x93NUMPY";
/// Bytes of the text that describes an array.
const HEADER: usize = 1 << 16;
/// Axes of an array.
const RANK: usize = 8;

/// What an entry of an array is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Kind {
    bytes: usize,
    signed: bool,
    big_endian: bool,
}

/// An array of which the header was read.
pub(crate) struct Array {
    /// The file, and the array in it.
    shown: String,
    /// Its axes.
    pub(crate) dims: Vec<usize>,
    kind: Kind,
    body: Box<dyn Read>,
}

/// The arrays of a file by their names; one that holds a single array has an empty name.
///
/// # Errors
/// A file that is not there, or is no whole one.
pub(crate) fn names(path: &Path) -> Result<Vec<String>> {
    if !is_archive(path) {
        return Ok(vec![String::new()]);
    }
    let zip = archive(path)?;
    let named = zip.file_names().filter_map(|n| Some(n.ok()?.strip_suffix(".npy")?.to_string()));
    Ok(named.collect())
}

fn is_archive(path: &Path) -> bool {
    path.extension().is_some_and(|e| e.eq_ignore_ascii_case("npz"))
}

fn archive(path: &Path) -> Result<ZipArchive<BufReader<File>>> {
    let (file, _) = regular_file::open(path).map_err(|e| crate::error::file(path, e))?;
    ZipArchive::new(BufReader::new(file))
        .map_err(|e| crate::error::file(path, format!("it is no whole .npz file ({e})")))
}

impl Array {
    /// `file.npy`, or `file.npz/array`, below `folder`.
    ///
    /// # Errors
    /// A file or an array that is not there, or not whole; one of floats, texts or objects, or in Fortran's order.
    pub(crate) fn open(folder: &Path, name: &str) -> Result<Self> {
        let (file, within) = match name.split_once(".npz/") {
            Some((file, within)) => (format!("{file}.npz"), Some(within)),
            None => (name.to_string(), None),
        };
        let path = folder.join(&file);
        let shown = format!("{}{}", path.display(), within.map(|w| format!(", array {w}")).unwrap_or_default());
        let fail = |why: String| Error::File { path: shown.clone(), why };
        let (file, length) = regular_file::open(&path).map_err(|e| fail(e.to_string()))?;
        let mut body = match within {
            None if is_archive(&path) => {
                let all = names(&path)?.join(", ");
                return Err(fail(format!("it holds several arrays ({all}): write {}/ARRAY", path.display())));
            }
            None => Box::new(BufReader::new(file).take(length)) as Box<dyn Read>,
            Some(within) => member(&path, within, file)?,
        };
        let (kind, dims) = header(&mut body).map_err(fail)?;
        Ok(Array { shown, dims, kind, body })
    }

    fn fail(&self, why: String) -> Error {
        Error::File { path: self.shown.clone(), why }
    }

    /// Channel-first pixels of the images `rows`, where an image is `(H, W)`, `(H, W, C)` or `(C, H, W)`.
    ///
    /// # Errors
    /// Anything but unsigned bytes of that shape; fewer images than those; more than the memory has room for; a file that is cut off.
    pub(crate) fn images(
        mut self,
        (c, h, w): (usize, usize, usize),
        rows: Range<usize>,
        ceiling: Ceiling,
    ) -> Result<Vec<u8>> {
        if (self.kind.bytes, self.kind.signed) != (1, false) {
            let why = "images must be unsigned bytes: numpy.save(file, (255 * x).round().astype(\"uint8\")) for pixels in [0, 1]";
            return Err(self.fail(why.into()));
        }
        let last = match &self.dims[..] {
            [_, height, width] if (c, h, w) == (1, *height, *width) => false,
            [_, height, width, channels] if (c, h, w) == (*channels, *height, *width) => true,
            [_, channels, height, width] if (c, h, w) == (*channels, *height, *width) => false,
            _ => {
                let why = format!(
                    "it is {:?}, which is no list of images of the manifest's shape [{c}, {h}, {w}]",
                    self.dims
                );
                return Err(self.fail(why));
            }
        };
        self.within(&rows)?;
        ceiling.room(Path::new(&self.shown), rows.len() as u64)?;
        let area = c * h * w;
        self.skip(rows.start as u64 * area as u64)?;
        let (mut pixels, mut image) = (Vec::new(), vec![0u8; area]);
        for _ in rows {
            self.fill(&mut image)?;
            if last {
                pixels.extend((0..c).flat_map(|ch| image.iter().skip(ch).step_by(c).copied()));
            } else {
                pixels.extend_from_slice(&image);
            }
        }
        Ok(pixels)
    }

    /// The labels `rows`: whole numbers, `(N,)` or `(N, 1)`.
    ///
    /// # Errors
    /// Another shape; a negative one; fewer than those; a file that is cut off.
    pub(crate) fn labels(mut self, rows: Range<usize>) -> Result<Vec<u32>> {
        if !matches!(&self.dims[..], [_] | [_, 1]) {
            let why = format!("it is {:?}, which is not one label for each image", self.dims);
            return Err(self.fail(why));
        }
        self.within(&rows)?;
        let Kind { bytes, signed, big_endian } = self.kind;
        self.skip(rows.start as u64 * bytes as u64)?;
        let mut labels = Vec::new();
        for row in rows {
            let mut wide = [0u8; 8];
            self.fill(&mut wide[..bytes])?;
            if big_endian {
                wide[..bytes].reverse();
            }
            // A negative number is too large a positive one.
            let negative = signed && wide[bytes - 1] >= 0x80;
            let label = u32::try_from(u64::from_le_bytes(wide)).ok().filter(|_| !negative);
            labels.push(label.ok_or_else(|| self.fail(format!("its entry {row} is no label from 0")))?);
        }
        Ok(labels)
    }

    /// How many rows there are.
    pub(crate) fn rows(&self) -> usize {
        self.dims.first().copied().unwrap_or(0)
    }

    fn within(&self, rows: &Range<usize>) -> Result<()> {
        if rows.end <= self.rows() {
            return Ok(());
        }
        Err(self.fail(format!("it has {} rows, and rows {} to {} are wanted", self.rows(), rows.start, rows.end)))
    }

    fn skip(&mut self, bytes: u64) -> Result<()> {
        let skipped = std::io::copy(&mut Read::by_ref(&mut self.body).take(bytes), &mut std::io::sink());
        match skipped {
            Ok(n) if n == bytes => Ok(()),
            Ok(_) => Err(self.cut_off()),
            Err(e) => Err(self.fail(e.to_string())),
        }
    }

    fn fill(&mut self, buffer: &mut [u8]) -> Result<()> {
        self.body.read_exact(buffer).map_err(|e| match e.kind() {
            std::io::ErrorKind::UnexpectedEof => self.cut_off(),
            _ => self.fail(format!("it does not unzip: {e}")),
        })
    }

    fn cut_off(&self) -> Error {
        self.fail(format!("its header says {:?}, and it has fewer bytes: it is truncated or damaged", self.dims))
    }
}

/// The bytes of an array in an archive.
fn member(path: &Path, within: &str, mut file: File) -> Result<Box<dyn Read>> {
    let fail = |why: String| crate::error::file(path, why);
    let mut zip = archive(path)?;
    let Some(at) = zip.index_for_name(&format!("{within}.npy")) else {
        return Err(fail(format!("it has no array {within:?}, only {}", names(path)?.join(", "))));
    };
    // The method is read from the list at the end; what is unpacked is no more than the array announces.
    let odd = |e: &dyn std::fmt::Display| fail(format!("it is no whole .npz file ({e})"));
    let entry = zip.by_index_raw(at).map_err(|e| odd(&e))?;
    let (method, packed) = (entry.compression(), entry.compressed_size());
    let start = entry.data_start().ok_or_else(|| odd(&"an entry without a place"))?;
    file.seek(SeekFrom::Start(start)).map_err(|e| odd(&e))?;
    let raw = BufReader::new(file.take(packed));
    if method == CompressionMethod::STORE {
        return Ok(Box::new(raw));
    }
    if method == CompressionMethod::DEFLATE {
        return Ok(Box::new(BufReader::new(DeflateDecoder::new(raw))));
    }
    Err(fail(format!("its array {within:?} is packed by a method that NumPy does not use; numpy.savez writes it anew")))
}

/// What the entries are, and the axes.
fn header(body: &mut dyn Read) -> Result<(Kind, Vec<usize>), String> {
    let odd = || "it is no whole .npy file".to_string();
    let mut take = |n: usize| {
        let mut bytes = vec![0; n];
        body.read_exact(&mut bytes).map(|()| bytes).map_err(|_| odd())
    };
    let head = take(8)?;
    if !head.starts_with(MAGIC) {
        return Err(odd());
    }
    let length = match head[6] {
        1 => take(2)?,
        2 | 3 => take(4)?,
        version => return Err(format!("it is of version {version} of NumPy's format, which is not known here")),
    };
    let length = length.iter().rev().fold(0usize, |n, b| n << 8 | usize::from(*b));
    if length > HEADER {
        return Err(odd());
    }
    let text = String::from_utf8(take(length)?).map_err(|_| odd())?;
    let field = |key: &str| text.split_once(&format!("'{key}':")).map(|(_, rest)| rest.trim_start());
    let descr = field("descr").ok_or_else(odd)?;
    let code = descr.strip_prefix('\'').and_then(|d| d.split_once('\'')).map(|(code, _)| code);
    let kind = code.and_then(kind).ok_or_else(|| {
        let code = code.unwrap_or("a structure");
        format!("its entries are {code}, not whole numbers; astype(\"uint8\") for images and astype(\"int64\") for labels makes them so")
    })?;
    if !field("fortran_order").is_some_and(|f| f.starts_with("False")) {
        return Err("it is in Fortran's order; numpy.ascontiguousarray(x) brings it into C's".into());
    }
    let shape = field("shape").and_then(|s| s.strip_prefix('(')?.split_once(')')).ok_or_else(odd)?.0;
    let dims: Option<Vec<usize>> =
        shape.split(',').map(str::trim).filter(|d| !d.is_empty()).map(|d| d.parse().ok()).collect();
    let dims = dims.filter(|d| !d.is_empty() && d.len() <= RANK).ok_or_else(odd)?;
    let entries = dims.iter().try_fold(kind.bytes, |n, d| n.checked_mul(*d));
    entries.map(|_| (kind, dims)).ok_or_else(odd)
}

/// The type that a code such as `<i8` means.
fn kind(code: &str) -> Option<Kind> {
    let (order, rest) = match code.chars().next()? {
        order @ ('<' | '>' | '|' | '=') => (order, &code[1..]),
        _ => ('|', code),
    };
    let (letter, bytes) = (rest.chars().next()?, rest.get(1..)?.parse::<usize>().ok()?);
    let known = matches!((letter, bytes), ('u' | 'i', 1 | 2 | 4 | 8) | ('b', 1));
    known.then_some(Kind { bytes, signed: letter == 'i', big_endian: order == '>' })
}

/// The names by which the two splits are known, images before labels: MedMNIST's, Keras' and the plain ones.
const PAIRS: [[&str; 4]; 4] = [
    ["train_images", "train_labels", "test_images", "test_labels"],
    ["x_train", "y_train", "x_test", "y_test"],
    ["X_train", "y_train", "X_test", "y_test"],
    ["images_train", "labels_train", "images_test", "labels_test"],
];

/// Images and labels of the training and the test split in a folder: four arrays of one `.npz`, or four `.npy` files.
pub(crate) fn find(folder: &Path, files: &[String]) -> Option<[String; 4]> {
    let arrays = |file: &String| -> Vec<(String, String)> {
        if file.ends_with(".npy") {
            let bare = file.rsplit('/').next().unwrap_or(file).trim_end_matches(".npy");
            return vec![(bare.to_string(), file.clone())];
        }
        let all = names(&folder.join(PathBuf::from(file))).unwrap_or_default();
        all.into_iter().map(|name| (name.clone(), format!("{file}/{name}"))).collect()
    };
    let known: Vec<(String, String)> = files.iter().filter(|f| is_numpy(f)).flat_map(arrays).collect();
    let place = |wanted: &str| {
        let mut places = known.iter().filter(|(name, _)| name == wanted).map(|(_, place)| place.clone());
        places.next().filter(|_| places.next().is_none())
    };
    PAIRS.iter().find_map(|pair| Some([place(pair[0])?, place(pair[1])?, place(pair[2])?, place(pair[3])?]))
}

/// Whether this is a file of NumPy's.
pub(crate) fn is_numpy(file: &str) -> bool {
    file.ends_with(".npy") || file.ends_with(".npz")
}

/// The shape of the images of an array, channels first; three axes are grey, and of four the last is that of the channels unless it is wider
/// than the first.
///
/// # Errors
/// An array that holds no images.
pub(crate) fn shape(folder: &Path, name: &str) -> Result<(usize, usize, usize)> {
    let array = Array::open(folder, name)?;
    match array.dims[..] {
        [_, h, w] => Ok((1, h, w)),
        [_, h, w, c] if c <= h => Ok((c, h, w)),
        [_, c, h, w] => Ok((c, h, w)),
        _ => Err(array.fail(format!("it is {:?}, which is no list of images", array.dims))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::io::Write;

    /// As `numpy.save` writes it.
    fn npy(descr: &str, shape: &str, body: &[u8]) -> Vec<u8> {
        let mut text = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': ({shape}), }}");
        while (text.len() + 11) % 64 != 0 {
            text.push(' ');
        }
        text.push('\n');
        [MAGIC, &[1, 0], &(text.len() as u16).to_le_bytes(), text.as_bytes(), body].concat()
    }

    const ROOM: Ceiling = Ceiling::plain(1 << 20);

    fn opened(bytes: &[u8]) -> (tempfile::TempDir, Result<Array>) {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("a.npy"), bytes).unwrap();
        let array = Array::open(folder.path(), "a.npy");
        (folder, array)
    }

    #[test]
    fn channels_come_first_wherever_they_were() {
        let body: Vec<u8> = (0..24).collect();
        let images =
            |shape: &str, wanted, rows| opened(&npy("|u1", shape, &body)).1.unwrap().images(wanted, rows, ROOM);
        assert_eq!(images("2, 2, 3, 2", (2, 2, 3), 0..1).unwrap(), [0, 2, 4, 6, 8, 10, 1, 3, 5, 7, 9, 11]);
        assert_eq!(images("2, 2, 3, 2", (2, 3, 2), 1..2).unwrap(), (12..24).collect::<Vec<u8>>());
        assert_eq!(images("4, 2, 3", (1, 2, 3), 1..3).unwrap(), (6..18).collect::<Vec<u8>>());
        let said = images("4, 2, 3", (1, 3, 2), 0..1).unwrap_err().to_string();
        assert!(said.contains("[4, 2, 3], which is no list of images of the manifest's shape [1, 3, 2]"), "{said}");
        let said = images("4, 2, 3", (1, 2, 3), 3..5).unwrap_err().to_string();
        assert!(said.contains("it has 4 rows, and rows 3 to 5 are wanted"), "{said}");
        let said = images("5, 2, 3", (1, 2, 3), 0..5).unwrap_err().to_string();
        assert!(said.contains("fewer bytes: it is truncated or damaged"), "{said}");
    }

    #[test]
    fn labels_are_whole_numbers_of_any_width() {
        let labels = |descr: &str, shape: &str, body: &[u8]| {
            let array = opened(&npy(descr, shape, body)).1?;
            let n = array.rows();
            array.labels(0..n)
        };
        assert_eq!(labels("|u1", "3,", &[4, 0, 255]).unwrap(), [4, 0, 255]);
        assert_eq!(labels("<i8", "2, 1", &[5, 1, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0]).unwrap(), [261, 1]);
        assert_eq!(labels(">u2", "1,", &[1, 2]).unwrap(), [258]);
        for (descr, shape, body, why) in [
            ("<i2", "1,", &[255, 255][..], "its entry 0 is no label from 0"),
            ("<f4", "1,", &[0; 4][..], "its entries are <f4, not whole numbers; astype(\"uint8\")"),
            ("|u1", "1, 3", &[0; 3][..], "it is [1, 3], which is not one label for each image"),
            ("<u8", "1,", &[0, 0, 0, 0, 1, 0, 0, 0][..], "its entry 0 is no label from 0"),
        ] {
            let said = labels(descr, shape, body).unwrap_err().to_string();
            assert!(said.contains(why), "{said}");
        }
        let mut bytes = npy("|u1", "1,", b"\0");
        let at = bytes.windows(5).position(|w| w == b"False").unwrap();
        bytes[at..at + 5].copy_from_slice(b"True ");
        let said = opened(&bytes).1.err().unwrap().to_string();
        assert!(said.contains("in Fortran's order; numpy.ascontiguousarray(x)"), "{said}");
    }

    /// A zip with one entry, plain or deflated, written by hand.
    fn npz(name: &str, content: &[u8], deflated: bool) -> Vec<u8> {
        let packed = if deflated {
            let mut encoder = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::default());
            encoder.write_all(content).unwrap();
            encoder.finish().unwrap()
        } else {
            content.to_vec()
        };
        let mut crc = flate2::Crc::new();
        crc.update(content);
        let about = [
            &20u16.to_le_bytes()[..],
            &0u16.to_le_bytes(),
            &(if deflated { 8u16 } else { 0 }).to_le_bytes(),
            &[0; 4],
            &crc.sum().to_le_bytes(),
            &(packed.len() as u32).to_le_bytes(),
            &(content.len() as u32).to_le_bytes(),
            &(name.len() as u16).to_le_bytes(),
            &[0; 2],
        ]
        .concat();
        let local = [b"PK\x03\x04", &about[..], name.as_bytes(), &packed].concat();
        let central = [b"PK\x01\x02\x14\x00", &about[..], &[0; 14][..], name.as_bytes()].concat();
        let end = [
            &b"PK\x05\x06\0\0\0\0\x01\0\x01\0"[..],
            &(central.len() as u32).to_le_bytes(),
            &(local.len() as u32).to_le_bytes(),
            &[0; 2],
        ]
        .concat();
        [local, central, end].concat()
    }

    #[test]
    fn arrays_of_an_archive_are_read_plain_and_deflated() {
        let folder = tempfile::tempdir().unwrap();
        for deflated in [false, true] {
            let bytes = npz("y_train.npy", &npy("|u1", "4,", &[3, 1, 2, 0]), deflated);
            std::fs::write(folder.path().join("d.npz"), bytes).unwrap();
            let array = Array::open(folder.path(), "d.npz/y_train").unwrap();
            assert_eq!(array.labels(1..4).unwrap(), [1, 2, 0], "{deflated}");
        }
        let said = |name: &str| Array::open(folder.path(), name).err().unwrap().to_string();
        assert!(said("d.npz/x").contains("it has no array \"x\", only y_train"), "{}", said("d.npz/x"));
        assert!(said("d.npz").contains("it holds several arrays (y_train)"), "{}", said("d.npz"));
        assert!(said("e.npy").contains("e.npy"), "{}", said("e.npy"));
        std::fs::write(folder.path().join("d.npz"), b"PK\x03\x04 no").unwrap();
        assert!(said("d.npz/x").contains("no whole .npz file"), "{}", said("d.npz/x"));
    }

    proptest! {
        #[test]
        fn no_harm_to_a_reader_of_arrays(cut in 0usize..200, at in 0usize..120, value: u8, deflated: bool) {
            let mut bytes = npz("x.npy", &npy("|u1", "2, 2, 2", &[7; 8]), deflated);
            bytes.truncate(bytes.len().saturating_sub(cut % 40));
            if let Some(byte) = bytes.get_mut(at) {
                *byte = value;
            }
            let folder = tempfile::tempdir().unwrap();
            std::fs::write(folder.path().join("x.npz"), &bytes).unwrap();
            std::fs::write(folder.path().join("x.npy"), &bytes[30.min(bytes.len())..]).unwrap();
            for name in ["x.npz/x", "x.npy"] {
                if let Ok(array) = Array::open(folder.path(), name) {
                    let rows = array.rows();
                    let _ = array.images((1, 2, 2), 0..rows.min(1 << 20), ROOM);
                }
            }
            let _ = find(folder.path(), &["x.npz".to_string()]);
        }
    }
}
