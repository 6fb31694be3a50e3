//! Where log lines go: to standard error without a screen, to a ring of recent lines when the screen
//! owns the terminal, and in both cases to files once a run has opened them. How much goes there may
//! be changed while the program runs.

mod files;
mod level;
mod ring;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Duration;

use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::{Layer, SubscriberExt as _};
use tracing_subscriber::registry::Registry;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, reload};

pub use files::list;
pub use level::{Level, NoLevel};
pub use ring::{Ring, RingWriter};

use crate::clock::Clock;
use crate::config::folders::{FolderError, Folders};
use crate::config::settings::{Key, Settings, SettingsError};
use crate::config::units;
use files::Files;

/// How lines are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// For a person.
    #[default]
    Readable,
    /// One JSON object a line.
    Json,
}

/// What the settings say of logs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// How much; `None` where nobody said anything: then files have what happens, and the terminal
    /// only what does not work as it should.
    pub level: Option<Level>,
    /// How.
    pub format: Format,
    /// For how long.
    pub keep: Duration,
}

/// The folder of the log files.
pub fn folder(folders: &Folders) -> PathBuf {
    folders.state.join("logs")
}

/// What may be changed while lines are written.
struct Lines {
    files: Files,
    /// Of standard error or the ring: readable, JSON.
    near: [Tap; 2],
    /// Of the files: readable, JSON.
    far: [Tap; 2],
    formats: Mutex<(Format, Option<Format>)>,
    /// The level that was asked for while it runs.
    asked: Mutex<Option<Level>>,
}

/// Sets the filter of a layer.
type Tap = Box<dyn Fn(EnvFilter) + Send + Sync>;

static LINES: OnceLock<Lines> = OnceLock::new();

/// What `RUST_LOG` says, if it says anything that can be read.
fn told() -> Option<EnvFilter> {
    let text = std::env::var("RUST_LOG").ok().filter(|text| !text.is_empty())?;
    level::without_secrets(&text).ok()
}

/// What standard error and the ring get while nobody says anything.
fn near_filter(level: Option<Level>) -> EnvFilter {
    told().unwrap_or_else(|| level.unwrap_or(Level::Warn).filter())
}

/// What the files get.
fn far_filter(level: Option<Level>) -> EnvFilter {
    told().unwrap_or_else(|| level.unwrap_or(Level::Info).filter())
}

fn off() -> EnvFilter {
    EnvFilter::new("off")
}

/// Logs to standard error. Standard output stays for what was asked for.
pub fn to_stderr() {
    let plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let colour = !plain && io::IsTerminal::is_terminal(&io::stderr());
    start(io::stderr, Near { colour, times: true });
}

/// Logs to a ring that the screen shows. A second screen of the same process shows the same ring.
pub fn to_ring() -> Ring {
    static RING: OnceLock<Ring> = OnceLock::new();
    let ring = RING.get_or_init(Ring::default).clone();
    start(ring.clone(), Near { colour: false, times: false });
    ring
}

/// How the lines on the terminal look.
#[derive(Clone, Copy)]
struct Near {
    colour: bool,
    times: bool,
}

/// Starts the log. A second call (tests start several runs in one process) keeps the first.
fn start<W>(near: W, look: Near)
where
    W: for<'a> MakeWriter<'a> + Clone + Send + Sync + 'static,
{
    LINES.get_or_init(|| {
        let files = Files::default();
        // The layers sit beside each other on the registry, each with a filter that can be changed.
        type Sits = Box<dyn Layer<Registry> + Send + Sync>;
        let plain = tracing_subscriber::fmt::layer().with_target(false).with_ansi(look.colour);
        let readable: Sits = match look.times {
            true => Box::new(plain.with_writer(near.clone())),
            false => Box::new(plain.without_time().with_writer(near.clone())),
        };
        let json: Sits = Box::new(tracing_subscriber::fmt::layer().json().with_writer(near));
        let plain = tracing_subscriber::fmt::layer().with_ansi(false).with_writer(files.clone());
        let kept: Sits = Box::new(plain);
        let kept_json: Sits =
            Box::new(tracing_subscriber::fmt::layer().json().with_writer(files.clone()));
        let (readable, readable_tap) = tapped(readable, near_filter(None), Place::Near);
        let (json, json_tap) = tapped(json, off(), Place::Near);
        let (kept, kept_tap) = tapped(kept, off(), Place::Far);
        let (kept_json, kept_json_tap) = tapped(kept_json, off(), Place::Far);
        // Another logger of the same process (a test's) is left in place.
        let _ =
            tracing_subscriber::registry().with(vec![readable, json, kept, kept_json]).try_init();
        Lines {
            files,
            near: [readable_tap, json_tap],
            far: [kept_tap, kept_json_tap],
            formats: Mutex::new((Format::Readable, None)),
            asked: Mutex::new(None),
        }
    });
}

