//! Does again, without any network, what a swarm's work record says was done: every miner's
//! forwards, backwards, steps and merges in their order, on the undivided model's layers, in f64,
//! rounding to bfloat16 exactly where the wire does.

use std::collections::BTreeMap;

use hearth::protocol::{ActivationId, ChunkNumber, Epoch, Hotkey};
use hearth::training::record::{Deed, Entry};

use super::tape::{Matrix, bf16_of};
use super::whole::{Into_, Sizes};

/// What is done wrong on purpose, to show that the comparison would notice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    None,
    /// The n-th backward is not added to the gradients.
    DropGradient(usize),
    /// The n-th backward is added twice.
    DoubleGradient(usize),
    /// The n-th loaded chunk is left as it was.
    SkipPartition(usize),
}

/// The run's fixed numbers.
#[derive(Clone, Debug)]
pub struct Setting {
    pub sizes: Sizes,
    /// (first layer, one past the last) of each stage.
    pub cuts: Vec<(usize, usize)>,
    pub partitions: usize,
    pub clip: f64,
}

/// How far the replay is from the swarm, at worst.
#[derive(Clone, Copy, Debug, Default)]
pub struct Distance {
    pub loss: f64,
    pub weights: f64,
    pub losses: usize,
    pub loads: usize,
}

impl Distance {
    /// The project's bounds: losses within 1e-4 relative, weights within 1e-3 relative L2.
    pub fn is_nothing(&self) -> bool {
        self.loss <= 1e-4 && self.weights <= 1e-3
    }
}

type Weights = BTreeMap<(Hotkey, hearth::protocol::StageIndex, Epoch), std::sync::Arc<Vec<f32>>>;

/// One miner's stage.
struct Stage {
    index: usize,
    weights: Vec<f64>,
    previous: Vec<f64>,
    gradients: Vec<f64>,
    moments: (Vec<f64>, Vec<f64>),
    step: i32,
    product: f64,
    cache: BTreeMap<ActivationId, Cached>,
}

struct Cached {
    tokens: Vec<u32>,
    input: Option<Matrix>,
}

/// Everything that is on its way or in the store.
#[derive(Default)]
struct World {
    /// Boundary activations by (activation, stage that made it).
    forward: BTreeMap<(ActivationId, usize), Matrix>,
    /// Boundary gradients by (activation, stage that gets it).
    backward: BTreeMap<(ActivationId, usize), Matrix>,
    uploads: BTreeMap<String, Vec<f64>>,
    /// Merged weights and momentum by (stage, chunk), of the newest merge.
    merged: BTreeMap<(usize, ChunkNumber), (Epoch, Vec<f64>, Vec<f64>)>,
    /// Momentum of the merge before, by (stage, chunk).
    older: BTreeMap<(usize, ChunkNumber), Vec<f64>>,
    backwards: usize,
    chunks: usize,
}

/// Replays the entries and compares every loss and every epoch's starting weights.
pub fn replay(setting: &Setting, entries: &[Entry], recorded: &Weights, fault: Fault) -> Distance {
    let mut world = World::default();
    let mut stages: BTreeMap<Hotkey, Stage> = BTreeMap::new();
    let mut distance = Distance::default();
    for entry in entries {
        let key = (entry.miner.clone(), entry.stage, entry.epoch);
        match &entry.deed {
            Deed::Load { chunks, .. } => {
                let theirs = recorded.get(&key).expect("weights of every load are recorded");
                match stages.get_mut(&entry.miner) {
                    None => {
                        let stage = Stage::fresh(entry.stage.0, theirs);
                        stages.insert(entry.miner.clone(), stage);
                    }
                    Some(stage) => {
                        stage.load(&mut world, setting, chunks, fault);
                        let far = relative(&stage.weights, theirs);
                        distance.weights = distance.weights.max(far);
                        distance.loads += 1;
                    }
                }
            }
            deed => {
                let stage = stages.get_mut(&entry.miner).expect("a stage is loaded first");
                stage.act(&mut world, setting, entry.epoch, deed, fault, &mut distance);
            }
        }
    }
    distance
}

fn relative(ours: &[f64], theirs: &[f32]) -> f64 {
    assert_eq!(ours.len(), theirs.len());
    let (mut difference, mut size) = (0.0, 0.0);
    for (a, b) in ours.iter().zip(theirs) {
        difference += (a - f64::from(*b)).powi(2);
        size += f64::from(*b).powi(2);
    }
    (difference / size).sqrt()
}

impl Stage {
    fn fresh(index: usize, weights: &[f32]) -> Self {
        let weights: Vec<f64> = weights.iter().map(|&w| f64::from(w)).collect();
        let zeros = vec![0.0; weights.len()];
        Self {
            index,
            previous: weights.clone(),
            weights,
            gradients: zeros.clone(),
            moments: (zeros.clone(), zeros),
            // The step with zero gradients that allocates the state (spec 8.8).
            step: 1,
            product: 0.0,
            cache: BTreeMap::new(),
        }
    }

