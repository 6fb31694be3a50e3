//! What makes an op well formed, checked once when a program is built, so that the kernels of every
//! backend can trust their operands. One file for all backends: the same plan is accepted, or
//! refused with the same words, everywhere.

use super::device::BuildError;
use super::layout::{Element, Layout};
use super::op::{AttentionShape, Form, Op, Program, View, Write};

/// What an op does with an operand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Reads it.
    Read,
    /// Replaces every element, never reads.
    Write,
    /// Reads and replaces every element.
    Update,
    /// Uses it as working space: its content afterwards is unspecified.
    Scratch,
}

/// One operand of an op, with the shape that the op's definition asks of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Operand {
    /// Its name in [`Op`].
    pub name: &'static str,
    /// Where it is.
    pub view: View,
    /// Element type that its slot must have.
    pub element: Element,
    /// What happens to it.
    pub access: Access,
    /// Rows it must have.
    pub rows: usize,
    /// Columns it must have.
    pub cols: usize,
}

impl Operand {
    fn of(self, element: Element) -> Self {
        Self { element, ..self }
    }
}

/// Rows and columns that an operand must have.
type Shape = (usize, usize);

fn operand(name: &'static str, view: View, (rows, cols): Shape, access: Access) -> Operand {
    Operand { name, view, element: Element::Real, access, rows, cols }
}

fn read(name: &'static str, view: View, shape: Shape) -> Operand {
    operand(name, view, shape, Access::Read)
}

fn write(name: &'static str, view: View, shape: Shape) -> Operand {
    operand(name, view, shape, Access::Write)
}

fn update(name: &'static str, view: View, shape: Shape) -> Operand {
    operand(name, view, shape, Access::Update)
}

fn written(name: &'static str, view: View, shape: Shape, how: Write) -> Operand {
    match how {
        Write::Set => write(name, view, shape),
        Write::Add => update(name, view, shape),
    }
}

fn shape(view: View) -> Shape {
    (view.rows, view.cols)
}

/// Every operand of an op, in the order of its definition.
pub fn operands(op: &Op) -> Vec<Operand> {
    match *op {
        Op::Fill { dst, .. } => vec![write("dst", dst, shape(dst))],
        Op::Copy { src, dst } => {
            vec![read("src", src, shape(dst)), write("dst", dst, shape(dst))]
        }
        Op::Add { src, dst } => vec![read("src", src, shape(dst)), update("dst", dst, shape(dst))],
        Op::Embed { .. } | Op::EmbedBackward { .. } => embedding(op),
        Op::Gemm { form, a, b, c, write } => product(form, a, b, c, write),
        Op::RmsNorm { .. } | Op::RmsNormBackward { .. } => norm(op),
        Op::Rope { x, table, head_dim, .. } => {
            vec![update("x", x, shape(x)), read("table", table, (table.rows, head_dim))]
        }
        Op::Attention { .. } | Op::AttentionBackward { .. } => attention(op),
        Op::SwiGlu { .. }
        | Op::SwiGluBackward { .. }
        | Op::Silu { .. }
        | Op::SiluBackward { .. }
        | Op::Relu { .. }
        | Op::ReluBackward { .. } => pointwise(op),
        Op::CrossEntropy { logits, targets, losses, .. } => vec![
            update("logits", logits, shape(logits)),
            read("targets", targets, (logits.rows, 1)).of(Element::Index),
            write("losses", losses, (logits.rows, 1)),
        ],
        Op::Sum { src, dst, .. } | Op::SumSquares { src, dst } => {
            vec![read("src", src, shape(src)), write("dst", dst, (1, 1))]
        }
        Op::ClipFactor { squares, dst, .. } => {
            vec![read("squares", squares, (1, squares.cols)), write("dst", dst, (1, 2))]
        }
        Op::Adam { param, grad, m, v, clip, scalars } => {
            step([param, grad, m, v], [clip, scalars], Element::Real)
        }
        Op::AdamBf16 { param, grad, m, v, clip, scalars } => {
            step([param, grad, m, v], [clip, scalars], Element::Bf16)
        }
        Op::Pack { src, dst } => {
            vec![read("src", src, shape(dst)), write("dst", dst, shape(dst)).of(Element::Bf16)]
        }
        Op::Unpack { src, dst } => {
            vec![read("src", src, shape(dst)).of(Element::Bf16), write("dst", dst, shape(dst))]
        }
    }
}

