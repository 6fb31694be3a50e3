//! A device that is lost at work: everybody who uses it is told, the kernel is found, and the adapter
//! can be opened again.

use super::device;
use crate::compute::conformance::{Case, cases, run};
use crate::compute::device::{Data, DataMut, Device, DeviceFault, Executor};
use crate::compute::kind::OpKind;
use crate::compute::layout::SlotId;
use crate::compute::wgpu::KernelForm;
use crate::compute::wgpu::losses::Losses;
use std::time::Duration;

fn case(kind: OpKind) -> Case {
    cases().into_iter().find(|case| case.kind() == Some(kind)).unwrap()
}

fn built(device: &dyn Device, case: &Case) -> Box<dyn Executor> {
    device.build(case.layout(), std::slice::from_ref(case.program())).unwrap()
}

fn read_one(executor: &mut dyn Executor) -> Result<(), DeviceFault> {
    executor.read(SlotId(0), 0, DataMut::Real(&mut [0.0]))
}

#[test]
fn a_lost_device_is_noticed_by_every_call_and_is_there_again_when_opened_again() {
    let Some(device) = device() else { return };
    let norm = case(OpKind::RmsNorm);
    let mut executor = built(&device, &norm);
    executor.run(0).unwrap();
    read_one(&mut *executor).unwrap();
    assert!(device.health().is_ok() && device.in_flight().is_empty());
    device.give_up();
    let lost = |result: Result<(), DeviceFault>| {
        let Err(DeviceFault::Lost { why, .. }) = result else { panic!("{result:?}") };
        assert!(why.contains("given up"), "{why}");
    };
    lost(device.health());
    lost(executor.run(0));
    lost(executor.write(SlotId(0), 0, Data::Real(&[1.0])));
    lost(read_one(&mut *executor));
    lost(device.build(norm.layout(), &[]).map(drop).map_err(|error| match error {
        crate::compute::BuildError::Fault(fault) => fault,
        other => panic!("{other}"),
    }));
    let again = device.reopen().unwrap().device;
    assert_eq!(again.info(), device.info());
    run(&norm, &*again).unwrap();
}

#[test]
fn a_loss_in_the_middle_of_a_read_is_an_error_and_no_hang() {
    let Some(device) = device() else { return };
    let norm = case(OpKind::RmsNorm);
    let mut executor = built(&device, &norm);
    let other = device.clone();
    let from_outside = std::thread::spawn(move || other.give_up());
    let fault = std::iter::repeat_with(|| executor.run(0).and_then(|()| read_one(&mut *executor)))
        .find_map(Result::err);
    from_outside.join().unwrap();
    assert!(matches!(fault, Some(DeviceFault::Lost { .. })), "{fault:?}");
}

#[test]
fn a_kernel_that_loses_the_device_twice_is_found_and_its_slower_form_works() {
    let (mut losses, mut watch, mut choice, mut lost) = (Losses::default(), 0, None, 0);
    let program = [OpKind::Copy, OpKind::RmsNorm, OpKind::Fill].map(case);
    loop {
        let Some(device) = device() else { return };
        let device = device.crashing_on(OpKind::RmsNorm, KernelForm::Shared);
        let device = choice.map_or(device.clone(), |choice| device.with_choice(choice));
        device.watch(watch);
        let ran = program.iter().try_for_each(|case| {
            let mut executor = built(&device, case);
            executor.run(0)?;
            read_one(&mut *executor)
        });
        let Err(DeviceFault::Lost { .. }) = ran else { break };
        lost += 1;
        watch = 100;
        assert!(device.in_flight().iter().any(|kind| kind == OpKind::RmsNorm));
        if let Some(guilty) = losses.note(Duration::from_secs(lost), device.in_flight()) {
            assert_eq!(guilty, OpKind::RmsNorm);
            let slower = device.choice().form(guilty).simpler().unwrap();
            choice = Some(device.choice().with(guilty, slower));
        }
        assert!(lost < 3, "it is lost again and again");
    }
    assert_eq!(lost, 2);
    assert!(choice.is_some());
}