    fn act(
        &mut self,
        world: &mut World,
        setting: &Setting,
        epoch: Epoch,
        deed: &Deed,
        fault: Fault,
        distance: &mut Distance,
    ) {
        match deed {
            Deed::Load { .. } => unreachable!("handled by the caller"),
            Deed::Forward { activation, tokens, .. } => {
                self.forward(world, setting, activation, tokens);
            }
            Deed::Backward { activation, loss, .. } => {
                self.backward(world, setting, activation, *loss, fault, distance);
            }
            Deed::Step { lr } => self.optimizer_step(setting, *lr),
            Deed::Discard { .. } => self.gradients.fill(0.0),
            Deed::Upload { object, .. } => {
                let pseudo =
                    self.previous.iter().zip(&self.weights).map(|(old, new)| bf16_of(old - new));
                world.uploads.insert(object.clone(), pseudo.collect());
            }
            Deed::Merge { chunk, sources, .. } => {
                self.merge(world, setting, epoch, *chunk, sources);
            }
        }
    }

    fn is_last(&self, setting: &Setting) -> bool {
        self.index + 1 == setting.cuts.len()
    }

    fn pass(&self, setting: &Setting, cached: &Cached) -> super::whole::Pass {
        let (from, to) = setting.cuts[self.index];
        let input = match &cached.input {
            Some(matrix) => Into_::Activation(matrix),
            None => Into_::Tokens(&cached.tokens),
        };
        setting.sizes.run(from, to, &self.weights, input)
    }

    fn forward(&mut self, world: &mut World, setting: &Setting, id: &ActivationId, tokens: &[u32]) {
        let input = (self.index > 0).then(|| {
            world.forward.get(&(id.clone(), self.index - 1)).expect("made before").clone()
        });
        let cached = Cached { tokens: tokens.to_vec(), input };
        if !self.is_last(setting) {
            let out = self.pass(setting, &cached).output().as_on_the_wire();
            world.forward.insert((id.clone(), self.index), out);
        }
        self.cache.insert(id.clone(), cached);
    }

    fn backward(
        &mut self,
        world: &mut World,
        setting: &Setting,
        id: &ActivationId,
        their_loss: Option<f64>,
        fault: Fault,
        distance: &mut Distance,
    ) {
        let cached = self.cache.remove(id).expect("a backward follows its forward");
        let pass = self.pass(setting, &cached);
        let gradient = if self.is_last(setting) {
            let (loss, gradient) = pass.loss(&cached.tokens, setting.sizes.seq);
            let theirs = their_loss.expect("the last stage has a loss");
            distance.loss = distance.loss.max((loss - theirs).abs() / theirs.abs());
            distance.losses += 1;
            gradient
        } else {
            world.backward.remove(&(id.clone(), self.index)).expect("sent before")
        };
        let gradients = pass.back(gradient);
        if let (Some(input), true) = (&gradients.input, self.index > 0) {
            world.backward.insert((id.clone(), self.index - 1), input.as_on_the_wire());
        }
        let times = match fault {
            Fault::DropGradient(n) if n == world.backwards => 0.0,
            Fault::DoubleGradient(n) if n == world.backwards => 2.0,
            _ => 1.0,
        };
        world.backwards += 1;
        for (sum, g) in self.gradients.iter_mut().zip(&gradients.parameters) {
            *sum += times * g;
        }
    }

    /// NAdam with decoupled weight decay, clipped (spec 8.8).
    fn optimizer_step(&mut self, setting: &Setting, lr: f64) {
        const DECAY: f64 = 0.1;
        const BETA2: f64 = 0.95;
        const EPS: f64 = 1e-8;
        let stages = setting.cuts.len() as f64;
        let beta1 = 0.9 + (stages - (self.index as f64 + 1.0)) / stages * 0.09;
        let mu = |t: i32| beta1 * (1.0 - 0.5 * 0.96_f64.powi(t));
        if self.product == 0.0 {
            self.product = mu(1);
        }
        self.step += 1;
        let t = self.step;
        let (now, next) = (mu(t), mu(t + 1));
        self.product *= now;
        let norm = self.gradients.iter().map(|g| g * g).sum::<f64>().sqrt();
        let coef = (setting.clip_of(self.weights.len()) / (norm + 1e-6)).min(1.0);
        let unused = setting.unused_decoder(self.index);
        for (i, p) in self.weights.iter_mut().enumerate() {
            if unused.contains(&i) {
                continue;
            }
            let g = self.gradients[i] * coef;
            let (m, v) = (&mut self.moments.0[i], &mut self.moments.1[i]);
            *p *= 1.0 - lr * DECAY;
            *m += (g - *m) * (1.0 - beta1);
            *v = BETA2 * *v + (1.0 - BETA2) * g * g;
            let d = (*v / (1.0 - BETA2.powi(t))).sqrt() + EPS;
            *p -= lr * (1.0 - now) / (1.0 - self.product) * g / d;
            *p -= lr * next / (1.0 - self.product * next) * *m / d;
        }
        self.gradients.fill(0.0);
    }

