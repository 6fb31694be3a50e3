//! The learning-rate schedule (spec 8.9): warm-up, constant, a cosine with saw teeth, a tail. The
//! newest live miner holds the rate constant; runs that set one in their metadata use this.

use std::f64::consts::PI;

/// Shape of a schedule. Steps are optimizer steps.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LearningRateSchedule {
    /// The highest rate.
    pub peak: f64,
    /// Fraction of the peak at step 0.
    pub warmup_start_factor: f64,
    /// Steps of linear warm-up.
    pub warmup_steps: u64,
    /// Steps at the peak.
    pub const_steps: u64,
    /// Fraction of all steps that the tail takes.
    pub tail_steps_frac: f64,
    /// Fraction of the peak that the cosine falls to.
    pub final_factor: f64,
    /// Steps per saw tooth, at least 1.
    pub saw_cycle_length: u64,
    /// All steps.
    pub total_steps: u64,
}

/// The parts of a schedule do not fit into its total.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the learning-rate schedule does not fit: warm-up, constant part and tail leave no step of \
     {total} for the decay, or its saw tooth has no length"
)]
pub struct ScheduleError {
    total: u64,
}

#[allow(clippy::cast_precision_loss)] // Step counts stay far below 2^53.
impl LearningRateSchedule {
    /// The rate of `step`, counted from 0. After the last step the rate is 0.
    pub fn at(&self, step: u64) -> Result<f64, ScheduleError> {
        let (tail, decay) = self.tail_and_decay()?;
        let constant_from = self.warmup_steps;
        let decay_from = constant_from + self.const_steps;
        let tail_from = decay_from + decay;
        Ok(if step < constant_from {
            let done = step as f64 / self.warmup_steps as f64;
            self.peak * (self.warmup_start_factor + (1.0 - self.warmup_start_factor) * done)
        } else if step < decay_from {
            self.peak
        } else if step < tail_from {
            self.decaying(step - decay_from, decay)
        } else if step < self.total_steps {
            let done = (step - tail_from) as f64 / tail as f64;
            self.peak * (self.final_factor * 0.5 * (1.0 + (PI * done).cos()))
        } else {
            0.0
        })
    }

    fn decaying(&self, step: u64, decay: u64) -> f64 {
        let done = step as f64 / decay as f64;
        let f = self.final_factor;
        let cosine = f + (1.0 - f) * 0.5 * (1.0 + (PI * done).cos());
        let in_tooth = (step % self.saw_cycle_length) as f64 / self.saw_cycle_length as f64;
        let saw = 0.1 + 0.45 * (1.0 + (PI * in_tooth).cos());
        self.peak * cosine * saw
    }

    /// Steps of the tail and of the decay before it.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // Rounds down, as int() does.
    fn tail_and_decay(&self) -> Result<(u64, u64), ScheduleError> {
        let tail = (self.total_steps as f64 * self.tail_steps_frac) as u64;
        let before = self.warmup_steps.checked_add(self.const_steps);
        let decay = before
            .and_then(|before| before.checked_add(tail))
            .and_then(|taken| self.total_steps.checked_sub(taken))
            .filter(|decay| *decay > 0 && self.saw_cycle_length > 0);
        decay.map(|decay| (tail, decay)).ok_or(ScheduleError { total: self.total_steps })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCHEDULE: LearningRateSchedule = LearningRateSchedule {
        peak: 2e-4,
        warmup_start_factor: 0.5,
        warmup_steps: 10,
        const_steps: 10,
        tail_steps_frac: 0.1,
        final_factor: 0.1,
        saw_cycle_length: 7,
        total_steps: 100,
    };

    #[test]
    fn the_rate_rises_holds_falls_and_ends_at_zero() {
        let at = |step| SCHEDULE.at(step).unwrap();
        assert!((at(0) - 1e-4).abs() < 1e-18 && at(5) > at(0));
        assert!((at(10) - 2e-4).abs() < 1e-18 && (at(19) - 2e-4).abs() < 1e-18);
        assert!(at(89) < at(20) && at(99) > 0.0);
        assert!(at(100).abs() < f64::EPSILON);
    }

    #[test]
    fn a_schedule_without_room_for_its_decay_is_refused() {
        for broken in [
            LearningRateSchedule { const_steps: 80, ..SCHEDULE },
            LearningRateSchedule { const_steps: u64::MAX, ..SCHEDULE },
            LearningRateSchedule { saw_cycle_length: 0, ..SCHEDULE },
        ] {
            assert!(broken.at(0).is_err());
        }
    }
}
