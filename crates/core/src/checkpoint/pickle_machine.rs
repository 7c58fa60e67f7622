//! The stack machine that a pickle is a program of: protocols 0 to 5 as far as PyTorch's files use them.

use super::pickle::{Id, Object, Pickle};
use std::collections::HashMap;

/// Objects, entries that a call copies included: twenty for each of 100,000 tensors.
const MAX_OBJECTS: usize = 1 << 21;
/// Values on the stack, and those that are remembered.
const MAX_STACK: usize = 1 << 20;
/// Containers that are open at a time; Python's own pickler gives up at a thousand.
const MAX_MARKS: usize = 10_000;
/// Opcodes.
const MAX_STEPS: usize = 1 << 24;

/// Classes whose instances are dictionaries.
const DICTIONARIES: [(&str, &str); 4] =
    [("collections", "OrderedDict"), ("collections", "defaultdict"), ("builtins", "dict"), ("__builtin__", "dict")];

impl<'a> Pickle<'a> {
    /// Reads the pickle that begins at byte `start`.
    ///
    /// # Errors
    /// In words, with the byte: it ends too early, has an opcode that is not read here, takes what is not there, or is larger than
    /// a checkpoint's (see the limits above).
    pub(super) fn read(bytes: &'a [u8], start: usize) -> Result<Self, String> {
        Machine::new(bytes, start).run()
    }
}

/// A pickle on its way through; every opcode takes at least a byte and makes a few objects at most, so that time and memory are bounded
/// by the length and by the limits above, whatever it says.
struct Machine<'a> {
    bytes: &'a [u8],
    at: usize,
    objects: Vec<Object<'a>>,
    stack: Vec<Id>,
    /// Heights of the stack where containers begin.
    marks: Vec<usize>,
    memo: HashMap<usize, Id>,
    /// Entries that were copied from one container into another.
    copied: usize,
}

impl<'a> Machine<'a> {
    fn new(bytes: &'a [u8], start: usize) -> Self {
        let (objects, stack, marks, memo) = (Vec::new(), Vec::new(), Vec::new(), HashMap::new());
        Machine { bytes, at: start, objects, stack, marks, memo, copied: 0 }
    }

