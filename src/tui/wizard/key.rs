//! The third screen as a state machine: first the hotkey, then who is paid.

use crossterm::event::{KeyCode, KeyEvent};

use super::facts::{AddressVerdict, KeyFacts, PassphraseNeed, StoreFacts, WalletKey};
use super::field::{Field, Shown};
use super::quiz::{Mark, QUESTIONS, Quiz};
use super::request::{Answer, KeySource, Payout, Purpose, Request, Secret, WordCount};
pub use super::step::{Drawn, Go, ImportWay, KeyWay, PayWay, Step, Turn};
use super::text;
use super::twice::{Second, Twice};

/// The third screen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyScreen {
    /// The store of a new key, once it is known.
    pub store: Option<StoreFacts>,
    /// The hotkey there is.
    pub kept: Option<KeyFacts>,
    /// Who is paid.
    pub payout: Payout,
    /// Where the user is.
    pub step: Step,
    /// What was wrong with the last press.
    pub problem: Option<String>,
    /// What is being done; nothing but Esc is heard meanwhile.
    pub busy: Option<&'static str>,
}

impl KeyScreen {
    /// At its beginning, with what is known.
    pub fn new(payout: Payout) -> Self {
        Self {
            store: None,
            kept: None,
            payout,
            step: Step::Choose { selected: 0 },
            problem: None,
            busy: None,
        }
    }

    /// The ways to a hotkey, best first.
    pub fn key_ways(&self) -> Vec<KeyWay> {
        let mut ways = Vec::new();
        if self.kept.is_some() {
            ways.push(KeyWay::Keep);
        }
        ways.extend([
            KeyWay::New(WordCount::Twelve),
            KeyWay::New(WordCount::TwentyFour),
            KeyWay::Import(ImportWay::Words),
            KeyWay::Import(ImportWay::Seed),
            KeyWay::Import(ImportWay::Wallet),
        ]);
        if self.kept.is_none() {
            ways.push(KeyWay::Later);
        }
        ways
    }

    /// The ways to a payout address.
    pub fn pay_ways(&self) -> Vec<PayWay> {
        let mut ways = vec![PayWay::Paste, PayWay::Make, PayWay::Later];
        if let Payout::Address(_) = self.payout {
            ways.insert(0, PayWay::Keep);
        }
        ways
    }

    /// A key press.
    pub fn press(&mut self, key: KeyEvent) -> Turn {
        if key.code == KeyCode::Esc {
            return self.back();
        }
        if self.busy.is_some() {
            return Turn::stay();
        }
        match key.code {
            KeyCode::Enter => {
                self.problem = None;
                self.enter()
            }
            KeyCode::Up | KeyCode::BackTab => self.select(-1),
            KeyCode::Down | KeyCode::Tab => self.select(1),
            _ => self.edit(|field| field.press(key)),
        }
    }

    /// Text that was pasted.
    pub fn paste(&mut self, text: &str) -> Turn {
        if self.busy.is_some() {
            return Turn::stay();
        }
        self.edit(|field| {
            field.insert(text);
            true
        })
    }

    /// Whether letters are text here, and no commands.
    pub fn is_typing(&self) -> bool {
        !matches!(
            self.step,
            Step::Choose { .. }
                | Step::Words(_)
                | Step::Pick { .. }
                | Step::Payout { .. }
                | Step::ColdkeyMade { .. }
        )
    }

    /// The line under the user's fingers.
    pub fn field(&self) -> Option<&Field> {
        match &self.step {
            Step::Quiz(_, quiz) => Some(&quiz.field),
            Step::Import(_, field) | Step::Address { field, .. } => Some(field),
            Step::Passphrase { form, .. } | Step::ColdkeyFile { form, .. } => Some(form.field()),
            _ => None,
        }
    }

    fn edit(&mut self, change: impl FnOnce(&mut Field) -> bool) -> Turn {
        let field = match &mut self.step {
            Step::Quiz(_, quiz) => &mut quiz.field,
            Step::Import(_, field) | Step::Address { field, .. } => field,
            Step::Passphrase { form, .. } | Step::ColdkeyFile { form, .. } => form.field_mut(),
            _ => return Turn::stay(),
        };
        if !change(field) {
            return Turn::stay();
        }
        self.problem = None;
        match &mut self.step {
            Step::Address { field, verdict } => {
                *verdict = None;
                Turn::ask(Request::JudgeAddress(field.secret()))
            }
            _ => Turn::stay(),
        }
    }

    fn select(&mut self, by: isize) -> Turn {
        let (keys, pays) = (self.key_ways().len(), self.pay_ways().len());
        let (selected, count) = match &mut self.step {
            Step::Choose { selected } => (selected, keys),
            Step::Payout { selected } => (selected, pays),
            Step::Pick { selected, keys, .. } => (selected, keys.len()),
            _ => return Turn::stay(),
        };
        *selected = selected.saturating_add_signed(by).min(count.saturating_sub(1));
        self.problem = None;
        Turn::stay()
    }

