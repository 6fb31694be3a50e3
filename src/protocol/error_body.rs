//! Application errors as the orchestrator sends them: HTTP 200 with
//! `{"error_name": ..., "error_dict": {...}}` (spec 1.11). Read by the client, built by the swarm.

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::ids::StageIndex;
use super::phase::Phase;
use super::reading::{self, excerpt};

/// Longest text of the server's that is kept, in characters: it goes to logs and to the screen.
const MAX_TEXT: usize = 300;

/// An error that the orchestrator answered with.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum ServerError {
    /// The stage is in another phase than the request assumed.
    #[error("stage {layer} is in phase {actual}, not {expected}: {message}")]
    LayerState {
        /// The stage.
        layer: StageIndex,
        /// The phase the request was for.
        expected: Phase,
        /// The phase the stage is in: go there.
        actual: Phase,
        /// The server's words.
        message: String,
    },
    /// The server does not know this hotkey (any more): register again.
    #[error("the network does not know this miner (any more): {message}")]
    EntityNotRegistered {
        /// The server's words.
        message: String,
        /// Whom the server does not know, if it says so.
        name: Option<String>,
    },
    /// The server wants another version of the protocol.
    #[error("the network wants protocol version {expected}, this is {actual}: update Hearth")]
    SpecVersion {
        /// The version the server wants.
        expected: u64,
        /// The version we sent.
        actual: String,
        /// The server's words.
        message: String,
    },
    /// No room in the run now.
    #[error("the run is full: {message}")]
    RunFull {
        /// The server's words.
        message: String,
    },
    /// The server benched this miner.
    #[error("the network has frozen this miner: {message}")]
    MinerFrozen {
        /// The server's words.
        message: String,
    },
    /// The miner must wait for the next epoch.
    #[error("this miner starts with the next epoch: {message}")]
    MinerInitializing {
        /// The server's words.
        message: String,
    },
    /// An error with a name this version does not know, or known fields that make no sense.
    #[error("the server answered {name}: {message}")]
    Other {
        /// The error's class name on the server.
        name: String,
        /// The server's words, or the whole `error_dict` as text.
        message: String,
    },
}

/// As much of an answer as tells whether it is an error.
#[derive(Deserialize)]
struct ErrorBody {
    error_name: Option<String>,
    #[serde(default)]
    error_dict: Value,
}

impl ServerError {
    /// The error in an answer's body as it came, if it is one; `None` for every ordinary answer, and
    /// for what is no JSON. Must be asked before anything else is made of a body.
    pub fn in_answer(body: &[u8]) -> Option<Self> {
        // An error is an object; lists, which are the long answers, need not be looked through.
        let first = body.iter().find(|byte| !byte.is_ascii_whitespace())?;
        let read = (*first == b'{').then(|| reading::json::<ErrorBody>(body).ok())??;
        let ErrorBody { error_name, error_dict } = read;
        let empty = Map::new();
        Some(Self::from_parts(&error_name?, error_dict.as_object().unwrap_or(&empty)))
    }

    /// The error in a parsed `body`; otherwise like [`ServerError::in_answer`].
    pub fn detect(body: &Value) -> Option<Self> {
        let body = body.as_object()?;
        let name = body.get("error_name")?.as_str()?;
        let empty = Map::new();
        let dict = body.get("error_dict").and_then(Value::as_object).unwrap_or(&empty);
        Some(Self::from_parts(name, dict))
    }

    fn from_parts(name: &str, dict: &Map<String, Value>) -> Self {
        let message = text(dict, "message").unwrap_or_default();
        let known = match name {
            "LayerStateError" => layer_state(dict, message),
            "EntityNotRegisteredError" => {
                Some(Self::EntityNotRegistered { message, name: text(dict, "name") })
            }
            "SpecVersionError" => Some(Self::SpecVersion {
                expected: dict.get("expected_version").and_then(Value::as_u64).unwrap_or(0),
                actual: text(dict, "actual_version").unwrap_or_default(),
                message,
            }),
            "RunFullError" => Some(Self::RunFull { message }),
            "MinerFrozenError" => Some(Self::MinerFrozen { message }),
            "MinerInitializingError" => Some(Self::MinerInitializing { message }),
            _ => None,
        };
        known.unwrap_or_else(|| Self::Other {
            name: excerpt(name, 60),
            message: text(dict, "message")
                .unwrap_or_else(|| excerpt(&Value::Object(dict.clone()).to_string(), MAX_TEXT)),
        })
    }

    /// The class name on the wire.
    pub fn name(&self) -> &str {
        match self {
            Self::LayerState { .. } => "LayerStateError",
            Self::EntityNotRegistered { .. } => "EntityNotRegisteredError",
            Self::SpecVersion { .. } => "SpecVersionError",
            Self::RunFull { .. } => "RunFullError",
            Self::MinerFrozen { .. } => "MinerFrozenError",
            Self::MinerInitializing { .. } => "MinerInitializingError",
            Self::Other { name, .. } => name,
        }
    }

