//! An adapter whose device is really destroyed: what a stage had learned comes back on the next opening
//! to the bit, and a kernel that was at work at two losses is not used again. Needs a Vulkan driver, as
//! the other tests of adapters do; a software one will do.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use half::bf16;
use hearth::cli::device::{Backend, open};
use hearth::cli::devices::verdicts::{self, StoredKind, Verdict, VerdictKey};
use hearth::clock::Clock;
use hearth::compute::wgpu::{AdapterChoice, WgpuDevice, adapters};
use hearth::compute::{
    Data, DataMut, Device, DeviceFault, Element, Form, Layout, Op, OpKind, Program, Role, View,
    Write,
};
use hearth::config::folders::Folders;
use hearth::model::Stage;
use hearth::protocol::messages::RunFlags;
use hearth::protocol::{ActivationId, Epoch, Hotkey, RunId, StageIndex};
use hearth::training::keep::KeepPlace;
use hearth::training::local::{Gradient, LocalError, LocalStage};
use hearth::training::queue::Input;
use hearth::training::record::Recorder;
use hearth::training::recover::recover;
use hearth::training::snapshot::SnapshotStore;
use hearth::training::terms::{HyperParameters, Terms};
use hearth::training::worker::Worker;

use crate::recovered;
use crate::world::nano;

fn hotkey() -> Hotkey {
    Hotkey::from_public_key(&[1; 32])
}

/// The middle stage of the smallest model; a step after every second backward.
async fn stage(worker: &Worker<Stage>, device: Arc<dyn Device>) -> LocalStage {
    let preset = nano();
    let hyper = HyperParameters {
        batch: preset.batch,
        sequence: preset.seq,
        accumulation: 2,
        ..HyperParameters::default()
    };
    let terms = Terms {
        run: RunId("r".to_owned()),
        stage: StageIndex(1),
        stages: 3,
        partitions: 1,
        epoch: Epoch(1),
        flags: RunFlags::default(),
        hyper,
        tokenizer: None,
        spec: preset.stage_specs(3).unwrap().swap_remove(1),
    };
    LocalStage::build(worker, device, terms, 1, hotkey(), Recorder::off()).await.unwrap()
}

async fn work(stage: &mut LocalStage, pieces: std::ops::Range<usize>) -> Result<(), LocalError> {
    for piece in pieces {
        let len = stage.terms().activation_shape().iter().product();
        let numbers = |salt: usize| -> Vec<bf16> {
            let number = |i: usize| bf16::from_f32(((i + 3 * salt) % 7) as f32 * 0.1 - 0.2);
            (0..len).map(number).collect()
        };
        let input = Arc::new(Input::Activation(numbers(piece)));
        let gradient = Gradient::Activation(numbers(piece + 1).into());
        stage.backward(&ActivationId(format!("a{piece}")), input, gradient, None).await?;
        stage.step_if_due().await?;
    }
    Ok(())
}

