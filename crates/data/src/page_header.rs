//! Headers of a parquet file's pages, as far as they say how much a page holds: the reader believes them, so they are looked at before.
//!
//! They are structures of Thrift's compact protocol: fields with their type and the distance from the last one's number.

use std::io::{Error, Read, Result};

/// Structures in structures: those of a page header have two levels.
const MAX_DEPTH: u32 = 8;

/// What a page says of itself.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct PageHeader {
    /// Bytes once it is unpacked, levels included.
    pub(crate) unpacked: i64,
    /// Bytes in the file, behind the header.
    pub(crate) packed: i64,
    /// Values, or entries of a dictionary.
    pub(crate) values: i64,
    /// Whether it is a dictionary.
    pub(crate) dictionary: bool,
}

impl PageHeader {
    /// Reads a header; what follows it stays.
    ///
    /// # Errors
    /// It ends too early or is no structure of this kind.
    pub(crate) fn read(from: &mut impl Read) -> Result<Self> {
        let mut header = PageHeader::default();
        structure(from, 0, &mut |path, value| match path {
            [2] => header.unpacked = value,
            [3] => header.packed = value,
            // Data pages of both versions and dictionaries begin with their number of values.
            [5 | 8, 1] => header.values = value,
            [7, 1] => (header.values, header.dictionary) = (value, true),
            _ => {}
        })?;
        Ok(header)
    }
}

fn byte(from: &mut impl Read) -> Result<u8> {
    let mut byte = [0];
    from.read_exact(&mut byte)?;
    Ok(byte[0])
}

fn odd(what: &str) -> Error {
    Error::other(format!("a page header {what}"))
}

fn varint(from: &mut impl Read) -> Result<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let next = byte(from)?;
        value |= u64::from(next & 0x7f) << shift;
        if next & 0x80 == 0 {
            return Ok(value);
        }
    }
    Err(odd("holds a number without an end"))
}

fn zigzag(value: u64) -> i64 {
    (value >> 1) as i64 ^ -((value & 1) as i64)
}

/// Reads one structure; `number` is told every whole number with the fields that lead to it.
fn structure<R: Read>(from: &mut R, depth: u32, number: &mut dyn FnMut(&[i64], i64)) -> Result<()> {
    let mut last = 0i64;
    loop {
        let head = byte(from)?;
        if head == 0 {
            return Ok(());
        }
        last = match head >> 4 {
            0 => zigzag(varint(from)?),
            delta => last.saturating_add(i64::from(delta)),
        };
        value(from, head & 15, depth, &mut |below, value| {
            let mut path = [last, 0];
            match below {
                [] => number(&path[..1], value),
                [one] => {
                    path[1] = *one;
                    number(&path, value);
                }
                _ => {}
            }
        })?;
    }
}

fn value<R: Read>(from: &mut R, kind: u8, depth: u32, number: &mut dyn FnMut(&[i64], i64)) -> Result<()> {
    if depth > MAX_DEPTH {
        return Err(odd("is nested too deeply"));
    }
    match kind {
        // True and false are their type.
        1 | 2 => Ok(()),
        3 => byte(from).map(drop),
        4..=6 => {
            let value = zigzag(varint(from)?);
            number(&[], value);
            Ok(())
        }
        7 => skip(from, 8),
        8 => {
            let length = varint(from)?;
            skip(from, length)
        }
        9 | 10 => {
            let head = byte(from)?;
            let items = if head >> 4 == 15 { varint(from)? } else { u64::from(head >> 4) };
            for _ in 0..items {
                item(from, head & 15, depth)?;
            }
            Ok(())
        }
        12 => structure(from, depth + 1, number),
        _ => Err(odd("has a field of an unknown type")),
    }
}

/// An item of a list: a truth value has a byte there.
fn item<R: Read>(from: &mut R, kind: u8, depth: u32) -> Result<()> {
    match kind {
        1 | 2 => byte(from).map(drop),
        kind => value(from, kind, depth + 1, &mut |_, _| {}),
    }
}

fn skip(from: &mut impl Read, length: u64) -> Result<()> {
    match std::io::copy(&mut from.take(length), &mut std::io::sink())? {
        n if n == length => Ok(()),
        _ => Err(odd("ends too early")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_values_are_found_wherever_they_stand() {
        // type 0, unpacked 300, packed 7, crc 5, data page: 12 values, encoding 0, statistics with a binary of 3 bytes.
        let data =
            [0x15, 0, 0x15, 0xd8, 4, 0x15, 14, 0x15, 10, 0x1c, 0x15, 24, 0x15, 0, 0x3c, 0x18, 3, 1, 2, 3, 0, 0, 0, 99];
        let mut from = &data[..];
        let want = PageHeader { unpacked: 300, packed: 7, values: 12, dictionary: false };
        assert_eq!((PageHeader::read(&mut from).unwrap(), from), (want, &[99][..]));
        // A dictionary of 5 entries; the field's number is written out.
        let dictionary = [0x15, 4, 0x15, 20, 0x15, 20, 0x0c, 14, 0x15, 10, 0, 0];
        let found = PageHeader::read(&mut &dictionary[..]).unwrap();
        assert_eq!(found, PageHeader { unpacked: 10, packed: 10, values: 5, dictionary: true });
        for length in 0..data.len() - 1 {
            assert!(PageHeader::read(&mut &data[..length]).is_err(), "{length}");
        }
    }

    #[test]
    fn what_is_no_header_is_an_error() {
        let deep = [0x1c; 1000];
        assert!(PageHeader::read(&mut &deep[..]).unwrap_err().to_string().contains("nested too deeply"));
        assert!(PageHeader::read(&mut &[0x1f][..]).unwrap_err().to_string().contains("unknown type"));
        assert!(PageHeader::read(&mut &[0xff; 32][..]).is_err());
        assert!(
            PageHeader::read(&mut &[0x18, 0xff, 0xff, 0xff, 0xff, 0x7f, 0][..])
                .unwrap_err()
                .to_string()
                .contains("ends too early")
        );
    }
}
