//! Files that come from others: regular ones only, and no more bytes of them than were agreed on.

use std::fs::{File, FileType, Metadata};
use std::io::{Error, ErrorKind, Read, Result};
use std::path::Path;

/// Opens a file to read and returns it with its length in bytes. What is no regular file is not even opened: a pipe would wait for its
/// writer, and a device may never end.
///
/// # Errors
/// It is not there, may not be read, or is a directory, a pipe, a device or a socket, in words.
pub fn open(path: &Path) -> Result<(File, u64)> {
    regular(&std::fs::metadata(path)?)?;
    let file = File::open(path)?;
    let length = file.metadata()?.len();
    Ok((file, length))
}

/// All bytes of a regular file that has at most `most`; `what` says whose limit that is ("a suite").
///
/// # Errors
/// See [`open`]; the file is longer.
pub fn read(path: &Path, most: u64, what: &str) -> Result<Vec<u8>> {
    let (file, length) = open(path)?;
    let long = |length: String| {
        Error::new(ErrorKind::InvalidInput, format!("it has {length} bytes, and {what} has at most {most}"))
    };
    if length > most {
        return Err(long(length.to_string()));
    }
    let mut bytes = Vec::with_capacity(usize::try_from(length).unwrap_or(0));
    // Some files are longer than they say, and some grow.
    if file.take(most + 1).read_to_end(&mut bytes)? as u64 > most {
        return Err(long(format!("more than {most}")));
    }
    Ok(bytes)
}

/// [`read`] as text; a byte order mark, which some editors put before it, is no part of it.
///
/// # Errors
/// See [`read`]; the file is no UTF-8.
pub fn read_text(path: &Path, most: u64, what: &str) -> Result<String> {
    let text = String::from_utf8(read(path, most, what)?)
        .map_err(|e| Error::new(ErrorKind::InvalidData, format!("it is no text in UTF-8 ({})", e.utf8_error())))?;
    Ok(text.strip_prefix('\u{feff}').map(String::from).unwrap_or(text))
}

fn regular(metadata: &Metadata) -> Result<()> {
    if metadata.is_file() {
        return Ok(());
    }
    if metadata.is_dir() {
        return Err(Error::new(ErrorKind::IsADirectory, "it is a directory, and a file is needed"));
    }
    Err(Error::new(
        ErrorKind::InvalidInput,
        format!("it is {}, and a regular file is needed", kind(metadata.file_type())),
    ))
}

#[cfg(unix)]
fn kind(of: FileType) -> &'static str {
    use std::os::unix::fs::FileTypeExt;
    match () {
        () if of.is_fifo() => "a pipe",
        () if of.is_socket() => "a socket",
        () if of.is_char_device() || of.is_block_device() => "a device",
        () => "no file",
    }
}

#[cfg(not(unix))]
fn kind(_: FileType) -> &'static str {
    "no file"
}

#[cfg(test)]
mod tests {
    use super::*;

    fn why(path: &Path) -> String {
        read(path, 8, "a test").unwrap_err().to_string()
    }

    #[test]
    fn what_is_no_file_or_too_long_is_refused_in_words() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        std::fs::write(&path, "12345678").unwrap();
        assert_eq!(read(&path, 8, "a test").unwrap(), b"12345678");
        std::fs::write(&path, "123456789").unwrap();
        assert_eq!(why(&path), "it has 9 bytes, and a test has at most 8");
        assert_eq!(why(folder.path()), "it is a directory, and a file is needed");
        let sparse = folder.path().join("sparse");
        File::create(&sparse).unwrap().set_len(1 << 40).unwrap();
        assert_eq!(why(&sparse), "it has 1099511627776 bytes, and a test has at most 8");
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn pipes_devices_and_files_without_a_length_do_not_hang() {
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("pipe");
        assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        assert_eq!(why(&pipe), "it is a pipe, and a regular file is needed");
        assert_eq!(why(Path::new("/dev/zero")), "it is a device, and a regular file is needed");
        assert_eq!(why(Path::new("/proc/self/status")), "it has more than 8 bytes, and a test has at most 8");
    }

    #[test]
    fn a_byte_order_mark_is_no_part_of_a_text() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("text");
        std::fs::write(&path, "\u{feff}ab").unwrap();
        assert_eq!(read_text(&path, 8, "a test").unwrap(), "ab");
        std::fs::write(&path, [b'a', 0xff]).unwrap();
        let error = read_text(&path, 8, "a test").unwrap_err().to_string();
        assert!(error.contains("no text in UTF-8") && error.contains("index 1"), "{error}");
    }
}
