//! How much memory a parser holds at its worst moment: an allocator that counts, per thread, so that
//! tests running side by side do not see each other.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

/// The system's allocator, counted.
pub struct Counted;

thread_local! {
    static HELD: Cell<isize> = const { Cell::new(0) };
    static PEAK: Cell<isize> = const { Cell::new(0) };
}

fn add(bytes: isize) {
    // A thread that is ending has no counters any more, and nobody asks for them.
    let _ = HELD.try_with(|held| {
        held.set(held.get() + bytes);
        let _ = PEAK.try_with(|peak| peak.set(peak.get().max(held.get())));
    });
}

fn size(layout: Layout) -> isize {
    isize::try_from(layout.size()).unwrap_or(isize::MAX)
}

// SAFETY: every call is handed to the system's allocator unchanged; counting allocates nothing.
unsafe impl GlobalAlloc for Counted {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        add(size(layout));
        // SAFETY: the caller's promises are passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        add(-size(layout));
        // SAFETY: the caller's promises are passed on.
        unsafe { System.dealloc(memory, layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        add(size(layout));
        // SAFETY: the caller's promises are passed on.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, new: usize) -> *mut u8 {
        // While it moves, both the old and the new block may exist.
        add(isize::try_from(new).unwrap_or(isize::MAX));
        add(-size(layout));
        // SAFETY: the caller's promises are passed on.
        unsafe { System.realloc(memory, layout, new) }
    }
}

/// Runs `work`; gives its result and the most bytes that it held at a time beyond those before.
pub fn peak_of<T>(work: impl FnOnce() -> T) -> (T, usize) {
    let before = HELD.with(Cell::get);
    PEAK.with(|peak| peak.set(before));
    let result = work();
    let peak = PEAK.with(Cell::get);
    (result, usize::try_from(peak - before).unwrap_or(0))
}

#[test]
fn the_counter_sees_what_is_held_and_what_was_held() {
    let ((), peak) = peak_of(|| drop(vec![1_u8; 1 << 20]));
    assert!((1 << 20..1 << 21).contains(&peak), "{peak}");
    let (kept, peak) = peak_of(|| {
        let mut grown = Vec::<u8>::with_capacity(1 << 20);
        grown.resize(3 << 20, 0);
        grown
    });
    assert!(peak >= 4 << 20, "old and new block at once: {peak}");
    drop(kept);
    assert!(peak_of(|| 1).1 < 1024);
}
