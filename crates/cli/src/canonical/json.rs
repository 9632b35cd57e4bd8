//! JSON as text, in ASCII: names are bytes here, and those that are not UTF-8 still have a form.

use std::fmt::{Display, Write};

/// A name or text as a JSON string. A byte B that is not UTF-8 becomes the lone surrogate U+DC00+B, as Python has it.
pub(super) fn quote(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len() + 2);
    out.push('"');
    for part in bytes.utf8_chunks() {
        part.valid().chars().for_each(|character| put_character(character, &mut out));
        part.invalid().iter().for_each(|byte| put_unit(0xdc00 + u16::from(*byte), &mut out));
    }
    out.push('"');
    out
}

fn put_character(character: char, out: &mut String) {
    match character {
        '"' => out.push_str("\\\""),
        '\\' => out.push_str("\\\\"),
        '\n' => out.push_str("\\n"),
        '\r' => out.push_str("\\r"),
        '\t' => out.push_str("\\t"),
        '\u{8}' => out.push_str("\\b"),
        '\u{c}' => out.push_str("\\f"),
        ' '..='~' => out.push(character),
        _ => character.encode_utf16(&mut [0; 2]).iter().for_each(|unit| put_unit(*unit, out)),
    }
}

fn put_unit(unit: u16, out: &mut String) {
    // Writing to a string does not fail.
    let _ = write!(out, "\\u{unit:04x}");
}

/// `[a,b,...]` of texts that are JSON already.
pub(super) fn list<T: Display>(items: impl IntoIterator<Item = T>) -> String {
    let mut out = String::from("[");
    for (number, item) in items.into_iter().enumerate() {
        let comma = if number == 0 { "" } else { "," };
        let _ = write!(out, "{comma}{item}");
    }
    out.push(']');
    out
}

/// A JSON object in the making: its text without the closing brace.
pub(super) struct Fields(String);

impl Fields {
    pub(super) fn new() -> Self {
        Self("{".to_owned())
    }

    /// An object that begins with what kind of thing it describes.
    pub(super) fn of_kind(kind: &str) -> Self {
        let mut fields = Self::new();
        fields.put_text("kind", kind.as_bytes());
        fields
    }

    /// Adds all fields of another object.
    pub(super) fn append(&mut self, other: Self) {
        if other.0.len() > 1 {
            self.0.push_str(if self.0.len() > 1 { "," } else { "" });
            self.0.push_str(&other.0[1..]);
        }
    }

    /// Adds a field whose value is JSON already.
    pub(super) fn put(&mut self, name: &str, value: impl Display) {
        self.put_named(name.as_bytes(), value);
    }

    /// Adds a field whose value is text.
    pub(super) fn put_text(&mut self, name: &str, text: &[u8]) {
        self.put(name, quote(text));
    }

    /// Adds a field whose name need not be UTF-8.
    pub(super) fn put_named(&mut self, name: &[u8], value: impl Display) {
        let comma = if self.0.len() > 1 { "," } else { "" };
        let _ = write!(self.0, "{comma}{}:{value}", quote(name));
    }

    /// The whole object.
    pub(super) fn done(mut self) -> String {
        self.0.push('}');
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_ascii_whatever_they_were() {
        for (name, expected) in [
            (&b"plain"[..], r#""plain""#),
            (b"a\"b\\c\n\x01\x7f", r#""a\"b\\c\n\u0001\u007f""#),
            ("\u{e4}\u{1f600}".as_bytes(), r#""\u00e4\ud83d\ude00""#),
            (b"l\xe4ngs", r#""l\udce4ngs""#),
        ] {
            assert_eq!(quote(name), expected);
        }
    }

    #[test]
    fn objects_have_commas_between_fields() {
        let mut fields = Fields::new();
        fields.put("n", 1);
        fields.put_text("t", b"x");
        fields.put("l", list([1, 2]));
        assert_eq!(fields.done(), r#"{"n":1,"t":"x","l":[1,2]}"#);
        assert_eq!(Fields::new().done(), "{}");
    }
}