    fn run(mut self) -> Result<Pickle<'a>, String> {
        for _ in 0..MAX_STEPS {
            let at = self.at;
            let place = |why: String| format!("at byte {at} it {why}");
            let Some(opcode) = self.bytes.get(at) else {
                return Err(format!("ends at byte {at}, before its end mark"));
            };
            self.at += 1;
            if *opcode == b'.' {
                let root = self.pop().map_err(place)?;
                return Ok(Pickle { objects: self.objects, root, end: self.at });
            }
            self.step(*opcode).map_err(place)?;
            if self.objects.len() + self.copied > MAX_OBJECTS {
                return Err(format!("has more than {MAX_OBJECTS} objects, more than any checkpoint"));
            }
            if self.stack.len() > MAX_STACK || self.memo.len() > MAX_STACK {
                return Err(format!("piles up deeper than {MAX_STACK} values, more than any checkpoint"));
            }
            if self.marks.len() > MAX_MARKS {
                return Err(format!("nests deeper than {MAX_MARKS} levels, more than any checkpoint"));
            }
        }
        Err(format!("takes more than {MAX_STEPS} steps, more than any checkpoint"))
    }

    fn step(&mut self, opcode: u8) -> Result<(), String> {
        match opcode {
            // What frames it.
            0x80 => match self.number(1)? {
                0..=5 => Ok(()),
                other => Err(format!("announces protocol {other}; protocols up to 5 are known")),
            },
            0x95 => self.number(8).map(drop),
            b'(' => {
                self.marks.push(self.stack.len());
                Ok(())
            }
            // Taken away again, or twice.
            b'0' if self.marks.last() == Some(&self.stack.len()) => {
                self.marks.pop();
                Ok(())
            }
            b'0' => self.pop().map(drop),
            b'1' => self.since_mark().map(drop),
            b'2' => {
                let top = self.top()?;
                self.stack.push(top);
                Ok(())
            }
            // Plain values.
            b'N' => self.push(Object::None),
            0x88 => self.push(Object::Bool(true)),
            0x89 => self.push(Object::Bool(false)),
            b'J' => {
                let value = i64::from(self.number(4)? as u32 as i32);
                self.push(Object::Int(value))
            }
            b'K' => self.whole(1),
            b'M' => self.whole(2),
            0x8a => self.long(1),
            0x8b => self.long(4),
            b'I' | b'L' => self.decimal(),
            b'F' => {
                self.line()?;
                self.push(Object::Other)
            }
            b'G' => {
                self.take(8)?;
                self.push(Object::Other)
            }
            b'X' => self.text(4, true),
            0x8c => self.text(1, true),
            0x8d => self.text(8, true),
            // Python 2's strings: text or bytes.
            b'T' => self.text(4, false),
            b'U' => self.text(1, false),
            b'V' => {
                let line = self.line()?;
                self.push(Object::Text(line))
            }
            b'C' => self.counted(1),
            b'B' => self.counted(4),
            0x8e | 0x96 => self.counted(8),
            // Containers.
            b')' => self.push(Object::Tuple(Vec::new())),
            b']' => self.push(Object::List(Vec::new())),
            b'}' => self.push(Object::Dict(Vec::new())),
            0x8f => self.push(Object::Other),
            0x85..=0x87 => {
                let mut items = vec![Id(0); usize::from(opcode - 0x84)];
                for item in items.iter_mut().rev() {
                    *item = self.pop()?;
                }
                self.push(Object::Tuple(items))
            }
            b't' => {
                let items = self.since_mark()?;
                self.push(Object::Tuple(items))
            }
            b'l' => {
                let items = self.since_mark()?;
                self.push(Object::List(items))
            }
            b'd' => {
                let items = self.since_mark()?;
                self.push(Object::Dict(pairs(&items)?))
            }
            0x91 => {
                self.since_mark()?;
                self.push(Object::Other)
            }
            b'a' => {
                let item = self.pop()?;
                self.extend(vec![item])
            }
            b'e' => {
                let items = self.since_mark()?;
                self.extend(items)
            }
            0x90 => self.since_mark().map(drop),
            b's' => {
                let value = self.pop()?;
                let key = self.pop()?;
                self.set(vec![(key, value)])
            }
            b'u' => {
                let items = self.since_mark()?;
                self.set(pairs(&items)?)
            }
            // Classes and calls.
            b'c' => {
                let (module, name) = (self.line()?, self.line()?);
                let module = self.make(Object::Text(module));
                let name = self.make(Object::Text(name));
                self.push(Object::Global(module, name))
            }
            0x93 => {
                let (name, module) = (self.pop()?, self.pop()?);
                self.push(Object::Global(module, name))
            }
            b'R' | 0x81 => self.call(),
            0x92 => {
                self.pop()?;
                self.call()
            }
            b'b' => {
                self.pop()?;
                let top = self.top()?;
                if let Object::Call { built, .. } = &mut self.objects[top.0 as usize] {
                    *built = true;
                }
                Ok(())
            }
            b'Q' => {
                let described = self.pop()?;
                self.push(Object::Persistent(described))
            }
            // What is remembered.
            b'q' => self.number(1).and_then(|n| self.remember(n)),
            b'r' => self.number(4).and_then(|n| self.remember(n)),
            b'p' => self.index().and_then(|n| self.remember(n)),
            0x94 => self.remember(self.memo.len()),
            b'h' => self.number(1).and_then(|n| self.recall(n)),
            b'j' => self.number(4).and_then(|n| self.recall(n)),
            b'g' => self.index().and_then(|n| self.recall(n)),
            other => Err(format!("has the opcode {other:#04x}, which PyTorch's files have not")),
        }
    }

    /// An object beside the stack.
    fn make(&mut self, object: Object<'a>) -> Id {
        self.objects.push(object);
        // Far below u32's end: see MAX_OBJECTS.
        Id((self.objects.len() - 1) as u32)
    }

    fn push(&mut self, object: Object<'a>) -> Result<(), String> {
        let id = self.make(object);
        self.stack.push(id);
        Ok(())
    }

    fn top(&self) -> Result<Id, String> {
        let floor = self.marks.last().copied().unwrap_or(0);
        match self.stack.last() {
            Some(id) if self.stack.len() > floor => Ok(*id),
            Some(_) => Err("has a mark where its value should be".into()),
            None => Err("takes a value that is not there".into()),
        }
    }

    fn pop(&mut self) -> Result<Id, String> {
        let id = self.top()?;
        self.stack.pop();
        Ok(id)
    }

    /// Everything above the last mark, which goes too.
    fn since_mark(&mut self) -> Result<Vec<Id>, String> {
        let mark = self.marks.pop().ok_or("closes a container, and there is no mark where it began")?;
        Ok(self.stack.split_off(mark))
    }

    /// Puts items into the list on top. What a subclass or a set would do with them is its own affair.
    fn extend(&mut self, items: Vec<Id>) -> Result<(), String> {
        let top = self.top()?;
        match &mut self.objects[top.0 as usize] {
            Object::List(list) => list.extend(items),
            Object::Call { .. } | Object::Other => {}
            _ => return Err("appends to what is no list".into()),
        }
        Ok(())
    }

    fn set(&mut self, items: Vec<(Id, Id)>) -> Result<(), String> {
        let top = self.top()?;
        match &mut self.objects[top.0 as usize] {
            Object::Dict(dict) => dict.extend(items),
            Object::Call { .. } | Object::Other => {}
            _ => return Err("sets entries of what is no dictionary".into()),
        }
        Ok(())
    }

    /// Notes a call down; an ordered dictionary is made of the pairs that it was given.
    fn call(&mut self) -> Result<(), String> {
        let (args, callable) = (self.pop()?, self.pop()?);
        let is_dictionary = match &self.objects[callable.0 as usize] {
            Object::Global(module, name) => match (self.object(*module), self.object(*name)) {
                (Object::Text(module), Object::Text(name)) => DICTIONARIES.contains(&(module, name)),
                _ => false,
            },
            _ => false,
        };
        if !is_dictionary {
            return self.push(Object::Call { callable, args, built: false });
        }
        let items = match self.object(args) {
            Object::Tuple(items) => items.last().map(|id| self.object(*id)),
            _ => None,
        };
        let mut pairs = Vec::new();
        if let Some(Object::List(items)) = items {
            for item in items {
                match self.object(*item) {
                    Object::Tuple(pair) | Object::List(pair) if pair.len() == 2 => pairs.push((pair[0], pair[1])),
                    _ => return Err("makes a dictionary of what are no pairs".into()),
                }
            }
        }
        self.copied += pairs.len();
        self.push(Object::Dict(pairs))
    }

    fn object(&self, id: Id) -> &Object<'a> {
        &self.objects[id.0 as usize]
    }

    fn remember(&mut self, index: usize) -> Result<(), String> {
        let top = self.top()?;
        self.memo.insert(index, top);
        Ok(())
    }

    fn recall(&mut self, index: usize) -> Result<(), String> {
        let id = self.memo.get(&index).ok_or_else(|| format!("asks for what was remembered under {index}: nothing"))?;
        self.stack.push(*id);
        Ok(())
    }

    fn take(&mut self, n: usize) -> Result<&'a [u8], String> {
        let left = self.bytes.len() - self.at;
        if n > left {
            return Err(format!("announces {n} bytes where {left} are left"));
        }
        let taken = &self.bytes[self.at..self.at + n];
        self.at += n;
        Ok(taken)
    }

    /// A number of so many bytes, the lowest first.
    fn number(&mut self, width: usize) -> Result<usize, String> {
        let value = self.take(width)?.iter().rev().fold(0u64, |n, byte| n << 8 | u64::from(*byte));
        usize::try_from(value).map_err(|_| format!("has the number {value}, which is too large"))
    }

    fn whole(&mut self, width: usize) -> Result<(), String> {
        let value = self.number(width)? as i64;
        self.push(Object::Int(value))
    }

    fn long(&mut self, width: usize) -> Result<(), String> {
        let length = self.number(width)?;
        let bytes = self.take(length)?;
        if length > 8 {
            return self.push(Object::Long(bytes));
        }
        let fill = if bytes.last().is_some_and(|b| b & 0x80 != 0) { 0xff } else { 0 };
        let mut value = [fill; 8];
        value[..length].copy_from_slice(bytes);
        self.push(Object::Int(i64::from_le_bytes(value)))
    }

    /// A number, or protocol 0's true and false, written out.
    fn decimal(&mut self) -> Result<(), String> {
        let line = self.line()?;
        let object = match line {
            "00" => Object::Bool(false),
            "01" => Object::Bool(true),
            _ => match line.trim_end_matches('L').parse() {
                Ok(value) => Object::Int(value),
                Err(_) => return Err(format!("has {line:?} where a whole number should be")),
            },
        };
        self.push(object)
    }

    fn index(&mut self) -> Result<usize, String> {
        let line = self.line()?;
        line.parse().map_err(|_| format!("has {line:?} where a whole number should be"))
    }

    /// Up to the end of the line.
    fn line(&mut self) -> Result<&'a str, String> {
        let rest = &self.bytes[self.at..];
        let length = rest.iter().position(|b| *b == b'\n').ok_or("has a line that does not end")?;
        let line = self.take(length)?;
        self.at += 1;
        std::str::from_utf8(line).map_err(|_| "has a text that is no UTF-8".into())
    }

    fn text(&mut self, width: usize, must: bool) -> Result<(), String> {
        let length = self.number(width)?;
        match std::str::from_utf8(self.take(length)?) {
            Ok(text) => self.push(Object::Text(text)),
            Err(_) if must => Err("has a text that is no UTF-8".into()),
            Err(_) => self.push(Object::Other),
        }
    }

    fn counted(&mut self, width: usize) -> Result<(), String> {
        let length = self.number(width)?;
        self.take(length)?;
        self.push(Object::Other)
    }
}

/// Keys and values in turn.
fn pairs(items: &[Id]) -> Result<Vec<(Id, Id)>, String> {
    if !items.len().is_multiple_of(2) {
        return Err("has a key without its value".into());
    }
    Ok(items.chunks(2).map(|pair| (pair[0], pair[1])).collect())
}
