//! Which form of its kernel each kind of op is carried out with on a device.
//!
//! Every kernel has one to three forms that compute the same. The fastest shares work between
//! invocations; a driver that gets that wrong often gets a simpler form right. The self-test
//! ([`crate::compute::selftest`]) finds out which form of each kind may be trusted.

use crate::compute::kind::OpKind;

/// A form of the kernels, from fast to simple.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum KernelForm {
    /// What suits the device: tiles and sums in workgroup memory on a GPU, shared loads by subgroup
    /// operations on a processor; four numbers at a time.
    #[default]
    Shared,
    /// Every invocation works alone: no workgroup memory, no barrier, no subgroup operation; four
    /// numbers at a time.
    Alone,
    /// The same, one number at a time.
    Single,
}

impl KernelForm {
    /// Its word in reports and files. Stable.
    pub fn word(self) -> &'static str {
        match self {
            Self::Shared => "shared",
            Self::Alone => "alone",
            Self::Single => "single",
        }
    }

    /// The form with this word.
    pub fn from_word(word: &str) -> Option<Self> {
        [Self::Shared, Self::Alone, Self::Single].into_iter().find(|form| form.word() == word)
    }

    /// The next simpler one.
    pub fn simpler(self) -> Option<Self> {
        match self {
            Self::Shared => Some(Self::Alone),
            Self::Alone => Some(Self::Single),
            Self::Single => None,
        }
    }
}

/// The form of every kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KernelChoice {
    forms: [KernelForm; OpKind::COUNT],
}

impl Default for KernelChoice {
    /// The fastest of each.
    fn default() -> Self {
        Self { forms: [KernelForm::Shared; OpKind::COUNT] }
    }
}

impl KernelChoice {
    /// The form of a kind.
    pub fn form(&self, kind: OpKind) -> KernelForm {
        self.forms[kind as usize]
    }

    /// With another form of one kind.
    #[must_use]
    pub fn with(mut self, kind: OpKind, form: KernelForm) -> Self {
        self.forms[kind as usize] = form;
        self
    }

    /// Kinds that do not use the fastest form.
    pub fn replaced(&self) -> impl Iterator<Item = (OpKind, KernelForm)> + '_ {
        OpKind::ALL
            .into_iter()
            .map(|kind| (kind, self.form(kind)))
            .filter(|(_, form)| *form != KernelForm::Shared)
    }
}
