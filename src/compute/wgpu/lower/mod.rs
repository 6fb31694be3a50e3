//! From ops to dispatches: which kernel, bound to which bytes, with which numbers.
//!
//! Everything here is arithmetic on shapes, without a device, so that it can be tested anywhere.
//! Two things force an op into several dispatches: a binding is limited in bytes (128 MiB on some
//! drivers), and a dispatch is limited in time (a desktop driver resets a GPU that is silent for
//! two seconds). Both are answered by ranges of rows; results do not depend on anything but shapes
//! and the device's limits.

mod attention;
mod elementwise;
mod gemm;
mod rows;

use super::choice::{KernelChoice, KernelForm};
use super::kernels::{Kernel, Variant};
use crate::compute::kind::OpKind;
use crate::compute::layout::{Element, Layout, SlotId};
use crate::compute::op::{Op, View};

/// Which form of the kernels suits the device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Class {
    /// A GPU: one workgroup shares a row or a tile.
    Gpu,
    /// A processor that plays a GPU: one invocation has a row or a tile of its own.
    Processor,
}

/// What limits one dispatch.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    /// Largest binding in bytes.
    pub(super) binding: u64,
    /// Offsets of bindings are multiples of this.
    pub(super) align: u64,
    /// Most work for one dispatch, in the units of [`Call::cost`].
    pub(super) cost: u64,
    /// Which kernels suit the device.
    pub(super) class: Class,
    /// Invocations of a subgroup, where that is fixed and kernels may use it.
    pub(super) subgroup: Option<u32>,
    /// The form of each kind of op.
    pub(super) choice: KernelChoice,
}

/// Memory that kernels need beside the layout.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scratch {
    /// Odd levels of a sum.
    Odd,
    /// Even levels of a sum.
    Even,
    /// Chains of equal tokens.
    Links,
}

/// What a binding is taken from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source {
    /// A slot of the layout.
    Slot(SlotId),
    /// Memory of the executor's own.
    Scratch(Scratch),
}

/// Bytes of a buffer that a kernel sees.
#[derive(Clone, Copy, Debug)]
pub(super) struct Binding {
    /// The buffer.
    pub(super) source: Source,
    /// First byte.
    pub(super) start: u64,
    /// Number of bytes.
    pub(super) bytes: u64,
}

/// One dispatch.
#[derive(Clone, Debug)]
pub(super) struct Call {
    /// The code.
    pub(super) variant: Variant,
    /// Bindings 1, 2, ..
    pub(super) bindings: Vec<Binding>,
    /// Words of binding 0, in the order of the kernel's `P`.
    pub(super) params: Vec<u32>,
    /// Number of workgroups.
    pub(super) groups: u64,
    /// FLOPs plus four for every byte moved: a measure of time that splits submissions.
    pub(super) cost: u64,
    /// The kind of op that it is for.
    pub(super) kind: OpKind,
}

/// A view as a kernel sees it: a binding, and where the view starts in it.
#[derive(Clone, Copy, Debug)]
struct Operand {
    binding: Binding,
    /// Elements from the start of the binding.
    offset: u32,
    /// Elements from row to row.
    stride: u32,
}

impl Operand {
    /// Whether rows start at multiples of four elements.
    fn is_by_four(&self) -> bool {
        self.offset.is_multiple_of(4) && self.stride.is_multiple_of(4)
    }

    /// Offset and stride in units of `unit` elements.
    fn place(&self, unit: u32) -> [u32; 2] {
        [self.offset / unit, self.stride / unit]
    }
}

/// Why an op cannot become dispatches.
type Refusal = String;

/// Lowers ops one after another and keeps what they need.
#[derive(Debug)]
pub(super) struct Lowering<'a> {
    layout: &'a Layout,
    bounds: Bounds,
    /// The kind of the op that is being lowered.
    kind: OpKind,
    /// Its form.
    form: KernelForm,
    calls: Vec<Call>,
    scratch: [u64; 3],
}

impl<'a> Lowering<'a> {
    /// Nothing lowered yet.
    pub(super) fn new(layout: &'a Layout, bounds: Bounds) -> Self {
        let form = KernelForm::Shared;
        let kind = OpKind::Fill;
        Self { layout, bounds, kind, form, calls: Vec::new(), scratch: [0; 3] }
    }

    /// The dispatches since the last call.
    pub(super) fn take(&mut self) -> Vec<Call> {
        std::mem::take(&mut self.calls)
    }

    /// Bytes that each scratch needs, so far; zero if none.
    pub(super) fn scratch_bytes(&self, scratch: Scratch) -> u64 {
        self.scratch[scratch as usize]
    }

    /// Adds the dispatches of one op.
    pub(super) fn op(&mut self, op: &Op) -> Result<(), Refusal> {
        self.kind = OpKind::of(op);
        self.form = self.bounds.choice.form(self.kind);
        match *op {
            Op::Gemm { form, a, b, c, write } => self.gemm(form, a, b, c, write),
            Op::Attention { .. } | Op::AttentionBackward { .. } => self.attention_op(op),
            Op::Embed { .. }
            | Op::EmbedBackward { .. }
            | Op::RmsNorm { .. }
            | Op::RmsNormBackward { .. }
            | Op::Rope { .. }
            | Op::CrossEntropy { .. }
            | Op::Sum { .. }
            | Op::SumSquares { .. }
            | Op::ClipFactor { .. } => self.row_op(op),
            _ => self.elementwise_op(op),
        }
    }

