//! The place in the registration queue, kept on disk: a restart must not cost the hours that were
//! waited (spec 1.6; users lose their places elsewhere by it).

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::config::folders::{FolderError, write_atomically};
use crate::protocol::Hotkey;

/// Places remembered for the screen.
const MOST_PLACES: usize = 256;

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
    /// A fresh ticket.
    pub fn new(queue_id: String, server: String, hotkey: Hotkey, now: f64) -> Self {
        Self { queue_id, server, hotkey, since: now, places: Vec::new(), heard: now }
    }

    /// Notes what the server says; tells when the place got worse.
    pub fn note(&mut self, place: Option<u64>, now: f64) -> Option<SetBack> {
        self.heard = now;
        let place = place?;
        let before = self.place();
        if before != Some(place) {
            if self.places.len() == MOST_PLACES {
                self.places.remove(0);
            }
            self.places.push(Place { place, at: now });
        }
        before.filter(|before| place > *before).map(|from| SetBack { from, to: place })
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

    #[test]
    fn places_are_kept_once_each_and_a_set_back_is_noticed() {
        let mut ticket = Ticket::new("q".into(), "s".into(), hotkey(), 1.0);
        let moves: Vec<_> = [Some(9), Some(9), None, Some(3), Some(1687), Some(1600)]
            .into_iter()
            .enumerate()
            .filter_map(|(at, place)| ticket.note(place, at as f64))
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
        let ticket = Ticket::new("q".into(), "http://a".into(), hotkey(), 1.0);
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
