//! The cases of one kind of op, in the order they are run, and what they have shown so far.

use std::collections::BTreeSet;

use super::{FormFailure, KindVerdict, Outcome, Round, Testable};
use crate::compute::conformance::{Case, Failure};
use crate::compute::kind::OpKind;
use crate::compute::wgpu::{KernelChoice, KernelForm};

/// Cases of a kind.
pub(super) struct KindQueue<'a> {
    pub(super) kind: OpKind,
    cases: Vec<&'a Case>,
    /// So many of the first cases run every compiled kernel once.
    cover: usize,
    /// The next case.
    at: usize,
    form: KernelForm,
    error: f64,
    failures: Vec<FormFailure>,
    given_up: bool,
}

impl<'a> KindQueue<'a> {
    /// The cases of a kind, those first that run a kernel which none before them runs.
    pub(super) fn new(kind: OpKind, device: &dyn Testable, cases: &'a [Case]) -> Self {
        let mut seen = BTreeSet::new();
        let of_kind = cases.iter().filter(|case| case.kind() == Some(kind));
        let (mut cases, rest): (Vec<_>, Vec<_>) = of_kind.partition(|case| {
            let before = seen.len();
            seen.extend(device.kernels_of(KernelChoice::default(), case));
            seen.len() > before
        });
        let cover = cases.len();
        cases.extend(rest);
        let (form, failures) = (KernelForm::Shared, Vec::new());
        Self { kind, cases, cover, at: 0, form, error: 0.0, failures, given_up: false }
    }

    /// The next case of a round.
    pub(super) fn next(&self, round: Round) -> Option<&'a Case> {
        let end = match round {
            Round::Cover => self.cover,
            Round::Rest => self.cases.len(),
        };
        self.cases.get(self.at).filter(|_| self.at < end && !self.given_up).copied()
    }

    /// The case was passed.
    pub(super) fn passed(&mut self, error: f64) {
        self.at += 1;
        self.error = self.error.max(error);
    }

    /// The case was failed.
    pub(super) fn failed(&mut self, case: &Case, why: &Failure) {
        let failure =
            FormFailure { form: self.form, case: case.name.clone(), why: why.to_string() };
        self.failures.push(failure);
    }

    /// From the first case on, in another form.
    pub(super) fn start_again(&mut self, form: KernelForm) {
        (self.at, self.error, self.form) = (0, 0.0, form);
    }

    /// There is no other form.
    pub(super) fn give_up(&mut self) {
        self.given_up = true;
    }

    pub(super) fn into_verdict(self) -> KindVerdict {
        let outcome = match (self.given_up, self.failures.is_empty(), self.at) {
            (true, _, _) => Outcome::Failed,
            (_, true, 0) => Outcome::Untested,
            (_, true, _) => Outcome::Passed,
            // A form that replaces another must have shown something.
            (_, false, 0) => Outcome::Failed,
            (_, false, _) => Outcome::Replaced,
        };
        KindVerdict {
            kind: self.kind,
            outcome,
            form: self.form,
            cases: self.at,
            error: self.error,
            failures: self.failures,
        }
    }
}
