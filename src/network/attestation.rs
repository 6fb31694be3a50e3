//! Attestation, honestly (spec 4): the challenge is asked for where the network wants it; the answer
//! is null unless the user names a program that can give one. Hearth forges nothing.

use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::Command;

use super::orchestrator::{CallError, Orchestrator};
use crate::clock::Clock;
use crate::protocol::ids::RunId;
use crate::protocol::messages::{
    Attestation, AttestationAction, AttestationChallengeRequest, MinerAttestation,
    RequestAttestationChallengeResponse,
};

/// Longest answer of a provider, in bytes.
const MAX_PAYLOAD: u64 = 1 << 20;

/// Who answers challenges.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Provider {
    /// Nobody: null is sent.
    Nobody,
    /// A program of the user's with its arguments; it gets the challenge as one JSON object on its
    /// standard input and writes the payload to its standard output.
    Program(Vec<String>),
}

/// Why there is no payload although a provider is configured.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AttestationError {
    /// The network gave no challenge.
    #[error("the network gave no attestation challenge ({0}); null is sent instead")]
    NoChallenge(String),
    /// The program cannot be started.
    #[error(
        "the attestation program {program} cannot be started ({why}); null is sent instead: check attestation_command"
    )]
    NotStarted {
        /// Its name.
        program: String,
        /// The system's words.
        why: String,
    },
    /// The program failed.
    #[error(
        "the attestation program {program} failed ({why}); null is sent instead: run it by hand with a challenge on its standard input"
    )]
    Failed {
        /// Its name.
        program: String,
        /// How it ended. Never what it wrote.
        why: String,
    },
}

/// What goes into a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Evidence {
    /// The payload; null on the wire when there is none.
    pub payload: Option<Attestation>,
    /// What went wrong, when a payload was expected.
    pub trouble: Option<AttestationError>,
}

impl Evidence {
    /// Null, as agreed.
    fn null() -> Self {
        Self { payload: None, trouble: None }
    }
}

/// Answers challenges. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Attestor(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    provider: Provider,
    limit: Duration,
    clock: Clock,
}

impl Attestor {
    /// An attestor whose program may take as long as `limit`.
    pub fn new(provider: Provider, limit: Duration, clock: Clock) -> Self {
        Self(Arc::new(Inner { provider, limit, clock }))
    }

    /// Whether nothing but null is ever sent.
    pub fn sends_null(&self) -> bool {
        self.0.provider == Provider::Nobody
    }

    /// Asks for a challenge and answers it. An application error of the server is the caller's to
    /// act on; any other failure becomes null, said aloud.
    pub async fn evidence(
        &self,
        orchestrator: &Orchestrator,
        action: AttestationAction,
        run: Option<&RunId>,
    ) -> Result<Evidence, CallError> {
        let request = AttestationChallengeRequest { action, run_id: run.cloned() };
        let challenge = match orchestrator.request_attestation_challenge(&request).await {
            Ok(challenge) => challenge,
            Err(error) if ends_the_matter(&error) => return Err(error),
            // Nobody here could have answered it: the same null is sent with and without.
            Err(_) if self.sends_null() => return Ok(Evidence::null()),
            Err(error) => {
                let trouble = Some(AttestationError::NoChallenge(error.to_string()));
                return Ok(Evidence { payload: None, trouble });
            }
        };
        let Provider::Program(words) = &self.0.provider else { return Ok(Evidence::null()) };
        Ok(match self.ask(words, &challenge).await {
            Ok(payload) => Evidence { payload: Some(payload), trouble: None },
            Err(error) => Evidence { payload: None, trouble: Some(error) },
        })
    }

    /// Runs the program on one challenge.
    async fn ask(
        &self,
        words: &[String],
        challenge: &RequestAttestationChallengeResponse,
    ) -> Result<Attestation, AttestationError> {
        let [program, arguments @ ..] = words else {
            let (program, why) = ("(none)".to_owned(), "no program is named".to_owned());
            return Err(AttestationError::NotStarted { program, why });
        };
        let failed = |why: String| AttestationError::Failed { program: program.clone(), why };
        let input = serde_json::to_vec(challenge).map_err(|error| failed(error.to_string()))?;
        let mut child = Command::new(program)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| AttestationError::NotStarted {
                program: program.clone(),
                why: error.to_string(),
            })?;
        let (stdin, stdout) = (child.stdin.take(), child.stdout.take());
        let work = async {
            if let Some(mut stdin) = stdin {
                // A program that does not read its challenge may still answer.
                let _ = stdin.write_all(&input).await;
                let _ = stdin.shutdown().await;
            }
            let mut output = Vec::new();
            if let Some(stdout) = stdout {
                stdout
                    .take(MAX_PAYLOAD + 1)
                    .read_to_end(&mut output)
                    .await
                    .map_err(|error| failed(error.to_string()))?;
            }
            if output.len() as u64 > MAX_PAYLOAD {
                return Err(failed(format!("its answer is longer than {MAX_PAYLOAD} bytes")));
            }
            let status = child.wait().await.map_err(|error| failed(error.to_string()))?;
            if status.success() { Ok(output) } else { Err(failed(status.to_string())) }
        };
        let output = self
            .0
            .clock
            .timeout(self.0.limit, work)
            .await
            .map_err(|late| failed(format!("no answer within {:?}", late.0)))??;
        read_payload(&output).ok_or_else(|| failed("it wrote no payload".to_owned()))
    }
}

