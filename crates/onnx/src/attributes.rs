//! The attributes of a node: every one of them has to be asked for, so that none is passed over.

use crate::proto::{AttributeProto, NodeProto, TensorProto, attribute};
use std::cell::RefCell;
use std::collections::BTreeMap;

/// The attributes of a node by their names, and those that were asked for.
pub(crate) struct Attributes<'a> {
    all: BTreeMap<&'a str, &'a AttributeProto>,
    asked: RefCell<Vec<&'static str>>,
}

impl<'a> Attributes<'a> {
    /// # Errors
    /// Two of one name; one of a function's.
    pub(crate) fn of(node: &'a NodeProto) -> Result<Self, String> {
        let mut all = BTreeMap::new();
        for attribute in &node.attribute {
            if !attribute.ref_attr_name.is_empty() {
                return Err(format!("attribute {} belongs to a function", attribute.name));
            }
            if all.insert(attribute.name.as_str(), attribute).is_some() {
                return Err(format!("there are two attributes {}", attribute.name));
            }
        }
        Ok(Attributes { all, asked: RefCell::new(Vec::new()) })
    }

    fn get(&self, name: &'static str, kind: i32) -> Result<Option<&'a AttributeProto>, String> {
        self.asked.borrow_mut().push(name);
        match self.all.get(name) {
            // Old files leave the kind out.
            Some(found) if found.kind == kind || found.kind == 0 => Ok(Some(found)),
            Some(_) => Err(format!("attribute {name} is of another kind than ONNX says")),
            None => Ok(None),
        }
    }

    pub(crate) fn int(&self, name: &'static str) -> Result<Option<i64>, String> {
        Ok(self.get(name, attribute::INT)?.map(|a| a.i))
    }

    /// The number that was meant: exporters round decimals to float32.
    pub(crate) fn float(&self, name: &'static str) -> Result<Option<f64>, String> {
        Ok(self.get(name, attribute::FLOAT)?.map(|a| decimal(a.f)))
    }

    pub(crate) fn ints(&self, name: &'static str) -> Result<Option<&'a [i64]>, String> {
        Ok(self.get(name, attribute::INTS)?.map(|a| a.ints.as_slice()))
    }

    pub(crate) fn floats(&self, name: &'static str) -> Result<Option<&'a [f32]>, String> {
        Ok(self.get(name, attribute::FLOATS)?.map(|a| a.floats.as_slice()))
    }

    pub(crate) fn text(&self, name: &'static str) -> Result<Option<String>, String> {
        Ok(self.get(name, attribute::STRING)?.map(|a| String::from_utf8_lossy(&a.s).into_owned()))
    }

    pub(crate) fn tensor(&self, name: &'static str) -> Result<Option<&'a TensorProto>, String> {
        Ok(self.get(name, attribute::TENSOR)?.and_then(|a| a.t.as_ref()))
    }

    /// Two sizes of a window, down and right.
    pub(crate) fn pair(&self, name: &'static str, default: usize) -> Result<(usize, usize), String> {
        let Some(given) = self.ints(name)? else { return Ok((default, default)) };
        let size = |v: i64| usize::try_from(v).ok().filter(|v| *v < 1 << 16);
        match *given {
            [a, b] => size(a).zip(size(b)).ok_or_else(|| format!("{name} is {given:?}")),
            _ => Err(format!("{name} is {given:?}: only images with two axes can be imported")),
        }
    }

    /// [`Attributes::pair`] of an image, or the one number of a row, whose height is 1.
    pub(crate) fn sides(&self, name: &'static str, default: usize, row: bool) -> Result<(usize, usize), String> {
        match self.ints(name)? {
            Some(&[one]) if row => {
                let size = usize::try_from(one).ok().filter(|v| *v < 1 << 16);
                size.map(|size| (1, size)).ok_or_else(|| format!("{name} is {one}"))
            }
            Some(given) if row => Err(format!("{name} is {given:?} for values of one axis")),
            None if row => Ok((1.min(default), default)),
            _ => self.pair(name, default),
        }
    }

    /// # Errors
    /// An attribute that nobody asked for.
    pub(crate) fn all_read(&self) -> Result<(), String> {
        let asked = self.asked.borrow();
        match self.all.keys().find(|name| !asked.contains(name)) {
            Some(name) => Err(format!("attribute {name} is not supported")),
            None => Ok(()),
        }
    }
}

/// The shortest decimal that is rounded to this number.
pub(crate) fn decimal(x: f32) -> f64 {
    x.to_string().parse().unwrap_or_else(|_| f64::from(x))
}
