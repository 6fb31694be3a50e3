//! Devices and the kernel set: what a stage program may ask for, and who carries it out.
//!
//! A program is planned once as a flat list of [`Op`]s over the slots of a [`Layout`], compiled by
//! a [`Device`] into an [`Executor`], and then replayed: no tape, no allocation, no dispatch by
//! type in the loop. Every op's meaning is written once, beside its variant in [`op`]; the `cpu`
//! backend in f64 is the oracle that the others are measured against ([`conformance`]).

pub mod check;
pub mod conformance;
pub mod cpu;
pub mod device;
pub mod injected;
pub mod kind;
pub mod layout;
pub mod op;
pub mod selftest;
pub mod wgpu;

pub use device::{
    BuildError, Data, DataMut, Device, DeviceFault, DeviceInfo, DeviceKind, Executor, ReopenError,
    Reopened,
};
pub use kind::{KindSet, OpKind};
pub use layout::{Element, Layout, Role, Slot, SlotId};
pub use op::{AttentionShape, Form, Op, Program, Rotation, View, Write};
