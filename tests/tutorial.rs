//! The tutorial's code is the code of files that are built and run.

use std::fs;
use std::path::Path;

fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
}

/// Fenced blocks: what stands behind the fence, and the text.
fn blocks(page: &str) -> Vec<(String, String)> {
    let mut blocks = Vec::new();
    let mut open: Option<(String, String)> = None;
    for line in page.lines() {
        match (line.strip_prefix("```"), open.take()) {
            (Some(info), None) => open = Some((info.to_string(), String::new())),
            (Some(_), Some(block)) => blocks.push(block),
            (None, Some((info, text))) => open = Some((info, text + line + "\n")),
            (None, None) => {}
        }
    }
    assert!(open.is_none(), "a fence is not closed");
    blocks
}

#[test]
fn every_block_of_code_stands_in_the_file_that_it_names() {
    let page = fs::read_to_string(root().join("docs/your-loss-in-ten-minutes.md")).unwrap();
    let mut files = Vec::new();
    for (info, text) in blocks(&page) {
        let Some((_, file)) = info.split_once(' ') else {
            assert!(["sh", "toml"].contains(&info.as_str()), "a block of {info:?} names no file:\n{text}");
            continue;
        };
        let whole = fs::read_to_string(root().join(file)).unwrap_or_else(|e| panic!("{file}: {e}"));
        assert!(whole.contains(&text), "not in {file}:\n{text}");
        files.push(file.to_string());
    }
    for wanted in ["lib.rs", "main.rs", "conformance.rs", "suite.toml", "gradient-times-input.rhai"] {
        assert!(files.iter().any(|f| f.ends_with(wanted)), "{wanted} is not shown: {files:?}");
    }
}

#[test]
fn links_lead_somewhere() {
    for page in ["your-loss-in-ten-minutes.md", "recipes.md", "attacks.md", "architecture.md", "page.md"] {
        let text = fs::read_to_string(root().join("docs").join(page)).unwrap();
        for link in text.split("](").skip(1).map(|rest| rest.split(')').next().unwrap()) {
            assert!(root().join("docs").join(link).exists(), "{page}: {link}");
        }
    }
}
