//! Where the run's tokenizer comes from. Only the first and the last stage read text, so only they
//! need one; a body stage works without (spec 5.4, 8.3).

use std::path::PathBuf;
use std::sync::Arc;

use crate::model::tokenizer::{Tokenizer, TokenizerError};
use crate::network::HttpClient;
use crate::network::hub::{Hub, HubError};

/// The name by which practice swarms call the tokenizer that comes with Hearth.
pub const SHIPPED_NAME: &str = "hearth";

/// Where to look.
#[derive(Clone, Debug)]
pub enum TokenizerSource {
    /// It is known already: the swarm is in this process.
    Given(Arc<Tokenizer>),
    /// A file of the user's, whatever the run names.
    File(PathBuf),
    /// What the run names, on the hub's terms.
    Named(Hub),
}

/// Why there is no tokenizer.
#[derive(Debug, thiserror::Error)]
pub enum TextSourceError {
    /// The hub's part.
    #[error(transparent)]
    Hub(#[from] HubError),
    /// The file's part.
    #[error(transparent)]
    File(#[from] TokenizerError),
    /// The run is silent.
    #[error(
        "the run names no tokenizer, and this stage reads text: give the run's tokenizer.json with --tokenizer"
    )]
    Unnamed,
}

impl TextSourceError {
    /// Whether another try, without the user, may work.
    pub fn may_pass(&self) -> bool {
        matches!(self, Self::Hub(HubError::Unreachable { .. }))
    }
}

impl TokenizerSource {
    /// The tokenizer of a run that calls it `name` and whose model has `vocabulary` entries.
    pub async fn find(
        &self,
        http: &HttpClient,
        name: Option<&str>,
        vocabulary: usize,
    ) -> Result<Arc<Tokenizer>, TextSourceError> {
        let found = match (self, name) {
            (Self::Given(tokenizer), _) => return Ok(Arc::clone(tokenizer)),
            (Self::File(path), _) => Tokenizer::from_file(path)?,
            (Self::Named(_), Some(SHIPPED_NAME)) => Tokenizer::shipped()?,
            (Self::Named(_), None) => return Err(TextSourceError::Unnamed),
            (Self::Named(hub), Some(name)) => {
                Tokenizer::from_file(&hub.tokenizer(http, name).await?)?
            }
        };
        Ok(Arc::new(found.fit_into(vocabulary)?))
    }
}
