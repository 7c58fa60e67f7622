//! Which file of a crate names what which other file defines. scripts/house.py counts by the same rules.
//!
//! A file has an arrow to another when it names something that the other defines: in a `use`, or in a path written out. Whoever
//! takes a name from where it is re-exported knows the file that defines it, and a re-export of a child's name is no arrow.
//! Comments, strings and what is compiled for tests alone are left out.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// Names of modules from the crate's root on; the root itself is empty.
pub type Place = Vec<String>;
pub type Arrows = BTreeMap<Place, BTreeSet<Place>>;

/// A file's imports, by the name that they have in it, and the other paths that it writes out.
struct File {
    names: BTreeMap<String, Place>,
    /// Path, and whether it is re-exported.
    imports: Vec<(Place, bool)>,
    paths: Vec<Place>,
}

/// The files of one crate.
pub struct Crate {
    files: BTreeMap<Place, File>,
}

fn is_word(token: &str) -> bool {
    token.starts_with(|c: char| c.is_alphabetic() || c == '_')
}

/// Words, `::` and single signs, without comments, strings, characters and lifetimes.
fn tokens(text: &str) -> Vec<String> {
    let c: Vec<char> = text.chars().collect();
    let at = |i: usize| c.get(i).copied().unwrap_or('\0');
    let word = |x: char| x.is_alphanumeric() || x == '_';
    let (mut found, mut i) = (Vec::new(), 0);
    // Behind the quote that ends a text with escapes.
    let text_end = |mut i: usize| {
        while i < c.len() && at(i) != '"' {
            i += if at(i) == '\\' { 2 } else { 1 };
        }
        i + 1
    };
    while i < c.len() {
        if at(i) == '/' && at(i + 1) == '/' {
            while i < c.len() && at(i) != '\n' {
                i += 1;
            }
        } else if at(i) == '/' && at(i + 1) == '*' {
            let mut depth = 0;
            loop {
                match (at(i), at(i + 1)) {
                    ('/', '*') => (depth, i) = (depth + 1, i + 2),
                    ('*', '/') => (depth, i) = (depth - 1, i + 2),
                    _ => i += 1,
                }
                if depth == 0 || i >= c.len() {
                    break;
                }
            }
        } else if at(i) == '"' {
            i = text_end(i + 1);
        } else if at(i) == '\'' {
            // 'a' and '\n' are characters, 'a without a second quote is a lifetime.
            if at(i + 1) == '\\' {
                i += 3;
                while i < c.len() && at(i) != '\'' {
                    i += 1;
                }
                i += 1;
            } else if at(i + 2) == '\'' {
                i += 3;
            } else {
                i += 1;
                while word(at(i)) {
                    i += 1;
                }
            }
        } else if word(at(i)) {
            let start = i;
            while word(at(i)) {
                i += 1;
            }
            let name: String = c[start..i].iter().collect();
            let raw = matches!(name.as_str(), "r" | "br" | "cr");
            let mut marks = 0;
            while raw && at(i + marks) == '#' {
                marks += 1;
            }
            if raw && at(i + marks) == '"' {
                i += marks + 1;
                while i < c.len() && !(at(i) == '"' && (1..=marks).all(|k| at(i + k) == '#')) {
                    i += 1;
                }
                i += marks + 1;
            } else if name == "r" && marks == 1 {
                i += 1; // r#word
            } else if !(matches!(name.as_str(), "b" | "c") && at(i) == '"') {
                found.push(name);
            }
        } else if at(i) == ':' && at(i + 1) == ':' {
            found.push("::".into());
            i += 2;
        } else {
            if !at(i).is_whitespace() {
                found.push(at(i).to_string());
            }
            i += 1;
        }
    }
    found
}

/// Behind the bracket that closes the one at `i`.
fn closed(code: &[String], mut i: usize) -> usize {
    let mut depth = 0;
    while i < code.len() {
        match code[i].as_str() {
            "{" | "[" | "(" => depth += 1,
            "}" | "]" | ")" => depth -= 1,
            _ => {}
        }
        i += 1;
        if depth == 0 {
            break;
        }
    }
    i
}

/// The code without the items behind `#[cfg(test)]`.
fn without_tests(code: Vec<String>) -> Vec<String> {
    let mark = ["#", "[", "cfg", "(", "test", ")", "]"];
    let (mut kept, mut i) = (Vec::new(), 0);
    while i < code.len() {
        if !code[i..].iter().take(mark.len()).eq(mark) {
            kept.push(code[i].clone());
            i += 1;
            continue;
        }
        i += mark.len();
        while i < code.len() && ![";", "{"].contains(&code[i].as_str()) {
            i = if ["(", "["].contains(&code[i].as_str()) { closed(&code, i) } else { i + 1 };
        }
        i = if code.get(i).is_some_and(|t| t == "{") { closed(&code, i) } else { i + 1 };
    }
    kept
}

