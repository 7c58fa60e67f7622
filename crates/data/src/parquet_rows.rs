//! Image and label columns of a parquet file.

use crate::decode::Row;
use crate::{Error, Result};
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::Field;
use std::fs::File;
use std::path::Path;

/// All rows of a file, in order.
///
/// # Errors
/// A file that is no whole parquet file; a column that is missing (the ones there are named); a cell of another type.
pub(crate) fn read(path: &Path, image: &str, label: &str) -> Result<Vec<Row>> {
    let fail = |why: String| crate::error::file(path, why);
    let file = File::open(path).map_err(|e| fail(e.to_string()))?;
    let reader = SerializedFileReader::new(file).map_err(|e| fail(format!("it is no whole parquet file ({e})")))?;
    let schema = reader.metadata().file_metadata().schema();
    let columns: Vec<&str> = schema.get_fields().iter().map(|f| f.name()).collect();
    for column in [image, label] {
        if !columns.contains(&column) {
            return Err(fail(format!(
                "it has no column {column:?}, only {}; set `image` and `label` in the manifest",
                columns.join(", ")
            )));
        }
    }
    let rows = reader.get_row_iter(None).map_err(|e| fail(e.to_string()))?;
    let mut found = Vec::new();
    for (number, row) in rows.enumerate() {
        let bad = |why: String| Error::Row { path: path.display().to_string(), row: number, why };
        let row = row.map_err(|e| bad(e.to_string()))?;
        let (mut bytes, mut value) = (None, None);
        for (name, field) in row.into_columns() {
            if name == image {
                bytes = encoded(field);
            } else if name == label {
                value = match field {
                    Field::Byte(v) => Some(i64::from(v)),
                    Field::Short(v) => Some(i64::from(v)),
                    Field::Int(v) => Some(i64::from(v)),
                    Field::Long(v) => Some(v),
                    Field::UByte(v) => Some(i64::from(v)),
                    Field::UShort(v) => Some(i64::from(v)),
                    Field::UInt(v) => Some(i64::from(v)),
                    Field::ULong(v) => i64::try_from(v).ok(),
                    _ => None,
                };
            }
        }
        let bytes = bytes.ok_or_else(|| bad(format!("column {image:?} holds no image bytes")))?;
        let label = value.ok_or_else(|| bad(format!("column {label:?} holds no whole number")))?;
        found.push(Row { bytes, label });
    }
    Ok(found)
}

/// The bytes of an image: plain, or the member `bytes` of a struct.
fn encoded(field: Field) -> Option<Vec<u8>> {
    match field {
        Field::Bytes(b) => Some(b.data().to_vec()),
        Field::Group(members) => {
            members.into_columns().into_iter().find(|(n, _)| n == "bytes").and_then(|(_, f)| encoded(f))
        }
        _ => None,
    }
}
