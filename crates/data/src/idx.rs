//! The idx format of MNIST and Fashion-MNIST, plain or gzipped.

use crate::ceiling::Ceiling;
use crate::{Error, Result};
use flate2::bufread::GzDecoder;
use gauntlet_records::regular_file;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

/// The file of that name, or with `.gz`.
pub(crate) fn find(folder: &Path, name: &str) -> Option<PathBuf> {
    [folder.join(name), folder.join(format!("{name}.gz"))].into_iter().find(|p| p.is_file())
}

/// An idx file of unsigned bytes, of which the header was read.
struct Idx {
    path: PathBuf,
    dims: Vec<usize>,
    body: Box<dyn Read>,
}

impl Idx {
    /// Reads the header.
    ///
    /// # Errors
    /// A file that is not idx.
    fn open(path: &Path) -> Result<Self> {
        let fail = |why: String| crate::error::file(path, why);
        let (file, _) = regular_file::open(path).map_err(|e| fail(e.to_string()))?;
        let mut file = BufReader::new(file);
        let zipped = file.fill_buf().is_ok_and(|head| head.starts_with(&[0x1f, 0x8b]));
        let mut body: Box<dyn Read> = if zipped { Box::new(GzDecoder::new(file)) } else { Box::new(file) };
        let mut head = [0; 4];
        let mut word = [0; 4];
        let mut dims = Vec::new();
        let read = body.read_exact(&mut head).and_then(|()| {
            for _ in 0..head[3] {
                body.read_exact(&mut word)?;
                dims.push(u32::from_be_bytes(word) as usize);
            }
            Ok(())
        });
        match (read, head) {
            (Ok(()), [0, 0, 8, rank]) if rank > 0 => Ok(Idx { path: path.to_path_buf(), dims, body }),
            _ => Err(fail("it is no idx file of unsigned bytes".into())),
        }
    }

    /// The bytes behind the header, of which no more are unpacked than it announces.
    ///
    /// # Errors
    /// A file that is shorter or longer than its header says.
    fn bytes(self) -> Result<Vec<u8>> {
        let Idx { path, dims, body } = self;
        let fail = |why: String| crate::error::file(&path, why);
        let announced: usize = dims.iter().product();
        let mut bytes = Vec::new();
        let read = body.take(announced as u64 + 1).read_to_end(&mut bytes);
        read.map_err(|e| fail(format!("it does not unzip: {e}")))?;
        if bytes.len() == announced {
            return Ok(bytes);
        }
        let holds = if bytes.len() > announced { "more".into() } else { format!("{} bytes", bytes.len()) };
        Err(fail(format!("its header says {dims:?}, it holds {holds}: it is truncated or damaged")))
    }
}

/// The shape that an idx file of images announces.
///
/// # Errors
/// A file that is not idx, or is not of images.
#[cfg(feature = "hub")]
pub(crate) fn shape(images: &Path) -> Result<(usize, usize, usize)> {
    match Idx::open(images)?.dims.as_slice() {
        [_, h, w] => Ok((1, *h, *w)),
        dims => Err(crate::error::file(images, format!("it holds no images: its header says {dims:?}"))),
    }
}

/// Images and labels of one split, if both files are there.
///
/// # Errors
/// Files that are not idx or not whole; headers that do not fit one another or the manifest's shape; more images than the memory has
/// room for.
pub(crate) fn split(
    folder: &Path,
    prefix: &str,
    shape: (usize, usize, usize),
    ceiling: Ceiling,
) -> Result<Option<(Vec<u8>, Vec<u32>)>> {
    let (Some(images), Some(labels)) =
        (find(folder, &format!("{prefix}-images-idx3-ubyte")), find(folder, &format!("{prefix}-labels-idx1-ubyte")))
    else {
        return Ok(None);
    };
    let (pixels, classes) = (Idx::open(&images)?, Idx::open(&labels)?);
    match (pixels.dims.as_slice(), classes.dims.as_slice()) {
        ([n, h, w], [count]) if n == count && (1, *h, *w) == shape => ceiling.room(&images, *n as u64)?,
        (dims, count) => {
            return Err(Error::File {
                path: images.display().to_string(),
                why: format!("images {dims:?} with {count:?} labels do not fit the manifest's shape {shape:?}"),
            });
        }
    }
    Ok(Some((pixels.bytes()?, classes.bytes()?.into_iter().map(u32::from).collect())))
}
