//! Slices of what crosses a stage's boundary.

use half::bf16;

use crate::compute::DataMut;

/// Room for what crosses the boundary.
pub(super) enum Out<'a> {
    Wire(&'a mut [bf16]),
    Exact(&'a mut [f64]),
}

impl Out<'_> {
    pub(super) fn len(&self) -> usize {
        match self {
            Out::Wire(out) => out.len(),
            Out::Exact(out) => out.len(),
        }
    }

    /// The room of one slice of `len` numbers.
    pub(super) fn piece(&mut self, slice: usize, len: usize) -> DataMut<'_> {
        let range = slice * len..(slice + 1) * len;
        match self {
            Out::Wire(out) => DataMut::Bf16(&mut out[range]),
            Out::Exact(out) => DataMut::Wide(&mut out[range]),
        }
    }

    pub(super) fn is_finite(&self) -> bool {
        match self {
            Out::Wire(out) => out.iter().all(|x| x.is_finite()),
            Out::Exact(out) => out.iter().all(|x| x.is_finite()),
        }
    }
}

/// Sets everything from element `from` on to zero.
pub(super) fn fill_beyond(room: &mut DataMut<'_>, from: usize) {
    match room {
        DataMut::Bf16(out) => out.iter_mut().skip(from).for_each(|x| *x = bf16::ZERO),
        DataMut::Wide(out) => out.iter_mut().skip(from).for_each(|x| *x = 0.0),
        DataMut::Real(_) | DataMut::Index(_) => {}
    }
}

/// At most the first `len` elements.
pub(super) fn first(room: DataMut<'_>, len: usize) -> DataMut<'_> {
    match room {
        DataMut::Bf16(out) => {
            let len = len.min(out.len());
            DataMut::Bf16(&mut out[..len])
        }
        DataMut::Wide(out) => {
            let len = len.min(out.len());
            DataMut::Wide(&mut out[..len])
        }
        other => other,
    }
}

/// One slice's share of a batch.
pub(super) fn piece<T>(all: &[T], slice: usize, slices: usize) -> &[T] {
    let len = all.len() / slices;
    &all[slice * len..(slice + 1) * len]
}
