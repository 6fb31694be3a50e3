//! The dashboard as lines, for a screen reader, a braille display, or a log that a person keeps: the
//! status line first, then a line for each change that is worth hearing; orders are words that are typed.
//! No colour, no boxes, and the cursor never goes back.

mod news;
mod typed;

use std::io::{self, BufRead as _, IsTerminal as _, Write};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::time::Duration;

use self::news::News;
use self::typed::Typed;
use super::draw::words;
use super::keymap::{self, Action};
use super::look::ScreenName;
use super::question::Question;
use super::seat::Kind;
use super::shell::{Shell, Turn};
use super::text::plain as say;
use super::theme::Signs;
use super::{Advance, Furniture, Left, Pace, TuiError, screens, theme};
use crate::clock::Clock;
use crate::control::{Control, Place, Playback, Progress};
use crate::telemetry::logs::Ring;

/// Between two looks at the snapshots.
const LOOK: Duration = Duration::from_millis(200);

/// Tells a run in lines until it ends or the user leaves. Blocks its thread.
pub(super) fn run(control: &Control, kind: Kind, furniture: &Furniture) -> Result<Left, TuiError> {
    let Furniture { log, clock, keys, stop, .. } = furniture;
    let shell = Shell::new(control, (kind, None), log, clock, keys.clone());
    let mut teller = Teller::new(shell, None);
    let mut typed = Some(listen()?);
    teller.say(&say::opening(io::stdin().is_terminal()))?;
    loop {
        if *stop.borrow() {
            return Ok(Left::Asked);
        }
        teller.tell_news(log)?;
        if let Some(left) = teller.left_at_the_end(kind)? {
            return Ok(left);
        }
        match next(&mut typed, LOOK, clock) {
            Some(line) => {
                if let Turn::Leave(left) = teller.obey(&line)? {
                    return Ok(left);
                }
            }
            None => continue,
        }
    }
}

/// The same of a run of the past. Blocks its thread.
pub(super) fn past(
    control: &Control,
    playback: &Playback,
    (pace, advance): (Pace, &mut Advance<'_>),
    furniture: &Furniture,
) -> Result<Left, TuiError> {
    let Furniture { log, clock, keys, stop, .. } = furniture;
    let shell = Shell::new(control, (Kind::Past, Some(playback)), log, clock, keys.clone());
    let mut teller = Teller::new(shell, Some(playback));
    let has_keyboard = io::stdin().is_terminal();
    let mut typed = if has_keyboard { Some(listen()?) } else { None };
    teller.say(&say::opening_of_record(&playback.place.borrow().recorded, has_keyboard))?;
    let mut is_at_end = false;
    loop {
        if *stop.borrow() {
            return Ok(Left::Asked);
        }
        teller.tell_news(log)?;
        let place = playback.place.borrow().clone();
        if place.at >= place.length && !std::mem::replace(&mut is_at_end, true) {
            if let Progress::Finished(words) | Progress::Failed(words) =
                teller.shell.view().progress
            {
                teller.say(&[words])?;
            }
            teller.say(&[say::end_of_record(has_keyboard).to_owned()])?;
            if !has_keyboard {
                return Ok(Left::Quit);
            }
        }
        is_at_end &= place.at >= place.length;
        let wait = match pace {
            Pace::Record => LOOK.div_f64(place.speed),
            Pace::AtOnce => Duration::ZERO,
        };
        // What is wished counts before time goes on.
        let by = match next(&mut typed, wait, clock) {
            Some(line) => match teller.obey(&line)? {
                Turn::Leave(left) => return Ok(left),
                _ => Duration::ZERO,
            },
            None => LOOK,
        };
        let before = place;
        if advance(by).is_break() {
            return Ok(Left::Quit);
        }
        teller.tell_place(&before)?;
    }
}

/// Reads what is typed on a thread of its own; it ends with its input, or with the program.
fn listen() -> io::Result<Receiver<String>> {
    let (line, lines) = mpsc::channel();
    std::thread::Builder::new().name("typed words".into()).spawn(move || {
        for typed in io::stdin().lock().lines().map_while(Result::ok) {
            if line.send(typed).is_err() {
                return;
            }
        }
    })?;
    Ok(lines)
}

/// The next line that was typed; nothing where none came in time.
fn next(typed: &mut Option<Receiver<String>>, wait: Duration, clock: &Clock) -> Option<String> {
    let Some(lines) = typed else {
        if !wait.is_zero() {
            clock.block(wait);
        }
        return None;
    };
    match clock.receive(lines, wait) {
        Ok(line) => Some(line),
        Err(RecvTimeoutError::Timeout) => None,
        // Without input it goes on telling: a service has none.
        Err(RecvTimeoutError::Disconnected) => {
            *typed = None;
            None
        }
    }
}

/// Tells, and does what is typed.
struct Teller<'a, W> {
    shell: Shell<'a>,
    /// Where a run of the past is.
    playback: Option<&'a Playback>,
    news: News,
    out: W,
    signs: Signs,
}

