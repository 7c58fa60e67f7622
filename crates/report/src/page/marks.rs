//! Sentences with `code` in backticks, as HTML.

use minijinja::Value;

/// The sentence escaped, what stands between backticks as `<code>`.
pub(crate) fn marked(text: &str) -> Value {
    let mut html = String::new();
    for (i, part) in text.split('`').enumerate() {
        let part = crate::plots::escaped(part);
        // An odd part stands between two backticks, unless the last one has no partner.
        if i % 2 == 1 { html += &format!("<code>{part}</code>") } else { html += &part }
    }
    Value::from_safe_string(html)
}
