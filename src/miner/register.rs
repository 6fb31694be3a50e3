//! Getting a run and a stage: one request, then the queue, if there is one (spec 1.6). It runs as a
//! task of its own with its own timer: the window in which a place must be confirmed is short, and
//! nothing else this miner does may make it late.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinHandle;

use super::board::Board;
use super::snapshot::{QueueView, Reason, State, Who};
use super::ticket::{Away, End, Ticket, TicketFile, Unconfirmed};
use crate::clock::{Clock, Entropy};
use crate::network::attestation::{Attestor, Evidence};
use crate::network::{CallError, Orchestrator};
use crate::protocol::messages::{
    AttestationAction, MinerRegistrationQueueStatusResponse, MinerRegistrationResponse,
    PayoutColdkeyRequest, QueueStatus, RegisterMinerConfirmationRequest, RegisterMinerRequest,
    RegistrationAnswer,
};
use crate::protocol::{RunId, ServerError, backoff};
use crate::telemetry::{Event, Severity};

/// So often in a row the server must say that it does not know a ticket before it is given up.
const UNKNOWN_LIMIT: u32 = 3;
/// Between two tries while a place waits to be confirmed.
const URGENT_PAUSE: Duration = Duration::from_millis(500);
/// Longest pause between two looks at a ticket that the server cannot tell of.
const SILENT_PAUSE: f64 = 60.0;

/// No stage was given.
#[derive(Debug, thiserror::Error)]
pub(super) enum RegisterError {
    #[error(transparent)]
    Call(#[from] CallError),
    /// The server ended the wait.
    #[error("the place in the registration queue has {status} ({detail}); a new one is drawn")]
    Turned { status: QueueStatus, detail: String },
    /// The server no longer knows the ticket.
    #[error(
        "the server no longer knows this miner's place in the registration queue ({detail}); a new one is drawn"
    )]
    Lost { detail: String },
    /// The server wants what this machine cannot give, or takes not what it gave.
    #[error("{0}")]
    Attestation(String),
    /// The task broke.
    #[error("the registration stopped unexpectedly ({0}); it is started again")]
    Broken(String),
}

/// Everything a registration needs.
pub(super) struct Registrar {
    pub(super) orchestrator: Orchestrator,
    pub(super) attestor: Attestor,
    pub(super) request: RegisterMinerRequest,
    pub(super) file: TicketFile,
    pub(super) board: Arc<Board>,
    pub(super) clock: Clock,
    pub(super) entropy: Entropy,
    /// Whether the server has been heard of since this machine started.
    pub(super) away: Away,
}

/// A registration under way; ends with this value.
pub(super) struct Registration(JoinHandle<Result<MinerRegistrationResponse, RegisterError>>);

