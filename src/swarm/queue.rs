//! The registration queue (spec 1.6, 2.4): tickets, their order, and what becomes of each. Pure and
//! synchronous like [`super::run`]: time comes in with every call, as Unix time, because tickets
//! outlive the orchestrator; what is to be written comes out as [`Entry`] rows.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;
use time::OffsetDateTime;

use super::rules::QueueRules;
use super::run::Entry;
use crate::protocol::messages::{
    MinerRegistrationQueueStatusResponse, QueueStatus, RegisterMinerRequest,
};
use crate::protocol::{Hotkey, RunId, ServerError};

#[cfg(test)]
mod tests;

/// Most tickets that ended and are still remembered.
const MOST_ENDED: usize = 4096;

/// One miner's place in the queue.
#[derive(Clone, Debug, PartialEq)]
pub struct Ticket {
    /// Its unguessable name.
    pub id: String,
    /// Whose it is.
    pub hotkey: Hotkey,
    /// Where in the order of arrival.
    pub place: u64,
    /// Where it stands.
    pub status: QueueStatus,
    /// When that began, in Unix time; of a confirmed one, when it was confirmed.
    pub since: Duration,
    /// Until when the seat is kept, in Unix time.
    pub reserved_until: Option<Duration>,
    /// What was asked for, without the attestation.
    pub request: RegisterMinerRequest,
    /// Whether the miner asked again for something else.
    pub mismatch: bool,
    /// Why it ended, for the miner's user.
    pub detail: Option<String>,
    /// The application error it ended with.
    pub error: Option<Value>,
}

impl Ticket {
    fn is_active(&self) -> bool {
        !matches!(
            self.status,
            QueueStatus::Succeeded
                | QueueStatus::Failed
                | QueueStatus::Expired
                | QueueStatus::Other(_)
        )
    }

    /// Whether a seat is kept for it.
    fn holds_seat(&self) -> bool {
        self.is_active() && self.status != QueueStatus::Queued
    }

    fn end(&mut self, status: QueueStatus, detail: &str, now: Duration) {
        self.status = status;
        self.since = now;
        self.reserved_until = None;
        self.detail = Some(detail.to_owned());
    }
}

/// All tickets.
#[derive(Debug, Default)]
pub struct Queue {
    /// In the order of arrival.
    tickets: BTreeMap<u64, Ticket>,
    entries: Vec<Entry>,
}

impl Queue {
    /// The queue as the books have it. Whoever was asked to confirm has the whole window again,
    /// because nobody could answer meanwhile; a seat that was taken has to be asked for again, as
    /// all miners have to register again after a restart.
    pub fn restored(tickets: Vec<Ticket>, rules: &QueueRules, now: Duration) -> Self {
        let mut queue = Self::default();
        for mut ticket in tickets {
            match ticket.status {
                QueueStatus::Confirming => {
                    ticket.since = now;
                    ticket.reserved_until = Some(now + rules.confirm_within);
                    queue.entries.push(Entry::Ticket(Box::new(ticket.clone())));
                }
                QueueStatus::Succeeded => {
                    let why = "the orchestrator was restarted; register again";
                    ticket.end(QueueStatus::Expired, why, now);
                    queue.entries.push(Entry::Ticket(Box::new(ticket.clone())));
                }
                _ => {}
            }
            queue.tickets.insert(ticket.place, ticket);
        }
        queue
    }

    /// Rows for the books since the last call of this.
    pub fn take_entries(&mut self) -> Vec<Entry> {
        std::mem::take(&mut self.entries)
    }

    /// How many tickets have not ended.
    pub fn len(&self) -> usize {
        self.active().count()
    }

    /// Whether nobody waits.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Seats that are kept for somebody.
    pub fn reserved(&self) -> usize {
        self.tickets.values().filter(|ticket| ticket.holds_seat()).count()
    }

    fn active(&self) -> impl Iterator<Item = &Ticket> {
        self.tickets.values().filter(|ticket| ticket.is_active())
    }

    /// The ticket of `hotkey` that has not ended.
    pub fn ticket_of(&self, hotkey: &Hotkey) -> Option<&Ticket> {
        self.active().find(|ticket| ticket.hotkey == *hotkey)
    }