/// The (path, name) of every leaf of a use tree, and where the tree ends.
fn leaves(code: &[String], mut i: usize, prefix: &[String]) -> (Vec<(Place, String)>, usize) {
    let mut path = prefix.to_vec();
    while i < code.len() {
        match code[i].as_str() {
            "{" => {
                let mut found = Vec::new();
                i += 1;
                while i < code.len() && !["}", ";"].contains(&code[i].as_str()) {
                    let (inner, end) = leaves(code, i, &path);
                    found.extend(inner);
                    i = end + usize::from(code.get(end).is_some_and(|t| t == ","));
                }
                return (found, i + 1);
            }
            "as" => return (vec![(path, code[i + 1].clone())], i + 2),
            "," | "}" | ";" => break,
            "::" => {}
            "self" if !path.is_empty() => {}
            word => path.push(word.into()),
        }
        i += 1;
    }
    (path.last().cloned().map(|name| (path, name)).into_iter().collect(), i)
}

impl File {
    fn read(text: &str) -> File {
        let code = without_tests(tokens(text));
        let mut file = File { names: BTreeMap::new(), imports: Vec::new(), paths: Vec::new() };
        let mut i = 0;
        while i < code.len() {
            // `use<'a>` belongs to a type.
            if code[i] == "use" && code.get(i + 1).is_some_and(|t| t != "<") {
                // `pub use`, `pub(crate) use`.
                let public = i > 0 && ["pub", ")"].contains(&code[i - 1].as_str());
                let (found, end) = leaves(&code, i + 1, &[]);
                for (path, name) in found {
                    if name != "*" && name != "_" {
                        file.names.insert(name, path.clone());
                    }
                    file.imports.push((path, public));
                }
                i = end;
                continue;
            }
            if is_word(&code[i]) && (i == 0 || code[i - 1] != "::") {
                let mut path = vec![code[i].clone()];
                while code.get(i + 1).is_some_and(|t| t == "::") && code.get(i + 2).is_some_and(|t| is_word(t)) {
                    path.push(code[i + 2].clone());
                    i += 2;
                }
                if path.len() > 1 {
                    file.paths.push(path);
                }
            }
            i += 1;
        }
        file
    }
}

impl Crate {
    /// Of (path below `src`, text) each.
    pub fn of<'a>(texts: impl IntoIterator<Item = (&'a str, &'a str)>) -> Crate {
        let place = |path: &str| {
            let mut place: Place = path.trim_end_matches(".rs").split('/').map(String::from).collect();
            place.pop_if(|last| last == "mod" || last == "lib");
            place
        };
        Crate { files: texts.into_iter().map(|(path, text)| (place(path), File::read(text))).collect() }
    }

    /// Of a folder `src`.
    pub fn read(source: &Path) -> Crate {
        let (mut open, mut texts) = (vec![source.to_path_buf()], Vec::new());
        while let Some(folder) = open.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    open.push(path);
                } else if path.extension().is_some_and(|e| e == "rs") {
                    let name = path.strip_prefix(source).unwrap().to_str().unwrap().to_string();
                    texts.push((name, std::fs::read_to_string(&path).unwrap()));
                }
            }
        }
        Crate::of(texts.iter().map(|(name, text)| (name.as_str(), text.as_str())))
    }

    pub fn len(&self) -> usize {
        self.files.len()
    }

    /// The file in which a path ends that is written in the file `at`; `None` outside of the crate.
    fn defines(&self, at: &[String], path: &[String], depth: usize) -> Option<Place> {
        let (first, mut rest) = path.split_first().filter(|_| depth < 20)?;
        let named = |place: &[String], name: &String| {
            let path = self.files.get(place)?.names.get(name)?;
            (path.as_slice() != std::slice::from_ref(name)).then(|| path.clone())
        };
        let child = |place: &[String], name: &String| {
            let child = [place, std::slice::from_ref(name)].concat();
            self.files.contains_key(&child).then_some(child)
        };
        let mut here = match first.as_str() {
            "crate" => Vec::new(),
            "self" => at.to_vec(),
            "super" => {
                let mut above = at.split_last()?.1;
                while let Some(("super", further)) = rest.split_first().map(|(f, r)| (f.as_str(), r)) {
                    (above, rest) = (above.split_last()?.1, further);
                }
                above.to_vec()
            }
            _ => match child(at, first) {
                Some(child) => child,
                None => return self.defines(at, &[named(at, first)?, rest.to_vec()].concat(), depth + 1),
            },
        };
        while let Some(next) = rest.first().and_then(|name| child(&here, name)) {
            (here, rest) = (next, &rest[1..]);
        }
        if !self.files.contains_key(&here) {
            return None;
        }
        let elsewhere = rest.first().and_then(|name| named(&here, name)).and_then(|path| {
            let whole = [path, rest[1..].to_vec()].concat();
            self.defines(&here, &whole, depth + 1)
        });
        Some(elsewhere.unwrap_or(here))
    }

    /// For every file, the files that define what it names.
    pub fn arrows(&self) -> Arrows {
        let mut arrows = Arrows::new();
        for (at, file) in &self.files {
            let imports = file.imports.iter().map(|(path, public)| (path, *public));
            for (path, public) in imports.chain(file.paths.iter().map(|path| (path, false))) {
                let Some(to) = self.defines(at, path, 0) else { continue };
                if to != *at && !(public && to.starts_with(at)) {
                    arrows.entry(at.clone()).or_default().insert(to);
                }
            }
        }
        arrows
    }
}

