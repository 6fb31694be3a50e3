//! Makes a message of a [`Tree`] and remembers, when that fails, at which spot of the tree.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::value::{BorrowedStrDeserializer, MapDeserializer, StrDeserializer};
use serde::de::{self, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Unexpected, Visitor};
use serde::forward_to_deserialize_any;

use super::{ReadError, Tree};

impl<'de> Tree<'de> {
    /// This tree as a `T`.
    pub(in crate::protocol) fn read<T: Deserialize<'de>>(&self) -> Result<T, ReadError> {
        T::deserialize(Spot(self)).map_err(|fault| ReadError::new(&fault.path(), &fault.why))
    }
}

/// An error on its way from the spot outwards.
#[derive(Debug)]
struct Fault {
    why: String,
    /// From the innermost outwards.
    steps: Vec<Step>,
}

#[derive(Debug)]
enum Step {
    Member(String),
    Item(usize),
}

impl Fault {
    fn inside(mut self, step: Step) -> Self {
        self.steps.push(step);
        self
    }

    fn path(&self) -> String {
        let mut path = String::new();
        for step in self.steps.iter().rev() {
            match step {
                Step::Item(at) => path.push_str(&format!("[{at}]")),
                Step::Member(name) => {
                    if !path.is_empty() {
                        path.push('.');
                    }
                    path.push_str(name);
                }
            }
        }
        path
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.why)
    }
}

impl std::error::Error for Fault {}

impl de::Error for Fault {
    fn custom<T: fmt::Display>(why: T) -> Self {
        Self { why: why.to_string(), steps: Vec::new() }
    }
}

/// One value of the tree, to be read.
#[derive(Clone, Copy)]
struct Spot<'t, 'de>(&'t Tree<'de>);

impl<'de> Deserializer<'de> for Spot<'_, 'de> {
    type Error = Fault;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match self.0 {
            Tree::Null => visitor.visit_unit(),
            Tree::Bool(value) => visitor.visit_bool(*value),
            Tree::Unsigned(value) => visitor.visit_u64(*value),
            Tree::Signed(value) => visitor.visit_i64(*value),
            Tree::Float(value) => visitor.visit_f64(*value),
            Tree::Text(Cow::Borrowed(text)) => visitor.visit_borrowed_str(text),
            Tree::Text(Cow::Owned(text)) => visitor.visit_str(text),
            Tree::Bytes(Cow::Borrowed(bytes)) => visitor.visit_borrowed_bytes(bytes),
            Tree::Bytes(Cow::Owned(bytes)) => visitor.visit_bytes(bytes),
            Tree::List(items) => {
                let mut list = Items { items, at: 0 };
                let read = visitor.visit_seq(&mut list)?;
                if list.at < items.len() {
                    let why = format!("a list of {} items, expected fewer", items.len());
                    return Err(de::Error::custom(why));
                }
                Ok(read)
            }
            Tree::Map(members) => visitor.visit_map(Members { members, at: 0 }),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match self.0 {
            Tree::Null => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match self.0 {
            // Some maps take a null for an empty one; the readers of texts do not.
            Tree::Null => Err(de::Error::invalid_type(Unexpected::Unit, &visitor)),
            _ => self.deserialize_any(visitor),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Fault> {
        if name.starts_with("$serde_json") {
            // Raw JSON, which anything is: a stand-in, since only what fails is of interest.
            let stand_in = std::iter::once((name, "null"));
            return visitor.visit_map(MapDeserializer::<_, Fault>::new(stand_in));
        }
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        let found = match self.0 {
            Tree::Text(text) => return visitor.visit_enum(StrDeserializer::<Fault>::new(text)),
            Tree::Null => Unexpected::Unit,
            Tree::Bool(value) => Unexpected::Bool(*value),
            Tree::Unsigned(value) => Unexpected::Unsigned(*value),
            Tree::Signed(value) => Unexpected::Signed(*value),
            Tree::Float(value) => Unexpected::Float(*value),
            Tree::Bytes(bytes) => Unexpected::Bytes(bytes),
            Tree::List(_) => Unexpected::Seq,
            Tree::Map(_) => Unexpected::Map,
        };
        Err(de::Error::invalid_type(found, &visitor))
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        visitor.visit_unit()
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit
        unit_struct seq tuple tuple_struct struct identifier
    }
}

struct Items<'t, 'de> {
    items: &'t [Tree<'de>],
    at: usize,
}

impl<'de> SeqAccess<'de> for Items<'_, 'de> {
    type Error = Fault;

    fn next_element_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, Fault> {
        let Some(item) = self.items.get(self.at) else { return Ok(None) };
        let at = self.at;
        self.at += 1;
        seed.deserialize(Spot(item)).map(Some).map_err(|fault| fault.inside(Step::Item(at)))
    }
}

struct Members<'t, 'de> {
    members: &'t [(Cow<'de, str>, Tree<'de>)],
    at: usize,
}

impl<'de> MapAccess<'de> for Members<'_, 'de> {
    type Error = Fault;

    fn next_key_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, Fault> {
        match self.members.get(self.at) {
            None => Ok(None),
            Some((Cow::Borrowed(name), _)) => {
                seed.deserialize(BorrowedStrDeserializer::<Fault>::new(name)).map(Some)
            }
            Some((Cow::Owned(name), _)) => {
                seed.deserialize(StrDeserializer::<Fault>::new(name)).map(Some)
            }
        }
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, Fault> {
        let Some((name, value)) = self.members.get(self.at) else {
            return Err(de::Error::custom("a name without a value"));
        };
        self.at += 1;
        let here = |fault: Fault| fault.inside(Step::Member(super::excerpt(name, 40)));
        seed.deserialize(Spot(value)).map_err(here)
    }
}
