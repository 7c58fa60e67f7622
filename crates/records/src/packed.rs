//! Tables and pictures as gzip: the same bytes for the same content, and a bound on what one unpacks to.

use flate2::bufread::GzDecoder;
use flate2::{Compression, GzBuilder};
use std::io::{ErrorKind, Read, Write};

/// Bytes that a table may unpack to: ten times the largest that a suite of today could fill.
pub(crate) const MOST: u64 = 1 << 30;

/// A table, packed as tightly as gzip does, without a name or a time.
pub(crate) fn pack(table: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut out = GzBuilder::new().mtime(0).write(Vec::new(), Compression::best());
    out.write_all(table)?;
    out.finish()
}

/// The table that was packed, of at most `most` bytes. `Err`: why it cannot be had, in words.
pub(crate) fn unpack(packed: &[u8], most: u64) -> Result<Vec<u8>, String> {
    let mut table = Vec::new();
    let mut reader = GzDecoder::new(packed).take(most + 1);
    match reader.read_to_end(&mut table) {
        Err(e) if e.kind() == ErrorKind::UnexpectedEof => return Err("it is cut off".into()),
        Err(e) => return Err(format!("it is damaged ({e})")),
        Ok(_) => {}
    }
    if table.len() as u64 > most {
        return Err(format!("it unpacks to more than {most} bytes, which no file of a record has"));
    }
    if !reader.into_inner().into_inner().is_empty() {
        return Err("it is damaged (something follows its end)".into());
    }
    Ok(table)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_come_back_and_damage_is_told() {
        let table: Vec<u8> = (0..5000u32).flat_map(|i| format!("{i},robust,0.1\n").into_bytes()).collect();
        let packed = pack(&table).unwrap();
        assert_eq!(packed, pack(&table).unwrap());
        assert!(packed.len() * 3 < table.len());
        // No time, no name: RFC 1952's header with all flags off.
        assert_eq!((&packed[..4], &packed[4..8]), (&[0x1f, 0x8b, 8, 0][..], &[0; 4][..]));
        assert_eq!(unpack(&packed, MOST).unwrap(), table);
        assert_eq!(unpack(&packed, table.len() as u64).unwrap(), table);
        for keep in [0, 5, 300, packed.len() - 1] {
            assert_eq!(unpack(&packed[..keep], MOST).unwrap_err(), "it is cut off", "{keep}");
        }
        for (at, bit) in [(0, 1), (packed.len() / 2, 4), (packed.len() - 6, 1)] {
            let mut damaged = packed.clone();
            damaged[at] ^= bit;
            assert!(unpack(&damaged, MOST).is_err(), "{at}");
        }
        let longer = [packed.clone(), vec![0]].concat();
        assert!(unpack(&longer, MOST).unwrap_err().contains("follows its end"));
        // A few bytes that would fill the memory.
        let bomb = pack(&vec![0; 3_000_000]).unwrap();
        assert!(bomb.len() < 10_000);
        assert!(unpack(&bomb, 1_000_000).unwrap_err().contains("more than 1000000 bytes"));
    }
}
