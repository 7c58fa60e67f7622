//! Words in brackets.

use crate::error::Wrong;

/// Brackets within brackets.
const DEEPEST: usize = 64;
/// Words and brackets of one command.
const MOST: usize = 1 << 22;

/// A word, or a list in brackets.
#[derive(Debug, Clone)]
pub(crate) struct Expression<'a> {
    /// Where it begins, counted from 1.
    pub(crate) line: usize,
    pub(crate) kind: Kind<'a>,
}

#[derive(Debug, Clone)]
pub(crate) enum Kind<'a> {
    Word(&'a str),
    List(Vec<Expression<'a>>),
}

impl<'a> Expression<'a> {
    /// The first word of a list, and what follows it.
    pub(crate) fn call(&self) -> Result<(&'a str, &[Expression<'a>]), Wrong> {
        match &self.kind {
            Kind::Word(word) => {
                Err(Wrong::at(self.line, format!("{} stands where a list in brackets is expected", short(word))))
            }
            Kind::List(items) => match items.split_first() {
                Some((Expression { kind: Kind::Word(head), .. }, rest)) => Ok((head, rest)),
                Some(_) => Err(Wrong::at(self.line, "a list begins with a list, and a word is expected")),
                None => Err(Wrong::at(self.line, "a list is empty")),
            },
        }
    }
}

/// A word for an error message: not all of a long one.
pub(crate) fn short(word: &str) -> String {
    let start: String = word.chars().take(40).collect();
    if start.len() < word.len() { format!("{start:?}…") } else { format!("{start:?}") }
}

/// The expressions of the outermost level, one after another.
pub(crate) struct Commands<'a> {
    rest: &'a str,
    line: usize,
}

enum Token<'a> {
    Open,
    Close,
    Word(&'a str),
}

impl<'a> Commands<'a> {
    pub(crate) fn of(text: &'a str) -> Self {
        Commands { rest: text.strip_prefix('\u{feff}').unwrap_or(text), line: 1 }
    }

    /// The next one; `None` at the end.
    pub(crate) fn next(&mut self) -> Result<Option<Expression<'a>>, Wrong> {
        let mut open: Vec<(usize, Vec<Expression<'a>>)> = Vec::new();
        let mut count = 0;
        loop {
            let Some((line, token)) = self.token()? else {
                return match open.last() {
                    None => Ok(None),
                    Some((line, _)) => Err(Wrong::at(*line, "a bracket is opened and never closed")),
                };
            };
            count += 1;
            if count > MOST {
                return Err(Wrong::at(line, format!("a command has more than {MOST} words and brackets")));
            }
            let done = match token {
                Token::Open if open.len() == DEEPEST => {
                    return Err(Wrong::at(line, format!("brackets are nested more than {DEEPEST} deep")));
                }
                Token::Open => {
                    open.push((line, Vec::new()));
                    continue;
                }
                Token::Word(word) => Expression { line, kind: Kind::Word(word) },
                Token::Close => match open.pop() {
                    Some((line, items)) => Expression { line, kind: Kind::List(items) },
                    None => return Err(Wrong::at(line, "a bracket is closed that was never opened")),
                },
            };
            match open.last_mut() {
                Some((_, items)) => items.push(done),
                None => return Ok(Some(done)),
            }
        }
    }

    fn token(&mut self) -> Result<Option<(usize, Token<'a>)>, Wrong> {
        loop {
            let text = self.rest.trim_start();
            self.pass(self.rest.len() - text.len());
            match text.as_bytes().first() {
                None => return Ok(None),
                // A comment, to the end of the line.
                Some(b';') => {
                    self.pass(text.find('\n').unwrap_or(text.len()));
                }
                Some(_) => break,
            }
        }
        let (text, line) = (self.rest, self.line);
        let (token, length) = match text.as_bytes()[0] {
            b'(' => (Token::Open, 1),
            b')' => (Token::Close, 1),
            quote @ (b'"' | b'|') => {
                let end =
                    text[1..].find(char::from(quote)).ok_or_else(|| Wrong::at(line, "a quote is never closed"))?;
                (Token::Word(&text[..end + 2]), end + 2)
            }
            _ => {
                let ends = |c: char| c.is_whitespace() || "();\"|".contains(c);
                let length = text.find(ends).unwrap_or(text.len());
                (Token::Word(&text[..length]), length)
            }
        };
        self.pass(length);
        Ok(Some((line, token)))
    }

    fn pass(&mut self, length: usize) {
        let (passed, rest) = self.rest.split_at(length);
        self.line += passed.bytes().filter(|b| *b == b'\n').count();
        self.rest = rest;
    }
}