    /// Whether invocations share their work, and how.
    fn class(&self) -> Class {
        match self.form {
            KernelForm::Shared => self.bounds.class,
            KernelForm::Alone | KernelForm::Single => Class::Processor,
        }
    }

    /// Invocations of a subgroup, if the op may use one.
    fn subgroup(&self) -> Option<u32> {
        self.bounds.subgroup.filter(|_| self.form == KernelForm::Shared)
    }

    /// Whether the op may treat four numbers at a time, where its operands let it.
    fn may_be_by_four(&self) -> bool {
        self.form != KernelForm::Single
    }

    fn element_bytes(&self, view: View) -> u64 {
        self.layout.get(view.slot).map_or(4, |slot| slot.element.bytes() as u64)
    }

    /// First and last-but-one byte of the binding that a view needs.
    fn window(&self, view: View) -> (u64, u64) {
        let size = self.element_bytes(view);
        let whole = buffer_bytes(self.layout, view.slot);
        if whole <= self.bounds.binding {
            return (0, whole);
        }
        let align = self.bounds.align.max(16);
        let start = view.offset as u64 * size / align * align;
        (start, (view.end() as u64 * size).next_multiple_of(16).min(whole))
    }

    fn fits(&self, view: View) -> bool {
        let (start, end) = self.window(view);
        end - start <= self.bounds.binding
    }

    /// How many rows of a view fit one binding, at whatever row they start.
    fn rows_that_fit(&self, view: View) -> usize {
        if self.fits(view) {
            return view.rows;
        }
        let slack = self.bounds.align.max(16) + 16;
        let row = (view.stride as u64 * self.element_bytes(view)).max(1);
        usize::try_from((self.bounds.binding - slack) / row).unwrap_or(usize::MAX)
    }

    /// Ranges of rows, `step` at a time at least, whose views all fit.
    fn row_ranges(&self, views: &[View], step: usize) -> Result<Vec<(usize, usize)>, Refusal> {
        let rows = views.iter().map(|v| v.rows).max().unwrap_or(0);
        let fitting = views.iter().map(|v| self.rows_that_fit(*v)).min().unwrap_or(0);
        ranges(rows, if fitting >= rows { rows } else { fitting / step * step })
    }

    fn operand(&self, view: View) -> Result<Operand, Refusal> {
        let (start, end) = self.window(view);
        if end - start > self.bounds.binding {
            return Err(format!("a view of {} bytes cannot be bound in one piece", end - start));
        }
        let before = start / self.element_bytes(view);
        let word = |n: u64| u32::try_from(n).map_err(|_| "an index exceeds 32 bits".to_owned());
        Ok(Operand {
            binding: Binding { source: Source::Slot(view.slot), start, bytes: end - start },
            offset: word(view.offset as u64 - before)?,
            stride: word(view.stride as u64)?,
        })
    }

    /// A scratch of at least so many words, whole.
    fn scratch(&mut self, scratch: Scratch, words: usize) -> Operand {
        let bytes = (words as u64 * 4).next_multiple_of(16);
        let most = &mut self.scratch[scratch as usize];
        *most = (*most).max(bytes);
        let binding = Binding { source: Source::Scratch(scratch), start: 0, bytes };
        Operand { binding, offset: 0, stride: 1 }
    }

    fn call(
        &mut self,
        kernel: &'static Kernel,
        constants: Vec<(&'static str, String)>,
        operands: &[Operand],
        params: Vec<u32>,
        size: Size,
    ) {
        self.calls.push(Call {
            variant: Variant { kernel, constants },
            bindings: operands.iter().map(|o| o.binding).collect(),
            params,
            groups: size.groups as u64,
            cost: size.cost as u64,
            kind: self.kind,
        });
    }
}

/// Workgroups and work of a call.
#[derive(Clone, Copy, Debug)]
struct Size {
    groups: usize,
    cost: usize,
}

/// Bytes of the buffer of a slot: whole vec4, so that a kernel may see it as such.
pub(super) fn buffer_bytes(layout: &Layout, slot: SlotId) -> u64 {
    let bytes = layout.get(slot).map_or(0, |slot| slot.bytes() as u64);
    bytes.next_multiple_of(16).max(16)
}

/// Whether a slot is of this type.
pub(super) fn is_of(layout: &Layout, slot: SlotId, element: Element) -> bool {
    layout.get(slot).is_some_and(|slot| slot.element == element)
}

/// (from, length) of pieces of at most `each`, in order.
fn ranges(total: usize, each: usize) -> Result<Vec<(usize, usize)>, Refusal> {
    if total == 0 {
        return Ok(Vec::new());
    }
    if each == 0 {
        return Err("one row is larger than the device's largest binding".to_owned());
    }
    Ok((0..total).step_by(each).map(|from| (from, each.min(total - from))).collect())
}

/// A count as a kernel parameter. Bindings are below 2^32 bytes, so counts of elements fit.
fn word(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

fn constant(value: impl std::fmt::Display) -> String {
    value.to_string()
}
