//! What a screen is in front of: a run of this process, of another one, or of the past. That decides
//! what leaving means and which keys there are.

/// Which of the three.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Kind {
    /// A run of this process: who leaves the screen ends it.
    #[default]
    Own,
    /// A run of the process of this number: it goes on without the screen.
    Other(u32),
    /// A run of the past.
    Past,
    /// A network that is watched from outside: nothing of it is ours.
    Watched,
}

/// What else is there besides the miner that is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Run {
    /// The own miners.
    pub miners: usize,
    /// The practice swarm.
    pub swarm: Swarm,
}

/// Whether a practice swarm can be seen from inside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Swarm {
    /// It can.
    Inside,
    /// There is none here.
    None,
}