fn place(folder: &Path) -> KeepPlace {
    let store = SnapshotStore::new(folder, &hotkey(), &RunId("r".to_owned()), StageIndex(1));
    KeepPlace { store, hotkey: hotkey(), ground: "the adapter".to_owned(), clock: Clock::system() }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stage_on_an_adapter_goes_on_after_its_device_was_destroyed() {
    let folder = tempfile::tempdir().unwrap();
    let worker = Worker::start("adapter").unwrap();
    let device: Arc<dyn Device> =
        Arc::new(WgpuDevice::open(&AdapterChoice::AllowSoftware).unwrap());
    let mut quiet = stage(&worker, Arc::clone(&device)).await;
    quiet.begin_epoch(Epoch(1), Vec::new()).await.unwrap();
    work(&mut quiet, 0..9).await.unwrap();
    let expected = quiet.weights().await.unwrap();
    drop(quiet);

    let mut lossy = stage(&worker, Arc::clone(&device)).await;
    lossy.begin_epoch(Epoch(1), Vec::new()).await.unwrap();
    lossy.keep(&place(folder.path())).await.unwrap();
    lossy.kept().await.unwrap();
    work(&mut lossy, 0..5).await.unwrap();
    let lost = Instant::now();
    device.give_up();
    let error = work(&mut lossy, 5..6).await.unwrap_err();
    assert!(!error.is_about_the_work(), "{error}");
    drop(lossy);
    let mut again = stage(&worker, device.reopen().unwrap().device).await;
    let taken = recover(&mut again, &place(folder.path()), 1, &|_| {}).await.unwrap();
    assert!(taken.goes_on && taken.losses.is_empty(), "{taken:?}");
    assert_eq!((taken.again, again.count().backwards, again.count().accumulated), (5, 5, 1));
    work(&mut again, 5..9).await.unwrap();
    recovered("stage on an adapter, device destroyed", lost.elapsed(), Duration::from_secs(8));
    let bits = |weights: &[f32]| weights.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
    assert!(bits(&again.weights().await.unwrap()) == bits(&expected), "the weights are others");
}

/// A product that takes a software adapter a while.
const SIZE: usize = 1536;

fn product() -> (Layout, Program) {
    let mut layout = Layout::default();
    let mut matrix = |name: &str| {
        let slot = layout.add(name, Element::Real, SIZE * SIZE, Role::Scratch);
        View { slot, offset: 0, rows: SIZE, cols: SIZE, stride: SIZE }
    };
    let (a, b, c) = (matrix("a"), matrix("b"), matrix("c"));
    let op = Op::Gemm { form: Form::NT, a, b, c, write: Write::Set };
    (layout, Program { name: "product".to_owned(), ops: vec![op] })
}

/// Runs it; the device is destroyed in the middle.
fn lose_at_work(device: &Arc<dyn Device>) {
    let (layout, program) = product();
    let mut executor = device.build(&layout, &[program]).unwrap();
    let destroyer = Arc::clone(device);
    let killer = std::thread::spawn(move || {
        // Not before the kernel is given out, and so in flight.
        while destroyer.in_flight().is_empty() {
            std::thread::yield_now();
        }
        destroyer.give_up();
    });
    let run = executor.run(0);
    killer.join().unwrap();
    // The end of a program may be noticed with the next call only.
    assert!(run.is_err() || device.health().is_err());
    assert!(matches!(device.health(), Err(DeviceFault::Lost { .. })));
}

#[test]
fn a_kernel_that_was_at_work_at_two_losses_is_banned_for_good() {
    let home = tempfile::tempdir().unwrap();
    let folders = Folders::under(home.path());
    for report in adapters() {
        // As if tested: that its kernels are right is shown by the tests of the kernels.
        let tested = StoredKind {
            kernel: OpKind::GemmNt.word().to_owned(),
            outcome: "passed".to_owned(),
            form: "shared".to_owned(),
            cases: 1,
            error: 0.0,
            failures: Vec::new(),
        };
        let verdict = Verdict {
            key: VerdictKey::of(&report),
            tested: "2026-01-01T00:00:00Z".to_owned(),
            seconds: 0.0,
            cases: 1,
            complete: true,
            refusal: None,
            kinds: vec![tested],
        };
        verdicts::write(&folders, &verdict).unwrap();
    }
    let start = || open(Backend::Wgpu, &folders, &Clock::system(), &mut |_: &str| {}).unwrap();
    let opened = start();
    assert!(opened.findings.is_empty(), "{:?}", opened.findings);
    let first = opened.device;
    lose_at_work(&first);
    let once = first.reopen().unwrap();
    assert_eq!(once.changed, None, "one loss names nobody");
    lose_at_work(&once.device);
    let twice = once.device.reopen().unwrap();
    let said = twice.changed.unwrap();
    assert!(said.contains("lost twice while its kernel gemm-nt was at work"), "{said}");

    // The slower form computes the same.
    let (layout, program) = product();
    let Op::Gemm { a, b, c, .. } = program.ops[0] else { panic!("no product") };
    let mut executor = twice.device.build(&layout, &[program]).unwrap();
    let ones = vec![1.0_f32; SIZE * SIZE];
    executor.write(a.slot, 0, Data::Real(&ones)).unwrap();
    executor.write(b.slot, 0, Data::Real(&ones)).unwrap();
    executor.run(0).unwrap();
    let mut out = vec![0.0_f32; SIZE];
    executor.read(c.slot, 0, DataMut::Real(&mut out)).unwrap();
    assert!(out.iter().all(|x| *x == SIZE as f32));

    // The next start knows, and says so.
    let findings = format!("{:?}", start().findings);
    assert!(findings.contains("kernel-banned") && findings.contains("gemm-nt"), "{findings}");
}
