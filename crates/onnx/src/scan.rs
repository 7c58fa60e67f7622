//! How much a file holds, found before anything is unpacked: a few bytes can claim millions of messages.

/// Messages, names and numbers that a network has room for.
const MOST: usize = 1 << 20;
/// Bytes of integers: one of them can become eight in memory.
const MOST_INTEGERS: usize = 64 << 20;

/// A message whose fields are looked at.
#[derive(Debug, Clone, Copy)]
enum Kind {
    Model,
    Graph,
    Node,
    Attribute,
    Tensor,
    ValueInfo,
    Type,
    TensorType,
    Shape,
}

impl Kind {
    /// The message that lies in a field.
    fn inner(self, field: u64) -> Option<Kind> {
        match (self, field) {
            (Kind::Model, 7) => Some(Kind::Graph),
            (Kind::Graph, 1) => Some(Kind::Node),
            (Kind::Graph, 5) | (Kind::Attribute, 5) => Some(Kind::Tensor),
            (Kind::Graph, 11..=13) => Some(Kind::ValueInfo),
            (Kind::Node, 5) => Some(Kind::Attribute),
            (Kind::ValueInfo, 2) => Some(Kind::Type),
            (Kind::Type, 1) => Some(Kind::TensorType),
            (Kind::TensorType, 2) => Some(Kind::Shape),
            _ => None,
        }
    }

    /// Whether a field is a row of integers.
    fn integers(self, field: u64) -> bool {
        matches!((self, field), (Kind::Tensor, 1 | 5 | 7) | (Kind::Attribute, 8))
    }
}

struct Count {
    pieces: usize,
    integers: usize,
}

/// Checks that a file is made of whole messages and holds no more of them than a network can have.
///
/// # Errors
/// It is cut off, no message, or too much.
pub(crate) fn check(bytes: &[u8]) -> Result<(), String> {
    walk(bytes, Kind::Model, &mut Count { pieces: 0, integers: 0 })
}

fn walk(mut rest: &[u8], kind: Kind, count: &mut Count) -> Result<(), String> {
    let cut = || "it is cut off, or no ONNX file".to_string();
    while !rest.is_empty() {
        count.pieces += 1;
        if count.pieces > MOST {
            return Err(format!("it holds more than {MOST} messages, names and numbers: no network that is read here"));
        }
        let key = varint(&mut rest).ok_or_else(cut)?;
        let field = key >> 3;
        let length = match key & 7 {
            0 => {
                varint(&mut rest).ok_or_else(cut)?;
                continue;
            }
            1 => 8,
            5 => 4,
            2 => varint(&mut rest).ok_or_else(cut)?,
            _ => return Err("it is no ONNX file".into()),
        };
        let length = usize::try_from(length).ok().filter(|n| *n <= rest.len()).ok_or_else(cut)?;
        let (inside, behind) = rest.split_at(length);
        rest = behind;
        if key & 7 != 2 {
            continue;
        }
        if kind.integers(field) {
            count.integers += length;
            if count.integers > MOST_INTEGERS {
                return Err(format!("it holds more than {} MiB of integers", MOST_INTEGERS >> 20));
            }
        }
        if let Some(inner) = kind.inner(field) {
            walk(inside, inner, count)?;
        }
    }
    Ok(())
}

fn varint(rest: &mut &[u8]) -> Option<u64> {
    let mut value = 0u64;
    for shift in (0..64).step_by(7) {
        let (&byte, behind) = rest.split_first()?;
        *rest = behind;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}
