//! Canonical JSON, the text that request signatures cover (spec 3.1): what Python's
//! `json.dumps(value, sort_keys=True)` writes. Works on JSON text, not on parsed numbers, so that an
//! integer of any size keeps its digits.

use std::fmt::Write as _;

use serde::de::{Deserializer, MapAccess, Visitor};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::reading::memory_for;

/// Deepest nesting of lists and objects that is accepted. Real bodies need 6.
pub const MAX_DEPTH: usize = 64;

/// Most memory that the values of a body may take, by the count of [`memory_for`]. A signature is
/// checked over bodies that anybody can send; 10,000 partitions need 20 MB.
const MAX_MEMORY: usize = 128 << 20;

/// What a falsy body (none, null, `{}`, `[]`, `""`, `0`, `false`) is signed as.
pub const EMPTY: &str = "{}";

/// Why a text has no canonical form.
#[derive(Debug, thiserror::Error)]
pub enum CanonicalError {
    /// Not JSON.
    #[error("the body is not JSON: {0}")]
    Syntax(#[from] serde_json::Error),
    /// Nested too deeply.
    #[error("the body is nested deeper than {MAX_DEPTH} levels")]
    TooDeep,
    /// More values than any real body has: they would not be checked in reasonable memory.
    #[error("the body holds more values than any real one")]
    TooManyValues,
}

/// In which order object keys are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyOrder {
    /// By code point: the canonical form.
    Sorted,
    /// As they came: what Python sends as a body and writes into blob trailers.
    AsGiven,
}

/// The text to sign for a request whose body is `body` (empty for a request without one).
pub fn canonical_body(body: &[u8]) -> Result<String, CanonicalError> {
    if body.iter().all(u8::is_ascii_whitespace) {
        return Ok(EMPTY.to_owned());
    }
    let text = python_text(body, KeyOrder::Sorted)?;
    let falsy = matches!(text.as_str(), "null" | "false" | "[]" | "\"\"" | "0" | "0.0" | "-0.0");
    Ok(if falsy { EMPTY.to_owned() } else { text })
}

/// The text to sign for `value` as a request's body. It may also be sent as the body.
pub fn canonical_of<T: Serialize + ?Sized>(value: &T) -> Result<String, CanonicalError> {
    canonical_body(&serde_json::to_vec(value)?)
}

/// `json` as Python's `json.dumps` writes it.
pub fn python_text(json: &[u8], order: KeyOrder) -> Result<String, CanonicalError> {
    if memory_for(json) > MAX_MEMORY {
        return Err(CanonicalError::TooManyValues);
    }
    let value: &RawValue = serde_json::from_slice(json)?;
    let mut out = String::with_capacity(json.len() + json.len() / 8);
    write_value(value.get(), order, MAX_DEPTH, &mut out)?;
    Ok(out)
}

fn write_value(
    text: &str,
    order: KeyOrder,
    depth: usize,
    out: &mut String,
) -> Result<(), CanonicalError> {
    match text.trim_start().as_bytes().first() {
        Some(b'{') => {
            let mut members = serde_json::from_str::<Members<'_>>(text)?.0;
            keep_last_of_each_key(&mut members, order);
            write_all('{', '}', members, depth, out, |(key, value), depth, out| {
                write_string(&key, out);
                out.push_str(": ");
                write_value(value.get(), order, depth, out)
            })
        }
        Some(b'[') => {
            let items: Vec<&RawValue> = serde_json::from_str(text)?;
            write_all('[', ']', items, depth, out, |value, depth, out| {
                write_value(value.get(), order, depth, out)
            })
        }
        Some(b'"') => {
            write_string(&serde_json::from_str::<String>(text)?, out);
            Ok(())
        }
        Some(b'-' | b'0'..=b'9') => {
            write_number(text.trim(), out);
            Ok(())
        }
        _ => {
            out.push_str(text.trim());
            Ok(())
        }
    }
}

fn write_all<T>(
    open: char,
    close: char,
    items: Vec<T>,
    depth: usize,
    out: &mut String,
    write: impl Fn(T, usize, &mut String) -> Result<(), CanonicalError>,
) -> Result<(), CanonicalError> {
    let inner = depth.checked_sub(1).ok_or(CanonicalError::TooDeep)?;
    out.push(open);
    for (i, item) in items.into_iter().enumerate() {
        if i > 0 {
            out.push_str(", ");
        }
        write(item, inner, out)?;
    }
    out.push(close);
    Ok(())
}

/// Python keeps the last value of a repeated key. The order of UTF-8 bytes is that of code points.
fn keep_last_of_each_key(members: &mut Vec<(String, &RawValue)>, order: KeyOrder) {
    if order == KeyOrder::Sorted {
        members.sort_by(|a, b| a.0.cmp(&b.0));
        members.dedup_by(|later, kept| {
            let same = later.0 == kept.0;
            if same {
                kept.1 = later.1;
            }
            same
        });
    }
}

/// The members of an object, in the order of the text.
struct Members<'a>(Vec<(String, &'a RawValue)>);

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Collect;
        impl<'de> Visitor<'de> for Collect {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a JSON object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry::<String, &'de RawValue>()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(Collect)
    }
}

fn write_string(text: &str, out: &mut String) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            ' '..='~' => out.push(c),
            _ => {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    // Writing to a String cannot fail.
                    let _ = write!(out, "\\u{unit:04x}");
                }
            }
        }
    }
    out.push('"');
}

/// `text` is a JSON number: an integer unless it has a fraction or an exponent.
fn write_number(text: &str, out: &mut String) {
    if !text.contains(['.', 'e', 'E']) {
        // Python's integers have no negative zero.
        out.push_str(if text == "-0" { "0" } else { text });
        return;
    }
    // A JSON number always parses; too large ones become infinite, as in Python.
    out.push_str(&python_float(text.parse().unwrap_or(f64::NAN)));
}

/// `x` as Python's `repr` writes it: the shortest digits that read back as `x`; an exponent only
/// below 1e-4 or from 1e16 on.
pub fn python_float(x: f64) -> String {
    if x.is_nan() {
        return "NaN".to_owned();
    }
    if x.is_infinite() {
        return if x > 0.0 { "Infinity" } else { "-Infinity" }.to_owned();
    }
    // Rust writes d.ddde±x with the shortest digits too; only the layout differs.
    let text = format!("{:e}", x.abs());
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let digits = mantissa.replace('.', "");
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let sign = if x.is_sign_negative() { "-" } else { "" };
    if !(-4..16).contains(&exponent) {
        let (first, rest) = digits.split_at(1);
        let point = if rest.is_empty() { "" } else { "." };
        let mark = if exponent < 0 { '-' } else { '+' };
        return format!("{sign}{first}{point}{rest}e{mark}{:02}", exponent.unsigned_abs());
    }
    let zeros = |count: i32| "0".repeat(usize::try_from(count).unwrap_or(0));
    if exponent < 0 {
        return format!("{sign}0.{}{digits}", zeros(-exponent - 1));
    }
    let whole = usize::try_from(exponent).unwrap_or(0) + 1;
    if digits.len() <= whole {
        let padding = "0".repeat(whole - digits.len());
        return format!("{sign}{digits}{padding}.0");
    }
    let (before, after) = digits.split_at(whole);
    format!("{sign}{before}.{after}")
}

#[cfg(test)]
mod tests;
