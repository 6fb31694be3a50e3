//! The place in the registration queue, kept on disk: a restart must not cost the hours that were
//! waited (spec 1.6; users lose their places elsewhere by it).

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::snapshot::{PlaceLost, WhyLost};
use crate::config::folders::{FolderError, write_atomically};
use crate::protocol::Hotkey;

/// Places remembered for the screen.
const MOST_PLACES: usize = 256;
/// Losses remembered for the screen.
const MOST_LOSSES: usize = 32;
/// A gap in which Hearth did not run is worth naming from so many seconds on: shorter ones are an upgrade
/// or a restart that a queue is there to forgive.
const LONG_AWAY: f64 = 60.0;
/// Characters of the server's words that are kept.
const WORDS: usize = 200;

/// A place and when it was told.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Place {
    /// How many are before us.
    pub place: u64,
    /// Unix seconds.
    pub at: f64,
}

/// A ticket with its history.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Ticket {
    /// The server's name for it.
    pub queue_id: String,
    /// The orchestrator that gave it.
    pub server: String,
    /// Whose it is.
    pub hotkey: Hotkey,
    /// When it was drawn, Unix seconds.
    pub since: f64,
    /// Places as they were told, each once, oldest first.
    #[serde(default)]
    pub places: Vec<Place>,
    /// When the server last said anything of it, Unix seconds.
    pub heard: f64,
    /// How the place was lost so far, on this ticket and those before it.
    #[serde(default)]
    pub losses: Vec<PlaceLost>,
    /// A confirmation that was asked for and not answered.
    #[serde(default)]
    pub unconfirmed: Option<Unconfirmed>,
    /// Whether it is worth nothing any more, and only its history is kept.
    #[serde(default)]
    pub over: bool,
}

/// A confirmation that this machine sent, and nobody answered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unconfirmed {
    /// Until when the place was kept, in the server's words.
    pub until: Option<String>,
}

/// Whether Hearth ran since the server was last heard of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Away {
    /// It ran.
    No,
    /// It has just been started.
    SinceStart,
}

/// How a ticket ends before it was used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// The server said so, and perhaps why.
    Said(Option<String>),
    /// The server does not know it.
    Forgotten,
}

/// A move in the queue that the user should hear of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SetBack {
    /// The place before.
    pub from: u64,
    /// The place now.
    pub to: u64,
}

impl Ticket {
    /// A fresh ticket, with the history of one that ended, if there was one.
    pub fn new(
        (queue_id, server, hotkey): (String, String, Hotkey),
        now: f64,
        before: Option<Self>,
    ) -> Self {
        let (places, losses) = before.map(|old| (old.places, old.losses)).unwrap_or_default();
        let (since, heard) = (now, now);
        let (unconfirmed, over) = (None, false);
        Self { queue_id, server, hotkey, since, places, heard, losses, unconfirmed, over }
    }

    /// Notes what the server says; tells when the place got worse. `away` says that this machine asks
    /// for the first time since it was started.
    pub fn note(&mut self, place: Option<u64>, now: f64, away: Away) -> Option<SetBack> {
        let gap = now - self.heard;
        self.heard = now;
        let place = place?;
        let before = self.place();
        if before != Some(place) {
            if self.places.len() == MOST_PLACES {
                self.places.remove(0);
            }
            self.places.push(Place { place, at: now });
        }
        let told = match self.losses.last_mut() {
            // The first place of a ticket that was drawn after one that ended.
            Some(loss @ PlaceLost { to: None, .. }) => {
                loss.to = Some(place);
                return None;
            }
            _ => before.filter(|before| place > *before),
        };
        if let Some(from) = told {
            let why = self.known(None, gap, away);
            self.lose(PlaceLost { at: now, from: Some(from), to: Some(place), why });
        }
        // Whoever is in the queue again has nothing left to confirm.
        self.unconfirmed = None;
        told.map(|from| SetBack { from, to: place })
    }

