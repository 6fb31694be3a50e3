//! Matrix products.

use super::{Case, Place, Setup};
use crate::compute::op::{Form, Op, View, Write};

/// m, k, n.
pub(super) type Sizes = (usize, usize, usize);

const SIZES: [Sizes; 10] = [
    (1, 1, 1),
    (1, 33, 65),
    (3, 5, 1),
    (17, 33, 65),
    (64, 64, 64),
    (65, 1, 3),
    (5, 300, 7),
    (128, 96, 32),
    (33, 16, 260),
    (130, 257, 129),
];

/// Adds all cases of this file.
pub fn add_to(all: &mut Vec<Case>) {
    for form in [Form::NN, Form::NT, Form::TN] {
        for write in [Write::Set, Write::Add] {
            for sizes in SIZES {
                all.push(product(form, sizes, write, Place::Dense));
            }
            all.push(product(form, (17, 33, 65), write, Place::Strided));
            all.push(product(form, (66, 70, 34), write, Place::Strided));
        }
    }
    all.push(shared_slot());
}

pub(super) fn product(form: Form, (m, k, n): Sizes, write: Write, place: Place) -> Case {
    let word = format!("{form:?}").to_lowercase();
    let add = if write == Write::Add { "_add" } else { "" };
    let strided = if place == Place::Strided { "_strided" } else { "" };
    let mut s = Setup::new(format!("gemm_{word}_m{m}_k{k}_n{n}{add}{strided}"));
    let (a, b) = match form {
        Form::NN => ((m, k), (k, n)),
        Form::NT => ((m, k), (n, k)),
        Form::TN => ((k, m), (k, n)),
    };
    let a = s.input("a", a.0, a.1, place);
    let b = s.input("b", b.0, b.1, place);
    let c = match write {
        Write::Set => s.output("c", m, n, place),
        Write::Add => s.update("c", m, n, place),
    };
    s.case(Op::Gemm { form, a, b, c, write })
}

/// x^T x: both operands are one view.
fn shared_slot() -> Case {
    let mut s = Setup::new("gemm_tn_both_operands_are_one".into());
    let x: View = s.input("x", 45, 19, Place::Dense);
    let c = s.output("c", 19, 19, Place::Dense);
    s.case(Op::Gemm { form: Form::TN, a: x, b: x, c, write: Write::Set })
}
