//! Keeps what Hearth has on the disk below `disk_cap`, and `disk_reserve` of the disk free, as far as
//! that lies in its own files: what is oldest goes first, and never the snapshots of a stage that is
//! trained. Whether the miner pauses where that is not enough is the rules' business.

mod survey;

use std::time::Duration;

use super::Running;
use crate::config::key::Key;
use crate::config::settings::Settings;
use crate::config::units::{bytes, or_off};
use crate::host::disk::space_of;
use crate::telemetry::{Event, Severity};

use survey::survey;

/// Between two looks.
const EVERY: Duration = Duration::from_secs(60);

/// What the user allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Limits {
    /// The most that Hearth may have, if there is such a limit.
    cap: Option<u64>,
    /// What must stay free.
    reserve: u64,
}

impl Limits {
    fn of(settings: &Settings) -> Self {
        let text = |key| settings.text(key).map(|text| text.value.clone()).unwrap_or_default();
        // Settings are checked when they are read.
        let cap = or_off(&text(Key::DiskCap), bytes).ok().flatten();
        let reserve = or_off(&text(Key::DiskReserve), bytes).ok().flatten();
        Self { cap, reserve: reserve.unwrap_or_default() }
    }

    /// How much must go, if so much is used and so much free.
    fn excess(self, used: u64, free: Option<u64>) -> u64 {
        let over = self.cap.map_or(0, |cap| used.saturating_sub(cap));
        let short = free.map_or(0, |free| self.reserve.saturating_sub(free));
        over.max(short)
    }
}

/// What the last look came to, so that the same is said once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Said {
    #[default]
    Nothing,
    TooLittle,
}

/// Looks every minute, and whenever the settings change.
pub(super) async fn watch(running: Running) {
    let mut changes = running.settings.subscribe();
    let mut said = Said::Nothing;
    loop {
        said = look(&running, said).await;
        tokio::select! {
            () = running.clock.sleep(EVERY) => {}
            changed = changes.changed() => if changed.is_err() {
                running.clock.sleep(EVERY).await;
            },
        }
    }
}

async fn look(running: &Running, said: Said) -> Said {
    let limits = Limits::of(&running.settings.now());
    let folders = running.folders.clone();
    let looked = tokio::task::spawn_blocking(move || {
        let free = space_of(&folders.data).map(|space| space.free);
        let survey = survey(&folders);
        let excess = limits.excess(survey.used, free);
        let freed = if excess > 0 { survey.free(excess) } else { Vec::new() };
        let gone: u64 = freed.iter().map(|thing| thing.bytes).sum();
        let over = limits.cap.filter(|cap| survey.used.saturating_sub(gone) > *cap);
        (freed, gone, over.map(|cap| (cap, survey.used.saturating_sub(gone))))
    });
    let Ok((freed, gone, over)) = looked.await else { return said };
    if let Some(first) = freed.first() {
        let more = match freed.len() {
            1 => String::new(),
            count => format!(" and {} more", count - 1),
        };
        let what =
            format!("{} removed to make room on the disk: {}{more}.", size(gone), first.what);
        News::Cleaned.tell(running, what);
    }
    match over {
        None => Said::Nothing,
        Some((cap, used)) => {
            if said == Said::Nothing {
                let what = format!(
                    "Hearth's files take {}, and disk_cap is {}: what is left is needed to go on.",
                    size(used),
                    size(cap)
                );
                News::CapTooSmall.tell(running, what);
            }
            Said::TooLittle
        }
    }
}

/// What there is to tell.
#[derive(Clone, Copy, Debug)]
enum News {
    Cleaned,
    CapTooSmall,
}

impl News {
    fn code(self) -> &'static str {
        match self {
            Self::Cleaned => "disk-cleaned",
            Self::CapTooSmall => "disk-cap-too-small",
        }
    }

    fn tell(self, running: &Running, what: String) {
        let (severity, fix) = match self {
            Self::Cleaned => (Severity::Info, "Nothing: it was old."),
            Self::CapTooSmall => {
                (Severity::Warning, "Raise disk_cap, or move some of Hearth's files away.")
            }
        };
        let (code, fix) = (self.code().to_owned(), fix.to_owned());
        running.say.emit(Event::Finding { severity, code, what, fix });
    }
}

fn size(bytes: u64) -> String {
    bytesize::ByteSize(bytes).display().si().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_must_go_is_the_larger_of_what_is_too_much_and_what_is_missing() {
        let limits = Limits { cap: Some(100), reserve: 50 };
        assert_eq!(limits.excess(90, Some(60)), 0);
        assert_eq!(limits.excess(130, Some(60)), 30);
        assert_eq!(limits.excess(130, Some(10)), 40);
        assert_eq!(limits.excess(90, None), 0);
        assert_eq!(Limits { cap: None, ..limits }.excess(u64::MAX, Some(49)), 1);
    }
}
