//! The commands that talk to the Hearth that runs on this machine, through its local API.

pub mod attach;
mod logs;
mod orders;
mod status;

use std::io;

use serde_json::{Value, json};

use super::{Exit, Failure};
use crate::clock::Clock;
use crate::config::folders::Folders;
use crate::control::client::{Client, ClientError};

pub use logs::{LogsArguments, run as logs};
pub use orders::{
    EndArguments, PauseArguments, ResumeArguments, SnoozeArguments, SwitchArguments, disable,
    enable, finish, pause, resume, snooze, stop,
};
pub use status::{StatusArguments, run as status};

/// Everything such a command needs.
struct Desk {
    folders: Folders,
    clock: Clock,
    runtime: tokio::runtime::Runtime,
}

impl Desk {
    fn open() -> Result<Self, Failure> {
        Self::of(Folders::find().map_err(|error| Failure::of_folder(&error))?)
    }

    fn of(folders: Folders) -> Result<Self, Failure> {
        Ok(Self { folders, clock: Clock::system(), runtime: super::runtime()? })
    }

    fn find(&self) -> Result<Client, ClientError> {
        self.runtime.block_on(Client::find(&self.folders, &self.clock))
    }
}

/// The failure of a command that could not be passed on.
fn failure(error: &ClientError) -> Failure {
    let exit = match error {
        ClientError::NotRunning(_) => Exit::NotRunning,
        _ => Exit::Failed,
    };
    Failure::new(exit, error).coded(error.code())
}

/// Writes a line for a person, or the same as an event.
fn say(json: bool, event: &str, words: &str, fields: Value) -> Result<(), Failure> {
    let mut object = json!({ "event": event, "what": words });
    if let (Some(object), Value::Object(fields)) = (object.as_object_mut(), fields) {
        object.extend(fields);
    }
    let line = if json { object.to_string() } else { words.to_owned() };
    super::exit::written(writeln_out(&line)).map(drop)
}

fn writeln_out(line: &str) -> io::Result<()> {
    use io::Write as _;
    writeln!(io::stdout().lock(), "{line}")
}
