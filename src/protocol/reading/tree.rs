//! A text of any format as a tree of values, borrowing from it. Used where a message must be looked
//! at before it is known what it is, and to find out which field of it is wrong.

use std::borrow::Cow;
use std::cell::Cell;
use std::fmt;

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};

/// Most values in a tree. A registration has some hundred.
const MAX_VALUES: usize = 100_000;

/// A value and all values inside it.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::protocol) enum Tree<'de> {
    /// Null.
    Null,
    /// True or false.
    Bool(bool),
    /// An integer.
    Unsigned(u64),
    /// A negative integer.
    Signed(i64),
    /// Any other number.
    Float(f64),
    /// Text.
    Text(Cow<'de, str>),
    /// Bytes (MessagePack only).
    Bytes(Cow<'de, [u8]>),
    /// A list.
    List(Vec<Tree<'de>>),
    /// A map, in the order of the text. A name may come twice.
    Map(Vec<(Cow<'de, str>, Tree<'de>)>),
}

impl<'de> Tree<'de> {
    /// The value called `name`; `None` if this is no map or has none. The last one counts.
    pub(in crate::protocol) fn get(&self, name: &str) -> Option<&Tree<'de>> {
        let Tree::Map(members) = self else { return None };
        members.iter().rev().find(|(key, _)| key == name).map(|(_, value)| value)
    }

    /// What Python calls true.
    pub(in crate::protocol) fn is_truthy(&self) -> bool {
        match self {
            Tree::Null => false,
            Tree::Bool(value) => *value,
            Tree::Unsigned(value) => *value != 0,
            Tree::Signed(value) => *value != 0,
            Tree::Float(value) => *value != 0.0,
            Tree::Text(text) => !text.is_empty(),
            Tree::Bytes(bytes) => !bytes.is_empty(),
            Tree::List(items) => !items.is_empty(),
            Tree::Map(members) => !members.is_empty(),
        }
    }
}

impl<'de> Deserialize<'de> for Tree<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Grow { left: &Cell::new(MAX_VALUES) }.deserialize(deserializer)
    }
}

/// Builds a tree of no more than `left` values.
#[derive(Clone, Copy)]
struct Grow<'b> {
    left: &'b Cell<usize>,
}

impl<'de> DeserializeSeed<'de> for Grow<'_> {
    type Value = Tree<'de>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Tree<'de>, D::Error> {
        let left = self.left.get().checked_sub(1);
        self.left.set(left.ok_or_else(|| D::Error::custom("too many values"))?);
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Grow<'_> {
    type Value = Tree<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_unit<E: Error>(self) -> Result<Tree<'de>, E> {
        Ok(Tree::Null)
    }

    fn visit_none<E: Error>(self) -> Result<Tree<'de>, E> {
        Ok(Tree::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, inner: D) -> Result<Tree<'de>, D::Error> {
        inner.deserialize_any(self)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Tree<'de>, E> {
        Ok(Tree::Bool(value))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Tree<'de>, E> {
        Ok(Tree::Unsigned(value))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Tree<'de>, E> {
        Ok(u64::try_from(value).map_or(Tree::Signed(value), Tree::Unsigned))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Tree<'de>, E> {
        Ok(Tree::Float(value))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Tree<'de>, E> {
        Ok(Tree::Text(Cow::Owned(text.to_owned())))
    }

    fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Tree<'de>, E> {
        Ok(Tree::Text(Cow::Borrowed(text)))
    }

    fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<Tree<'de>, E> {
        Ok(Tree::Bytes(Cow::Owned(bytes.to_vec())))
    }

    fn visit_borrowed_bytes<E: Error>(self, bytes: &'de [u8]) -> Result<Tree<'de>, E> {
        Ok(Tree::Bytes(Cow::Borrowed(bytes)))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Tree<'de>, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = list.next_element_seed(self)? {
            items.push(item);
        }
        Ok(Tree::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Tree<'de>, A::Error> {
        let mut members = Vec::new();
        while let Some(Name(name)) = map.next_key()? {
            members.push((name, map.next_value_seed(self)?));
        }
        Ok(Tree::Map(members))
    }
}

/// A name in a map.
struct Name<'de>(Cow<'de, str>);

impl<'de> Deserialize<'de> for Name<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Read;
        impl<'de> Visitor<'de> for Read {
            type Value = Name<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a name")
            }

            fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Name<'de>, E> {
                Ok(Name(Cow::Borrowed(text)))
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Name<'de>, E> {
                Ok(Name(Cow::Owned(text.to_owned())))
            }
        }
        deserializer.deserialize_str(Read)
    }
}
