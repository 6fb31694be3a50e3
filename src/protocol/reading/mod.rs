//! Reading what others wrote: a text that may come from anybody becomes a message, or an error that
//! names the field and stays short however long the text was. Memory is bounded before it is taken:
//! a few bytes of JSON can ask for hundreds of bytes of lists and maps, so they are counted first.

use std::fmt;

use serde::Deserialize;

mod spot;
mod tree;

pub(super) use tree::Tree;

/// Most memory that reading one JSON text may take beyond the text itself, in bytes. The largest
/// honest one, the registry of a run with ten thousand miners, needs less.
pub const MAX_JSON_MEMORY: usize = 512 << 20;
/// Deepest nesting of a MessagePack text. Real ones have 2 levels.
const MAX_DEPTH: usize = 32;
/// Deepest nesting in which the wrong field of a MessagePack text is looked for.
const MAX_SEARCH_DEPTH: usize = 128;
/// Longest name of a field, and longest explanation, in characters.
const MAX_FIELD: usize = 80;
const MAX_WHY: usize = 180;

/// Why a text is not the message it should be. At most 280 characters, and no control characters,
/// whatever was sent: it goes to logs and to the terminal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReadError {
    field: String,
    why: String,
}

impl ReadError {
    fn new(field: &str, why: &str) -> Self {
        Self { field: excerpt(field, MAX_FIELD), why: excerpt(why, MAX_WHY) }
    }

    /// Path of the field that is wrong, as in `response.run_flags.attest`. Empty when the whole text
    /// is wrong, or when the explanation names what is missing from the outermost object.
    pub fn field(&self) -> &str {
        &self.field
    }
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.field.is_empty() {
            write!(f, "{}: ", self.field)?;
        }
        f.write_str(&self.why)
    }
}

impl std::error::Error for ReadError {}

/// Reads JSON.
pub fn json<'de, T: Deserialize<'de>>(text: &'de [u8]) -> Result<T, ReadError> {
    if memory_for(text) > MAX_JSON_MEMORY {
        return Err(ReadError::new("", "it holds more values than any real message"));
    }
    serde_json::from_slice(text).map_err(|error| {
        // A text that is no JSON has no fields; the error then says at which column it breaks.
        locate::<T, _>(&mut serde_json::Deserializer::from_slice(text))
            .unwrap_or_else(|| ReadError::new("", &error.to_string()))
    })
}

/// Reads MessagePack. Bytes after the message are an error, as they are in Python.
pub fn message_pack<'de, T: Deserialize<'de>>(bytes: &'de [u8]) -> Result<T, ReadError> {
    let reader = |depth| {
        let mut reader = rmp_serde::Deserializer::from_read_ref(bytes);
        reader.set_max_depth(depth);
        reader
    };
    let mut whole = reader(MAX_DEPTH);
    match T::deserialize(&mut whole) {
        Ok(message) if is_at_end(&mut whole) => Ok(message),
        Ok(_) => Err(ReadError::new("", "there are bytes after the message")),
        Err(error) => Err(locate::<T, _>(&mut reader(MAX_SEARCH_DEPTH))
            .unwrap_or_else(|| ReadError::new("", &error.to_string()))),
    }
}

/// Whether there is nothing more to read. The reader does not tell; what any further value would
/// begin with must be missing.
fn is_at_end<'de>(reader: impl serde::Deserializer<'de, Error = rmp_serde::decode::Error>) -> bool {
    matches!(bool::deserialize(reader), Err(rmp_serde::decode::Error::InvalidMarkerRead(_)))
}

/// Reads a text a second time to find which field is wrong. `None` when it cannot be found: the text
/// is broken itself, or has more values than are worth looking at.
fn locate<'de, T, D>(again: D) -> Option<ReadError>
where
    T: Deserialize<'de>,
    D: serde::Deserializer<'de>,
{
    Tree::deserialize(again).ok()?.read::<T>().err()
}

/// An upper bound of the memory that reading `json` into any of our types takes beyond its texts:
/// what each bracket, comma and colon can at most ask for (the first node of a map, a message of
/// nothing but defaults, a place in a list that doubles as it grows).
pub fn memory_for(json: &[u8]) -> usize {
    let (mut total, mut in_text, mut escaped) = (0_usize, false, false);
    for byte in json {
        if in_text {
            match byte {
                _ if escaped => escaped = false,
                b'\\' => escaped = true,
                b'"' => in_text = false,
                _ => {}
            }
            continue;
        }
        let cost = match byte {
            b'"' => {
                in_text = true;
                0
            }
            b'{' => 1200,
            b'[' => 800,
            b':' => 150,
            b',' => 200,
            _ => 0,
        };
        total = total.saturating_add(cost);
    }
    total
}

/// `text` in at most `most` characters, without control characters: the middle is left out of a
/// longer one, because both what was found and what was expected matter.
pub fn excerpt(text: &str, most: usize) -> String {
    let clean = |c: char| if c.is_control() { ' ' } else { c };
    if text.len() <= most || text.chars().count() <= most {
        return text.chars().map(clean).collect();
    }
    let tail = (most.saturating_sub(1)) / 2;
    let head = most.saturating_sub(1).saturating_sub(tail);
    let mut end: Vec<char> = text.chars().rev().take(tail).collect();
    end.reverse();
    text.chars().take(head).chain(['…']).chain(end).map(clean).collect()
}

#[cfg(test)]
mod tests;
