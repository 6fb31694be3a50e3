//! Matrix products against sums in f64.

use super::{device, numbers};
use crate::compute::device::{Data, DataMut, Device};
use crate::compute::layout::{Element, Layout, Role};
use crate::compute::op::{Form, Op, Program, View, Write};
use crate::compute::wgpu::WgpuDevice;

/// (m, n, k), gap after each row, first element.
type Shape = ((usize, usize, usize), usize, usize);

pub(super) fn stored(form: Form, (m, n, k): (usize, usize, usize)) -> [(usize, usize); 3] {
    match form {
        Form::NN => [(m, k), (k, n), (m, n)],
        Form::NT => [(m, k), (n, k), (m, n)],
        Form::TN => [(k, m), (k, n), (m, n)],
    }
}

fn check(device: &WgpuDevice, form: Form, shape: Shape, write: Write) {
    let ((m, n, k), gap, offset) = shape;
    let mut layout = Layout::default();
    let views = stored(form, (m, n, k)).map(|(rows, cols)| {
        let stride = cols + gap;
        let slot = layout.add("x", Element::Real, offset + rows * stride, Role::Scratch);
        View { slot, offset, rows, cols, stride }
    });
    let [a, b, c] = views;
    let ops = vec![Op::Gemm { form, a, b, c, write }];
    let program = Program { name: "gemm".to_owned(), ops };
    let mut executor = device.build(&layout, &[program]).unwrap();
    let data: Vec<Vec<f32>> =
        (1..).zip(layout.slots()).map(|(seed, slot)| numbers(seed, slot.len)).collect();
    for (view, values) in views.iter().zip(&data) {
        executor.write(view.slot, 0, Data::Real(values)).unwrap();
    }
    executor.run(0).unwrap();
    let mut got = vec![0.0; data[2].len()];
    executor.read(c.slot, 0, DataMut::Real(&mut got)).unwrap();
    let at = |view: View, row: usize, col: usize| view.offset + row * view.stride + col;
    let mut want: Vec<f64> = data[2].iter().map(|v| f64::from(*v)).collect();
    for i in 0..m {
        for j in 0..n {
            let term = |l: usize| {
                let (x, y) = match form {
                    Form::NN => (at(a, i, l), at(b, l, j)),
                    Form::NT => (at(a, i, l), at(b, j, l)),
                    Form::TN => (at(a, l, i), at(b, l, j)),
                };
                f64::from(data[0][x]) * f64::from(data[1][y])
            };
            let sum: f64 = (0..k).map(term).sum();
            let place = &mut want[at(c, i, j)];
            *place = if write == Write::Add { *place + sum } else { sum };
        }
    }
    // Gaps between rows are compared too: they must not change.
    for (i, (got, want)) in got.iter().zip(&want).enumerate() {
        let far = (f64::from(*got) - want).abs();
        assert!(
            far < 1e-6 * (10.0 + k as f64),
            "{form:?} {shape:?} {write:?} at {i}: {got} {want}"
        );
    }
}

fn check_all(device: &WgpuDevice) {
    let shapes = [
        ((1, 1, 1), 0, 0),
        ((64, 128, 32), 0, 0),
        ((37, 100, 64), 4, 8),
        ((5, 67, 13), 3, 5),
        ((130, 65, 17), 0, 1),
        ((16, 4, 70), 1, 0),
    ];
    for form in [Form::NN, Form::NT, Form::TN] {
        for shape in shapes {
            for write in [Write::Set, Write::Add] {
                check(device, form, shape, write);
            }
        }
    }
}

#[test]
fn products_are_right_in_every_form_and_alignment() {
    let Some(device) = device() else { return };
    check_all(&device);
}

#[test]
fn products_of_the_gpu_kernel_are_right() {
    let Some(device) = device() else { return };
    check_all(&device.with_gpu_kernels());
}

#[test]
fn products_are_right_when_nothing_fits_one_binding_or_one_dispatch() {
    let Some(device) = device() else { return };
    check_all(&device.bounded(|bounds| bounds.binding = 4096));
    let Some(device) = super::device() else { return };
    check_all(&device.bounded(|bounds| bounds.cost = 1000));
}
