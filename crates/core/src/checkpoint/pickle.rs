//! Pickles as plain objects: what a file says, never what it would have Python do.
//!
//! Objects lie in one list and name one another by number. So an object that holds itself, or ten levels of lists that each
//! hold the one below ten times, are what they are in the file, a few entries, and nothing that walks them needs the machine's stack.

/// An object of a pickle, by its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Id(pub(super) u32);

/// What Python's unpickler would make of a few opcodes; calls are noted down, not made.
#[derive(Debug, PartialEq)]
pub(super) enum Object<'a> {
    /// A float, bytes, a set: nothing that describes a tensor.
    Other,
    /// None.
    None,
    /// True or false.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// A whole number beyond that, in two's complement, the lowest byte first.
    Long(&'a [u8]),
    /// Text.
    Text(&'a str),
    /// A class or function: the texts of its module and of its name.
    Global(Id, Id),
    /// A tuple.
    Tuple(Vec<Id>),
    /// A list.
    List(Vec<Id>),
    /// A dictionary, in the order of its writing.
    Dict(Vec<(Id, Id)>),
    /// What a call of a class or function with these arguments would return.
    Call {
        /// The class or function.
        callable: Id,
        /// A tuple.
        args: Id,
        /// Whether it was then given a state, as instances of classes are.
        built: bool,
    },
    /// What is stored outside the pickle, by this description.
    Persistent(Id),
}

/// One pickle.
#[derive(Debug)]
pub(super) struct Pickle<'a> {
    pub(super) objects: Vec<Object<'a>>,
    pub(super) root: Id,
    /// The place behind its last byte.
    pub(super) end: usize,
}