    /// Whether the server refuses an attestation. The class names of that are not published
    /// (spec 12, point 2): the word itself is what tells.
    pub fn is_about_attestation(&self) -> bool {
        matches!(self, Self::Other { name, message }
            if [name, message].iter().any(|text| text.to_lowercase().contains("attest")))
    }

    /// The body a server answers with.
    pub fn to_body(&self) -> Value {
        let dict = match self {
            Self::LayerState { layer, expected, actual, message } => json!({
                "layer": layer, "expected_status": expected, "actual_status": actual,
                "message": message,
            }),
            Self::EntityNotRegistered { message, name } => {
                json!({"message": message, "name": name})
            }
            Self::SpecVersion { expected, actual, message } => json!({
                "expected_version": expected, "actual_version": actual, "message": message,
            }),
            Self::RunFull { message }
            | Self::MinerFrozen { message }
            | Self::MinerInitializing { message }
            | Self::Other { message, .. } => json!({"message": message}),
        };
        json!({"error_name": self.name(), "error_dict": dict})
    }
}

fn text(dict: &Map<String, Value>, key: &str) -> Option<String> {
    match dict.get(key)? {
        Value::Null => None,
        Value::String(text) => Some(excerpt(text, MAX_TEXT)),
        other => Some(excerpt(&other.to_string(), MAX_TEXT)),
    }
}

/// `None` when a phase is unknown: acting on a guess would be worse than reporting the text.
fn layer_state(dict: &Map<String, Value>, message: String) -> Option<ServerError> {
    let actual: Phase = dict.get("actual_status")?.as_str()?.parse().ok()?;
    let expected = dict.get("expected_status").and_then(Value::as_str);
    // Only `actual` decides what to do; an expectation we cannot read is taken to be ours.
    let expected = expected.and_then(|text| text.parse().ok()).unwrap_or_default();
    let layer = dict.get("layer").and_then(Value::as_u64).and_then(|n| usize::try_from(n).ok());
    Some(ServerError::LayerState {
        layer: StageIndex(layer.unwrap_or_default()),
        expected,
        actual,
        message,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_swarm_builds_the_miner_reads_back() {
        let message = || "why".to_owned();
        let all = [
            ServerError::LayerState {
                layer: StageIndex(2),
                expected: Phase::Training,
                actual: Phase::WeightsUploading,
                message: message(),
            },
            ServerError::EntityNotRegistered { message: message(), name: Some("m0".into()) },
            ServerError::SpecVersion {
                expected: 30018,
                actual: "30017".into(),
                message: message(),
            },
            ServerError::RunFull { message: message() },
            ServerError::MinerFrozen { message: message() },
            ServerError::MinerInitializing { message: message() },
            ServerError::Other { name: "BankError".into(), message: message() },
        ];
        for error in all {
            assert_eq!(ServerError::detect(&error.to_body()), Some(error));
        }
    }

    #[test]
    fn an_answer_is_looked_at_as_it_came_and_its_words_are_kept_short() {
        let read = |text: &str| ServerError::in_answer(text.as_bytes());
        let error = ServerError::RunFull { message: "no room".into() };
        assert_eq!(read(&format!(" {}", error.to_body())), Some(error));
        for ordinary in ["", "[]", "{}", "true", "{", r#"{"error_name":null}"#, r#"{"a":[1,{}]}"#] {
            assert_eq!(read(ordinary), None, "{ordinary}");
        }
        let bare = read(r#"{"error_dict":[1],"error_name":"Boom"}"#);
        assert!(matches!(bare, Some(ServerError::Other { .. })));
        let long = json!({"error_name": "X".repeat(5000), "error_dict": {"a": "\n".repeat(5000)}});
        assert!(read(&long.to_string()).unwrap().to_string().chars().count() < 400);
        let long =
            json!({"error_name": "RunFullError", "error_dict": {"message": "\u{1b}".repeat(900)}});
        let shown = read(&long.to_string()).unwrap().to_string();
        assert!(shown.chars().count() < 330 && !shown.contains('\u{1b}'));
    }

    #[test]
    fn ordinary_answers_are_not_errors_and_odd_errors_are_still_errors() {
        for body in [json!({"phase": "training"}), json!([1]), json!(true), json!("training")] {
            assert_eq!(ServerError::detect(&body), None);
        }
        let odd = json!({"error_name": "LayerStateError", "error_dict": {"actual_status": "new"}});
        assert!(matches!(ServerError::detect(&odd), Some(ServerError::Other { .. })));
        let bare = json!({"error_name": "Boom"});
        assert!(matches!(ServerError::detect(&bare), Some(ServerError::Other { .. })));
    }
}
