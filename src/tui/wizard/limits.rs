//! The fourth screen as a state machine: what Hearth may use, and where it goes. Only limits that
//! have an effect are here.

use crossterm::event::{KeyCode, KeyEvent};

use super::field::{Field, Shown};
use super::key::{Go, Turn};
use super::request::{Choices, Payout, Request};
use super::rules::RulesPage;
use super::text;

/// What computes, as the settings say it.
pub const BACKENDS: [&str; 3] = ["auto", "wgpu", "cpu"];
/// The ways to join, as the settings say them.
pub const JOINS: [&str; 2] = ["pool", "metagraph"];
/// The networks that have a name; any other is a server's address.
pub const NETWORKS: [&str; 3] = ["mainnet", "testnet", PRACTICE];
/// The network that stays on this machine and needs no key.
pub const PRACTICE: &str = "practice";

/// A row of the screen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Row {
    /// What computes.
    Backend,
    /// How many threads of the processor compute.
    Threads,
    /// Which network.
    Network,
    /// The server's address, where the network has no name.
    Server,
    /// How it is joined.
    Join,
}

/// The two pages of the screen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Page {
    /// What computes, and for which network.
    Work,
    /// When, and how much of the disk and the line.
    Rules,
}

/// The fourth screen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Which page is shown.
    pub page: Page,
    /// The second page.
    pub rules: RulesPage,
    /// The row under the user's fingers.
    pub row: Row,
    /// Index into [`BACKENDS`].
    pub backend: usize,
    /// Threads that compute; all when there is none.
    pub threads: Option<usize>,
    /// Threads this machine has.
    pub cores: usize,
    /// Index into [`NETWORKS`]; one more is a server.
    pub network: usize,
    /// The server's address.
    pub server: Field,
    /// What is to be said of that address; `None` until it was judged.
    pub server_verdict: Option<Result<(), String>>,
    /// Index into [`JOINS`].
    pub join: usize,
    /// What was wrong with the last press.
    pub problem: Option<String>,
}

impl Limits {
    /// With these answers, on a machine of so many cores.
    pub fn new(choices: &Choices, cores: usize) -> Self {
        let index = |all: &[&str], word: &str| all.iter().position(|known| *known == word);
        let named = index(&NETWORKS, &choices.network);
        let server = if named.is_some() { "" } else { &choices.network };
        Self {
            page: Page::Work,
            rules: RulesPage::new(&choices.rules),
            row: Row::Backend,
            backend: index(&BACKENDS, &choices.backend).unwrap_or(0),
            threads: choices.cpu_threads.map(|threads| threads.clamp(1, cores.max(1))),
            cores: cores.max(1),
            network: named.unwrap_or(NETWORKS.len()),
            server: Field::with(Shown::Plain, server),
            // What was saved was judged when it was saved.
            server_verdict: (!server.is_empty()).then_some(Ok(())),
            join: index(&JOINS, &choices.join).unwrap_or(0),
            problem: None,
        }
    }

    /// The rows there are, from the top.
    pub fn rows(&self) -> Vec<Row> {
        let mut rows = vec![Row::Backend, Row::Threads, Row::Network];
        if self.has_server() {
            rows.push(Row::Server);
        }
        rows.push(Row::Join);
        rows
    }

    fn has_server(&self) -> bool {
        self.network >= NETWORKS.len()
    }

    /// The network as the settings say it.
    pub fn network(&self) -> String {
        NETWORKS
            .get(self.network)
            .map_or_else(|| self.server.text().trim().to_owned(), |name| (*name).to_owned())
    }

    /// Whether letters are text here, and no commands.
    pub fn is_typing(&self) -> bool {
        match self.page {
            Page::Work => self.row == Row::Server,
            Page::Rules => self.rules.is_typing(),
        }
    }

    /// The answers of this screen, with the payout of the one before.
    pub fn choices(&self, payout: Payout) -> Choices {
        let word = |all: &[&str], index: usize| all.get(index).map(|word| (*word).to_owned());
        Choices {
            network: self.network(),
            join: word(&JOINS, self.join).unwrap_or_default(),
            backend: word(&BACKENDS, self.backend).unwrap_or_default(),
            cpu_threads: self.threads,
            payout,
            rules: self.rules.rules(),
        }
    }

    /// A key press.
    pub fn press(&mut self, key: KeyEvent) -> Turn {
        if self.page == Page::Rules {
            let turn = self.rules.press(key);
            if turn.go != Go::Back {
                return turn;
            }
            self.page = Page::Work;
            return Turn::stay();
        }
        match key.code {
            KeyCode::Esc => return Turn::go(Go::Back),
            KeyCode::Enter => return self.enter(),
            KeyCode::Up | KeyCode::BackTab => self.move_by(-1),
            KeyCode::Down | KeyCode::Tab => self.move_by(1),
            KeyCode::Left => self.turn(-1),
            KeyCode::Right => self.turn(1),
            _ if self.row == Row::Server && self.server.press(key) => return self.changed(),
            KeyCode::Char(' ') if self.row != Row::Server => self.turn(1),
            _ => {}
        }
        Turn::stay()
    }

    /// Text that was pasted.
    pub fn paste(&mut self, text: &str) -> Turn {
        if self.page == Page::Rules {
            return self.rules.paste(text);
        }
        if self.row != Row::Server {
            return Turn::stay();
        }
        self.server.insert(text);
        self.changed()
    }

