//! Spot checks (spec 5.5): some activations are handed out with an address to which the first stage
//! must also upload what it sends on, so that its words can be compared with its deeds.

use super::{Run, refusal};
use crate::protocol::messages::{Direction, FileType, SubmitActivationRequest};
use crate::protocol::{ActivationId, Hotkey, ServerError};
use crate::telemetry::Event;

/// A forward whose bytes were uploaded: they must hash to what was reported.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpotCheck {
    /// Who uploaded it.
    pub hotkey: Hotkey,
    /// The activation.
    pub activation: ActivationId,
    /// Where it lies.
    pub object: String,
    /// The reported hash.
    pub hash: String,
}

impl Run {
    /// Whether the next activation is to be checked, and if so where it is to be uploaded.
    pub fn draw_spot_check(&mut self, hotkey: &Hotkey, id: &ActivationId) -> Option<String> {
        let rate = self.plan.rules.spot_check_rate;
        // Not drawn when nobody is checked, so that ids stay the same.
        if rate <= 0.0 || self.ids.unit() >= rate {
            return None;
        }
        let (run, epoch) = (&self.plan.run_id, self.epoch());
        let object = format!("{run}/{epoch}/0/activation/{hotkey}-{id}");
        self.begin_upload(hotkey, FileType::Activation, &object).ok()?;
        if let Some(activation) = self.activations.get_mut(id) {
            activation.spot_check = Some(object.clone());
        }
        Some(object)
    }

    /// Looks at the path in a report of the first stage's forward: it must be the one that was
    /// granted. A missing one is told, and not refused, since the work itself is done.
    pub(super) fn check_path(
        &mut self,
        hotkey: &Hotkey,
        id: &ActivationId,
        stage: usize,
        report: &SubmitActivationRequest,
    ) -> Result<(), ServerError> {
        let granted = self.activations.get(id).and_then(|activation| activation.spot_check.clone());
        let granted = granted.filter(|_| stage == 0 && report.direction == Direction::Forward);
        match (granted, &report.activation_path) {
            (None, None) => {}
            (Some(granted), Some(path)) if granted == *path => {
                let hash = report.output_activation_hash.clone().unwrap_or_default();
                let (hotkey, activation) = (hotkey.clone(), id.clone());
                let check = SpotCheck { hotkey, activation, object: granted, hash };
                self.outcome.spot_checks.push(check);
            }
            (Some(_), None) => {
                let detail = format!("{id}: the forward was to be uploaded and was not");
                let (miner, check) = (self.name(hotkey), "spot_check".to_owned());
                self.tell(Event::Evidence { miner, check, detail });
            }
            (_, Some(path)) => {
                let message =
                    format!("{path:.200?} is no place that was given for this activation");
                return Err(refusal("UploadError", message));
            }
        }
        Ok(())
    }
}