fn step([param, grad, m, v]: [View; 4], [clip, scalars]: [View; 2], kept: Element) -> Vec<Operand> {
    vec![
        update("param", param, shape(param)),
        update("grad", grad, shape(param)),
        update("m", m, shape(param)).of(kept),
        update("v", v, shape(param)).of(kept),
        read("clip", clip, (1, 2)),
        read("scalars", scalars, (1, 7)),
    ]
}

fn embedding(op: &Op) -> Vec<Operand> {
    match *op {
        Op::Embed { tokens, table, out } => vec![
            read("tokens", tokens, (out.rows, 1)).of(Element::Index),
            read("table", table, (table.rows, out.cols)),
            write("out", out, shape(out)),
        ],
        Op::EmbedBackward { tokens, grad, table_grad } => vec![
            read("tokens", tokens, (grad.rows, 1)).of(Element::Index),
            read("grad", grad, (grad.rows, table_grad.cols)),
            update("table_grad", table_grad, shape(table_grad)),
        ],
        _ => Vec::new(),
    }
}

fn product(form: Form, a: View, b: View, c: View, how: Write) -> Vec<Operand> {
    let (m, n) = shape(c);
    let (a_shape, b_shape) = match form {
        Form::NN => ((m, a.cols), (a.cols, n)),
        Form::NT => ((m, a.cols), (n, a.cols)),
        Form::TN => ((a.rows, m), (a.rows, n)),
    };
    vec![read("a", a, a_shape), read("b", b, b_shape), written("c", c, (m, n), how)]
}

fn norm(op: &Op) -> Vec<Operand> {
    match *op {
        Op::RmsNorm { x, weight, y, rstd } => vec![
            read("x", x, shape(y)),
            read("weight", weight, (1, y.cols)),
            write("y", y, shape(y)),
            write("rstd", rstd, (y.rows, 1)),
        ],
        Op::RmsNormBackward { x, weight, rstd, dy, dx, write: how, dweight, partial } => vec![
            read("x", x, shape(dx)),
            read("weight", weight, (1, dx.cols)),
            read("rstd", rstd, (dx.rows, 1)),
            read("dy", dy, shape(dx)),
            written("dx", dx, shape(dx), how),
            update("dweight", dweight, (1, dx.cols)),
            operand("partial", partial, (dx.rows.div_ceil(64), dx.cols), Access::Scratch),
        ],
        _ => Vec::new(),
    }
}

fn attention(op: &Op) -> Vec<Operand> {
    let sizes = |shape: AttentionShape| {
        let rows = shape.batch * shape.seq;
        let wide = (rows, shape.heads * shape.head_dim);
        let narrow = (rows, shape.groups * shape.head_dim);
        (wide, narrow, (rows, shape.heads))
    };
    match *op {
        Op::Attention { q, k, v, out, lse, shape } => {
            let (wide, narrow, heads) = sizes(shape);
            vec![
                read("q", q, wide),
                read("k", k, narrow),
                read("v", v, narrow),
                write("out", out, wide),
                write("lse", lse, heads),
            ]
        }
        Op::AttentionBackward { q, k, v, out, lse, dout, dq, dk, dv, delta, shape } => {
            let (wide, narrow, heads) = sizes(shape);
            vec![
                read("q", q, wide),
                read("k", k, narrow),
                read("v", v, narrow),
                read("out", out, wide),
                read("lse", lse, heads),
                read("dout", dout, wide),
                write("dq", dq, wide),
                write("dk", dk, narrow),
                write("dv", dv, narrow),
                write("delta", delta, heads),
            ]
        }
        _ => Vec::new(),
    }
}

