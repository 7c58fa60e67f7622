//! Safetensors files: tensors by name and a metadata dictionary.

use super::Contents;
use crate::{Error, Result};
use candle_core::{DType, Device, Tensor};
use safetensors::SafeTensors;
use safetensors::tensor::{Dtype, TensorView};
use std::collections::{BTreeMap, HashMap};

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
    let contents = read(bytes).map_err(|why| Error::Checkpoint { path: path.into(), why })?;
    Ok((contents.tensors.into_iter().collect(), contents.metadata))
}

pub(super) fn read(bytes: &[u8]) -> Result<Contents, String> {
    let wrong = |e: safetensors::SafeTensorError| {
        format!("is not a whole safetensors file ({e}); copy or train it again (PyTorch's .pt and .pth load too)")
    };
    let (_, header) = SafeTensors::read_metadata(bytes).map_err(wrong)?;
    let metadata = header.metadata().clone().unwrap_or_default();
    let file = SafeTensors::deserialize(bytes).map_err(wrong)?;
    let mut tensors = Vec::new();
    for (name, view) in file.iter().filter(|(n, _)| !n.ends_with("num_batches_tracked")) {
        let dtype = match view.dtype() {
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
        let tensor = Tensor::from_raw_buffer(view.data(), dtype, view.shape(), &Device::Cpu)
            .map_err(|e| format!("tensor {name} cannot be read: {e}"))?;
        tensors.push((name.to_string(), tensor));
    }
    Ok(Contents { tensors, ordered: false, metadata, notes: Vec::new() })
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
