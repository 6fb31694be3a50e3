//! Lets the swarm's model write: before and after a demo, and whenever somebody at the dashboard asks.
//! The whole model runs beside the miners, on a thread of its own; training goes on.

use std::sync::Arc;

use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::newcomer::{self, CAREFUL, Newcomer, NewcomerError, Weights};
use crate::clock::{Clock, Entropy};
use crate::compute::Device;
use crate::control::ToSwarm;
use crate::swarm::practice::{PracticeConfig, PublishedModel};
use crate::swarm::{SwarmCommand, Writing, Written};

/// What a text is made of.
#[derive(Clone)]
pub struct Author {
    /// Where the merged weights are.
    pub model: PublishedModel,
    /// The swarm's settings, with its text.
    pub config: PracticeConfig,
    /// What computes.
    pub device: Arc<dyn Device>,
    /// What the user wants the texts to begin with; the held-out text's beginnings otherwise.
    pub say: Option<String>,
    /// Fixes what is drawn.
    pub seed: u64,
    /// The time.
    pub clock: Clock,
}

/// Weights, and what they cost.
struct Measured {
    weights: Arc<Weights>,
    /// Once it was measured.
    loss: Option<f64>,
}

/// Answers the dashboard's wishes until it is dropped.
pub struct AtWork(JoinHandle<()>);

impl Drop for AtWork {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Author {
    /// A few sentences with the newest merged weights.
    pub async fn sample(&self) -> Result<String, NewcomerError> {
        let weights = newcomer::download(&self.model, &self.config, &self.clock).await?;
        let author = self.clone();
        let writing = move || {
            let mut model = Newcomer::build(&weights, &author.config, author.device.as_ref())?;
            let begun = match &author.say {
                Some(say) => model.words(say)?,
                None => model.beginning(&author.config.feed.opening()?)?,
            };
            let mut entropy = Entropy::seeded(author.seed, "writing");
            let text = model.go_on(&begun, CAREFUL, &mut entropy)?;
            Ok(format!("{}[…]{}", text.begun, text.written))
        };
        tokio::task::spawn_blocking(writing).await.unwrap_or(Err(NewcomerError::Stopped))
    }

    /// From now on whoever asks through what this returns finds the text in the swarm's snapshot; what
    /// else is asked of the swarm goes to `others`.
    pub fn at_work(self, others: mpsc::UnboundedSender<SwarmCommand>) -> (ToSwarm, AtWork) {
        let (ask, mut asked) = mpsc::unbounded_channel();
        let task = tokio::spawn(async move {
            let (mut known, mut number) = (None, 0);
            while asked.recv().await.is_some() {
                self.model.tell(Writing::UnderWay).await;
                number += 1;
                let told = match self.sentence(&mut known, number).await {
                    Ok(written) => Writing::Done(written),
                    Err(error) => Writing::Failed { why: error.to_string() },
                };
                // Whoever pressed the key again meanwhile wanted this one.
                while asked.try_recv().is_ok() {}
                self.model.tell(told).await;
            }
        });
        let to_swarm: ToSwarm = Arc::new(move |command| {
            // Once the author is gone so is the swarm.
            let _ = match command {
                SwarmCommand::Write => ask.send(()).is_ok(),
                other => others.send(other).is_ok(),
            };
        });
        (to_swarm, AtWork(task))
    }

    async fn sentence(
        &self,
        known: &mut Option<Measured>,
        number: u64,
    ) -> Result<Written, NewcomerError> {
        let now = newcomer::objects(&self.model.chunks().await);
        let mut measured = match known.take().filter(|known| known.weights.objects == now) {
            Some(measured) => measured,
            None => {
                let weights = newcomer::download(&self.model, &self.config, &self.clock).await?;
                Measured { weights: Arc::new(weights), loss: None }
            }
        };
        let (author, weights, loss) = (self.clone(), Arc::clone(&measured.weights), measured.loss);
        let writing = move || author.write(&weights, loss, number);
        let written =
            tokio::task::spawn_blocking(writing).await.unwrap_or(Err(NewcomerError::Stopped));
        if let Ok(written) = &written {
            measured.loss = Some(written.loss);
        }
        *known = Some(measured);
        written
    }

    /// Blocks for a few seconds at most.
    fn write(
        &self,
        weights: &Weights,
        loss: Option<f64>,
        number: u64,
    ) -> Result<Written, NewcomerError> {
        let mut model = Newcomer::build(weights, &self.config, self.device.as_ref())?;
        let begun = match &self.say {
            Some(say) => model.words(say)?,
            None => model.beginning(&self.config.feed.held_out_sample()?)?,
        };
        let mut entropy = Entropy::seeded(self.seed, &format!("sentence {number}"));
        let text = model.end_sentence(&begun, CAREFUL, &mut entropy)?;
        let loss = match loss {
            Some(loss) => loss,
            None => model.loss(&self.config)?,
        };
        let epochs = weights.epochs;
        Ok(Written { number, begun: text.begun, text: text.written, epochs, loss })
    }
}