impl Registration {
    /// Waits for its end.
    pub(super) async fn ended(mut self) -> Result<MinerRegistrationResponse, RegisterError> {
        (&mut self.0).await.unwrap_or_else(|error| Err(RegisterError::Broken(error.to_string())))
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// What the server last said of a ticket.
type Told = MinerRegistrationQueueStatusResponse;

/// What comes of a look at a ticket.
enum Look {
    Registered(Box<MinerRegistrationResponse>),
    Told(Box<Told>),
}

impl Registrar {
    /// Starts the task.
    pub(super) fn start(self) -> Registration {
        Registration(tokio::spawn(self.run()))
    }

    async fn run(mut self) -> Result<MinerRegistrationResponse, RegisterError> {
        self.say_what_is_sent();
        let mut resumed = false;
        let server = self.orchestrator.base().to_string();
        let kept = self.file.load(&server, self.orchestrator.hotkey());
        let (mut ticket, mut look) = match kept {
            Some(mut ticket) if !ticket.over => {
                resumed = true;
                self.away = Away::SinceStart;
                let look = self.look(&mut ticket, Duration::ZERO).await?;
                (ticket, look)
            }
            before => match self.ask().await? {
                RegistrationAnswer::Registered(answer) => {
                    self.file.remove();
                    return Ok(*answer);
                }
                RegistrationAnswer::Queued(told) => {
                    let (id, hotkey) = (told.queue_id.clone(), self.orchestrator.hotkey().clone());
                    let now = self.clock.unix_seconds();
                    (Ticket::new((id, server, hotkey), now, before), Look::Told(told))
                }
            },
        };
        loop {
            let mut told = match look {
                Look::Registered(answer) => return Ok(self.done(*answer, resumed).await),
                Look::Told(told) => told,
            };
            self.note(&mut ticket, &told);
            if let Some(answer) = told.response.take() {
                return Ok(self.done(answer, resumed).await);
            }
            if matches!(told.status, QueueStatus::Failed | QueueStatus::Expired) {
                self.end(&mut ticket, End::Said(words_of(&told)));
                return Err(turned(&told));
            }
            look = if told.confirmation_required {
                self.confirm(&mut ticket, &told).await?
            } else {
                let pause = self.pause(told.poll_after_seconds);
                self.clock.sleep(pause).await;
                self.look(&mut ticket, pause).await?
            };
        }
    }

    /// The first request. It is made once: its challenge must not be used twice.
    async fn ask(&mut self) -> Result<RegistrationAnswer, RegisterError> {
        let evidence = self.evidence(None).await?;
        let given = evidence.payload.is_some();
        self.request.attestation = evidence.payload;
        match self.orchestrator.register(&self.request).await {
            Ok(answer) => Ok(answer),
            Err(error) => Err(refusal(error, given)),
        }
    }

    /// Confirms the place. An answer that is lost is no reason to lose the place: the ticket tells.
    async fn confirm(&mut self, ticket: &mut Ticket, told: &Told) -> Result<Look, RegisterError> {
        let next = "the server must confirm this miner's place";
        self.board.status(State::Registering, Reason::ConfirmingPlace, Who::Network, next);
        let evidence = self.evidence(told.selected_run_id.as_ref()).await?;
        let given = evidence.payload.is_some();
        let request = RegisterMinerConfirmationRequest {
            attestation: evidence.payload,
            enclave_payload: None,
        };
        match self.orchestrator.confirm_registration(&ticket.queue_id, &request).await {
            Ok(told) => {
                ticket.unconfirmed = None;
                Ok(Look::Told(Box::new(told)))
            }
            Err(error) => match standing(&error) {
                Standing::Over => Err(refusal(error, given)),
                _ if concerns_attestation(&error).is_some() => {
                    self.file.remove();
                    Err(refusal(error, given))
                }
                _ => {
                    let until = told.reserved_until.clone();
                    ticket.unconfirmed = Some(Unconfirmed { until });
                    tracing::warn!("the confirmation was not answered: {error}");
                    self.clock.sleep(URGENT_PAUSE).await;
                    self.look(ticket, URGENT_PAUSE).await
                }
            },
        }
    }

    /// Looks at the ticket until the server says something of it.
    async fn look(&mut self, ticket: &mut Ticket, pause: Duration) -> Result<Look, RegisterError> {
        let (mut silent, mut unknown) = (0_i32, 0);
        loop {
            let error = match self.orchestrator.registration_status(&ticket.queue_id).await {
                Ok(RegistrationAnswer::Registered(answer)) => return Ok(Look::Registered(answer)),
                Ok(RegistrationAnswer::Queued(told)) => return Ok(Look::Told(told)),
                Err(error) => error,
            };
            match standing(&error) {
                Standing::Over => return Err(error.into()),
                Standing::Unknown => unknown += 1,
                Standing::Silent => unknown = 0,
            }
            if unknown >= UNKNOWN_LIMIT {
                self.end(ticket, End::Forgotten);
                return Err(RegisterError::Lost { detail: error.to_string() });
            }
            self.show_silence(ticket, &error);
            let seconds = pause.max(URGENT_PAUSE).as_secs_f64() * 2.0_f64.powi(silent.min(10));
            silent += 1;
            let pause = self.pause(seconds.min(SILENT_PAUSE));
            self.clock.sleep(pause).await;
        }
    }

    /// A payload for the network's challenge; what goes wrong is said.
    async fn evidence(&self, run: Option<&RunId>) -> Result<Evidence, RegisterError> {
        let action = AttestationAction::Registration;
        let evidence = self.attestor.evidence(&self.orchestrator, action, run).await?;
        if let Some(trouble) = &evidence.trouble {
            let fix = "Nothing, if the network takes null; else correct the program.";
            self.board.finding(Severity::Warning, "attestation-missing", trouble.to_string(), fix);
        }
        Ok(evidence)
    }

    /// Before anything is sent: that null goes where others send an attestation.
    fn say_what_is_sent(&self) {
        if self.attestor.sends_null() {
            self.board.finding_once(
                Severity::Info,
                "attestation-null",
                "This miner sends no attestation (null); a run that insists on one will refuse it."
                    .to_owned(),
                "Nothing; or name a program that can attest in attestation_command.",
            );
        }
    }

    /// The ticket is worth nothing any more; why is kept for the next one.
    fn end(&self, ticket: &mut Ticket, end: End) {
        ticket.end(end, self.clock.unix_seconds(), self.away);
        if let Err(error) = self.file.save(ticket) {
            tracing::warn!("the history of the place in the queue is lost: {error}");
            self.file.remove();
        }
        self.board.update(|snapshot| snapshot.queue = Some(view(ticket)));
    }

    /// Keeps and shows what was told.
    fn note(&mut self, ticket: &mut Ticket, told: &Told) {
        let now = self.clock.unix_seconds();
        let before = ticket.place();
        if let Some(back) =
            ticket.note(told.position, now, std::mem::replace(&mut self.away, Away::No))
        {
            let what = format!(
                "The server moved this miner back in the registration queue, from place {} to {}.",
                back.from, back.to
            );
            let fix =
                "Nothing: the queue is the server's; the miner keeps its ticket and waits on.";
            self.board.finding(Severity::Warning, "queue-set-back", what, fix);
        }
        if told.payload_mismatch {
            self.board.finding_once(
                Severity::Info,
                "queue-payload-mismatch",
                "The server keeps an earlier registration request of this hotkey.".to_owned(),
                "Nothing; use each hotkey on one machine only.",
            );
        }
        if let Err(error) = self.file.save(ticket) {
            let fix = "Make room: without the file a restart loses the place in the queue.";
            self.board.finding_once(Severity::Warning, "queue-not-kept", error.to_string(), fix);
        }
        let next = match ticket.place() {
            Some(0) => "the server must select a run for this miner".to_owned(),
            Some(place) => format!("{place} miners in the queue must be served first"),
            None => "the queue must move on".to_owned(),
        };
        self.board.status(State::Registering, Reason::Queued, Who::Network, &next);
        self.board.update(|snapshot| snapshot.queue = Some(view(ticket)));
        if before != ticket.place() || told.confirmation_required {
            self.board.events().emit(Event::Queue {
                miner: self.board.read(|snapshot| snapshot.name.clone()),
                status: told.status.to_string(),
                place: ticket.place(),
                best: ticket.best(),
                since: ticket.since,
            });
        }
    }

    fn show_silence(&self, ticket: &Ticket, error: &CallError) {
        tracing::info!("the registration queue: {error}");
        let minutes = (self.clock.unix_seconds() - ticket.heard).max(0.0) / 60.0;
        let next = match ticket.place() {
            Some(place) => {
                format!("the server must answer; last known place {place}, {minutes:.0} min ago")
            }
            None => "the server must answer; it has not told a place yet".to_owned(),
        };
        self.board.status(State::Registering, Reason::QueueSilent, Who::Network, &next);
        self.board.update(|snapshot| snapshot.queue = Some(view(ticket)));
    }

    /// The place was used. Who drew the ticket in an earlier life may have named another address
    /// since, or none: the one of now is told.
    async fn done(
        &self,
        answer: MinerRegistrationResponse,
        resumed: bool,
    ) -> MinerRegistrationResponse {
        self.file.remove();
        self.board.update(|snapshot| snapshot.queue = None);
        if let (true, Some(payout_coldkey)) = (resumed, self.request.coldkey.clone()) {
            let request = PayoutColdkeyRequest { payout_coldkey };
            if let Err(error) = self.orchestrator.payout_coldkey(&request).await {
                let what = format!("The address to be paid could not be told: {error}.");
                let fix = "Start Hearth again once the network answers.";
                self.board.finding(Severity::Warning, "payout-not-told", what, fix);
            }
        }
        answer
    }

    fn pause(&mut self, seconds: f64) -> Duration {
        let seconds = if seconds.is_finite() { seconds } else { 5.0 };
        let range = backoff::queue_poll_range(seconds);
        let seconds = backoff::pick(&range, self.entropy.unit()).clamp(0.0, 3600.0);
        Duration::from_secs_f64(seconds)
    }
}

/// What a failed look says of the ticket.
enum Standing {
    /// Nothing: the server or the way to it has trouble. The ticket is kept.
    Silent,
    /// The server does not know it.
    Unknown,
    /// It does not matter any more.
    Over,
}

fn standing(error: &CallError) -> Standing {
    match error {
        CallError::Server(ServerError::SpecVersion { .. } | ServerError::RunFull { .. }) => {
            Standing::Over
        }
        CallError::Server(ServerError::EntityNotRegistered { .. } | ServerError::Other { .. })
        | CallError::Status { status: 404 | 410, .. } => Standing::Unknown,
        _ => Standing::Silent,
    }
}

/// The server's words, if it is the attestation that it does not like.
fn concerns_attestation(error: &CallError) -> Option<String> {
    match error {
        CallError::Server(server) if server.is_about_attestation() => Some(server.to_string()),
        CallError::Status { status: 400..=499, detail, .. }
            if detail.to_lowercase().contains("attest") =>
        {
            Some(detail.clone())
        }
        _ => None,
    }
}

/// What a failed registration means.
fn refusal(error: CallError, given: bool) -> RegisterError {
    match concerns_attestation(&error) {
        Some(words) => RegisterError::Attestation(attestation_refused(given, &words)),
        None => error.into(),
    }
}

/// The one sentence for a refused attestation.
pub(super) fn attestation_refused(given: bool, words: &str) -> String {
    if given {
        format!(
            "The network refuses the attestation that your program gave ({words}). Correct \
             attestation_command, then start again."
        )
    } else {
        format!(
            "The network takes no miner without an attestation ({words}), and Hearth has none to \
             give: this run is closed to it. Join another network, or name a program that can \
             attest in attestation_command."
        )
    }
}

/// What the server says of the end of a ticket.
fn words_of(told: &Told) -> Option<String> {
    told.detail.clone().or_else(|| told.error.as_ref().map(ToString::to_string))
}

fn turned(told: &Told) -> RegisterError {
    let detail = words_of(told).unwrap_or_else(|| "no reason given".into());
    if detail.to_lowercase().contains("attest") {
        return RegisterError::Attestation(attestation_refused(false, &detail));
    }
    RegisterError::Turned { status: told.status.clone(), detail }
}

fn view(ticket: &Ticket) -> QueueView {
    QueueView {
        since: ticket.since,
        heard: ticket.heard,
        best: ticket.best(),
        places: ticket.places.iter().map(|told| (told.at, told.place)).collect(),
        losses: ticket.losses.clone(),
    }
}
