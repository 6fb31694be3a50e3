//! What a check says: fine, or what is wrong, with what to do about it.

use serde::Serialize;

use crate::telemetry::{Event, Severity};

/// What a finding is about; findings are shown in these groups.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Area {
    /// Settings and folders.
    Settings,
    /// Memory, disk, power.
    Machine,
    /// The card and its driver.
    Graphics,
    /// Keys and who is paid.
    Keys,
    /// What the operating system is known for.
    System,
    /// The chosen network's servers.
    Network,
}

impl Area {
    /// Its heading.
    pub fn title(self) -> &'static str {
        match self {
            Self::Settings => "Settings",
            Self::Machine => "This machine",
            Self::Graphics => "Graphics",
            Self::Keys => "Keys and payout",
            Self::System => "Operating system",
            Self::Network => "Network",
        }
    }
}

/// What one check says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Judgement {
    /// It is as it should be, in one sentence.
    Fine(String),
    /// It is not, or something about it is worth saying.
    Trouble {
        /// How bad.
        severity: Severity,
        /// Stable code.
        code: &'static str,
        /// What is wrong, in one sentence.
        what: String,
        /// What to do now: a command or a sentence.
        fix: String,
    },
}

impl Judgement {
    /// It is fine.
    pub fn fine(what: impl Into<String>) -> Self {
        Self::Fine(what.into())
    }

    /// Worth knowing; nothing is wrong.
    pub fn note(code: &'static str, what: impl Into<String>, fix: impl Into<String>) -> Self {
        let (what, fix) = (what.into(), fix.into());
        Self::Trouble { severity: Severity::Info, code, what, fix }
    }

    /// It works, but not as it should.
    pub fn warning(code: &'static str, what: impl Into<String>, fix: impl Into<String>) -> Self {
        let (what, fix) = (what.into(), fix.into());
        Self::Trouble { severity: Severity::Warning, code, what, fix }
    }

    /// It does not work.
    pub fn error(code: &'static str, what: impl Into<String>, fix: impl Into<String>) -> Self {
        let (what, fix) = (what.into(), fix.into());
        Self::Trouble { severity: Severity::Error, code, what, fix }
    }
}

/// The code of a judgement, or `fine`; for tests. Trouble always says what to do.
#[cfg(test)]
pub(super) fn judged(judgement: &Judgement) -> &'static str {
    match judgement {
        Judgement::Fine(_) => "fine",
        Judgement::Trouble { code, fix, .. } => {
            assert!(!fix.is_empty(), "{code}");
            code
        }
    }
}

/// What a check found. Every check gives exactly one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Which check.
    pub check: &'static str,
    /// What it is about.
    pub area: Area,
    /// How bad.
    pub severity: Severity,
    /// Stable code, with a page in `hearth explain`: the check's own where it is fine.
    pub code: &'static str,
    /// One sentence.
    pub what: String,
    /// What to do now; empty where there is nothing to do.
    pub fix: String,
}

impl Finding {
    /// What `check` of `area` says.
    pub fn of(check: &'static str, area: Area, judgement: Judgement) -> Self {
        match judgement {
            Judgement::Fine(what) => {
                let (severity, code, fix) = (Severity::Info, check, String::new());
                Self { check, area, severity, code, what, fix }
            }
            Judgement::Trouble { severity, code, what, fix } => {
                Self { check, area, severity, code, what, fix }
            }
        }
    }

    /// The same for the event record.
    pub fn event(&self) -> Event {
        Event::Finding {
            severity: self.severity,
            code: self.code.to_owned(),
            what: self.what.clone(),
            fix: self.fix.clone(),
        }
    }
}
