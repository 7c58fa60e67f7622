//! A share of an evaluation's examples.

use crate::{Error, Result};
use std::fmt;
use std::str::FromStr;

/// Every `of`-th example from the `number`-th on, counted from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shard {
    number: usize,
    of: usize,
}

impl Shard {
    /// Places of its examples among `n`.
    pub(crate) fn places(self, n: usize) -> Vec<usize> {
        (self.number - 1..n).step_by(self.of).collect()
    }
    /// The place among all of its `index`-th example.
    pub(crate) fn place(self, index: usize) -> usize {
        self.number - 1 + index * self.of
    }
}

/// `3/16`.
impl FromStr for Shard {
    type Err = Error;
    fn from_str(text: &str) -> Result<Shard> {
        let parts = text.split_once('/').map(|(a, b)| (a.trim().parse::<usize>(), b.trim().parse::<usize>()));
        match parts {
            Some((Ok(number), Ok(of))) if (1..=of).contains(&number) => Ok(Shard { number, of }),
            _ => Err(Error::message(format!(
                "a shard is its number, from 1, and how many there are, such as 3/16; got {text:?}"
            ))),
        }
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.number, self.of)
    }
}
