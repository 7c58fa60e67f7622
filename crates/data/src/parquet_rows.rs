//! Image and label columns of a parquet file.

use crate::ceiling::Ceiling;
use crate::decode::Row;
use crate::page_header::PageHeader;
use crate::{Error, Result};
use flate2::bufread::MultiGzDecoder;
use gauntlet_records::regular_file;
use parquet::basic::Compression;
use parquet::file::metadata::{ColumnChunkMetaData, RowGroupMetaData};
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::Field;
use parquet::record::reader::RowIter;
use parquet::schema::types::Type;
use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;

/// Rows that are handed over at a time.
const ROWS: usize = 1024;

/// Hands all rows of a file over, in order, some at a time, with the number of the first.
///
/// What the file announces is held against what the manifest allows before a page is unpacked.
///
/// # Errors
/// A file that is no whole parquet file; a column that is missing (the ones there are named); a cell of another type; more than the
/// manifest allows; what `each` says.
pub(crate) fn read(
    path: &Path,
    (image, label): (&str, &str),
    ceiling: Ceiling,
    mut each: impl FnMut(usize, &[Row]) -> Result<()>,
) -> Result<()> {
    let fail = |why: String| crate::error::file(path, why);
    let (file, _) = regular_file::open(path).map_err(|e| fail(e.to_string()))?;
    let reader = caught(|| SerializedFileReader::new(file))
        .and_then(|reader| reader.map_err(|e| e.to_string()))
        .map_err(|e| fail(format!("it is no whole parquet file ({e})")))?;
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
    let needed = needed(schema, image, label).map_err(|e| fail(e.to_string()))?;
    let groups = reader.metadata().row_groups();
    let rows = groups.iter().map(|g| u64::try_from(g.num_rows()).ok()).sum::<Option<u64>>();
    let rows = rows.ok_or_else(|| fail("it announces a negative number of rows".into()))?;
    ceiling.room(path, rows)?;
    for group in groups {
        bounded(path, group, &needed, ceiling).map_err(fail)?;
    }
    let mut iter = RowIter::from_file(Some(needed), &reader).map_err(|e| fail(e.to_string()))?;
    let mut found: Vec<Row> = Vec::new();
    let mut first = 0;
    for number in 0.. {
        let bad = |why: String| Error::Row { path: path.display().to_string(), row: number, why };
        let Some(row) = caught(|| iter.next()).map_err(bad)? else { break };
        let row = row.map_err(|e| bad(e.to_string()))?;
        let (mut bytes, mut value) = (None, None);
        for (name, field) in row.into_columns() {
            if name == image {
                bytes = encoded(field, ceiling).map_err(bad)?;
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
        if found.len() == ROWS {
            each(first, &found)?;
            first += found.len();
            found.clear();
        }
    }
    if found.is_empty() { Ok(()) } else { each(first, &found) }
}

/// What a column can be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sort {
    /// Bytes, or a struct with a member `bytes`.
    Images,
    /// Whole numbers.
    Labels,
    /// Something else.
    Other,
}

/// A parquet file as it describes itself.
pub(crate) struct About {
    /// Columns in order.
    pub(crate) columns: Vec<(String, Sort)>,
    /// What the hub's tools wrote about the columns, as JSON.
    pub(crate) features: Option<String>,
    /// Rows.
    pub(crate) rows: u64,
}

/// Reads what a file says of itself.
///
/// # Errors
/// A file that is no whole parquet file.
pub(crate) fn about(path: &Path) -> Result<About> {
    let fail = |why: String| crate::error::file(path, why);
    let (file, _) = regular_file::open(path).map_err(|e| fail(e.to_string()))?;
    let reader = caught(|| SerializedFileReader::new(file))
        .and_then(|reader| reader.map_err(|e| e.to_string()))
        .map_err(|e| fail(format!("it is no whole parquet file ({e})")))?;
    let about = reader.metadata().file_metadata();
    let columns = about.schema().get_fields().iter().map(|f| (f.name().to_string(), sort(f))).collect();
    let features = about.key_value_metadata().into_iter().flatten().find(|k| k.key == "huggingface");
    let rows = u64::try_from(about.num_rows()).unwrap_or(0);
    Ok(About { columns, features: features.and_then(|k| k.value.clone()), rows })
}

fn sort(field: &Type) -> Sort {
    use parquet::basic::{ConvertedType, Type as Physical};
    if field.is_group() {
        let bytes =
            |m: &Arc<Type>| m.name() == "bytes" && m.is_primitive() && m.get_physical_type() == Physical::BYTE_ARRAY;
        return if field.get_fields().iter().any(bytes) { Sort::Images } else { Sort::Other };
    }
    match (field.get_physical_type(), field.get_basic_info().converted_type()) {
        (Physical::BYTE_ARRAY, ConvertedType::NONE) => Sort::Images,
        (Physical::INT32 | Physical::INT64, kind) => match kind {
            ConvertedType::DATE | ConvertedType::DECIMAL => Sort::Other,
            ConvertedType::TIME_MILLIS | ConvertedType::TIME_MICROS => Sort::Other,
            ConvertedType::TIMESTAMP_MILLIS | ConvertedType::TIMESTAMP_MICROS => Sort::Other,
            _ => Sort::Labels,
        },
        _ => Sort::Other,
    }
}

/// The first image of a file, encoded.
///
/// # Errors
/// See [`read`]; a file without rows.
pub(crate) fn first(path: &Path, columns: (&str, &str), rows: u64) -> Result<Vec<u8>> {
    let mut first = None;
    let enough = |_: usize, rows: &[Row]| {
        first = rows.first().map(|row| row.bytes.clone());
        Err(Error::Message(String::new()))
    };
    let read = read(path, columns, Ceiling::of_memory(rows), enough);
    match (first, read) {
        (Some(bytes), _) => Ok(bytes),
        (None, Err(error)) => Err(error),
        (None, Ok(())) => Err(crate::error::file(path, "it has no rows")),
    }
}

/// What the library makes of bytes that it did not expect; at some of them it panics.
///
/// # Errors
/// In words: it did.
fn caught<R>(read: impl FnOnce() -> R) -> Result<R, String> {
    catch_unwind(AssertUnwindSafe(read)).map_err(|_| "it is damaged: its reader gave up".to_string())
}

/// The file's schema with the two columns alone, of the image's only the member `bytes`: nothing else is unpacked.
fn needed(schema: &Type, image: &str, label: &str) -> parquet::errors::Result<Type> {
    let mut fields = Vec::new();
    for field in schema.get_fields().iter().filter(|f| f.name() == image || f.name() == label) {
        let bytes = |f: &Type| f.get_fields().iter().find(|m| m.name() == "bytes").cloned();
        let member = (field.is_group() && field.name() == image).then(|| bytes(field)).flatten();
        fields.push(match member {
            Some(bytes) => Arc::new(
                Type::group_type_builder(field.name())
                    .with_repetition(field.get_basic_info().repetition())
                    .with_fields(vec![bytes])
                    .build()?,
            ),
            None => field.clone(),
        });
    }
    Type::group_type_builder(schema.name()).with_fields(fields).build()
}

/// Whether the pages of the needed columns hold no more than the manifest allows for so many rows.
fn bounded(path: &Path, group: &RowGroupMetaData, needed: &Type, ceiling: Ceiling) -> Result<(), String> {
    for chunk in group.columns() {
        let parts = chunk.column_path().parts();
        let mut within = Some(needed);
        for part in parts {
            within = within
                .filter(|t| t.is_group())
                .and_then(|t| t.get_fields().iter().find(|f| f.name() == part))
                .map(AsRef::as_ref);
        }
        if within.is_some() {
            let column = chunk.column_path().string();
            pages(path, group.num_rows(), chunk, ceiling).map_err(|why| format!("its column {column:?} {why}"))?;
        }
    }
    Ok(())
}

/// Goes through the headers of a column's pages, without unpacking them.
fn pages(path: &Path, rows: i64, chunk: &ColumnChunkMetaData, ceiling: Ceiling) -> Result<(), String> {
    if chunk.column_descr().max_rep_level() > 0 {
        return Err("holds lists, where a value for each row is needed".into());
    }
    let packed_alone = match chunk.compression() {
        Compression::UNCOMPRESSED | Compression::SNAPPY | Compression::ZSTD(_) | Compression::LZ4_RAW => false,
        Compression::GZIP(_) => true,
        other => {
            return Err(format!("is compressed with {other}, which is not read here; write it with snappy or zstd"));
        }
    };
    let damaged = |why: String| format!("is damaged ({why})");
    let start = chunk.dictionary_page_offset().unwrap_or(chunk.data_page_offset());
    let (Ok(start), Ok(mut left)) = (u64::try_from(start), u64::try_from(chunk.compressed_size())) else {
        return Err(damaged("it lies at a negative place".into()));
    };
    if chunk.num_values() != rows {
        return Err(damaged(format!("it announces {} values for {rows} rows", chunk.num_values())));
    }
    let most = ceiling.column(rows.unsigned_abs());
    let mut file = BufReader::new(File::open(path).map_err(|e| e.to_string())?);
    file.seek(SeekFrom::Start(start)).map_err(|e| damaged(e.to_string()))?;
    let (mut unpacked, mut values) = (0u64, 0i64);
    while left > 0 && values < rows {
        let mut within = Read::by_ref(&mut file).take(left);
        let header = PageHeader::read(&mut within).map_err(|e| damaged(e.to_string()))?;
        left = within.limit();
        let (Ok(packed), Ok(announced)) = (u64::try_from(header.packed), u64::try_from(header.unpacked)) else {
            return Err(damaged("a page has a negative length".into()));
        };
        if packed > left || !(0..=rows).contains(&header.values) {
            return Err(damaged(format!("a page announces {packed} bytes and {} values", header.values)));
        }
        unpacked = unpacked.saturating_add(announced.max(packed));
        let mut page = Read::by_ref(&mut file).take(packed);
        // Of gzip the header alone says how long it becomes, and nothing holds it to that.
        if packed_alone && unpacked <= most {
            let gzip = MultiGzDecoder::new(BufReader::new(&mut page));
            let length = std::io::copy(&mut gzip.take(most + 1), &mut std::io::sink()).unwrap_or(0);
            unpacked = unpacked.saturating_add(length.saturating_sub(announced));
        }
        if unpacked > most {
            return Err(format!(
                "unpacks to {unpacked} bytes and more for {rows} rows, where images of the manifest's shape have at most {most}"
            ));
        }
        std::io::copy(&mut page, &mut std::io::sink()).map_err(|e| damaged(e.to_string()))?;
        left -= packed;
        values += if header.dictionary { 0 } else { header.values };
        // An empty page moves nothing on.
        if packed == 0 && header.values == 0 && !header.dictionary {
            return Err(damaged("a page is empty".into()));
        }
    }
    Ok(())
}

/// The bytes of an image: plain, or the member `bytes` of a struct.
///
/// # Errors
/// In words: they are more than any image of the manifest's shape needs.
fn encoded(field: Field, ceiling: Ceiling) -> Result<Option<Vec<u8>>, String> {
    match field {
        Field::Bytes(b) if b.len() as u64 > ceiling.encoded() => Err(format!(
            "the image has {} bytes, where one of the manifest's shape has at most {}",
            b.len(),
            ceiling.encoded()
        )),
        Field::Bytes(b) => Ok(Some(b.data().to_vec())),
        Field::Group(members) => match members.into_columns().into_iter().find(|(n, _)| n == "bytes") {
            Some((_, member)) => encoded(member, ceiling),
            None => Ok(None),
        },
        _ => Ok(None),
    }
}