/// A file's place as it is shown.
pub fn written(place: &Place) -> String {
    if place.is_empty() { "lib".into() } else { place.join("::") }
}

/// Every set of files that reach one another, each in order.
pub fn circles(arrows: &Arrows) -> Vec<Vec<String>> {
    let reached: BTreeMap<&Place, BTreeSet<&Place>> = arrows
        .keys()
        .map(|from| {
            let (mut open, mut seen) = (vec![from], BTreeSet::new());
            while let Some(at) = open.pop() {
                open.extend(arrows.get(at).into_iter().flatten().filter(|to| seen.insert(*to)));
            }
            (from, seen)
        })
        .collect();
    let both = |a: &Place, b: &Place| reached[a].contains(b) && reached.get(b).is_some_and(|r| r.contains(a));
    let mut found: Vec<Vec<String>> = Vec::new();
    for (at, seen) in &reached {
        let circle: Vec<String> = seen.iter().filter(|other| both(at, other)).map(|place| written(place)).collect();
        if !circle.is_empty() && !found.contains(&circle) {
            found.push(circle);
        }
    }
    found
}

mod tests {
    use super::*;

    fn found(files: &[(&str, &str)]) -> Vec<Vec<String>> {
        circles(&Crate::of(files.iter().copied()).arrows())
    }

    #[test]
    fn a_circle_is_found_however_its_arrows_are_written() {
        let b = ("b.rs", "pub struct B;\nfn f(x: &crate::a::A) {}");
        for a in [
            "use crate::b::B;\npub struct A;",
            "use crate::{b::B, c::{C, D}};\npub struct A;",
            "use super::b::{self};\npub struct A(b::B);",
            "use crate::b as other;\npub struct A(other::B);",
            "pub struct A;\nfn f() -> Option<crate::b::B> { None }",
            "pub struct A;\n#[cfg(feature = \"cuda\")]\nfn f(_: &'static str, _: super::b::B) {}",
            "const C: char = '\"';\nuse crate::b::B;\nconst D: &str = \"\\\"\";\npub struct A;",
        ] {
            assert_eq!(found(&[("a.rs", a), b, ("c.rs", "")]), [["a", "b"]], "{a}");
        }
        let three = [
            ("a.rs", "use crate::b::B;"),
            ("b.rs", "use crate::c::d::D;"),
            ("c/mod.rs", "mod d;"),
            ("c/d.rs", "use super::super::a::A;"),
        ];
        assert_eq!(found(&three), [["a", "b", "c::d"]]);
    }

    #[test]
    fn a_name_that_is_re_exported_belongs_to_the_file_that_defines_it() {
        let lib = ("lib.rs", "mod a;\nmod b;\npub use a::{A, Other as Named};\npub use b::B;");
        assert_eq!(found(&[lib, ("a.rs", "use crate::B;"), ("b.rs", "use crate::Named;")]), [["a", "b"]]);
        assert!(found(&[lib, ("a.rs", "use crate::B;"), ("b.rs", "pub struct B;")]).is_empty());
        // A folder that hands out its children's names knows none of them; one that calls them does.
        let child = ("a/c.rs", "use super::A;\npub fn c(_: A) {}");
        assert!(found(&[("a/mod.rs", "mod c;\npub(crate) use c::c;\npub struct A;"), child]).is_empty());
        assert_eq!(found(&[("a/mod.rs", "mod c;\npub struct A;\nfn f() { c::c(A) }"), child]), [["a", "a::c"]]);
    }

    #[test]
    fn comments_strings_and_tests_are_no_arrows() {
        let b = ("b.rs", "use crate::a::A;");
        for a in [
            "// use crate::b::B;\n/* use crate::b::B; /* */ crate::b::B */\n/// [`crate::b::B`]\npub struct A;",
            "const A: &str = \"use crate::b::B;\";\nconst R: &str = r#\"\"crate::b::B\"#;",
            "pub struct A;\n#[cfg(test)]\nmod tests {\n    use crate::b::B;\n    fn f() { if true { crate::b::g() } }\n}",
            "#[cfg(test)]\nuse crate::b::B;\npub struct A;",
        ] {
            assert!(found(&[("a.rs", a), b]).is_empty(), "{a}");
        }
        let behind = "#[cfg(test)]\nmod tests { use crate::b::B; }\nuse crate::b::B;";
        assert_eq!(found(&[("a.rs", behind), b]), [["a", "b"]]);
    }
}
