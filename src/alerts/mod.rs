//! Alerts: what somebody wants to be told of while nobody looks, and the ways to tell it. No account
//! is needed for any of them; nothing is sent but where the user said.

mod channels;
mod desktop;
mod kuma;
mod limit;
mod post;
mod watcher;

use serde::Serialize;

pub use channels::{Channel, Channels, ChannelsError};
pub use kuma::Heartbeat;
pub use limit::Limit;
pub use post::{Failing, Post};
pub use watcher::Watcher;

/// What an alert is about: the words of `alert_on`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// A miner cannot go on by itself.
    Fault,
    /// Somebody must do something before it goes on.
    NeedsYou,
    /// It broke three times in ten minutes and was not started again.
    CrashLoop,
    /// The disk is full, or nearly.
    Disk,
    /// The network dropped the miner, or froze it.
    Kicked,
    /// A rule of the user's paused it.
    PausedByRule,
    /// The device was lost.
    DeviceLost,
    /// An upload will not be there in time.
    UploadLate,
    /// There has been no work for half an hour.
    NoWork,
    /// After one of these it trains again.
    Recovered,
}

impl Kind {
    /// All, in the order in which they are explained.
    pub const ALL: [Self; 10] = [
        Self::Fault,
        Self::NeedsYou,
        Self::CrashLoop,
        Self::Disk,
        Self::Kicked,
        Self::PausedByRule,
        Self::DeviceLost,
        Self::UploadLate,
        Self::NoWork,
        Self::Recovered,
    ];

    /// The word in settings and messages.
    pub fn word(self) -> &'static str {
        match self {
            Self::Fault => "fault",
            Self::NeedsYou => "needs-you",
            Self::CrashLoop => "crash-loop",
            Self::Disk => "disk",
            Self::Kicked => "kicked",
            Self::PausedByRule => "paused-by-rule",
            Self::DeviceLost => "device-lost",
            Self::UploadLate => "upload-late",
            Self::NoWork => "no-work",
            Self::Recovered => "recovered",
        }
    }

    /// In a few words, for a title.
    pub fn title(self) -> &'static str {
        match self {
            Self::Fault => "stopped by a fault",
            Self::NeedsYou => "needs you",
            Self::CrashLoop => "keeps crashing",
            Self::Disk => "is short of disk",
            Self::Kicked => "was dropped by the network",
            Self::PausedByRule => "was paused by a rule",
            Self::DeviceLost => "lost its device",
            Self::UploadLate => "will upload too late",
            Self::NoWork => "has no work",
            Self::Recovered => "trains again",
        }
    }

    /// Of that word.
    pub fn of_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.word() == word.trim())
    }

    /// Whether somebody may want to be woken for it.
    fn is_urgent(self) -> bool {
        matches!(self, Self::Fault | Self::NeedsYou | Self::CrashLoop | Self::Disk | Self::Kicked)
    }
}

/// One alert.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Alert {
    /// What about.
    #[serde(rename = "event")]
    pub kind: Kind,
    /// Which miner; none where it is about the whole.
    pub miner: Option<String>,
    /// One line.
    pub title: String,
    /// One or two sentences: what, and what must happen next.
    pub text: String,
    /// Code for `hearth explain`.
    pub code: String,
    /// Unix seconds.
    pub at: u64,
    /// So many about the same were held back before this one.
    pub held_back: u32,
    /// Whether somebody is only trying out the channels.
    pub test: bool,
}

impl Alert {
    /// About a miner.
    pub fn of(kind: Kind, miner: &str, text: impl Into<String>, code: &str, at: u64) -> Self {
        Self {
            kind,
            miner: Some(miner.to_owned()),
            title: format!("Hearth: {miner} {}", kind.title()),
            text: text.into(),
            code: code.to_owned(),
            at,
            held_back: 0,
            test: false,
        }
    }

    /// About the whole program.
    pub fn of_all(kind: Kind, text: impl Into<String>, code: &str, at: u64) -> Self {
        let title = format!("Hearth {}", kind.title());
        Self { miner: None, title, ..Self::of(kind, "", text, code, at) }
    }

    /// To try out the channels.
    pub fn trial(at: u64) -> Self {
        let text = "This is a test: it came through. Nothing is wrong.";
        let title = "Hearth: a test".to_owned();
        Self { title, test: true, ..Self::of_all(Kind::Recovered, text, "alerts", at) }
    }

    /// The text with what was held back.
    pub fn full_text(&self) -> String {
        match self.held_back {
            0 => self.text.clone(),
            1 => format!("{} (1 more like this was held back.)", self.text),
            many => format!("{} ({many} more like this were held back.)", self.text),
        }
    }
}