/// Which lines a layer is for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    /// Standard error, the ring: there the events are shown by somebody else.
    Near,
    /// The files.
    Far,
}

fn tapped(
    layer: Box<dyn Layer<Registry> + Send + Sync>,
    filter: EnvFilter,
    place: Place,
) -> (Box<dyn Layer<Registry> + Send + Sync>, Tap) {
    let (filter, handle) = reload::Layer::new(filter);
    let wanted = tracing_subscriber::filter::filter_fn(move |meta| {
        place == Place::Far || meta.target() != level::EVENTS
    });
    let layer = layer.with_filter(filter).with_filter(wanted);
    let tap = move |filter| {
        // It fails only when the logger is gone, and then nothing is logged.
        let _ = handle.reload(filter);
    };
    (Box::new(layer), Box::new(tap))
}

/// Opens the log files in `folder`, and writes there and on the terminal as wanted.
///
/// # Errors
/// The folder cannot be written; the terminal's lines are as wanted all the same.
pub fn to_files(folder: &Path, wanted: Wanted, clock: &Clock) -> Result<(), FolderError> {
    let Some(lines) = LINES.get() else { return Ok(()) };
    let opened = lines.files.open(folder, wanted.keep, clock);
    let far = opened.is_ok().then_some(wanted.format);
    *lines.formats.lock().unwrap_or_else(PoisonError::into_inner) = (wanted.format, far);
    lines.apply(near_filter(wanted.level), far_filter(wanted.level));
    opened
}

/// Goes by changed settings.
pub fn follow(wanted: Wanted) {
    let Some(lines) = LINES.get() else { return };
    lines.files.keep(wanted.keep);
    {
        let mut formats = lines.formats.lock().unwrap_or_else(PoisonError::into_inner);
        *formats = (wanted.format, formats.1.map(|_| wanted.format));
    }
    *lines.asked.lock().unwrap_or_else(PoisonError::into_inner) = None;
    lines.apply(near_filter(wanted.level), far_filter(wanted.level));
}

/// Logs down to this level from now on, on the terminal and in the files, whatever was said before.
pub fn set_level(level: Level) {
    if let Some(lines) = LINES.get() {
        *lines.asked.lock().unwrap_or_else(PoisonError::into_inner) = Some(level);
        lines.apply(level.filter(), level.filter());
    }
}

/// The level that [`set_level`] was asked for, until changed settings overrule it.
pub fn asked_level() -> Option<Level> {
    *LINES.get()?.asked.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Whether `RUST_LOG` says how much is logged, as long as nobody asks for another level.
pub fn is_told_by_environment() -> bool {
    told().is_some()
}

impl Lines {
    fn apply(&self, near: EnvFilter, far: EnvFilter) {
        let (near_format, far_format) =
            *self.formats.lock().unwrap_or_else(PoisonError::into_inner);
        put(&self.near, near, Some(near_format));
        put(&self.far, far, far_format);
    }
}

/// Gives the layer of `format` this filter, and the other none.
fn put(taps: &[Tap; 2], filter: EnvFilter, format: Option<Format>) {
    let [readable, json] = taps;
    match format {
        None => [readable, json].map(|tap| tap(off())),
        Some(Format::Readable) => [json(off()), readable(filter)],
        Some(Format::Json) => [readable(off()), json(filter)],
    };
}

/// Writes what happened into the log files, in words. The terminal shows events by itself.
pub fn tell(words: &str) {
    tracing::info!(target: level::EVENTS, "{words}");
}

/// The same for what happens all the time: only at level debug.
pub fn tell_detail(words: &str) {
    tracing::debug!(target: level::EVENTS, "{words}");
}

impl Wanted {
    /// What the settings say.
    ///
    /// # Errors
    /// The setting that cannot be read.
    pub fn of(settings: &Settings) -> Result<Self, SettingsError> {
        let level = settings.get::<Level>(Key::LogLevel)?.map(|given| given.value);
        let format = match settings.text(Key::LogFormat).map(|given| given.value.trim()) {
            None | Some("readable") => Format::Readable,
            Some("json") => Format::Json,
            Some(_) => return Err(settings.refuse(Key::LogFormat, "there is no such form")),
        };
        let keep = settings
            .text(Key::LogKeep)
            .map_or(Key::LogKeep.default_words(), |given| given.value.as_str());
        let keep = units::span(keep).map_err(|error| settings.refuse(Key::LogKeep, error))?;
        Ok(Self { level, format, keep })
    }
}
