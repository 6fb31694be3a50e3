//! Where a program's numbers live: named slots, each of one element type and a fixed length.
//!
//! A slot is one device buffer. Tensors whose lifetimes do not overlap may share a slot; the plan
//! decides that (`model::plan`), so that the bytes of a stage are known before anything is built.

/// What one element of a slot is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Element {
    /// A real number: f32 on devices, f64 in the oracle.
    Real,
    /// A token id or another index: u32.
    Index,
    /// A number as it crosses the wire: bfloat16.
    Bf16,
}

impl Element {
    /// Bytes of one element on a device (the oracle's f64 is not counted).
    pub fn bytes(self) -> usize {
        match self {
            Self::Real | Self::Index => 4,
            Self::Bf16 => 2,
        }
    }
}

/// What a slot is for. Decides nothing about the arithmetic; used for the memory table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Role {
    /// A weight of the stage.
    Parameter,
    /// Its accumulated gradient.
    Gradient,
    /// A moment of the optimizer.
    Moment,
    /// Kept from a forward for its backward.
    Activation,
    /// Used within one program.
    Scratch,
    /// Crosses the wire: boundary activations and gradients, tokens, targets.
    Wire,
    /// Constants and scalars: rotary tables, learning rate, norms, losses.
    Constant,
}

/// Index of a slot in its [`Layout`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SlotId(pub u32);

/// One buffer of a layout.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slot {
    /// For error messages and the memory table.
    pub name: String,
    /// Element type.
    pub element: Element,
    /// Number of elements.
    pub len: usize,
    /// What it is for.
    pub role: Role,
}

impl Slot {
    /// Bytes of this slot on a device: whole 32-bit words.
    pub fn bytes(&self) -> usize {
        (self.len * self.element.bytes()).next_multiple_of(4)
    }
}

/// All slots of a stage.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Layout {
    slots: Vec<Slot>,
}

impl Layout {
    /// Adds a slot and returns its index.
    pub fn add(&mut self, name: &str, element: Element, len: usize, role: Role) -> SlotId {
        let id = SlotId(u32::try_from(self.slots.len()).unwrap_or(u32::MAX));
        self.slots.push(Slot { name: name.to_owned(), element, len, role });
        id
    }

    /// The slots in the order they were added; position `i` is `SlotId(i)`.
    pub fn slots(&self) -> &[Slot] {
        &self.slots
    }

    /// One slot, if the index is of this layout.
    pub fn get(&self, id: SlotId) -> Option<&Slot> {
        self.slots.get(id.0 as usize)
    }

    /// Exact bytes on a device.
    pub fn bytes(&self) -> usize {
        self.slots.iter().map(Slot::bytes).sum()
    }

    /// Exact bytes on a device of the slots with this role.
    pub fn bytes_of(&self, role: Role) -> usize {
        self.slots.iter().filter(|s| s.role == role).map(Slot::bytes).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_whole_words_and_add_up() {
        let mut layout = Layout::default();
        let a = layout.add("a", Element::Real, 3, Role::Parameter);
        let b = layout.add("b", Element::Bf16, 3, Role::Wire);
        assert_eq!((a, b), (SlotId(0), SlotId(1)));
        assert_eq!(layout.bytes(), 12 + 8);
        assert_eq!(layout.bytes_of(Role::Wire), 8);
        assert!(layout.get(SlotId(2)).is_none());
    }
}
