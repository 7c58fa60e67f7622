//! Safetensors files: tensors by name and a metadata dictionary.

use super::contents::{Contents, Listed};
use crate::{Error, Result};
use candle_core::{DType, Device, Tensor};
use safetensors::tensor::{Dtype, Metadata, TensorView};
use std::collections::{BTreeMap, HashMap};
use std::fmt::Display;
use std::io::{Cursor, Read, Seek, SeekFrom};

/// Tensors by name.
pub type Tensors = HashMap<String, Tensor>;

/// Tensors and metadata as the bytes of a safetensors file (f32, f64, i64, u32 and u8 tensors keep their dtype): the same
/// bytes for the same contents.
pub fn to_bytes<'a>(
    tensors: impl Iterator<Item = (&'a str, &'a Tensor)>,
    metadata: HashMap<String, String>,
) -> Result<Vec<u8>> {
    let mut raw: Vec<(String, Dtype, Vec<usize>, Vec<u8>)> = Vec::new();
    for (name, t) in tensors {
        let flat = t.to_device(&Device::Cpu)?.flatten_all()?;
        let (dtype, bytes) = match t.dtype() {
            DType::F64 => (Dtype::F64, flat.to_vec1::<f64>()?.iter().flat_map(|v| v.to_le_bytes()).collect()),
            DType::U8 => (Dtype::U8, flat.to_vec1::<u8>()?),
            DType::I64 => (Dtype::I64, flat.to_vec1::<i64>()?.iter().flat_map(|v| v.to_le_bytes()).collect()),
            DType::U32 => (Dtype::U32, flat.to_vec1::<u32>()?.iter().flat_map(|v| v.to_le_bytes()).collect()),
            _ => {
                let flat = flat.to_dtype(DType::F32)?;
                (Dtype::F32, flat.to_vec1::<f32>()?.iter().flat_map(|v| v.to_le_bytes()).collect())
            }
        };
        raw.push((name.to_string(), dtype, t.dims().to_vec(), bytes));
    }
    let views = raw
        .iter()
        .map(|(name, dtype, dims, bytes)| {
            let view = TensorView::new(*dtype, dims.clone(), bytes).map_err(|e| Error::Message(e.to_string()))?;
            Ok((name.as_str(), view))
        })
        .collect::<Result<Vec<_>>>()?;
    let bare = safetensors::serialize(views, None).map_err(|e| Error::Message(format!("safetensors: {e}")))?;
    described(&bare, metadata).ok_or_else(|| Error::Message("safetensors: a header that is no JSON object".into()))
}

/// A safetensors file without metadata, given some, sorted by name: the library writes a hash map as it lies in memory, so
/// that the same contents had another sha256 each time.
fn described(bare: &[u8], metadata: HashMap<String, String>) -> Option<Vec<u8>> {
    let (length, rest) = bare.split_first_chunk::<8>()?;
    let (header, data) = rest.split_at_checked(usize::try_from(u64::from_le_bytes(*length)).ok()?)?;
    let tensors = std::str::from_utf8(header).ok()?.trim_end().strip_prefix('{')?;
    let metadata = serde_json::to_string(&metadata.into_iter().collect::<BTreeMap<_, _>>()).ok()?;
    let comma = if tensors == "}" { "" } else { "," };
    let mut header = format!("{{\"__metadata__\":{metadata}{comma}{tensors}").into_bytes();
    header.resize(header.len().next_multiple_of(8), b' ');
    Some([&(header.len() as u64).to_le_bytes(), header.as_slice(), data].concat())
}

/// Tensors, in their dtype, and metadata of a safetensors file's bytes. `num_batches_tracked` entries are left out.
///
/// # Errors
/// [`Error::Checkpoint`]: not a whole safetensors file; a tensor of a type that candle does not compute with.
pub fn from_bytes(path: &str, bytes: &[u8]) -> Result<(Tensors, HashMap<String, String>)> {
    let fail = |why| Error::Checkpoint { path: path.into(), why };
    let Contents { listed, metadata, mut tensor, .. } = list(Cursor::new(bytes), bytes.len() as u64).map_err(fail)?;
    let read = |(place, listed): (usize, Listed)| Ok((listed.name, tensor(place).map_err(fail)?));
    Ok((listed.into_iter().enumerate().map(read).collect::<Result<_>>()?, metadata))
}

/// Bytes of the list of tensors and metadata: four hundred for each of 100,000 tensors.
const MAX_LIST: u64 = 40 << 20;

