//! The list of cases: every op on shapes chosen to break kernels. One row, one column, odd sizes,
//! sizes just off the tiles of 4 to 64, margins, repeated and absent tokens, large numbers, zeros.

mod attention;
mod drawn;
mod optimizer;
mod pointwise;
mod products;
mod rows;

use super::Case;
use super::setup::{Numbers, Place, Setup};

pub use drawn::drawn;

/// Every case.
pub fn cases() -> Vec<Case> {
    let mut all = Vec::new();
    products::add_to(&mut all);
    pointwise::add_to(&mut all);
    rows::add_to(&mut all);
    attention::add_to(&mut all);
    optimizer::add_to(&mut all);
    all
}

/// Both placements and the end of a case's name for each.
const PLACES: [(Place, &str); 2] = [(Place::Dense, ""), (Place::Strided, "_strided")];
