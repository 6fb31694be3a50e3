//! Slots from the host's side: parts of them, shared words, and what is refused.

use half::bf16;

use super::device;
use crate::compute::device::{BuildError, Data, DataMut, Device, DeviceFault};
use crate::compute::layout::{Element, Layout, Role, SlotId};
use crate::compute::op::{Op, Program, View};

fn halves(values: &[f32]) -> Vec<bf16> {
    values.iter().map(|v| bf16::from_f32(*v)).collect()
}

#[test]
fn slots_start_as_zeros_and_parts_can_be_written() {
    let Some(device) = device() else { return };
    let mut layout = Layout::default();
    let real = layout.add("real", Element::Real, 5, Role::Scratch);
    let index = layout.add("index", Element::Index, 3, Role::Scratch);
    let mut executor = device.build(&layout, &[]).unwrap();
    executor.write(real, 1, Data::Real(&[1.5, -2.0])).unwrap();
    executor.write(real, 3, Data::Wide(&[0.1])).unwrap();
    executor.write(index, 2, Data::Index(&[u32::MAX])).unwrap();
    let (mut numbers, mut wide, mut ids) = ([9.0; 5], [9.0; 2], [9; 3]);
    executor.read(real, 0, DataMut::Real(&mut numbers)).unwrap();
    executor.read(real, 3, DataMut::Wide(&mut wide)).unwrap();
    executor.read(index, 0, DataMut::Index(&mut ids)).unwrap();
    assert_eq!(numbers, [0.0, 1.5, -2.0, 0.1, 0.0]);
    assert_eq!(wide, [f64::from(0.1_f32), 0.0]);
    assert_eq!(ids, [0, 0, u32::MAX]);
}

#[test]
fn halves_of_a_word_keep_their_neighbours() {
    let Some(device) = device() else { return };
    let mut layout = Layout::default();
    let slot = layout.add("wire", Element::Bf16, 7, Role::Wire);
    let mut executor = device.build(&layout, &[]).unwrap();
    let mut want = halves(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0]);
    executor.write(slot, 0, Data::Bf16(&want)).unwrap();
    for (offset, len) in [(1, 1), (1, 2), (3, 3), (6, 1), (0, 1), (2, 4)] {
        let new: Vec<bf16> = (0..len).map(|i| bf16::from_f32((10 * offset + i) as f32)).collect();
        executor.write(slot, offset, Data::Bf16(&new)).unwrap();
        want[offset..offset + len].copy_from_slice(&new);
        let mut all = vec![bf16::ZERO; 7];
        executor.read(slot, 0, DataMut::Bf16(&mut all)).unwrap();
        assert_eq!(all, want, "after {len} at {offset}");
        let mut part = vec![bf16::ZERO; len];
        executor.read(slot, offset, DataMut::Bf16(&mut part)).unwrap();
        assert_eq!(part, new);
    }
}

#[test]
fn what_is_larger_than_the_staging_memory_comes_in_pieces() {
    let Some(device) = device() else { return };
    let len = (9 << 20) + 3;
    let mut layout = Layout::default();
    let real = layout.add("real", Element::Real, len, Role::Scratch);
    let wire = layout.add("wire", Element::Bf16, len, Role::Scratch);
    let mut executor = device.build(&layout, &[]).unwrap();
    let values: Vec<f64> = (0..len).map(|i| (i % 4096) as f64).collect();
    executor.write(real, 0, Data::Wide(&values)).unwrap();
    let mut got = vec![0.0; len];
    executor.read(real, 0, DataMut::Wide(&mut got)).unwrap();
    assert!(got == values);
    let values: Vec<bf16> = (0..len).map(|i| bf16::from_bits((i % 0x7000) as u16)).collect();
    executor.write(wire, 1, Data::Bf16(&values[1..])).unwrap();
    let mut got = vec![bf16::ZERO; len - 1];
    executor.read(wire, 1, DataMut::Bf16(&mut got)).unwrap();
    assert!(got == values[1..]);
}

#[test]
fn bad_accesses_and_slots_beyond_the_device_are_refused() {
    let Some(device) = device() else { return };
    let mut layout = Layout::default();
    let slot = layout.add("small", Element::Real, 4, Role::Scratch);
    let mut executor = device.build(&layout, &[]).unwrap();
    let late = executor.write(slot, 2, Data::Real(&[0.0; 3]));
    let kind = executor.read(slot, 0, DataMut::Index(&mut [0]));
    let gone = executor.write(SlotId(7), 0, Data::Real(&[0.0]));
    for (result, part) in [(late, "3 elements from 2"), (kind, "not Index"), (gone, "no such")] {
        let Err(DeviceFault::BadAccess { why, .. }) = result else { panic!("{result:?}") };
        assert!(why.contains(part), "{why}");
    }
    let mut layout = Layout::default();
    layout.add("huge", Element::Real, 1 << 46, Role::Scratch);
    let huge = device.build(&layout, &[]);
    assert!(matches!(huge, Err(BuildError::SlotTooLarge { .. })), "{huge:?}");
}

#[test]
fn a_malformed_op_is_refused_with_its_place() {
    let Some(device) = device() else { return };
    let mut layout = Layout::default();
    let slot = layout.add("x", Element::Real, 4, Role::Scratch);
    let x = View::vector(slot, 4);
    let ops = vec![Op::Fill { dst: x, value: 1.0 }, Op::Copy { src: x, dst: x }];
    let refusal = device.build(&layout, &[Program { name: "bad".to_owned(), ops }]);
    let Err(BuildError::BadOp { program, index, .. }) = refusal else { panic!("{refusal:?}") };
    assert_eq!((program.as_str(), index), ("bad", 1));
}

#[test]
fn two_stages_on_one_device_do_not_see_each_other() {
    let Some(device) = device() else { return };
    let mut layout = Layout::default();
    let slot = layout.add("x", Element::Real, 300, Role::Scratch);
    let program = |value: f32| Program {
        name: "fill".to_owned(),
        ops: vec![Op::Fill { dst: View::vector(slot, 300), value }],
    };
    let mut workers = Vec::new();
    for value in [1.0, 2.0] {
        let mut executor = device.build(&layout, &[program(value)]).unwrap();
        workers.push(std::thread::spawn(move || {
            for _ in 0..20 {
                executor.run(0).unwrap();
                let mut out = vec![0.0; 300];
                executor.read(slot, 0, DataMut::Real(&mut out)).unwrap();
                assert_eq!(out, vec![value; 300]);
            }
        }));
    }
    for worker in workers {
        worker.join().unwrap();
    }
}