    /// Notes that it is worth nothing any more. `words` are the server's.
    pub fn end(&mut self, end: End, now: f64, away: Away) {
        let why = match end {
            End::Said(words) => self.known(words, now - self.heard, away),
            End::Forgotten => WhyLost::Forgotten,
        };
        self.over = true;
        self.lose(PlaceLost { at: now, from: self.place(), to: None, why });
    }

    /// Why the place was lost: the server's word goes before what this machine did.
    fn known(&mut self, words: Option<String>, gap: f64, away: Away) -> WhyLost {
        match (words, self.unconfirmed.take(), away) {
            (Some(words), ..) => WhyLost::Ended { words: words.chars().take(WORDS).collect() },
            (None, Some(Unconfirmed { until }), _) => WhyLost::Unconfirmed { until },
            (None, None, Away::SinceStart) if gap >= LONG_AWAY => {
                #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
                let seconds = gap as u64;
                WhyLost::Away { seconds }
            }
            _ => WhyLost::NotPublished,
        }
    }

    fn lose(&mut self, loss: PlaceLost) {
        if self.losses.len() == MOST_LOSSES {
            self.losses.remove(0);
        }
        self.losses.push(loss);
    }

    /// The place last told.
    pub fn place(&self) -> Option<u64> {
        self.places.last().map(|told| told.place)
    }

    /// The best place so far.
    pub fn best(&self) -> Option<u64> {
        self.places.iter().map(|told| told.place).min()
    }
}

/// The file of one hotkey's ticket.
#[derive(Clone, Debug)]
pub struct TicketFile(PathBuf);

impl TicketFile {
    /// The file in `folder`.
    pub fn new(folder: &Path, hotkey: &Hotkey) -> Self {
        Self(folder.join(format!("queue-{hotkey}.json")))
    }

    /// The ticket that `server` gave `hotkey`, if one was kept. A damaged file counts as none: a new
    /// ticket is then drawn, and the server knows the old one by the hotkey.
    pub fn load(&self, server: &str, hotkey: &Hotkey) -> Option<Ticket> {
        let bytes = std::fs::read(&self.0).ok()?;
        match serde_json::from_slice::<Ticket>(&bytes) {
            Ok(ticket) => (ticket.server == server && ticket.hotkey == *hotkey).then_some(ticket),
            Err(error) => {
                tracing::warn!("the queue ticket {} is damaged: {error}", self.0.display());
                None
            }
        }
    }

    /// Keeps a ticket.
    pub fn save(&self, ticket: &Ticket) -> Result<(), FolderError> {
        if let Some(folder) = self.0.parent() {
            let refused = |source| FolderError::NotWritable { path: folder.to_owned(), source };
            std::fs::create_dir_all(folder).map_err(refused)?;
        }
        // A ticket is texts and numbers: it always serialises.
        let bytes = serde_json::to_vec_pretty(ticket).unwrap_or_default();
        write_atomically(&self.0, &bytes)
    }

