//! Time and randomness, injected. Nothing else in the crate may ask the system for either, so that
//! a run can be recorded and replayed and a test can say what the time is.

use std::future::Future;
use std::sync::{Arc, mpsc};
use std::time::Duration;

use rand::{Rng, SeedableRng, rngs::SysRng};
use rand_chacha::ChaCha20Rng;

/// The source of time: a handle that is cheap to clone and passed to whoever needs it.
///
/// Instants are seconds since the handle's own start, so that no part of the program depends on
/// the machine's boot time. Sleeping goes through tokio, whose time a test may pause and advance.
#[derive(Clone)]
pub struct Clock {
    start: tokio::time::Instant,
    unix_at_start: Duration,
    /// The time since 1970 as the machine has it.
    wall: Arc<dyn Fn() -> Duration + Send + Sync>,
}

impl std::fmt::Debug for Clock {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Clock").field("now", &self.now()).field("unix", &self.unix()).finish()
    }
}

/// A moment on a [`Clock`]: time since the clock was made. Never goes backwards.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Moment(pub Duration);

impl Moment {
    /// Time from `earlier` to this moment; zero if `earlier` is later.
    pub fn since(self, earlier: Moment) -> Duration {
        self.0.saturating_sub(earlier.0)
    }
}

impl std::ops::Add<Duration> for Moment {
    type Output = Moment;
    fn add(self, rhs: Duration) -> Moment {
        Moment(self.0 + rhs)
    }
}

/// An operation did not finish within its time limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("timed out after {0:?}")]
pub struct TimedOut(pub Duration);

impl Default for Clock {
    fn default() -> Self {
        Self::system()
    }
}

impl Clock {
    /// The system's clock.
    pub fn system() -> Self {
        Self::with_wall(system_time)
    }

    /// A clock that reads the time since 1970 here, where a test may let it jump.
    pub fn with_wall(wall: impl Fn() -> Duration + Send + Sync + 'static) -> Self {
        let start = tokio::time::Instant::now();
        Self { start, unix_at_start: wall(), wall: Arc::new(wall) }
    }

    /// Time since this clock was made.
    pub fn now(&self) -> Moment {
        Moment(self.start.elapsed())
    }

    /// Time since 1970. It advances with [`Clock::now`], so that it never goes backwards, and catches
    /// up with the system's clock when that has jumped ahead: monotonic time stands still while a
    /// machine sleeps, and a signature of before the sleep would be refused as stale.
    pub fn unix(&self) -> Duration {
        let (counted, system) = (self.unix_at_start + self.start.elapsed(), (self.wall)());
        if system > counted + JUMP { system } else { counted }
    }

    /// The time as ISO 8601 in UTC, to the second.
    pub fn iso8601(&self) -> String {
        let seconds = i64::try_from(self.unix().as_secs()).unwrap_or(i64::MAX);
        let time = time::OffsetDateTime::from_unix_timestamp(seconds);
        let text = time
            .ok()
            .and_then(|time| time.format(&time::format_description::well_known::Rfc3339).ok());
        // Only a clock thousands of years off has no such text.
        text.unwrap_or_default()
    }

    /// Unix time in seconds, as the registry's `last_keepalive` wants it.
    pub fn unix_seconds(&self) -> f64 {
        self.unix().as_secs_f64()
    }

    /// Unix time in whole milliseconds, as request signatures want it (spec 3.2).
    pub fn unix_millis(&self) -> u64 {
        u64::try_from((self.unix().as_micros() + 500) / 1000).unwrap_or(u64::MAX)
    }

    /// Waits for `time`.
    pub async fn sleep(&self, time: Duration) {
        tokio::time::sleep(time).await;
    }

    /// Runs `work`, but not longer than `limit`.
    pub async fn timeout<F: Future>(
        &self,
        limit: Duration,
        work: F,
    ) -> Result<F::Output, TimedOut> {
        tokio::time::timeout(limit, work).await.map_err(|_| TimedOut(limit))
    }

    /// Waits on this thread for what another sends, but not longer than `limit`. Only for threads that
    /// are not tokio's.
    pub fn receive<T>(
        &self,
        sent: &mpsc::Receiver<T>,
        limit: Duration,
    ) -> Result<T, mpsc::RecvTimeoutError> {
        sent.recv_timeout(limit)
    }

    /// Blocks this thread for `time`. Only for threads that are not tokio's.
    pub fn block(&self, time: Duration) {
        std::thread::sleep(time);
    }
}

/// A time since 1970 as the clock on the wall shows it: `2026-11-22 20:05`.
pub fn local(unix: u64) -> String {
    let time = i64::try_from(unix).ok().and_then(|unix| jiff::Timestamp::from_second(unix).ok());
    let time = time.map(|time| time.to_zoned(local_zone()));
    // Only a time thousands of years off has no such text.
    time.map_or_else(String::new, |time| time.strftime("%Y-%m-%d %H:%M").to_string())
}

/// The day of the week of a time since 1970, from 0 for Monday, and its minute, on the wall's clock.
pub fn minute_of_week(unix: u64) -> (usize, usize) {
    let time = i64::try_from(unix).ok().and_then(|unix| jiff::Timestamp::from_second(unix).ok());
    let time = time.unwrap_or_default().to_zoned(local_zone());
    let number = |small: i8| usize::try_from(small).unwrap_or_default();
    let minute = number(time.hour()) * 60 + number(time.minute());
    (number(time.weekday().to_monday_zero_offset()), minute)
}