    /// One step back; what was secret in this one is gone.
    fn back(&mut self) -> Turn {
        self.problem = None;
        self.busy = None;
        let choose = || Step::Choose { selected: 0 };
        self.step = match &self.step {
            Step::Choose { .. } => return Turn::go(Go::Back),
            Step::Words(drawn) => first_step(drawn.purpose),
            // The words once more: nobody should have to guess.
            Step::Quiz(drawn, _) => Step::Words(drawn.clone()),
            Step::Pick { folder, .. } => {
                Step::Import(ImportWay::Wallet, Field::with(Shown::Plain, folder))
            }
            Step::Import(..) | Step::Passphrase { .. } | Step::Payout { .. } => choose(),
            Step::Address { .. } | Step::ColdkeyFile { .. } | Step::ColdkeyMade { .. } => {
                Step::Payout { selected: 0 }
            }
        };
        Turn::stay()
    }

    fn enter(&mut self) -> Turn {
        match &mut self.step {
            Step::Choose { selected } => {
                let selected = *selected;
                self.choose(selected)
            }
            Step::Payout { selected } => {
                let selected = *selected;
                self.choose_payout(selected)
            }
            Step::Words(drawn) => {
                self.step = Step::Quiz(drawn.clone(), Quiz::new(drawn.quiz));
                Turn::stay()
            }
            Step::Quiz(..) => self.answer(),
            Step::Import(way, field) => {
                let (way, field) = (*way, field.clone());
                self.import(way, &field)
            }
            Step::Pick { keys, selected, .. } => {
                let picked = keys.get(*selected).cloned();
                self.pick(picked)
            }
            Step::Passphrase { source, form } => match form.enter(Second::Required) {
                Ok(None) => Turn::stay(),
                Ok(Some(passphrase)) => {
                    let source = source.clone();
                    self.keep(source, passphrase)
                }
                Err(problem) => self.complain(problem),
            },
            Step::Address { .. } => self.take_address(),
            Step::ColdkeyFile { words, form } => match form.enter(Second::MayBeEmpty) {
                Ok(None) => Turn::stay(),
                Ok(Some(password)) => {
                    let words = words.clone();
                    self.busy(text::MAKING_COLDKEY, Request::MakeColdkey { words, password })
                }
                Err(problem) => self.complain(problem),
            },
            Step::ColdkeyMade { .. } => self.done(),
        }
    }

    /// Marks the answer to a question of the quiz.
    fn answer(&mut self) -> Turn {
        let Step::Quiz(drawn, quiz) = &mut self.step else { return Turn::stay() };
        // All are answered when keeping the key failed and is tried again.
        let done = quiz.answered() == QUESTIONS;
        match if done { Mark::Passed } else { quiz.answer(&drawn.words) } {
            Mark::Next => Turn::stay(),
            Mark::Wrong => {
                let problem = text::quiz_wrong(quiz.number());
                self.complain(problem)
            }
            Mark::Passed => {
                let drawn = drawn.clone();
                self.quiz_passed(drawn)
            }
        }
    }

    fn pick(&mut self, picked: Option<WalletKey>) -> Turn {
        match picked {
            Some(WalletKey { file, address: Ok(_), .. }) => {
                self.busy(text::CHECKING_KEY, Request::CheckKey(KeySource::Wallet(file)))
            }
            Some(WalletKey { address: Err(why), .. }) => self.complain(why),
            None => Turn::stay(),
        }
    }

    fn take_address(&mut self) -> Turn {
        let Step::Address { field, verdict } = &self.step else { return Turn::stay() };
        match verdict {
            Some(AddressVerdict::Good(_)) => {
                self.payout = Payout::Address(field.text().trim().to_owned());
                self.done()
            }
            Some(
                AddressVerdict::Bad(why)
                | AddressVerdict::Secret(why)
                | AddressVerdict::Incomplete(why),
            ) => {
                let why = why.clone();
                self.complain(why)
            }
            None => self.complain(text::NO_ADDRESS_YET.to_owned()),
        }
    }

    fn choose(&mut self, selected: usize) -> Turn {
        match self.key_ways().get(selected) {
            Some(KeyWay::Keep | KeyWay::Later) => {
                self.step = Step::Payout { selected: 0 };
                Turn::stay()
            }
            Some(&KeyWay::New(count)) => self
                .busy(text::DRAWING_WORDS, Request::MakeWords { purpose: Purpose::Hotkey, count }),
            Some(&KeyWay::Import(way)) => {
                self.step = Step::Import(way, Field::new(Shown::Plain));
                Turn::stay()
            }
            None => Turn::stay(),
        }
    }

