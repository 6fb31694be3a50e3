//! Cases drawn by a seed: shapes that nobody thought of, and the sizes of real models, which some
//! forms of the kernels are only chosen for.

use super::{Case, Numbers, PLACES, Place};
use super::{attention, optimizer, pointwise, products, rows};
use crate::compute::op::{Form, Rotation, Write};

const FORMS: [Form; 3] = [Form::NT, Form::NN, Form::TN];
const WRITES: [Write; 2] = [Write::Set, Write::Add];

/// `count` cases of each family with random shapes, the same for the same seed, after those of the
/// sizes that real models have.
pub fn drawn(seed: u64, count: usize) -> Vec<Case> {
    let mut all = Vec::new();
    real_sizes(&mut all);
    let mut numbers = Numbers::of(&format!("drawn {seed}"));
    for _ in 0..count {
        random_products(&mut all, &mut numbers);
        random_attention(&mut all, &mut numbers);
        random_rows(&mut all, &mut numbers);
        random_elements(&mut all, &mut numbers);
    }
    all
}

/// Widths of real models with few rows, so that the oracle is done soon.
fn real_sizes(all: &mut Vec<Case>) {
    for form in FORMS {
        for write in WRITES {
            // Enough of C for the largest tiles, and widths that are no multiple of anything.
            all.push(products::product(form, (1280, 36, 1700), write, Place::Dense));
            all.push(products::product(form, (66, 37, 1031), write, Place::Dense));
            all.push(products::product(form, (96, 128, 4096), write, Place::Dense));
            // Chunks of a last stage's rows: a depth of no multiple of four.
            all.push(products::product(form, (64, 67, 128), write, Place::Dense));
            all.push(products::product(form, (64, 67, 512), write, Place::Dense));
        }
    }
    for shape in [[1, 96, 2, 1, 64], [1, 96, 1, 1, 128], [1, 48, 4, 2, 32], [2, 40, 2, 1, 16]] {
        let shape = attention::shaped(shape);
        all.push(attention::forward(shape, 1.0, Place::Dense, "_real"));
        all.push(attention::backward(shape, 1.0, Place::Dense, "_real"));
    }
    all.push(rows::norm(33, 2048, 1.0, Place::Dense, "_real"));
    for write in WRITES {
        all.push(rows::norm_backward(70, 2048, write, Place::Dense, "_real"));
    }
    all.push(rows::cross_entropy(3, 128_256, 4.0, Place::Dense, "_real"));
    all.push(rows::embed(40, 4096, 128, Place::Dense, "_real"));
    all.push(rows::embed_backward(40, 4096, 128, Place::Dense, "_real"));
    all.push(optimizer::adam(64, 512, Place::Dense, "_real"));
    all.push(optimizer::adam_bf16(64, 512, Place::Dense, "_real"));
    all.push(optimizer::sum_squares(1024, 1024, Place::Dense, "_real"));
    pointwise::add_shape(all, (64, 2048), Place::Dense, "_real");
    pointwise::add_shape(all, (19, 96), Place::Aligned, "_aligned");
}

/// A size from 1 to `most`; half of them multiples of four, as real ones are.
fn size(numbers: &mut Numbers, most: u32) -> usize {
    let any = 1 + numbers.below(most) as usize;
    if numbers.below(2) == 0 { any.next_multiple_of(4) } else { any }
}

fn place(numbers: &mut Numbers) -> (Place, &'static str) {
    PLACES[numbers.below(2) as usize]
}

fn random_products(all: &mut Vec<Case>, numbers: &mut Numbers) {
    for form in FORMS {
        let sizes = (size(numbers, 200), size(numbers, 150), size(numbers, 400));
        let write = WRITES[numbers.below(2) as usize];
        all.push(products::product(form, sizes, write, place(numbers).0));
    }
}

fn random_attention(all: &mut Vec<Case>, numbers: &mut Numbers) {
    let groups = 1 + numbers.below(3) as usize;
    let heads = groups * (1 + numbers.below(3) as usize);
    let batch = 1 + numbers.below(3) as usize;
    let seq = 1 + numbers.below(150) as usize;
    let shape = attention::shaped([batch, seq, heads, groups, size(numbers, 60)]);
    let (place, word) = place(numbers);
    all.push(attention::forward(shape, 1.0, place, word));
    all.push(attention::backward(shape, 1.0, place, word));
}

fn random_rows(all: &mut Vec<Case>, numbers: &mut Numbers) {
    let (m, e) = (size(numbers, 200), size(numbers, 700));
    let write = WRITES[numbers.below(2) as usize];
    let (place, word) = place(numbers);
    all.push(rows::norm(m, e, 1.0, place, word));
    all.push(rows::norm_backward(m, e, write, place, word));
    all.push(rows::cross_entropy(size(numbers, 60), size(numbers, 3000), 4.0, place, word));
    let (vocabulary, width) = (size(numbers, 300), size(numbers, 100));
    all.push(rows::embed(m, vocabulary, width, place, word));
    all.push(rows::embed_backward(m, vocabulary, width, place, word));
    let half = 1 + numbers.below(40) as usize;
    let (batch, seq) = (1 + numbers.below(3) as usize, 1 + numbers.below(60) as usize);
    for rotation in [Rotation::Forward, Rotation::Backward] {
        all.push(rows::rope((batch, seq, 3, 2 * half), rotation, place, word));
    }
}

fn random_elements(all: &mut Vec<Case>, numbers: &mut Numbers) {
    let (rows, cols) = (size(numbers, 80), size(numbers, 500));
    let (place, word) = place(numbers);
    pointwise::add_shape(all, (rows, cols), place, word);
    all.push(optimizer::sum(rows, cols, place, word));
    all.push(optimizer::sum_squares(rows, cols, place, word));
    all.push(optimizer::adam(rows, cols, place, word));
    all.push(optimizer::adam_bf16(rows, cols, place, word));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compute::conformance::check_oracle;
    use crate::compute::kind::OpKind;

    #[test]
    fn a_seed_gives_the_same_cases_and_another_gives_others() {
        let names = |seed| -> Vec<String> { drawn(seed, 2).into_iter().map(|c| c.name).collect() };
        assert_eq!(names(1), names(1));
        assert_ne!(names(1), names(2));
    }

    #[test]
    fn the_oracle_follows_the_formulas_in_drawn_cases_too() {
        let kinds = |all: &[Case]| all.iter().filter_map(Case::kind).collect::<Vec<OpKind>>();
        let all = drawn(7, 1);
        assert!(OpKind::ALL.iter().filter(|kind| kinds(&all).contains(kind)).count() >= 25);
        // The formulas are followed literally, which takes its time.
        let small = |case: &&Case| case.layout().bytes() < 400_000;
        for case in all.iter().filter(small) {
            check_oracle(case).unwrap_or_else(|why| panic!("{}: {why}", case.name));
        }
    }
}
