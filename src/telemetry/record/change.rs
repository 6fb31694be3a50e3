//! What changed between two states, as few small steps: a value at a place, a place that is gone, or a
//! list that lost some of its front and grew at its end (a curve that is drawn further).

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// One step. Places are JSON pointers (RFC 6901).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Change {
    /// A list lost its first items, and got new ones at its end.
    Shift(String, usize, Vec<Value>),
    /// A value is new, or another one.
    Set(String, Value),
    /// A field is gone.
    Gone((String,)),
}

/// A step that does not fit the state it is applied to.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no place {0}")]
pub struct Misplaced(String);

/// The steps from `old` to `new`. `place` is put before every pointer.
pub fn changes(place: &str, old: &Value, new: &Value) -> Vec<Change> {
    let mut found = Vec::new();
    collect(place, old, new, &mut found);
    found
}

fn collect(place: &str, old: &Value, new: &Value, found: &mut Vec<Change>) {
    match (old, new) {
        (Value::Object(before), Value::Object(after)) => {
            let gone = before.keys().filter(|name| !after.contains_key(*name));
            found.extend(gone.map(|name| Change::Gone((inside(place, name),))));
            for (name, value) in after {
                let place = inside(place, name);
                match before.get(name) {
                    Some(earlier) => collect(&place, earlier, value, found),
                    None => found.push(Change::Set(place, value.clone())),
                }
            }
        }
        (Value::Array(before), Value::Array(after)) if before.len() == after.len() => {
            for (i, (earlier, value)) in before.iter().zip(after).enumerate() {
                collect(&format!("{place}/{i}"), earlier, value, found);
            }
        }
        _ if old == new => {}
        _ => found.push(Change::Set(place.to_owned(), new.clone())),
    }
}

fn inside(place: &str, name: &str) -> String {
    if name.contains(['~', '/']) {
        return format!("{place}/{}", name.replace('~', "~0").replace('/', "~1"));
    }
    format!("{place}/{name}")
}

/// Takes one step.
///
/// # Errors
/// [`Misplaced`] where the state is not the one that the step was made for; it stays as it was.
pub fn apply(state: &mut Value, change: Change) -> Result<(), Misplaced> {
    match change {
        Change::Set(place, value) => match split(&place) {
            None => *state = value,
            Some((parent, name)) => match state.pointer_mut(parent) {
                Some(Value::Object(fields)) => {
                    fields.insert(name, value);
                }
                Some(Value::Array(items)) => {
                    let item = name.parse().ok().and_then(|i: usize| items.get_mut(i));
                    *item.ok_or(Misplaced(place))? = value;
                }
                _ => return Err(Misplaced(place)),
            },
        },
        Change::Gone((place,)) => {
            let there = split(&place).and_then(|(parent, name)| {
                state.pointer_mut(parent)?.as_object_mut()?.remove(&name)
            });
            there.ok_or(Misplaced(place))?;
        }
        Change::Shift(place, lost, more) => match state.pointer_mut(&place) {
            Some(Value::Array(items)) if lost <= items.len() => {
                items.drain(..lost);
                items.extend(more);
            }
            _ => return Err(Misplaced(place)),
        },
    }
    Ok(())
}

/// The pointer of what holds the place, and the place's own name there; none for the whole.
fn split(place: &str) -> Option<(&str, String)> {
    let (parent, name) = place.rsplit_once('/')?;
    Some((parent, name.replace("~1", "/").replace("~0", "~")))
}
