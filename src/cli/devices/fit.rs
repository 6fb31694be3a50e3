//! How large a stage of the live network's 1B model this machine can train, by the plan that the
//! miner itself checks before it takes a stage.

use serde::Serialize;

use crate::compute::DeviceInfo;
use crate::config::constants::StorageConstants;
use crate::model::presets::live_1b;
use crate::model::{MomentPrecision, OptimizerKind, StageSpec};
use crate::protocol::messages::RunFlags;
use crate::protocol::splits::Split;
use crate::protocol::{Epoch, RunId, StageIndex};
use crate::training::memory::MemoryPlan;
use crate::training::memory::ladder::rungs;
use crate::training::terms::{HyperParameters, Terms};

/// Stages of the run that is assumed: a first, one between, a last.
const STAGES: usize = 3;
/// The fewest partitions of a stage, which take the most memory to merge.
const PARTITIONS: usize = 2;

/// Memory that a stage may take, in bytes; none where nobody can say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct MemoryRoom {
    /// Of the machine.
    pub host: Option<u64>,
    /// Of the device.
    pub device: Option<u64>,
    /// Whether the device's buffers lie in the machine's memory.
    pub shared: bool,
}

/// The most layers of the 1B model that fit, for each sort of stage; none where not even one does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Fit {
    /// Layers of the model.
    pub layers_of_model: usize,
    /// In a first stage, beside the token table.
    pub head: Option<usize>,
    /// In a stage between.
    pub body: Option<usize>,
    /// In a last stage, beside the output head.
    pub tail: Option<usize>,
    /// Bytes that a stage between of one layer takes, in all.
    pub one_layer: u64,
}

impl Fit {
    /// What fits, in a sentence.
    pub fn words(&self) -> String {
        let of = |layers: Option<usize>| layers.map_or("none".to_owned(), |n| n.to_string());
        match self.head.max(self.body).max(self.tail) {
            None => "no stage of the 1B model".to_owned(),
            Some(_) => format!(
                "stages up to {} layers of the 1B model (first stage {}, last stage {})",
                of(self.body),
                of(self.head),
                of(self.tail),
            ),
        }
    }
}

/// What fits; none where the memory is not known, or the plan is impossible.
pub fn fit(device: &DeviceInfo, room: MemoryRoom) -> Option<Fit> {
    let layers = live_1b().n_layers;
    let plan = |terms: &Terms| MemoryPlan::of(terms, device, &StorageConstants::default()).ok();
    let most = |split: &dyn Fn(usize) -> Split, limit: usize| {
        let fits = |n: &usize| {
            let asked = terms(split(*n));
            // As the miner does that finds too little for the first.
            rungs(&asked)
                .any(|rung| plan(&rung.applied_to(&asked)).is_some_and(|p| has_room(&p, room)))
        };
        (1..=limit).take_while(fits).last()
    };
    if room.host.is_none() && room.device.is_none() {
        return None;
    }
    let body = |n| Split { start: Some(1), end: Some(1 + n) };
    Some(Fit {
        layers_of_model: layers,
        head: most(&|n| Split { start: None, end: Some(n) }, layers - 2),
        body: most(&body, layers - 2),
        tail: most(&|n| Split { start: Some(layers - n), end: None }, layers - 2),
        one_layer: plan(&terms(body(1)))?.total(),
    })
}

fn has_room(plan: &MemoryPlan, room: MemoryRoom) -> bool {
    let fits = |needed: u64, there: Option<u64>| there.is_none_or(|there| needed <= there);
    let host = if room.shared { plan.total() } else { plan.host() };
    fits(host, room.host) && fits(plan.device(), room.device)
}

/// What a registration for such a stage would say.
fn terms(split: Split) -> Terms {
    let hyper = HyperParameters::default();
    let stage = match (split.start, split.end) {
        (None, _) => 0,
        (_, None) => STAGES - 1,
        _ => 1,
    };
    let spec = StageSpec {
        config: live_1b(),
        split,
        stage,
        stages: STAGES,
        batch: hyper.batch,
        local_batch: hyper.batch,
        seq: hyper.sequence,
        optimizer: OptimizerKind::NAdam,
        moments: MomentPrecision::F32,
        grad_clip_norm: hyper.grad_clip_norm,
        total_global_params: crate::model::presets::LIVE_1B_PARAMS,
    };
    Terms {
        run: RunId::from("fit"),
        stage: StageIndex(stage),
        stages: STAGES,
        partitions: PARTITIONS,
        epoch: Epoch(1),
        flags: RunFlags::default(),
        hyper,
        tokenizer: None,
        spec,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compute::{Device, DeviceKind, cpu::CpuDevice};
    use crate::training::memory::ladder::Rung;

    const GIB: u64 = 1 << 30;

    fn gpu() -> DeviceInfo {
        DeviceInfo { kind: DeviceKind::Gpu, ..CpuDevice::new(Some(1)).info().clone() }
    }

    fn with(device: u64) -> Fit {
        let room = MemoryRoom { host: Some(256 * GIB), device: Some(device * GIB), shared: false };
        fit(&gpu(), room).unwrap()
    }

    #[test]
    fn more_memory_fits_more_layers_and_the_ends_carry_the_vocabulary() {
        let (small, large) = (with(6), with(12));
        assert!(small.body >= Some(2) && small.body < large.body, "{small:?} {large:?}");
        // The token table and the output head take as much as four layers each.
        assert!(large.head < large.body && large.tail < large.body, "{large:?}");
        assert_eq!(with(64).body, Some(14), "there are no more between the ends");
    }

    #[test]
    fn a_machine_without_room_fits_nothing_and_one_that_does_not_say_is_not_guessed() {
        let half = MemoryRoom { host: None, device: Some(GIB / 2), shared: false };
        let nothing = fit(&gpu(), half).unwrap();
        assert_eq!(nothing.body, None);
        assert_eq!(nothing.words(), "no stage of the 1B model");
        assert_eq!(fit(&gpu(), MemoryRoom::default()), None);
    }

    #[test]
    fn what_only_fits_with_rounded_moments_fits() {
        let asked = terms(Split { start: Some(1), end: Some(9) });
        let bytes = |rung: Rung| {
            let asked = rung.applied_to(&asked);
            MemoryPlan::of(&asked, &gpu(), &StorageConstants::default()).unwrap().device()
        };
        let all: Vec<Rung> = rungs(&asked).collect();
        let least = all.iter().copied().map(bytes).min().unwrap();
        assert!(least < bytes(all[0]) * 4 / 5);
        let room = MemoryRoom { host: None, device: Some(least), shared: false };
        assert_eq!(fit(&gpu(), room).unwrap().body, Some(8));
    }

    #[test]
    fn a_device_in_the_machines_memory_shares_it_with_everything_else() {
        let room = |shared| MemoryRoom { host: Some(8 * GIB), device: Some(8 * GIB), shared };
        assert!(fit(&gpu(), room(true)).unwrap().body < fit(&gpu(), room(false)).unwrap().body);
    }
}