fn pointwise(op: &Op) -> Vec<Operand> {
    match *op {
        Op::SwiGlu { gate, up, out } => vec![
            read("gate", gate, shape(out)),
            read("up", up, shape(out)),
            write("out", out, shape(out)),
        ],
        Op::SwiGluBackward { gate, up, dout, dgate, dup } => vec![
            read("gate", gate, shape(dgate)),
            read("up", up, shape(dgate)),
            read("dout", dout, shape(dgate)),
            write("dgate", dgate, shape(dgate)),
            write("dup", dup, shape(dgate)),
        ],
        Op::Silu { x, y } | Op::Relu { x, y } => {
            vec![read("x", x, shape(y)), write("y", y, shape(y))]
        }
        Op::SiluBackward { x, dy, dx } => {
            vec![read("x", x, shape(dx)), read("dy", dy, shape(dx)), write("dx", dx, shape(dx))]
        }
        Op::ReluBackward { y, dy, dx } => {
            vec![read("y", y, shape(dx)), read("dy", dy, shape(dx)), write("dx", dx, shape(dx))]
        }
        _ => Vec::new(),
    }
}

/// Checks every op of every program against the layout: operands inside their slots, of the right
/// element type and shape, and no output sharing a slot with an input.
///
/// Two outputs of one op may share a slot if no element is in both and they are either apart (one
/// ends before the other starts) or side by side (same rows and stride, different columns).
///
/// # Errors
/// [`BuildError::BadOp`] for the first op that does not fit.
pub fn check(layout: &Layout, programs: &[Program]) -> Result<(), BuildError> {
    for program in programs {
        for (index, op) in program.ops.iter().enumerate() {
            check_op(layout, op).map_err(|why| BuildError::BadOp {
                program: program.name.clone(),
                index,
                why,
            })?;
        }
    }
    Ok(())
}

fn check_op(layout: &Layout, op: &Op) -> Result<(), String> {
    sizes(op)?;
    let operands = operands(op);
    for operand in &operands {
        place(layout, operand)?;
    }
    for (i, out) in operands.iter().enumerate().filter(|(_, o)| o.access != Access::Read) {
        for (j, other) in operands.iter().enumerate() {
            if i == j || out.view.slot != other.view.slot {
                continue;
            }
            if other.access == Access::Read {
                return Err(format!("{} shares a slot with {}", out.name, other.name));
            }
            if !apart(out.view, other.view) {
                return Err(format!("{} and {} overlap", out.name, other.name));
            }
        }
    }
    Ok(())
}

/// Whether an operand's view is sound and lies in a slot of its element type.
fn place(layout: &Layout, operand: &Operand) -> Result<(), String> {
    let Operand { name, view, element, rows, cols, .. } = *operand;
    let slot = layout.get(view.slot).ok_or_else(|| format!("{name} is in no slot"))?;
    if slot.element != element {
        return Err(format!("{name} is in {} of {:?}, not {element:?}", slot.name, slot.element));
    }
    if (view.rows, view.cols) != (rows, cols) {
        return Err(format!("{name} is {} x {}, not {rows} x {cols}", view.rows, view.cols));
    }
    if view.is_empty() {
        return Err(format!("{name} has no elements"));
    }
    if view.stride < view.cols {
        return Err(format!("{name} has stride {} below its {cols} columns", view.stride));
    }
    if view.end() > slot.len {
        let (end, len) = (view.end(), slot.len);
        return Err(format!("{name} ends at {end}, outside {} of {len} elements", slot.name));
    }
    Ok(())
}

/// Whether two views of one slot have no element in common, in a way that is cheap to split.
fn apart(a: View, b: View) -> bool {
    let (first, second) = if a.offset <= b.offset { (a, b) } else { (b, a) };
    let side_by_side = first.rows == second.rows
        && first.stride == second.stride
        && first.offset + first.cols <= second.offset
        && second.offset + second.cols <= first.offset + first.stride;
    first.end() <= second.offset || side_by_side
}