    fn changed(&mut self) -> Turn {
        self.problem = None;
        self.server_verdict = None;
        Turn::ask(Request::JudgeNetwork(self.server.text().trim().to_owned()))
    }

    /// What is to be said of the server's address.
    pub fn judged(&mut self, text: &str, problem: Option<String>) {
        if text == self.server.text().trim() {
            self.server_verdict = Some(problem.map_or(Ok(()), Err));
        }
    }

    fn enter(&mut self) -> Turn {
        self.problem = match &self.server_verdict {
            _ if !self.has_server() => None,
            Some(Ok(())) => None,
            Some(Err(why)) => Some(why.clone()),
            None => Some(text::NO_SERVER_YET.to_owned()),
        };
        if self.problem.is_some() {
            self.row = Row::Server;
            return Turn::stay();
        }
        self.page = Page::Rules;
        Turn::ask(Request::LookAtRules)
    }

    fn move_by(&mut self, by: isize) {
        let rows = self.rows();
        let at = rows.iter().position(|row| *row == self.row).unwrap_or(0);
        let to = at.saturating_add_signed(by).min(rows.len() - 1);
        self.row = rows.get(to).copied().unwrap_or(self.row);
        self.problem = None;
    }

    fn turn(&mut self, by: isize) {
        let within = |at: usize, count: usize| at.saturating_add_signed(by).min(count - 1);
        match self.row {
            Row::Backend => self.backend = within(self.backend, BACKENDS.len()),
            Row::Join => self.join = within(self.join, JOINS.len()),
            Row::Network => self.network = within(self.network, NETWORKS.len() + 1),
            // All of them is one step beyond the last number.
            Row::Threads => {
                let to = self.threads.unwrap_or(self.cores + 1).saturating_add_signed(by);
                self.threads = (to.max(1) <= self.cores).then_some(to.max(1));
            }
            Row::Server => {}
        }
        self.problem = None;
    }
}

#[cfg(test)]
mod tests {
    use crossterm::event::KeyModifiers;

    use super::super::rules::Rules;
    use super::*;
    use crate::config::settings::Key;

    fn press(limits: &mut Limits, code: KeyCode) -> Turn {
        limits.press(KeyEvent::new(code, KeyModifiers::NONE))
    }

    #[test]
    fn answers_go_in_and_come_out() {
        for choices in [
            Choices::default(),
            Choices {
                network: "http://127.0.0.1:9".into(),
                join: "metagraph".into(),
                backend: "cpu".into(),
                cpu_threads: Some(3),
                payout: Payout::Later,
                rules: {
                    let mut rules = Rules::default();
                    rules.set(Key::IdleAfter, "10m");
                    rules
                },
            },
        ] {
            let limits = Limits::new(&choices, 4);
            assert_eq!(limits.choices(choices.payout.clone()), choices);
        }
    }

    #[test]
    fn the_rules_are_its_second_page() {
        let mut limits = Limits::new(&Choices::default(), 2);
        assert_eq!(press(&mut limits, KeyCode::Enter), Turn::ask(Request::LookAtRules));
        assert_eq!(limits.page, Page::Rules);
        assert_eq!(press(&mut limits, KeyCode::Esc), Turn::stay());
        assert_eq!(limits.page, Page::Work);
        press(&mut limits, KeyCode::Enter);
        assert_eq!(press(&mut limits, KeyCode::Enter), Turn::go(Go::Next));
    }

    #[test]
    fn threads_go_from_one_to_all() {
        let mut limits = Limits::new(&Choices::default(), 2);
        press(&mut limits, KeyCode::Down);
        let mut seen = vec![limits.threads];
        for code in [KeyCode::Right, KeyCode::Left, KeyCode::Left, KeyCode::Left, KeyCode::Right] {
            press(&mut limits, code);
            seen.push(limits.threads);
        }
        assert_eq!(seen, [None, None, Some(2), Some(1), Some(1), Some(2)]);
    }

    #[test]
    fn a_server_must_be_judged_good() {
        let mut limits = Limits::new(&Choices::default(), 2);
        limits.row = Row::Network;
        for _ in NETWORKS {
            press(&mut limits, KeyCode::Right);
        }
        assert!(limits.rows().contains(&Row::Server));
        assert_eq!(press(&mut limits, KeyCode::Enter), Turn::stay());
        assert_eq!(limits.row, Row::Server, "the cursor goes where the problem is");
        let asked = limits.paste("htp://x");
        assert_eq!(asked, Turn::ask(Request::JudgeNetwork("htp://x".into())));
        limits.judged("htp://x", Some("no".into()));
        assert_eq!(press(&mut limits, KeyCode::Enter), Turn::stay());
        assert_eq!(limits.problem.as_deref(), Some("no"));
        press(&mut limits, KeyCode::Backspace);
        limits.judged("htp://x", None);
        assert_eq!(press(&mut limits, KeyCode::Enter), Turn::stay(), "a stale word counts not");
        limits.judged("htp://", None);
        assert_eq!(press(&mut limits, KeyCode::Enter), Turn::ask(Request::LookAtRules));
        assert_eq!(limits.network(), "htp://");
    }
}