    /// Gives `hotkey` its ticket: the one it has, or a new one named `id` at the end of the queue.
    ///
    /// # Errors
    /// [`ServerError::RunFull`] when the queue is as long as it may be.
    pub fn join(
        &mut self,
        hotkey: &Hotkey,
        request: &RegisterMinerRequest,
        id: String,
        rules: &QueueRules,
        now: Duration,
    ) -> Result<&Ticket, ServerError> {
        let request = RegisterMinerRequest { attestation: None, ..request.clone() };
        let place = match self.ticket_of(hotkey).map(|ticket| ticket.place) {
            Some(place) => {
                self.change(place, |ticket| ticket.mismatch |= ticket.request != request);
                place
            }
            None => {
                let waiting = self.len();
                if waiting >= rules.waiting {
                    let message =
                        format!("the run is full and {waiting} miners wait; try again later");
                    return Err(ServerError::RunFull { message });
                }
                let place = self.tickets.last_key_value().map_or(0, |(place, _)| place + 1);
                let ticket = Ticket {
                    id,
                    hotkey: hotkey.clone(),
                    place,
                    status: QueueStatus::Queued,
                    since: now,
                    reserved_until: None,
                    request,
                    mismatch: false,
                    detail: None,
                    error: None,
                };
                self.tickets.insert(place, ticket);
                self.note(place);
                place
            }
        };
        self.tickets.get(&place).ok_or_else(lost)
    }

    /// The ticket named `id`, if it is `hotkey`'s. A stranger learns no more than that.
    ///
    /// # Errors
    /// There is no such ticket of this hotkey.
    pub fn find(&self, id: &str, hotkey: &Hotkey) -> Result<&Ticket, ServerError> {
        let named = self.tickets.values().find(|ticket| ticket.id == id);
        named.filter(|ticket| ticket.hotkey == *hotkey).ok_or_else(lost)
    }

    /// Confirms the ticket named `id`, if it is to be confirmed; otherwise leaves it as it is, so that
    /// a confirmation whose answer was lost can be repeated.
    ///
    /// # Errors
    /// As [`Queue::find`].
    pub fn confirm(
        &mut self,
        id: &str,
        hotkey: &Hotkey,
        now: Duration,
    ) -> Result<&Ticket, ServerError> {
        let ticket = self.find(id, hotkey)?;
        let place = ticket.place;
        if ticket.status == QueueStatus::Confirming {
            self.change(place, |ticket| {
                ticket.status = QueueStatus::Confirmed;
                ticket.since = now;
                ticket.reserved_until = None;
            });
        }
        self.tickets.get(&place).ok_or_else(lost)
    }

    /// Moves the queue on, where `seats` are not taken. Gives the tickets whose miners are to be
    /// seated now: each must be answered with [`Queue::seated`].
    pub fn advance(&mut self, rules: &QueueRules, seats: usize, now: Duration) -> Vec<Ticket> {
        self.expire(now);
        self.forget(rules, now);
        self.let_in(rules, seats, now);
        let mut due = Vec::new();
        for place in self.places(QueueStatus::Confirmed) {
            let since = self.tickets.get(&place).map_or(now, |ticket| ticket.since);
            if now >= since + rules.processing / 2 {
                self.change(place, |ticket| ticket.status = QueueStatus::Processing);
            }
        }
        for place in self.places(QueueStatus::Processing) {
            due.extend(
                self.tickets
                    .get(&place)
                    .filter(|ticket| now >= ticket.since + rules.processing)
                    .cloned(),
            );
        }
        due
    }

    /// Whoever did not confirm in time loses the place.
    fn expire(&mut self, now: Duration) {
        for place in self.places(QueueStatus::Confirming) {
            let until = self.tickets.get(&place).and_then(|ticket| ticket.reserved_until);
            if until.is_some_and(|until| now > until) {
                let why = "the seat was not confirmed in time and went to the next; register again";
                self.change(place, |ticket| ticket.end(QueueStatus::Expired, why, now));
            }
        }
    }

    fn let_in(&mut self, rules: &QueueRules, seats: usize, now: Duration) {
        let room = seats.min(rules.at_a_time.max(1)).saturating_sub(self.reserved());
        for place in self.places(QueueStatus::Queued).into_iter().take(room) {
            self.change(place, |ticket| {
                ticket.status = QueueStatus::Confirming;
                ticket.since = now;
                ticket.reserved_until = Some(now + rules.confirm_within);
            });
        }
    }

