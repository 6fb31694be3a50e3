//! Asking a tool of the system: no terminal, no input, a time limit, and no answer instead of an error.

use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;

use crate::clock::Clock;

/// Longer than any of the tools takes on a busy machine.
const LIMIT: Duration = Duration::from_secs(4);

/// What `program` prints; none if it is not there, fails, or takes too long.
pub async fn output(clock: &Clock, program: &str, arguments: &[&str]) -> Option<String> {
    let mut command = Command::new(program);
    command
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true);
    let answer = clock.timeout(LIMIT, command.output()).await.ok()?.ok()?;
    answer.status.success().then(|| String::from_utf8_lossy(&answer.stdout).into_owned())
}
