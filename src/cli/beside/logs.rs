//! The log files: what happens is written there in words, and how much of it goes by the settings as
//! they are.

use tokio::sync::{mpsc, watch};

use super::Running;
use crate::cli::print::{Printer, Style};
use crate::config::live::LiveSettings;
use crate::telemetry::Event;
use crate::telemetry::logs::{self, Wanted};

/// Writes for as long as the run lasts.
pub(super) async fn write(running: Running) {
    let told = running.events.subscribe();
    let changes = running.settings.subscribe();
    let mut words = Printer::new(Style::Readable, std::io::sink(), running.clock).with_states();
    tokio::join!(follow(running.settings, changes), write_events(told, &mut words));
}

async fn write_events(
    mut told: mpsc::UnboundedReceiver<Event>,
    words: &mut Printer<std::io::Sink>,
) {
    while let Some(event) = told.recv().await {
        let is_detail = matches!(event, Event::Loss { .. });
        match words.readable(&event) {
            Some(text) if is_detail => logs::tell_detail(&text),
            Some(text) => logs::tell(&text),
            None => {
                if let Ok(text) = serde_json::to_string(&event) {
                    logs::tell_detail(&text);
                }
            }
        }
    }
}

async fn follow(
    settings: LiveSettings,
    mut changes: watch::Receiver<std::sync::Arc<crate::config::settings::Settings>>,
) {
    let wanted = |settings: &LiveSettings| Wanted::of(&settings.now());
    let mut before = wanted(&settings).ok();
    while changes.changed().await.is_ok() {
        // What cannot be read was refused when it was read again.
        let Ok(now) = wanted(&settings) else { continue };
        if before != Some(now) {
            logs::follow(now);
            before = Some(now);
        }
    }
}
