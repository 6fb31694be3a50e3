//! The device as its callers see it. What kernels compute is tested by `compute::conformance`.

use super::*;
use crate::compute::device::{Data, DataMut};
use crate::compute::layout::{Element, Role};
use crate::compute::op::{AttentionShape, Form, Op, View, Write};

/// A program of products and attention over slots filled with numbers in \[-1, 1\].
fn bits(threads: usize) -> Vec<u32> {
    let (m, k, n) = (700, 330, 523);
    let mut layout = Layout::default();
    let mut slot = |name: &str, len| layout.add(name, Element::Real, len, Role::Scratch);
    let (a, b, c) = (slot("a", m * k), slot("b", n * k), slot("c", m * n));
    let (sum, out, lse) = (slot("sum", 1), slot("out", m * 96), slot("lse", m * 3));
    let shape = AttentionShape { batch: 7, seq: 100, heads: 3, groups: 1, head_dim: 32 };
    let wide = View::matrix(c, m, 96);
    let narrow = View::matrix(c, m, 32);
    let ops = vec![
        Op::Gemm {
            form: Form::NT,
            a: View::matrix(a, m, k),
            b: View::matrix(b, n, k),
            c: View::matrix(c, m, n),
            write: Write::Set,
        },
        Op::SumSquares { src: View::matrix(c, m, n), dst: View::vector(sum, 1) },
        Op::Attention {
            q: wide,
            k: View { offset: m * 96, ..narrow },
            v: View { offset: m * 128, ..narrow },
            out: View::matrix(out, m, 96),
            lse: View::matrix(lse, m, 3),
            shape,
        },
    ];
    let program = Program { name: "p".into(), ops };
    let mut executor = CpuDevice::new(Some(threads)).build(&layout, &[program]).unwrap();
    let numbers = |len: usize, step: usize| -> Vec<f32> {
        (0..len).map(|i| ((i * step) % 1009) as f32 / 504.5 - 1.0).collect()
    };
    executor.write(a, 0, Data::Real(&numbers(m * k, 7))).unwrap();
    executor.write(b, 0, Data::Real(&numbers(n * k, 11))).unwrap();
    executor.run(0).unwrap();
    let mut all = Vec::new();
    for (slot, len) in [(c, m * n), (sum, 1), (out, m * 96), (lse, m * 3)] {
        let mut part = vec![0.0; len];
        executor.read(slot, 0, DataMut::Real(&mut part)).unwrap();
        all.extend(part.into_iter().map(f32::to_bits));
    }
    all
}

#[test]
fn the_number_of_threads_does_not_change_a_bit() {
    let one = bits(1);
    assert!(one.iter().any(|&b| b != 0));
    assert_eq!(one, bits(2));
    assert_eq!(one, bits(5));
}

#[test]
fn slots_start_at_zero_and_keep_what_is_written() {
    let mut layout = Layout::default();
    let real = layout.add("real", Element::Real, 4, Role::Scratch);
    let index = layout.add("index", Element::Index, 4, Role::Scratch);
    let mut executor = CpuDevice::new(Some(1)).build(&layout, &[]).unwrap();
    executor.write(real, 1, Data::Wide(&[0.1, 2.0])).unwrap();
    executor.write(index, 3, Data::Index(&[9])).unwrap();
    let (mut wide, mut indices) = ([7.0; 4], [7; 4]);
    executor.read(real, 0, DataMut::Wide(&mut wide)).unwrap();
    executor.read(index, 0, DataMut::Index(&mut indices)).unwrap();
    assert_eq!(wide, [0.0, f64::from(0.1_f32), 2.0, 0.0]);
    assert_eq!(indices, [0, 0, 0, 9]);
}

#[test]
fn bad_accesses_name_the_slot() {
    let mut layout = Layout::default();
    let slot = layout.add("weights", Element::Real, 4, Role::Parameter);
    let mut executor = CpuDevice::oracle().build(&layout, &[]).unwrap();
    let far = executor.write(slot, 2, Data::Real(&[0.0; 3])).unwrap_err().to_string();
    assert!(far.contains("weights") && far.contains("3 elements from 2"), "{far}");
    assert!(executor.read(slot, 0, DataMut::Index(&mut [0; 1])).is_err());
    assert!(executor.run(0).is_err());
}

#[test]
fn an_impossible_layout_is_refused_and_not_attempted() {
    let mut layout = Layout::default();
    layout.add("huge", Element::Real, usize::MAX / 16, Role::Parameter);
    let refused = CpuDevice::new(Some(1)).build(&layout, &[]);
    assert!(matches!(refused, Err(BuildError::OutOfMemory { .. })));
}