    fn choose_payout(&mut self, selected: usize) -> Turn {
        match self.pay_ways().get(selected) {
            Some(PayWay::Keep) => self.done(),
            Some(PayWay::Paste) => {
                self.step = Step::Address { field: Field::new(Shown::Plain), verdict: None };
                Turn::stay()
            }
            Some(PayWay::Make) => self.busy(
                text::DRAWING_WORDS,
                Request::MakeWords { purpose: Purpose::Coldkey, count: WordCount::Twelve },
            ),
            Some(PayWay::Later) => {
                self.payout = Payout::Later;
                self.done()
            }
            None => Turn::stay(),
        }
    }

    fn import(&mut self, way: ImportWay, field: &Field) -> Turn {
        match way {
            ImportWay::Wallet => self
                .busy(text::READING_WALLETS, Request::ListWallets(field.text().trim().to_owned())),
            _ if field.is_empty() => self.complain(text::nothing_typed(way)),
            ImportWay::Words => {
                self.busy(text::CHECKING_KEY, Request::CheckKey(KeySource::Words(field.secret())))
            }
            ImportWay::Seed => {
                self.busy(text::CHECKING_KEY, Request::CheckKey(KeySource::Seed(field.secret())))
            }
        }
    }

    fn quiz_passed(&mut self, drawn: Drawn) -> Turn {
        match drawn.purpose {
            Purpose::Hotkey => self.protect(KeySource::New(drawn.words)),
            Purpose::Coldkey => {
                self.step = Step::ColdkeyFile { words: drawn.words, form: Twice::default() };
                Turn::stay()
            }
        }
    }

    /// Asks for a passphrase where the store wants one, else keeps the key.
    fn protect(&mut self, source: KeySource) -> Turn {
        let need = self.store.as_ref().map_or(PassphraseNeed::No, |store| store.passphrase);
        match need {
            PassphraseNeed::New => {
                self.step = Step::Passphrase { source, form: Twice::default() };
                Turn::stay()
            }
            PassphraseNeed::No => self.keep(source, None),
        }
    }

    fn keep(&mut self, source: KeySource, passphrase: Option<Secret>) -> Turn {
        self.busy(text::KEEPING_KEY, Request::KeepKey { source, passphrase })
    }

    fn busy(&mut self, what: &'static str, request: Request) -> Turn {
        self.busy = Some(what);
        Turn::ask(request)
    }

    fn complain(&mut self, problem: String) -> Turn {
        self.problem = Some(problem);
        Turn::stay()
    }

    /// Both are decided. Coming back starts at the payout.
    fn done(&mut self) -> Turn {
        self.step = Step::Payout { selected: 0 };
        Turn::go(Go::Next)
    }

    /// An answer. Those to a question that was given up are let go, but a key that was kept is kept.
    pub fn hear(&mut self, answer: Answer) -> Vec<Request> {
        match answer {
            Answer::Keys { store, kept } => {
                self.store = Some(store);
                self.kept = kept.or(self.kept.take());
            }
            Answer::KeyKept(facts) => {
                self.kept = Some(facts);
                self.busy = None;
                self.step = Step::Payout { selected: 0 };
            }
            Answer::Address { text, verdict } => self.judged(&text, verdict),
            Answer::Refused(why) if self.busy.take().is_some() => {
                self.problem = Some(why);
                if let Step::Passphrase { form, .. } = &mut self.step {
                    *form = Twice::default();
                }
            }
            Answer::Words { purpose, words, quiz } if self.busy.take().is_some() => {
                self.step = Step::Words(Drawn { purpose, words, quiz });
            }
            Answer::KeyChecked { source, .. } if self.busy.take().is_some() => {
                return self.protect(source).requests;
            }
            Answer::Wallets { folder, keys } if self.busy.take().is_some() => {
                if keys.is_empty() {
                    self.problem = Some(text::no_wallets(&folder));
                } else {
                    self.step = Step::Pick { folder, keys, selected: 0 };
                }
            }
            Answer::ColdkeyMade { address, file } if self.busy.take().is_some() => {
                self.payout = Payout::Address(address.clone());
                self.step = Step::ColdkeyMade { address, file };
            }
            _ => {}
        }
        Vec::new()
    }

    fn judged(&mut self, judged: &Secret, new: AddressVerdict) {
        let Step::Address { field, verdict } = &mut self.step else { return };
        if judged.reveal() != field.text() {
            return;
        }
        if let AddressVerdict::Secret(_) = new {
            // It must not stay on the screen.
            field.clear();
        }
        *verdict = Some(new);
    }
}

fn first_step(purpose: Purpose) -> Step {
    match purpose {
        Purpose::Hotkey => Step::Choose { selected: 0 },
        Purpose::Coldkey => Step::Payout { selected: 0 },
    }
}
