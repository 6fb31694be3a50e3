//! How a case's memory is laid out: each operand in a slot of its own, dense or with margins, and
//! filled with repeatable random numbers inside its view and with canaries outside.

use half::bf16;

use super::{CANARY, Case, Values};
use crate::compute::layout::{Element, Layout, Role};
use crate::compute::op::{Op, Program, View};

/// Where an operand lies in its slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// From the first element, without gaps between rows.
    Dense,
    /// Behind an odd offset, with an odd gap between rows and a margin at the end.
    Strided,
    /// Behind an offset, with a gap between rows, all multiples of four elements, as halves of one
    /// matrix lie in a model.
    Aligned,
}

/// Repeatable random numbers (splitmix64): a case is the same on every machine.
#[derive(Clone, Debug)]
pub struct Numbers(u64);

impl Numbers {
    /// A stream that depends on the name only.
    pub fn of(name: &str) -> Self {
        let mix = |h: u64, b: u8| (h ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3);
        Self(name.bytes().fold(0xcbf2_9ce4_8422_2325, mix))
    }

    /// 64 random bits.
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A whole number below `end`.
    pub fn below(&mut self, end: u32) -> u32 {
        (self.bits() % u64::from(end.max(1))) as u32
    }

    /// A number in \[low, high), on a grid that f32 holds exactly.
    pub fn between(&mut self, low: f32, high: f32) -> f32 {
        low + (high - low) * (self.bits() >> 40) as f32 / (1_u64 << 24) as f32
    }
}

/// A case in the making.
#[derive(Debug)]
pub struct Setup {
    name: String,
    layout: Layout,
    content: Vec<Values>,
    /// Random numbers of this case.
    pub numbers: Numbers,
}

impl Setup {
    /// An empty case.
    pub fn new(name: String) -> Self {
        let numbers = Numbers::of(&name);
        Self { name, layout: Layout::default(), content: Vec::new(), numbers }
    }

    /// The case that runs one op.
    pub fn case(self, op: Op) -> Case {
        let Self { name, layout, content, .. } = self;
        Case { program: Program { name: name.clone(), ops: vec![op] }, name, layout, content }
    }

    fn slot<E: Copy>(
        &mut self,
        (name, element): (&str, Element),
        (rows, cols): (usize, usize),
        place: Place,
        outside: E,
        mut inside: impl FnMut(&mut Numbers) -> E,
    ) -> (View, Vec<E>) {
        let (offset, gap, margin) = match place {
            Place::Dense => (0, 0, 0),
            Place::Strided => (5, 3, 9),
            Place::Aligned => (8, 4, 12),
        };
        let stride = cols + gap;
        let len = offset + rows * stride + margin;
        let slot = self.layout.add(name, element, len, Role::Scratch);
        let mut elements = vec![outside; len];
        for r in 0..rows {
            for x in &mut elements[offset + r * stride..][..cols] {
                *x = inside(&mut self.numbers);
            }
        }
        (View { slot, offset, rows, cols, stride }, elements)
    }

    fn real(
        &mut self,
        name: &str,
        shape: (usize, usize),
        place: Place,
        outside: f32,
        inside: impl FnMut(&mut Numbers) -> f32,
    ) -> View {
        let (view, elements) = self.slot((name, Element::Real), shape, place, outside, inside);
        self.content.push(Values::Real(elements));
        view
    }

    /// An input of numbers in \[-1, 1), surrounded by NaN.
    pub fn input(&mut self, name: &str, rows: usize, cols: usize, place: Place) -> View {
        self.input_of(name, rows, cols, place, |n| n.between(-1.0, 1.0))
    }

    /// An input of numbers from `inside`, surrounded by NaN.
    pub fn input_of(
        &mut self,
        name: &str,
        rows: usize,
        cols: usize,
        place: Place,
        inside: impl FnMut(&mut Numbers) -> f32,
    ) -> View {
        self.real(name, (rows, cols), place, f32::NAN, inside)
    }

    /// An output: NaN, surrounded by canaries.
    pub fn output(&mut self, name: &str, rows: usize, cols: usize, place: Place) -> View {
        self.real(name, (rows, cols), place, CANARY, |_| f32::NAN)
    }

    /// An operand in place: numbers in \[-1, 1), surrounded by canaries.
    pub fn update(&mut self, name: &str, rows: usize, cols: usize, place: Place) -> View {
        self.update_of(name, rows, cols, place, |n| n.between(-1.0, 1.0))
    }

    /// An operand in place of numbers from `inside`, surrounded by canaries.
    pub fn update_of(
        &mut self,
        name: &str,
        rows: usize,
        cols: usize,
        place: Place,
        inside: impl FnMut(&mut Numbers) -> f32,
    ) -> View {
        self.real(name, (rows, cols), place, CANARY, inside)
    }

    /// A column of indices from `inside`.
    pub fn indices(
        &mut self,
        name: &str,
        rows: usize,
        inside: impl FnMut(&mut Numbers) -> u32,
    ) -> View {
        let (view, elements) =
            self.slot((name, Element::Index), (rows, 1), Place::Dense, 0, inside);
        self.content.push(Values::Index(elements));
        view
    }

    /// bfloat16 numbers from `inside`, surrounded by `outside`.
    pub fn wire(
        &mut self,
        name: &str,
        (rows, cols): (usize, usize),
        place: Place,
        outside: f32,
        mut inside: impl FnMut(&mut Numbers) -> f32,
    ) -> View {
        let outside = bf16::from_f32(outside);
        let inside = |n: &mut Numbers| bf16::from_f32(inside(n));
        let (view, elements) =
            self.slot((name, Element::Bf16), (rows, cols), place, outside, inside);
        self.content.push(Values::Bf16(elements));
        view
    }
}
