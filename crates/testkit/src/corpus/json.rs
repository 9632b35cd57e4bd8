//! JSON with names that are not UTF-8: a byte B in them is the lone surrogate U+DC00+B, which Rust's strings cannot hold.
//! It is read as the private character U+E000+B, in goldens and candidates alike.

use serde_json::Value as Json;

/// Parses a description.
pub(super) fn parse(text: &[u8]) -> serde_json::Result<Json> {
    serde_json::from_slice(&without_lone_surrogates(text))
}

fn without_lone_surrogates(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.iter().position(|byte| *byte == b'\\') {
        out.extend_from_slice(&rest[..at]);
        rest = &rest[at..];
        let unit = unit(rest);
        let len = match unit {
            Some(0xd800..=0xdbff) => 12,
            Some(_) => 6,
            None => 2,
        };
        let (escape, after) = rest.split_at(len.min(rest.len()));
        match unit {
            Some(lone @ 0xdc00..=0xdfff) => out.extend(format!("\\u{:04x}", 0xe000 + (lone - 0xdc00)).into_bytes()),
            _ => out.extend_from_slice(escape),
        }
        rest = after;
    }
    out.extend_from_slice(rest);
    out
}

/// The number in `\uXXXX`.
fn unit(text: &[u8]) -> Option<u32> {
    let digits = text.strip_prefix(b"\\u")?.get(..4)?;
    u32::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_lone_surrogates_are_replaced() {
        for (text, expected) in [
            (r#""l\udce4ngs""#, "l\u{e0e4}ngs"),
            (r#""\ud83d\ude00\udc80""#, "\u{1f600}\u{e080}"),
            (r#""a\\udc80""#, "a\\udc80"),
            (r#""\u00e4\n""#, "\u{e4}\n"),
        ] {
            assert_eq!(parse(text.as_bytes()).unwrap(), Json::from(expected), "{text}");
        }
        assert!(parse(br#""\ud83dx""#).is_err());
    }
}
