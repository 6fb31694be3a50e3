//! Why a miner could not go on. Each says what, why and what now, and maps to an exit code.

use crate::network::http::HttpSetupError;
use crate::network::peers::BindError;
use crate::network::peers::identity::IdentityError;
use crate::training::snapshot::SaveError;

/// The end of a miner that nobody asked for.
#[derive(Debug, thiserror::Error)]
pub enum MinerError {
    /// The peer endpoint cannot be opened.
    #[error(transparent)]
    Peers(#[from] BindError),
    /// The peer key cannot be had.
    #[error(transparent)]
    PeerKey(#[from] IdentityError),
    /// The HTTP client cannot be made.
    #[error(transparent)]
    Http(#[from] HttpSetupError),
    /// The network wants another version.
    #[error("{0}")]
    Version(String),
    /// The network does not take this miner.
    #[error("{0}")]
    Refused(String),
    /// A setting is missing or wrong.
    #[error("{0}")]
    Settings(String),
    /// The disk.
    #[error(transparent)]
    Disk(#[from] SaveError),
    /// The device cannot take the stage.
    #[error("{0}")]
    Device(String),
    /// The device was lost and may not or cannot be used any more.
    #[error("{0}")]
    DeviceGone(String),
    /// The device cannot be opened.
    #[error("{0}")]
    NoDevice(String),
    /// Something else that no repetition helps with.
    #[error("{0}")]
    Failed(String),
    /// The miner's own task broke.
    #[error("the miner stopped unexpectedly ({0}; this is a bug in Hearth: please report it)")]
    Broken(String),
}

impl MinerError {
    /// Stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Peers(_) => "peers-blocked",
            Self::PeerKey(_) => "peer-key",
            Self::Http(_) => "http-setup",
            Self::Version(_) => "version-refused",
            Self::Refused(_) => "refused",
            Self::Settings(_) => "configuration",
            Self::Disk(_) => "snapshot-not-written",
            Self::Device(_) => "stage-too-large",
            Self::DeviceGone(_) => "device-gone",
            Self::NoDevice(_) => "no-device",
            Self::Failed(_) => "failed",
            Self::Broken(_) => "fault-in-hearth",
        }
    }
}