/// Conditions on the sizes of an op that are not the shape of one operand.
fn sizes(op: &Op) -> Result<(), String> {
    match *op {
        Op::Rope { x, head_dim, .. }
            if (head_dim == 0 || head_dim % 2 == 1 || x.cols % head_dim != 0) =>
        {
            return Err(format!("{} columns are not heads of even size {head_dim}", x.cols));
        }
        Op::Attention { shape, .. } | Op::AttentionBackward { shape, .. }
            if (shape.groups == 0 || shape.heads % shape.groups != 0) =>
        {
            let AttentionShape { heads, groups, .. } = shape;
            return Err(format!("{heads} heads are not a multiple of {groups} groups"));
        }
        Op::AdamBf16 { m, v, .. }
            if m.slot == v.slot || m.stride != v.stride || m.offset % 2 != v.offset % 2 =>
        {
            return Err("the moments do not lie alike, each in a slot of its own".to_owned());
        }
        _ => {}
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compute::layout::Role;

    fn refused(element: Element, op: impl FnOnce(View) -> Op) -> String {
        let mut layout = Layout::default();
        let slot = layout.add("s", element, 64, Role::Scratch);
        let other = layout.add("t", Element::Real, 64, Role::Scratch);
        assert_eq!(other.0, 1);
        let program = Program { name: "p".into(), ops: vec![op(View::matrix(slot, 4, 8))] };
        match check(&layout, &[program]) {
            Ok(()) => String::new(),
            Err(e) => e.to_string(),
        }
    }

    fn elsewhere(v: View) -> View {
        View { slot: crate::compute::SlotId(1), ..v }
    }

    #[test]
    fn a_well_formed_op_is_taken() {
        let why = refused(Element::Real, |x| Op::Silu { x, y: elsewhere(x) });
        assert_eq!(why, "");
    }

    #[test]
    fn faults_of_one_operand_are_named() {
        let far = refused(Element::Real, |x| Op::Fill { dst: View { offset: 60, ..x }, value: 0. });
        assert!(far.contains("dst ends at 92"), "{far}");
        let thin = refused(Element::Real, |x| Op::Fill { dst: View { stride: 7, ..x }, value: 0. });
        assert!(thin.contains("stride 7"), "{thin}");
        let kind = refused(Element::Bf16, |x| Op::Fill { dst: x, value: 0. });
        assert!(kind.contains("of Bf16, not Real"), "{kind}");
        let empty = refused(Element::Real, |x| Op::Fill { dst: View { rows: 0, ..x }, value: 0. });
        assert!(empty.contains("no elements"), "{empty}");
        let shape = refused(Element::Real, |x| Op::Copy { src: elsewhere(x).rows(0, 2), dst: x });
        assert!(shape.contains("src is 2 x 8, not 4 x 8"), "{shape}");
    }

    #[test]
    fn an_output_may_not_share_a_slot_with_an_input() {
        let why = refused(Element::Real, |x| Op::Copy { src: x, dst: View { offset: 32, ..x } });
        assert!(why.contains("dst shares a slot with src"), "{why}");
    }

    #[test]
    fn outputs_share_a_slot_only_side_by_side_or_apart() {
        let op = |from: usize| {
            refused(Element::Real, |x| {
                let inputs = View { cols: 4, stride: 4, ..elsewhere(x) };
                let (dgate, dup) = (x.columns(0, 4), x.columns(from, 4));
                Op::SwiGluBackward { gate: inputs, up: inputs, dout: inputs, dgate, dup }
            })
        };
        assert_eq!(op(4), "");
        assert!(op(3).contains("dgate and dup overlap"));
        assert_eq!(op(32), "");
    }

    #[test]
    fn sizes_across_operands_are_checked() {
        let odd = refused(Element::Real, |x| Op::Rope {
            x,
            table: elsewhere(x),
            head_dim: 3,
            rotation: crate::compute::Rotation::Forward,
        });
        assert!(odd.contains("even size 3"), "{odd}");
        let groups = refused(Element::Real, |x| {
            let shape = AttentionShape { batch: 1, seq: 4, heads: 3, groups: 2, head_dim: 2 };
            Op::Attention { q: x, k: x, v: x, out: elsewhere(x), lse: elsewhere(x), shape }
        });
        assert!(groups.contains("3 heads are not a multiple of 2 groups"), "{groups}");
    }
}