/// What a safetensors file of `length` bytes lists, in the order of the data; of the tensors nothing is read yet.
///
/// # Errors
/// In words: it is not whole, or its list does not cover its bytes once.
pub(super) fn list<'f>(mut file: impl Read + Seek + 'f, length: u64) -> Result<Contents<'f>, String> {
    let wrong = |why: &dyn Display| {
        format!("is not a whole safetensors file ({why}); copy or train it again (PyTorch's .pt and .pth load too)")
    };
    let mut count = [0; 8];
    file.read_exact(&mut count).map_err(|_| wrong(&"it is shorter than 8 bytes"))?;
    let start = u64::from_le_bytes(count).saturating_add(8);
    if start > length {
        return Err(wrong(&"its list of tensors is longer than the file"));
    }
    if start > MAX_LIST {
        return Err(wrong(&format!("its list of tensors is longer than {MAX_LIST} bytes, more than any network's")));
    }
    let mut header = vec![0; (start - 8) as usize];
    file.read_exact(&mut header).map_err(|e| wrong(&e))?;
    let header: Metadata = serde_json::from_slice(&header).map_err(|e| wrong(&format!("its list of tensors: {e}")))?;
    // That its tensors follow one another without a gap, and have the bytes that their shapes ask for, is seen to by the library.
    let mut places: Vec<(Listed, Dtype, u64)> = Vec::new();
    let mut end = 0;
    for name in header.offset_keys() {
        let Some(info) = header.info(&name) else { continue };
        let at = start.saturating_add(info.data_offsets.0 as u64);
        end = info.data_offsets.1 as u64;
        if !name.ends_with("num_batches_tracked") {
            places.push((Listed { name, shape: info.shape.clone() }, info.dtype, at));
        }
    }
    if start.checked_add(end) != Some(length) {
        return Err(wrong(&format!(
            "its list of tensors ends at byte {}, the file at {length}",
            start.saturating_add(end)
        )));
    }
    let metadata = header.metadata().clone().unwrap_or_default();
    let listed = places.iter().map(|(listed, ..)| listed.clone()).collect();
    let tensor = move |place: usize| {
        let (Listed { name, shape }, dtype, at) = &places[place];
        let dtype = match dtype {
            Dtype::F16 => DType::F16,
            Dtype::BF16 => DType::BF16,
            Dtype::F32 => DType::F32,
            Dtype::F64 => DType::F64,
            Dtype::U8 => DType::U8,
            Dtype::U32 => DType::U32,
            Dtype::I16 => DType::I16,
            Dtype::I32 => DType::I32,
            Dtype::I64 => DType::I64,
            other => {
                return Err(format!("tensor {name} is of type {other:?}, which is not read here; save it as float32"));
            }
        };
        let odd = |e: &dyn Display| format!("tensor {name} cannot be read: {e}");
        let mut bytes = vec![0; shape.iter().product::<usize>() * dtype.size_in_bytes()];
        file.seek(SeekFrom::Start(*at)).and_then(|_| file.read_exact(&mut bytes)).map_err(|e| odd(&e))?;
        Tensor::from_raw_buffer(&bytes, dtype, shape, &Device::Cpu).map_err(|e| odd(&e))
    };
    Ok(Contents { listed, ordered: false, metadata, notes: Vec::new(), tensor: Box::new(tensor) })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Row numbers of a data set, above what an f32 counts.
    #[test]
    fn whole_numbers_stay_whole() {
        let rows = Tensor::new(&[3i64, (1 << 40) + 1, -7], &Device::Cpu).unwrap();
        let bytes = to_bytes([("rows", &rows)].into_iter(), HashMap::new()).unwrap();
        let (tensors, _) = from_bytes("here", &bytes).unwrap();
        assert_eq!(tensors["rows"].to_vec1::<i64>().unwrap(), [3, (1 << 40) + 1, -7]);
    }

    /// A file's sha256 is quoted, pinned and compared: it must not depend on how a hash map happens to lie.
    #[test]
    fn the_same_contents_are_the_same_bytes() {
        let tensor = Tensor::new(&[0.5f32, -1.0], &Device::Cpu).unwrap();
        let file = |tensors: &[(&'static str, &Tensor)]| {
            let metadata =
                ["model", "classes", "mean", "std", "\"quoted\"\n", "format"].map(|k| (k.into(), k.repeat(2)));
            to_bytes(tensors.iter().copied(), HashMap::from(metadata)).unwrap()
        };
        for tensors in [&[][..], &[("w", &tensor), ("b", &tensor)]] {
            let first = file(tensors);
            assert!((0..20).all(|_| file(tensors) == first));
            let (back, metadata) = from_bytes("here", &first).unwrap();
            assert_eq!((back.len(), metadata.len(), metadata["model"].as_str()), (tensors.len(), 6, "modelmodel"));
            assert_eq!(metadata["\"quoted\"\n"], "\"quoted\"\n\"quoted\"\n");
            // What the format asks for: data begin at a multiple of 8.
            assert_eq!(u64::from_le_bytes(first[..8].try_into().unwrap()) % 8, 0);
        }
    }
}