    /// Forgets it: it was used, or is worth nothing any more.
    pub fn remove(&self) {
        if let Err(error) = std::fs::remove_file(&self.0)
            && error.kind() != std::io::ErrorKind::NotFound
        {
            tracing::warn!("the queue ticket {} cannot be removed: {error}", self.0.display());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hotkey() -> Hotkey {
        Hotkey::from_public_key(&[7; 32])
    }

    fn ticket(server: &str) -> Ticket {
        Ticket::new(("q".into(), server.into(), hotkey()), 1.0, None)
    }

    fn whys(ticket: &Ticket) -> Vec<(Option<u64>, Option<u64>, WhyLost)> {
        ticket.losses.iter().map(|loss| (loss.from, loss.to, loss.why.clone())).collect()
    }

    #[test]
    fn why_a_place_was_lost_is_what_is_known_and_no_guess() {
        let mut ticket = ticket("s");
        ticket.note(Some(9), 10.0, Away::No);
        ticket.note(Some(40), 20.0, Away::No);
        assert_eq!(whys(&ticket), [(Some(9), Some(40), WhyLost::NotPublished)]);
        // The server was silent for long, but Hearth ran: that is no reason that anybody gave.
        ticket.note(Some(50), 9_000.0, Away::No);
        assert_eq!(ticket.losses[1].why, WhyLost::NotPublished);
        // A short restart is no reason either.
        ticket.note(Some(60), 9_030.0, Away::SinceStart);
        assert_eq!(ticket.losses[2].why, WhyLost::NotPublished);
        ticket.note(Some(70), 9_930.0, Away::SinceStart);
        assert_eq!(ticket.losses[3].why, WhyLost::Away { seconds: 900 });
        // A confirmation that was not answered, and then another place.
        let until = Some("12:00".to_owned());
        ticket.unconfirmed = Some(Unconfirmed { until: until.clone() });
        ticket.note(Some(80), 9_940.0, Away::No);
        assert_eq!(ticket.losses[4].why, WhyLost::Unconfirmed { until });
        // It counts once.
        ticket.note(Some(90), 9_950.0, Away::No);
        assert_eq!(ticket.losses[5].why, WhyLost::NotPublished);
        for _ in 0..2 * MOST_LOSSES {
            let place = ticket.place().unwrap() + 1;
            ticket.note(Some(place), 9_960.0, Away::No);
        }
        assert_eq!(ticket.losses.len(), MOST_LOSSES);
    }

    #[test]
    fn a_new_ticket_goes_on_with_the_history_of_the_one_that_ended() {
        let mut first = ticket("s");
        first.note(Some(3), 10.0, Away::No);
        first.end(End::Said(Some("not confirmed in time".into())), 20.0, Away::No);
        assert!(first.over);
        let names = || ("r".to_owned(), "s".to_owned(), hotkey());
        let mut second = Ticket::new(names(), 30.0, Some(first));
        assert!(!second.over);
        assert_eq!(second.note(Some(99), 31.0, Away::No), None, "it was told as a loss already");
        let words = "not confirmed in time".to_owned();
        let ended = (Some(3), Some(99), WhyLost::Ended { words });
        assert_eq!(whys(&second), std::slice::from_ref(&ended));
        second.note(Some(98), 32.0, Away::No);
        second.end(End::Forgotten, 40.0, Away::SinceStart);
        assert_eq!(whys(&second), [ended, (Some(98), None, WhyLost::Forgotten)]);
        let mut third = Ticket::new(names(), 50.0, Some(second));
        third.end(End::Said(None), 9_000.0, Away::SinceStart);
        assert_eq!(third.losses[2].why, WhyLost::Away { seconds: 8_950 });
    }

    #[test]
    fn places_are_kept_once_each_and_a_set_back_is_noticed() {
        let mut ticket = ticket("s");
        let moves: Vec<_> = [Some(9), Some(9), None, Some(3), Some(1687), Some(1600)]
            .into_iter()
            .enumerate()
            .filter_map(|(at, place)| ticket.note(place, at as f64, Away::No))
            .collect();
        assert_eq!(moves, [SetBack { from: 3, to: 1687 }]);
        assert_eq!((ticket.place(), ticket.best()), (Some(1600), Some(3)));
        assert_eq!(ticket.places.len(), 4);
        assert_eq!(ticket.heard, 5.0);
    }

    #[test]
    fn it_is_found_again_by_the_same_key_at_the_same_server_only() {
        let folder = tempfile::tempdir().unwrap();
        let file = TicketFile::new(&folder.path().join("made"), &hotkey());
        let ticket = ticket("http://a");
        assert_eq!(file.load("http://a", &hotkey()), None);
        file.save(&ticket).unwrap();
        assert_eq!(file.load("http://a", &hotkey()), Some(ticket));
        assert_eq!(file.load("http://b", &hotkey()), None);
        assert_eq!(file.load("http://a", &Hotkey::from_public_key(&[8; 32])), None);
        std::fs::write(&file.0, b"{").unwrap();
        assert_eq!(file.load("http://a", &hotkey()), None);
        file.remove();
        file.remove();
        assert!(!file.0.exists());
    }
}
