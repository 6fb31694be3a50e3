//! A benchmark of the processor, and one of a device that computes wrong numbers.

use super::*;
use crate::compute::cpu::CpuDevice;
use crate::compute::{Data, DataMut, DeviceInfo, Executor, Layout, Program, SlotId};

/// The processor with a fault in whatever is read as f64, as comparisons do.
#[derive(Debug)]
struct Wrong(CpuDevice);

#[derive(Debug)]
struct WrongExecutor(Box<dyn Executor>);

impl Device for Wrong {
    fn info(&self) -> &DeviceInfo {
        self.0.info()
    }
    fn build(&self, layout: &Layout, p: &[Program]) -> Result<Box<dyn Executor>, BuildError> {
        Ok(Box::new(WrongExecutor(self.0.build(layout, p)?)))
    }
}

impl Executor for WrongExecutor {
    fn run(&mut self, program: usize) -> Result<(), DeviceFault> {
        self.0.run(program)
    }
    fn write(&mut self, slot: SlotId, offset: usize, data: Data<'_>) -> Result<(), DeviceFault> {
        self.0.write(slot, offset, data)
    }
    fn read(&mut self, slot: SlotId, offset: usize, out: DataMut<'_>) -> Result<(), DeviceFault> {
        let DataMut::Wide(out) = out else { return self.0.read(slot, offset, out) };
        self.0.read(slot, offset, DataMut::Wide(&mut *out))?;
        out.iter_mut().for_each(|x| *x *= 1.001);
        Ok(())
    }
}

#[test]
fn every_kernel_agrees_with_the_reference_on_the_processor() {
    let device = CpuDevice::new(None);
    let clock = Clock::system();
    let effort = Effort { least: 1, most: 1, ..Effort::QUICK };
    let products = [Form::NT, Form::NN, Form::TN].map(|form| items::product(form, (96, 40, 200)));
    for item in others(Scale::Small).iter().chain(&products) {
        let result = kernels::bench(item, &device, &clock, effort).unwrap();
        assert!(result.check.agrees(), "{} {}: {:?}", result.kernel, result.shape, result.check);
        assert!(result.gigabytes > 0.0 && result.gigabytes.is_finite());
        assert!(result.kernel == "copy" || result.check.error > 0.0, "{}", result.kernel);
    }
}

#[test]
fn wrong_results_end_a_benchmark_with_both_numbers() {
    let device = Wrong(CpuDevice::new(Some(1)));
    let mut told = Vec::new();
    let result = bench(&device, Depth::Quick, &Clock::system(), &mut |step| {
        told.push(format!("{step:?}"));
    });
    let error = result.unwrap_err();
    let text = error.to_string();
    assert!(matches!(error, BenchError::Wrong { .. }));
    assert!(text.contains("gemm-nt 256") && text.contains("do not mine"), "{text}");
    assert_eq!(told.len(), 1, "nothing is told of wrong results: {told:?}");
}