/// The local time zone, as the system has it now.
pub fn local_zone() -> jiff::tz::TimeZone {
    jiff::tz::TimeZone::system()
}

/// So far ahead the system's clock is when the machine has slept; two clocks of one machine do not
/// drift apart by as much otherwise.
const JUMP: Duration = Duration::from_secs(2);

fn system_time() -> Duration {
    // A clock that was never set stands before 1970.
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default()
}

/// A stream of random numbers: from the operating system, or from a seed.
///
/// Streams are split by name, so that adding a consumer does not change what the others draw.
#[derive(Clone, Debug)]
pub struct Entropy(ChaCha20Rng);

impl Entropy {
    /// Unpredictable: seeded by the operating system. For keys, signatures and ids.
    pub fn system() -> Self {
        let mut seed = [0_u8; 32];
        // The operating system's generator failing is not a state the program can go on from; an
        // all-zero seed must never be used for a key, so retry until it answers.
        while rand::TryRng::try_fill_bytes(&mut SysRng, &mut seed).is_err() {
            std::thread::yield_now();
        }
        Self(ChaCha20Rng::from_seed(seed))
    }

    /// Reproducible: the same seed and name give the same stream on every platform.
    pub fn seeded(seed: u64, name: &str) -> Self {
        let mut hasher = blake3::Hasher::new();
        hasher.update(&seed.to_le_bytes());
        hasher.update(name.as_bytes());
        Self(ChaCha20Rng::from_seed(*hasher.finalize().as_bytes()))
    }

    /// A further stream, independent of this one's later draws.
    pub fn split(&mut self, name: &str) -> Self {
        let mut seed = [0_u8; 32];
        self.fill(&mut seed);
        let mut hasher = blake3::Hasher::new();
        hasher.update(&seed);
        hasher.update(name.as_bytes());
        Self(ChaCha20Rng::from_seed(*hasher.finalize().as_bytes()))
    }

    /// The next 64 random bits.
    pub fn next_u64(&mut self) -> u64 {
        self.0.next_u64()
    }

    /// Fills `out` with random bytes.
    pub fn fill(&mut self, out: &mut [u8]) {
        self.0.fill_bytes(out);
    }

    /// Uniform in [0, 1), with 53 random bits.
    pub fn unit(&mut self) -> f64 {
        #[allow(clippy::cast_precision_loss)]
        let mantissa = (self.next_u64() >> 11) as f64;
        mantissa / 9_007_199_254_740_992.0
    }

    /// Uniform in [low, high).
    pub fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.unit()
    }

    /// Uniform in 0..n; 0 when `n` is 0. The bias of 2^-64 per value is of no consequence here.
    pub fn below(&mut self, n: usize) -> usize {
        let wide = u128::from(self.next_u64()) * (n as u128);
        usize::try_from(wide >> 64).unwrap_or(0)
    }

    /// Standard normal (Box and Muller).
    pub fn normal(&mut self) -> f64 {
        let radius = (-2.0 * (1.0 - self.unit()).ln()).sqrt();
        radius * (std::f64::consts::TAU * self.unit()).cos()
    }

    /// A random (version 4) UUID in its usual text form.
    pub fn uuid(&mut self) -> String {
        let mut b = [0_u8; 16];
        self.fill(&mut b);
        b[6] = (b[6] & 0x0f) | 0x40;
        b[8] = (b[8] & 0x3f) | 0x80;
        let h = hex::encode(b);
        format!("{}-{}-{}-{}-{}", &h[..8], &h[8..12], &h[12..16], &h[16..20], &h[20..])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seeded_streams_repeat_and_differ_by_name() {
        let draw = |seed, name| Entropy::seeded(seed, name).next_u64();
        assert_eq!(draw(1, "weights"), draw(1, "weights"));
        assert_ne!(draw(1, "weights"), draw(1, "data"));
        assert_ne!(draw(1, "weights"), draw(2, "weights"));
    }

    #[test]
    fn the_time_follows_a_clock_that_was_set_ahead_and_never_goes_back_behind_what_was_right() {
        use std::sync::atomic::{AtomicU64, Ordering};
        let wall = Arc::new(AtomicU64::new(10_000));
        let read = Arc::clone(&wall);
        let clock = Clock::with_wall(move || Duration::from_secs(read.load(Ordering::Relaxed)));
        let unix = |set: u64| {
            wall.store(set, Ordering::Relaxed);
            clock.unix().as_secs()
        };
        assert_eq!([unix(10_000), unix(13_600)], [10_000, 13_600]);
        // Set back: counted on from the start, since an older time would be refused as stale.
        assert_eq!([unix(6_400), unix(10_000)], [10_000, 10_000]);
    }

    #[test]
    fn the_time_has_its_usual_text() {
        let text = Clock::system().iso8601();
        assert_eq!((text.len(), &text[..2], &text[19..]), (20, "20", "Z"), "{text}");
    }

    #[test]
    fn below_stays_below_and_reaches_every_value() {
        let mut entropy = Entropy::seeded(7, "below");
        let mut seen = [false; 5];
        for _ in 0..1000 {
            seen[entropy.below(5)] = true;
        }
        assert_eq!(seen, [true; 5]);
        assert_eq!(entropy.below(0), 0);
    }

    #[test]
    fn uuid_has_version_and_variant() {
        let id = Entropy::seeded(3, "id").uuid();
        assert_eq!(id.len(), 36);
        assert_eq!(&id[14..15], "4");
        assert!("89ab".contains(&id[19..20]));
    }
}