impl<'a> Pickle<'a> {
    pub(super) fn get(&self, id: Id) -> &Object<'a> {
        // Every number that the machine gives out is that of an object.
        self.objects.get(id.0 as usize).unwrap_or(&Object::None)
    }

    /// Every object.
    pub(super) fn ids(&self) -> impl Iterator<Item = Id> + use<> {
        (0..self.objects.len() as u32).map(Id)
    }

    pub(super) fn text(&self, id: Id) -> Option<&str> {
        match self.get(id) {
            Object::Text(text) => Some(text),
            _ => None,
        }
    }

    pub(super) fn whole(&self, id: Id) -> Option<usize> {
        match self.get(id) {
            Object::Int(value) => usize::try_from(*value).ok(),
            _ => None,
        }
    }

    pub(super) fn tuple(&self, id: Id) -> Option<&[Id]> {
        match self.get(id) {
            Object::Tuple(items) => Some(items),
            _ => None,
        }
    }

    /// Module and name of a class or function, looked up through a description that names it ("module", class, file, source).
    pub(super) fn global(&self, id: Id) -> Option<(&str, &str)> {
        match self.get(id) {
            Object::Global(module, name) => Some((self.text(*module)?, self.text(*name)?)),
            Object::Persistent(described) => match self.get(*self.tuple(*described)?.get(1)?) {
                Object::Global(module, name) => Some((self.text(*module)?, self.text(*name)?)),
                _ => None,
            },
            _ => None,
        }
    }

    /// Module and name of what is called, and its arguments.
    pub(super) fn call(&self, id: Id) -> Option<((&str, &str), &[Id])> {
        match self.get(id) {
            Object::Call { callable, args, .. } => Some((self.global(*callable)?, self.tuple(*args)?)),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn root(bytes: &[u8]) -> Object<'_> {
        let mut pickle = Pickle::read(bytes, 0).unwrap();
        assert_eq!(pickle.end, bytes.len());
        pickle.objects.swap_remove(pickle.root.0 as usize)
    }

    fn fails(bytes: &[u8], words: &[&str]) {
        let error = Pickle::read(bytes, 0).unwrap_err();
        words.iter().for_each(|w| assert!(error.contains(w), "{error:?} lacks {w:?}"));
    }

    #[test]
    fn numbers_and_texts_of_every_length() {
        let ints: [(&[u8], i64); 8] = [
            (b"K\xff.", 255),
            (b"M\x01\x02.", 513),
            (b"J\xfe\xff\xff\xff.", -2),
            (b"\x8a\x00.", 0),
            (b"\x8a\x02\x00\xff.", -256),
            (b"\x8a\x08\xff\xff\xff\xff\xff\xff\xff\x7f.", i64::MAX),
            (b"I-7\n.", -7),
            (b"L90L\n.", 90),
        ];
        for (bytes, value) in ints {
            assert_eq!(root(bytes), Object::Int(value), "{bytes:?}");
        }
        assert_eq!(root(b"\x8a\x09\x00\x00\x00\x00\x00\x00\x00\x00\x01."), Object::Long(&[0, 0, 0, 0, 0, 0, 0, 0, 1]));
        let texts: [&[u8]; 6] = [
            b"X\x01\x00\x00\x00a.",
            b"\x8c\x01a.",
            b"\x8d\x01\x00\x00\x00\x00\x00\x00\x00a.",
            b"Va\n.",
            b"U\x01a.",
            b"T\x01\x00\x00\x00a.",
        ];
        for bytes in texts {
            assert_eq!(root(bytes), Object::Text("a"), "{bytes:?}");
        }
        assert_eq!(root(b"G\x00\x00\x00\x00\x00\x00\x00\x00."), Object::Other);
        assert_eq!((root(b"I01\n."), root(b"\x89.")), (Object::Bool(true), Object::Bool(false)));
    }

    #[test]
    fn containers_grow_in_place_and_may_hold_themselves() {
        let list = Pickle::read(b"\x80\x02]q\x00(K\x01h\x00e.", 0).unwrap();
        let Object::List(items) = list.get(list.root) else { panic!("{list:?}") };
        assert_eq!((items.len(), items[1]), (2, list.root));
        // {1: 2, 3: 4} item by item, and of Python 2: OrderedDict([[1, 2]]).
        for bytes in [&b"}K\x01K\x02sK\x03K\x04s."[..], b"ccollections\nOrderedDict\n(](]K\x01aK\x02aetR."] {
            assert!(matches!(root(bytes), Object::Dict(pairs) if !pairs.is_empty()), "{bytes:?}");
        }
        assert!(matches!(root(b"ca\nb\n)R}b."), Object::Call { built: true, .. }));
        assert!(matches!(
            root(b"\x80\x04\x95\x0d\x00\x00\x00\x00\x00\x00\x00\x8c\x01a\x94\x8c\x01b\x94\x93\x94)\x81."),
            Object::Call { built: false, .. }
        ));
    }

    #[test]
    fn what_cannot_be_read_is_told_with_its_place() {
        fails(b"", &["ends at byte 0, before its end mark"]);
        fails(b"\x80\x02X\xff\xff\xff\xffa.", &["byte 2", "4294967295 bytes", "2 are left"]);
        fails(b"\x80\x06.", &["protocol 6"]);
        fails(b"\x80\x02(K\x01", &["ends at byte 5"]);
        fails(b"K\x01t.", &["byte 2", "no mark"]);
        fails(b"(R.", &["byte 1", "takes a value that is not there"]);
        fails(b"K\x01(.", &["byte 3", "a mark where its value should be"]);
        fails(b"h\x07.", &["byte 0", "remembered under 7"]);
        fails(b"\x82\x01.", &["byte 0", "opcode 0x82"]);
        fails(b"]}K\x01K\x02uK\x01.", &["no mark"]);
        fails(b"(K\x01K\x02K\x03d.", &["without its value"]);
        fails(b"K\x01K\x02a.", &["no list"]);
        fails(b"Ca.", &["byte 0", "97 bytes where 1 are left"]);
        fails(b"X\x01\x00\x00\x00\xff.", &["byte 0", "no UTF-8"]);
        fails(b"I1x\n.", &["byte 0", "\"1x\""]);
    }

    #[test]
    fn nothing_that_a_pickle_claims_costs_more_than_its_limits() {
        fails(&[&vec![b'('; 20_000][..], b"."].concat(), &["nests deeper than 10000"]);
        fails(&[&vec![b'N'; 2_200_000][..], b"."].concat(), &["deeper than 1048576 values"]);
        fails(&[&b"]"[..], &b"N0".repeat(2_200_000), b"."].concat(), &["more than 2097152 objects"]);
        fails(&[&b"Nq\x00"[..], &b"h\x000".repeat(9_000_000), b"."].concat(), &["more than 16777216 steps"]);
        // One list of ten thousand pairs, turned into dictionaries again and again.
        let pairs = b"](K\x01K\x02\x86".to_vec();
        let mut bytes =
            [&pairs[..], &b"K\x01K\x02\x86".repeat(9_999), b"eq\x00ccollections\nOrderedDict\nq\x01"].concat();
        bytes.extend(b"h\x01h\x00\x85R0".repeat(300));
        fails(&[&bytes[..], b"."].concat(), &["more than 2097152 objects"]);
    }
}