    /// Nesterov momentum over the weighted mean of the pseudo-gradients (spec 9.4).
    fn merge(
        &mut self,
        world: &mut World,
        setting: &Setting,
        epoch: Epoch,
        chunk: ChunkNumber,
        sources: &[(String, f64)],
    ) {
        let key = (self.index, chunk);
        let range = setting.chunk(self.weights.len(), chunk);
        let length = range.len();
        match world.merged.get(&key) {
            // The twin has merged it already; the same numbers would come out.
            Some((done, ..)) if *done == epoch => return,
            Some((_, _, momentum)) => {
                world.older.insert(key, momentum.clone());
            }
            None => {}
        }
        let total: f64 = sources.iter().map(|(_, weight)| weight).sum();
        // A source is known by the address it was read from; an upload by its name in the store.
        let uploaded: Vec<(&Vec<f64>, f64)> = sources
            .iter()
            .map(|(address, weight)| {
                let named = |(object, _): &(&String, _)| address.ends_with(object.as_str());
                let (_, pseudo) = world.uploads.iter().find(named).expect("handed in before");
                (pseudo, *weight)
            })
            .collect();
        let mean: Vec<f64> = range
            .clone()
            .map(|i| {
                let sum: f64 = uploaded.iter().map(|(pseudo, w)| pseudo[i] * w).sum();
                bf16_of(sum / total)
            })
            .collect();
        let e = epoch.0 as f64;
        let mu = if e < 20.0 { 0.5 + 0.4 * e / 20.0 } else { 0.9 };
        let (mu_rounded, rate) = (bf16_of(mu), bf16_of(0.7));
        let whole_groups = length / 32 * 32;
        let older = world.older.get(&key);
        let (mut weights, mut momentum) = (Vec::new(), Vec::new());
        for (n, i) in range.enumerate() {
            let g = mean[n];
            let b = older.map_or(g, |older| bf16_of(bf16_of(older[n] * mu) + g));
            let tail = n >= whole_groups;
            let round = |product: f64| if tail { bf16_of(product) } else { product };
            let u = bf16_of(g + round(mu_rounded * b));
            weights.push(bf16_of(bf16_of(self.previous[i]) - round(rate * u)));
            momentum.push(b);
        }
        world.merged.insert(key, (epoch, weights, momentum));
    }

    fn load(&mut self, world: &mut World, setting: &Setting, chunks: &[ChunkNumber], fault: Fault) {
        for &chunk in chunks {
            let skipped = fault == Fault::SkipPartition(world.chunks);
            world.chunks += 1;
            if skipped {
                continue;
            }
            let range = setting.chunk(self.weights.len(), chunk);
            match world.merged.get(&(self.index, chunk)) {
                Some((_, weights, _)) => self.weights[range].copy_from_slice(weights),
                // Loaded again before anything was merged: the first weights.
                None => self.weights[range.clone()].copy_from_slice(&self.previous[range]),
            }
        }
        self.previous.clone_from(&self.weights);
        self.cache.clear();
    }
}

impl Setting {
    fn chunk(&self, len: usize, chunk: ChunkNumber) -> std::ops::Range<usize> {
        let size = len / self.partitions;
        let end = if chunk.0 + 1 == self.partitions { len } else { (chunk.0 + 1) * size };
        chunk.0 * size..end
    }

    /// Parameters of the undivided model: what the limit of the gradient's norm is shared by.
    fn clip_of(&self, stage_parameters: usize) -> f64 {
        self.clip * (stage_parameters as f64).sqrt()
    }

    /// The decoder of a bottleneck block whose input is wide never gets a gradient, and is left
    /// alone by the optimizer (spec 8.6, 8.8).
    fn unused_decoder(&self, stage: usize) -> std::ops::Range<usize> {
        let (from, to) = self.cuts[stage];
        let last_before_cut = to < self.sizes.layers;
        let used = from > 0 && to - from == 1;
        if !last_before_cut || used {
            return 0..0;
        }
        let (e, f) = (self.sizes.emb, self.sizes.hidden);
        let kv = e / self.sizes.heads * self.sizes.kv_heads;
        let ordinary = 2 * kv * e + 2 * e * e + 3 * e * f + 2 * e;
        let mut start = (to - from - 1) * ordinary;
        if from == 0 {
            start += self.sizes.vocab * e;
        } else {
            start += e * self.sizes.bottleneck;
        }
        start..start + e * self.sizes.bottleneck
    }
}