/// One of the wire's forms as JSON, or a bare text, which is a `payload_blob`.
fn read_payload(output: &[u8]) -> Option<Attestation> {
    let text = std::str::from_utf8(output).ok()?.trim();
    if text.is_empty() {
        return None;
    }
    if text.starts_with('{')
        && let Ok(payload) = serde_json::from_str(text)
    {
        return Some(payload);
    }
    let payload_blob = text.to_owned();
    Some(Attestation::Miner(MinerAttestation { payload_blob, encrypted_attestation: None }))
}

/// Whether an error says something about this miner or the phase, rather than about the challenge.
fn ends_the_matter(error: &CallError) -> bool {
    use crate::protocol::ServerError;
    matches!(error.server(), Some(server) if !matches!(server, ServerError::Other { .. }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::test_server::Scripted;

    const CHALLENGE: &str = r#"{"action":"weights","attestation_challenge_blob":"{\"challenge_id\":\"c1\"}","self_checks":[],"crypto":"none","expires_at":1.0}"#;

    async fn evidence(words: &[&str], answers: &[(u16, &str)]) -> (Scripted, Evidence) {
        let server = Scripted::start(answers).await;
        let orchestrator = crate::network::test_server::orchestrator(&server.base);
        let provider = match words {
            [] => Provider::Nobody,
            words => Provider::Program(words.iter().map(|word| (*word).to_owned()).collect()),
        };
        let attestor = Attestor::new(provider, Duration::from_secs(5), Clock::system());
        let run = RunId::from("r");
        let evidence =
            attestor.evidence(&orchestrator, AttestationAction::Weights, Some(&run)).await;
        (server, evidence.unwrap())
    }

    #[tokio::test]
    async fn without_a_provider_the_challenge_is_asked_for_and_null_is_sent() {
        let (server, evidence) = evidence(&[], &[(200, CHALLENGE)]).await;
        assert_eq!(evidence, Evidence::null());
        let seen = server.seen();
        assert_eq!(seen[0].uri, "/miner/request_attestation_challenge");
        assert_eq!(&seen[0].body[..], br#"{"action": "weights", "run_id": "r"}"#);
    }

    #[tokio::test]
    async fn a_challenge_that_is_not_given_does_not_stop_the_work() {
        let other = r#"{"error_name":"ChallengeError","error_dict":{"message":"later"}}"#;
        assert_eq!(evidence(&[], &[(200, other)]).await.1, Evidence::null());
        let (_, evidence) = evidence(&["cat"], &[(200, other)]).await;
        assert!(matches!(evidence.trouble, Some(AttestationError::NoChallenge(_))));
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn a_program_gets_the_challenge_and_gives_the_payload() {
        let (_, evidence) = evidence(&["cat"], &[(200, CHALLENGE)]).await;
        let Some(Attestation::Miner(payload)) = evidence.payload else { panic!("no payload") };
        assert!(payload.payload_blob.contains("challenge_id"), "{payload:?}");
        assert_eq!(evidence.trouble, None);
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn a_program_that_fails_is_named_and_its_output_is_not() {
        for words in [&["false"][..], &["true"], &["no-such-program-here"]] {
            let (_, evidence) = evidence(words, &[(200, CHALLENGE)]).await;
            assert_eq!(evidence.payload, None);
            let trouble = evidence.trouble.unwrap().to_string();
            assert!(trouble.contains(words[0]) && trouble.contains("null"), "{trouble}");
        }
    }

    #[test]
    fn payloads_come_in_any_form_of_the_wire() {
        let signed = r#"{"key_id":"k","signature_der_base64":"s"}"#;
        assert!(matches!(read_payload(signed.as_bytes()), Some(Attestation::Enclave(_))));
        assert!(matches!(read_payload(b" blob\n"), Some(Attestation::Miner(_))));
        assert_eq!(read_payload(b" \n"), None);
        assert_eq!(read_payload(b"\xff"), None);
    }
}
