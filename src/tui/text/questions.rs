//! The words of the questions.

/// Title of a question.
pub const PAUSE: &str = " Pause? ";
/// See [`PAUSE`].
pub const SNOOZE: &str = " Pause for how long? ";
/// See [`PAUSE`].
pub const FINISH: &str = " Finish? ";
/// See [`PAUSE`].
pub const STOP: &str = " Stop your miner? ";
/// See [`PAUSE`].
pub const QUIT: &str = " Leave? ";

/// See [`PAUSE`].
pub const KILL: &str = " Kill this miner? ";

/// What killing a miner of the practice swarm means.
pub fn kill_means(miner: &str, start: &str) -> String {
    format!(
        "{miner} ends at once and without a goodbye, as if its machine lost power. The swarm finds out \
         by its silence, and gives its work to others. {start} starts it again."
    )
}

/// What finishing means.
pub const FINISH_MEANS: &str = "Your miner goes on until this epoch is trained, hands in what it \
                                learned, helps to merge it, and then ends. Nothing is lost.";
/// What stopping means.
pub const STOP_MEANS: &str = "It finishes the work in hand and ends.";
/// What leaving means where a practice swarm ends with it.
pub const PRACTICE_ENDS: &str =
    "The practice swarm ends when you leave. It pays nothing, so nothing is lost by that.";
/// How a miner would go on without the screen.
pub const BACKGROUND: &str = "A miner that is to train on without a window is started by `hearth \
                              service install`; `hearth` then shows it, and leaving leaves it alone.";

/// What leaving means where the miner is elsewhere.
pub fn goes_on(pid: u32) -> String {
    format!(
        "Your miner is in process {pid} and goes on in the background. `hearth` shows it again."
    )
}

/// An answer.
pub const YES_PAUSE: &str = "Yes: pause, until you press resume.";
/// See [`YES_PAUSE`].
pub const YES_FINISH: &str = "Finish this epoch first, then end.";
/// See [`YES_PAUSE`].
pub const YES_STOP: &str = "Yes: stop it.";
/// See [`YES_PAUSE`].
pub const YES_KILL: &str = "Yes: kill it.";
/// See [`YES_PAUSE`].
pub const LEAVE: &str = "Leave; it goes on.";
/// See [`YES_PAUSE`].
pub const YES_LEAVE: &str = "Leave.";
/// See [`YES_PAUSE`].
pub const YES_QUIT: &str = "Stop it in order, and leave.";
/// The lengths of a pause.
pub const SNOOZES: [&str; 4] = ["15 minutes", "1 hour", "4 hours", "8 hours"];
/// How one says no.
pub const NO: &str = "No: everything stays as it is.";

/// Stopping instead, and what it costs.
pub fn stop_costs(cost: &str) -> String {
    format!("Stop it. {cost}")
}