    /// Drops what ended long ago, and the oldest when there are too many.
    fn forget(&mut self, rules: &QueueRules, now: Duration) {
        let ended: Vec<(u64, Duration)> = self
            .tickets
            .values()
            .filter(|ticket| !ticket.is_active())
            .map(|ticket| (ticket.place, ticket.since))
            .collect();
        let too_many = ended.len().saturating_sub(MOST_ENDED);
        for (index, (place, since)) in ended.into_iter().enumerate() {
            if (index < too_many || now > since + rules.remembered)
                && let Some(ticket) = self.tickets.remove(&place)
            {
                self.entries.push(Entry::TicketGone { id: ticket.id });
            }
        }
    }

    /// Says what came of seating the miner of the ticket at `place`.
    pub fn seated(&mut self, place: u64, result: &Result<(), ServerError>, now: Duration) {
        self.change(place, |ticket| match result {
            Ok(()) => {
                ticket.status = QueueStatus::Succeeded;
                ticket.since = now;
            }
            Err(error) => {
                ticket.end(QueueStatus::Failed, &error.to_string(), now);
                ticket.error = Some(error.to_body());
            }
        });
    }

    /// The seat of a ticket that succeeded was given up since.
    pub fn unseated(&mut self, place: u64, now: Duration) {
        let why = "the seat was given up because nothing was heard of its miner; register again";
        self.change(place, |ticket| ticket.end(QueueStatus::Expired, why, now));
    }

    fn places(&self, status: QueueStatus) -> Vec<u64> {
        let there = self.tickets.values().filter(|ticket| ticket.status == status);
        there.map(|ticket| ticket.place).collect()
    }

    fn change(&mut self, place: u64, act: impl FnOnce(&mut Ticket)) {
        let Some(ticket) = self.tickets.get_mut(&place) else { return };
        let before = ticket.clone();
        act(ticket);
        if *ticket != before {
            self.note(place);
        }
    }

    fn note(&mut self, place: u64) {
        if let Some(ticket) = self.tickets.get(&place) {
            self.entries.push(Entry::Ticket(Box::new(ticket.clone())));
        }
    }

    /// The ticket as the miner is told. The registration itself is the caller's to add.
    pub fn describe(
        &self,
        ticket: &Ticket,
        rules: &QueueRules,
        run: &RunId,
    ) -> MinerRegistrationQueueStatusResponse {
        let queued = ticket.status == QueueStatus::Queued;
        let before = || {
            let earlier = self.tickets.range(..ticket.place).map(|(_, ticket)| ticket);
            earlier.filter(|ticket| ticket.status == QueueStatus::Queued).count() as u64
        };
        MinerRegistrationQueueStatusResponse {
            position: queued.then(before),
            poll_after_seconds: rules.poll_after.as_secs_f64(),
            confirmation_required: ticket.status == QueueStatus::Confirming,
            selected_run_id: (!queued && ticket.error.is_none()).then(|| run.clone()),
            reserved_until: ticket.reserved_until.map(iso8601),
            payload_mismatch: ticket.mismatch,
            detail: ticket.detail.clone(),
            error: ticket.error.clone(),
            ..MinerRegistrationQueueStatusResponse::new(&ticket.id, ticket.status.clone())
        }
    }
}

fn lost() -> ServerError {
    ServerError::Other {
        name: "QueueTicketNotFoundError".to_owned(),
        message: "there is no such ticket of yours; register again".to_owned(),
    }
}

/// Unix time as Python's `isoformat` writes it, in UTC.
fn iso8601(unix: Duration) -> String {
    let seconds = i64::try_from(unix.as_secs()).unwrap_or(i64::MAX);
    // Only a clock thousands of years off has no date.
    let time = OffsetDateTime::from_unix_timestamp(seconds).unwrap_or(OffsetDateTime::UNIX_EPOCH);
    let (hour, minute, second) = time.to_hms();
    let micros = unix.subsec_micros();
    format!("{}T{hour:02}:{minute:02}:{second:02}.{micros:06}+00:00", time.date())
}
