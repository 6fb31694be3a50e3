//! A vector file as it was written: numbers keep their digits and objects their order, and the
//! comparison of a file with what it should say.

use serde_json::Value;
use serde_json::value::RawValue;

/// Checks one file; panics with the place and the two values when it is wrong.
pub type Check = fn(&Json);

/// What a text field holds that only explains: any text will do, or none.
pub const PROSE: &str = "(any text)";

/// JSON as written.
#[derive(Clone, Debug)]
pub struct Json {
    raw: Box<RawValue>,
    kind: Kind,
}

#[derive(Clone, Debug)]
enum Kind {
    Leaf(Value),
    /// A number with a fraction or an exponent, read exactly (serde_json's reader may be off by one
    /// unit in the last place).
    Float(f64),
    List(Vec<Json>),
    Object(Vec<(String, Json)>),
}

/// The members of an object in their order.
struct Members(Vec<(String, Box<RawValue>)>);

impl<'de> serde::Deserialize<'de> for Members {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Collect;
        impl<'de> serde::de::Visitor<'de> for Collect {
            type Value = Members;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: serde::de::MapAccess<'de>>(
                self,
                mut map: A,
            ) -> Result<Members, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(Collect)
    }
}

impl Json {
    /// Reads a file.
    pub fn parse(text: &str) -> Result<Self, String> {
        let raw: Box<RawValue> = serde_json::from_str(text).map_err(|error| error.to_string())?;
        Ok(Self::of(raw))
    }

    fn of(raw: Box<RawValue>) -> Self {
        let text = raw.get();
        let kind = match text.as_bytes()[0] {
            b'{' => {
                let Members(members) = serde_json::from_str(text).unwrap();
                Kind::Object(members.into_iter().map(|(key, raw)| (key, Self::of(raw))).collect())
            }
            b'[' => {
                let items: Vec<Box<RawValue>> = serde_json::from_str(text).unwrap();
                Kind::List(items.into_iter().map(Self::of).collect())
            }
            b'-' | b'0'..=b'9' if text.contains(['.', 'e', 'E']) => {
                Kind::Float(text.parse().unwrap())
            }
            _ => Kind::Leaf(serde_json::from_str(text).unwrap()),
        };
        Self { raw, kind }
    }

    /// The text as written in the file.
    pub fn text(&self) -> &str {
        self.raw.get()
    }

    /// The member `key`.
    #[track_caller]
    pub fn get(&self, key: &str) -> &Json {
        self.find(key).unwrap_or_else(|| panic!("{key:?} is missing"))
    }

    /// The member `key`, if there is one.
    pub fn find(&self, key: &str) -> Option<&Json> {
        match &self.kind {
            Kind::Object(members) => members.iter().find(|(k, _)| k == key).map(|(_, v)| v),
            _ => None,
        }
    }

    /// The members, in their order.
    #[track_caller]
    pub fn members(&self) -> &[(String, Json)] {
        match &self.kind {
            Kind::Object(members) => members,
            _ => panic!("not an object: {}", self.text()),
        }
    }

    /// The items of a list that must not be empty.
    #[track_caller]
    pub fn items(&self) -> &[Json] {
        match &self.kind {
            Kind::List(items) if !items.is_empty() => items,
            _ => panic!("not a list with items: {}", self.text()),
        }
    }

    /// A text.
    #[track_caller]
    pub fn str(&self) -> &str {
        match &self.kind {
            Kind::Leaf(Value::String(text)) => text,
            _ => panic!("not a text: {}", self.text()),
        }
    }

    /// A count.
    #[track_caller]
    pub fn usize(&self) -> usize {
        self.u64().try_into().unwrap()
    }

    /// A count.
    #[track_caller]
    pub fn u64(&self) -> u64 {
        match &self.kind {
            Kind::Leaf(value) if value.is_u64() => value.as_u64().unwrap(),
            _ => panic!("not a count: {}", self.text()),
        }
    }

    /// A number.
    #[track_caller]
    pub fn f64(&self) -> f64 {
        self.number().unwrap_or_else(|| panic!("not a number: {}", self.text()))
    }

    /// The bytes of a hexadecimal text.
    #[track_caller]
    pub fn hex(&self) -> Vec<u8> {
        hex::decode(self.str()).unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }

    /// Whether it is null.
    pub fn is_null(&self) -> bool {
        matches!(self.kind, Kind::Leaf(Value::Null))
    }

    /// The value, for code that reads it by serde.
    pub fn value<T: serde::de::DeserializeOwned>(&self) -> T {
        serde_json::from_str(self.text()).unwrap()
    }

    fn number(&self) -> Option<f64> {
        match &self.kind {
            Kind::Float(x) => Some(*x),
            Kind::Leaf(Value::Number(n)) => n.as_f64(),
            _ => None,
        }
    }
}

/// The first items of a list of pairs: counts, each larger than the one before.
#[track_caller]
pub fn ascending(pairs: &Json) -> Vec<u64> {
    let counts: Vec<u64> = pairs.items().iter().map(|pair| pair.items()[0].u64()).collect();
    assert!(counts.windows(2).all(|two| two[0] < two[1]), "not ascending: {counts:?}");
    counts
}

/// Fails unless `file` says exactly what `expected` says. Numbers are equal as numbers.
#[track_caller]
pub fn same(file: &Json, expected: &Value) {
    close(file, expected, 0.0);
}

/// Like [`same`], with numbers equal within `tolerance` of the larger of the two.
#[track_caller]
pub fn close(file: &Json, expected: &Value, tolerance: f64) {
    if let Some(difference) = difference(file, expected, tolerance, "") {
        panic!("{difference}");
    }
}

/// The first place where the two differ.
fn difference(file: &Json, expected: &Value, tolerance: f64, place: &str) -> Option<String> {
    let differ =
        || Some(format!("at {place:?}: the file says {}, expected {expected}", file.text()));
    match (&file.kind, expected) {
        (Kind::Object(members), Value::Object(wanted)) => {
            let extra = members.iter().find(|(key, _)| !wanted.contains_key(key));
            if let Some((key, _)) = extra {
                return Some(format!("at {place:?}: nothing should be called {key:?}"));
            }
            wanted.iter().find_map(|(key, value)| match file.find(key) {
                Some(member) => difference(member, value, tolerance, &format!("{place}/{key}")),
                None if value == PROSE => None,
                None => Some(format!("at {place:?}: {key:?} is missing")),
            })
        }
        (Kind::List(items), Value::Array(wanted)) => {
            if items.len() != wanted.len() {
                return differ();
            }
            let mut pairs = items.iter().zip(wanted).enumerate();
            pairs.find_map(|(i, (a, b))| difference(a, b, tolerance, &format!("{place}/{i}")))
        }
        (Kind::Leaf(Value::String(_)), Value::String(wanted)) if wanted == PROSE => None,
        (_, Value::Number(wanted)) => {
            let (Some(x), Some(y)) = (file.number(), wanted.as_f64()) else { return differ() };
            let equal = if tolerance > 0.0 {
                (x - y).abs() <= tolerance * x.abs().max(y.abs())
            } else {
                x.to_bits() == y.to_bits()
            };
            if equal { None } else { differ() }
        }
        (Kind::Leaf(value), wanted) if value == wanted => None,
        _ => differ(),
    }
}