impl<'a> Teller<'a, io::Stdout> {
    fn new(shell: Shell<'a>, playback: Option<&'a Playback>) -> Self {
        let signs = theme::Theme::from_environment().signs();
        Self { shell, playback, news: News::default(), out: io::stdout(), signs }
    }
}

impl<W: Write> Teller<'_, W> {
    /// Writes lines. What others wrote in them commands no terminal.
    fn say(&mut self, lines: &[String]) -> io::Result<()> {
        for line in lines.iter().flat_map(|line| line.lines()) {
            writeln!(self.out, "{}", words(line, self.signs))?;
        }
        self.out.flush()
    }

    /// What is new since the last look.
    fn tell_news(&mut self, log: &Ring) -> io::Result<()> {
        let mut lines = self.news.of(&self.shell.view());
        lines.extend(self.news.logged(log, self.shell.view().unix));
        if let Some(playback) = self.playback {
            let at = playback.place.borrow().at;
            lines.iter_mut().for_each(|line| *line = say::timed(at, line));
        }
        self.say(&lines)
    }

    /// Says where a playback is, if something else than the time moved it since.
    fn tell_place(&mut self, before: &Place) -> io::Result<()> {
        let Some(playback) = self.playback else { return Ok(()) };
        let now = playback.place.borrow().clone();
        let jumped = now.at < before.at || now.at > before.at + LOOK;
        if jumped {
            // What was told belongs to another time.
            self.news.begin_anew();
        }
        if jumped || (now.holds, now.speed) != (before.holds, before.speed) {
            self.say(&[say::place(&now)])?;
        }
        Ok(())
    }

    /// When all has ended there is nothing more to tell.
    fn left_at_the_end(&mut self, kind: Kind) -> io::Result<Option<Left>> {
        let told = match self.shell.view().progress {
            Progress::Running => return Ok(None),
            Progress::Finished(summary) => summary,
            // Where it is this process that fails, it says so itself.
            Progress::Failed(why) if matches!(kind, Kind::Other(_)) => why,
            Progress::Failed(_) => return Ok(Some(Left::Quit)),
        };
        self.say(&[told])?;
        Ok(Some(Left::Quit))
    }

    fn obey(&mut self, line: &str) -> io::Result<Turn> {
        if let Some(question) = self.shell.asked() {
            return self.answer(question, line);
        }
        let lines =
            match typed::read(line, self.shell.bindings()) {
                Typed::Nothing => return Ok(Turn::Stay),
                Typed::Status => say::status(&self.shell.view()),
                Typed::Help => typed::help(self.shell.bindings()),
                Typed::Screen(screen) => screens::told(screen, &self.shell.view()),
                Typed::ForTheScreen => vec![say::FOR_THE_SCREEN.to_owned()],
                Typed::Unknown(word) => vec![say::unknown(&word)],
                Typed::DoTo(_, miner) if !self.shell.choose_named(&miner) => {
                    vec![say::no_such_miner(&miner)]
                }
                Typed::Do(Action::KillMiner | Action::SlowMiner) => vec![say::WHICH.to_owned()],
                Typed::Do(action) | Typed::DoTo(action, _) => {
                    // What it is about, for an action of that screen.
                    if keymap::LAB.contains(&action) {
                        self.shell.show(ScreenName::Swarm);
                    }
                    let turn = self.shell.act(action);
                    if turn != Turn::Stay {
                        return Ok(turn);
                    }
                    match self.shell.asked() {
                        Some(question) => self.question(question),
                        None if Question::of_action(action).is_some() => {
                            vec![say::NOTHING_TO_ASK.to_owned()]
                        }
                        // Where the playback is then is said when it is there.
                        None if self.playback.is_some() => Vec::new(),
                        None => vec![self.shell.notice().map_or_else(
                            || say::done(&self.shell.view().miner.name),
                            str::to_owned,
                        )],
                    }
                }
            };
        self.say(&lines)?;
        Ok(Turn::Stay)
    }

    fn question(&self, question: Question) -> Vec<String> {
        let view = self.shell.view();
        let mut lines = vec![format!("{} {}", question.title().trim(), question.text(&view))];
        let choices = question.choices(&view).into_iter();
        lines.extend(choices.filter_map(|choice| {
            let press = choice.keys.first()?;
            Some(say::choice(&press.to_string(), &choice.words))
        }));
        lines.push(say::choice(say::NO_WORD, super::text::questions::NO));
        lines
    }

    fn answer(&mut self, question: Question, line: &str) -> io::Result<Turn> {
        let choices = question.choices(&self.shell.view());
        let Some(answer) = typed::answer(line, &choices) else {
            self.shell.close();
            self.say(&[super::text::questions::NO.to_owned()])?;
            return Ok(Turn::Stay);
        };
        self.shell.close();
        let turn = self.shell.answer(answer);
        if turn == Turn::Stay {
            self.say(&[say::done(&self.shell.view().miner.name)])?;
        }
        Ok(turn)
    }
}
