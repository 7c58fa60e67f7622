//! Data beside the file: read from its own folder and from nowhere else.

use crate::proto::StringStringEntryProto;
use gauntlet_records::file::hex;
use gauntlet_records::regular_file;
use sha2::{Digest, Sha256};
use std::io::{Read, Seek, SeekFrom};
use std::path::{Component, Path, PathBuf};

/// Bytes that a network's data may have in all.
pub(crate) const MOST: u64 = 4 << 30;

/// The folder of a file, and how much may still be read from it.
pub(crate) struct Folder<'a> {
    path: Option<&'a Path>,
    left: u64,
    /// The files that were read, by their names in the file.
    pub(crate) read: Vec<PathBuf>,
    /// Of the file and of all that was read beside it.
    hash: Sha256,
}

impl<'a> Folder<'a> {
    /// `None`: the bytes came from no file, and nothing lies beside them.
    pub(crate) fn new(path: Option<&'a Path>, file: &[u8]) -> Self {
        Folder { path, left: MOST, read: Vec::new(), hash: Sha256::new_with_prefix(file) }
    }

    /// `sha256:` of the file and of all that was read beside it so far.
    pub(crate) fn sha256(&self) -> String {
        format!("sha256:{}", hex(&self.hash.clone().finalize()))
    }

    /// What the entries say: `size` bytes of a file, from an offset on.
    pub(crate) fn read(&mut self, entries: &[StringStringEntryProto], size: usize) -> Result<Vec<u8>, String> {
        let entry = |key: &str| entries.iter().find(|e| e.key == key).map(|e| e.value.as_str());
        let location = entry("location").ok_or("its data lies outside the file, which does not say where")?;
        let number = |key: &str| match entry(key) {
            None => Ok(None),
            Some(text) => text.parse::<u64>().map(Some).map_err(|_| format!("{key} {text:?} of its data is no number")),
        };
        let offset = number("offset")?.unwrap_or(0);
        let wanted = size as u64;
        if let Some(length) = number("length")?.filter(|length| *length != wanted) {
            return Err(format!("its dimensions are {wanted} bytes, and it has {length} of {location:?}"));
        }
        self.left =
            self.left.checked_sub(wanted).ok_or(format!("the data is larger than {} GiB in all", MOST >> 30))?;
        let path = self.inside(location)?;
        let (mut file, length) = regular_file::open(&path).map_err(|e| e.to_string())?;
        if offset.checked_add(wanted).is_none_or(|end| end > length) {
            return Err(format!("{location:?} has {length} bytes, {wanted} from {offset} on are wanted"));
        }
        let mut bytes = vec![0; size];
        let done = file.seek(SeekFrom::Start(offset)).and_then(|_| file.read_exact(&mut bytes));
        done.map_err(|e| format!("cannot read {location:?}: {e}"))?;
        self.hash.update(&bytes);
        if !self.read.contains(&path) {
            self.read.push(path);
        }
        Ok(bytes)
    }

    /// The file of a location, which lies in the folder whatever links say.
    fn inside(&self, location: &str) -> Result<PathBuf, String> {
        let folder =
            self.path.ok_or_else(|| format!("its data lies in {location:?}, and there is no folder to look in"))?;
        let plain = |c: Component<'_>| matches!(c, Component::Normal(_) | Component::CurDir);
        if location.is_empty() || !Path::new(location).components().all(plain) {
            return Err(format!("its data lies in {location:?}: only files beside the network are read"));
        }
        let resolved =
            |p: &Path| p.canonicalize().map_err(|e| format!("cannot read {location:?} beside the network: {e}"));
        let found = resolved(&folder.join(location))?;
        if !found.starts_with(resolved(folder)?) {
            return Err(format!(
                "its data lies in {location:?}, a link out of the folder: only files beside the network are read"
            ));
        }
        Ok(found)
    }
}
