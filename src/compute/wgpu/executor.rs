//! A layout in device memory and its programs, ready to be replayed.
//!
//! All GPU objects are made here once. A run only encodes what was prepared: one compute pass, and
//! a new submission where a program is so long that a driver might take it for a hang.

use std::sync::Arc;
use std::sync::mpsc::channel;
use std::time::Duration;

use half::bf16;

use super::Shared;
use super::fault::{Caught, caught};
use super::flight::Pace;
use super::lower::{Call, Class, Lowering, Scratch, Source, buffer_bytes, is_of};
use super::pipeline::Rejected;
use crate::compute::check;
use crate::compute::device::{BuildError, Data, DataMut, DeviceFault, Executor};
use crate::compute::kind::{KindSet, OpKind};
use crate::compute::layout::{Element, Layout, Slot, SlotId};
use crate::compute::op::Program;

/// Bytes that go to or come from the device at a time.
const STAGING: u64 = 16 << 20;
/// Room for the parameters of one dispatch; also a legal offset of a uniform binding everywhere.
const PARAMS: u64 = 256;
/// So long a GPU may be silent over one submission, which is cut to take half a second.
const SILENCE: Duration = Duration::from_secs(60);
/// Workgroups along one dimension, at most, on every device.
const SIDE: u64 = 65_535;

/// One dispatch, prepared.
#[derive(Debug)]
struct Step {
    pipeline: ::wgpu::ComputePipeline,
    group: ::wgpu::BindGroup,
    grid: (u32, u32),
    cost: u64,
    kind: OpKind,
}

/// A layout and its programs on one device.
#[derive(Debug)]
pub(super) struct WgpuExecutor {
    shared: Arc<Shared>,
    layout: Layout,
    slots: Vec<::wgpu::Buffer>,
    staging: ::wgpu::Buffer,
    programs: Vec<Vec<Step>>,
}

impl WgpuExecutor {
    /// Takes the memory, compiles the kernels and prepares every dispatch.
    pub(super) fn build(
        shared: Arc<Shared>,
        layout: &Layout,
        programs: &[Program],
    ) -> Result<Self, BuildError> {
        check::check(layout, programs)?;
        for slot in layout.slots() {
            let bytes = slot.bytes();
            if bytes as u64 > shared.max_buffer {
                return Err(BuildError::SlotTooLarge {
                    name: slot.name.clone(),
                    bytes,
                    device: shared.info.name.clone(),
                    limit: shared.max_buffer,
                });
            }
        }
        let (calls, scratch) = lower(&shared, layout, programs)?;
        let memory = Memory::take(&shared, layout, scratch, &calls)?;
        let programs = calls
            .iter()
            .scan(0, |first, calls| {
                let from = *first;
                *first += calls.len();
                Some(memory.prepare(&shared, calls, from))
            })
            .collect::<Result<Vec<_>, _>>()?;
        let Memory { slots, staging, .. } = memory;
        Ok(Self { shared, layout: layout.clone(), slots, staging, programs })
    }

    fn slot(&self, id: SlotId) -> Result<(&Slot, &::wgpu::Buffer), DeviceFault> {
        let found = self.layout.get(id).zip(self.slots.get(id.0 as usize));
        found.ok_or_else(|| DeviceFault::BadAccess {
            slot: format!("number {}", id.0),
            why: "there is no such slot".to_owned(),
        })
    }

    /// The slot's buffer, if the access is inside it and of its element type.
    fn access(
        &self,
        id: SlotId,
        offset: usize,
        len: usize,
        element: Element,
    ) -> Result<&::wgpu::Buffer, DeviceFault> {
        let (slot, buffer) = self.slot(id)?;
        let bad = |why: String| Err(DeviceFault::BadAccess { slot: slot.name.clone(), why });
        if !is_of(&self.layout, id, element) {
            return bad(format!("it holds {:?}, not {element:?}", slot.element));
        }
        match offset.checked_add(len) {
            Some(end) if end <= slot.len => Ok(buffer),
            _ => bad(format!("{len} elements from {offset} on, of {}", slot.len)),
        }
    }

    /// Writes whole words and hands large amounts to the device as they come.
    fn write_words(&self, buffer: &::wgpu::Buffer, at: u64, bytes: &[u8]) {
        for (i, part) in bytes.chunks(STAGING as usize).enumerate() {
            self.shared.queue.write_buffer(buffer, at + i as u64 * STAGING, part);
            if part.len() as u64 == STAGING {
                self.shared.queue.submit([]);
            }
        }
    }

    /// Reads whole words; `take` gets them piece by piece, in order.
    fn read_words(
        &self,
        buffer: &::wgpu::Buffer,
        at: u64,
        bytes: u64,
        mut take: impl FnMut(&[u8]),
    ) -> Result<(), DeviceFault> {
        let mut done = 0;
        while done < bytes {
            let part = (bytes - done).min(self.staging.size());
            self.read_piece(buffer, at + done, part, &mut take)?;
            done += part;
        }
        Ok(())
    }

    fn read_piece(
        &self,
        buffer: &::wgpu::Buffer,
        at: u64,
        bytes: u64,
        take: &mut impl FnMut(&[u8]),
    ) -> Result<(), DeviceFault> {
        let Shared { device, queue, faults, info, flight, .. } = &*self.shared;
        faults.check(&info.name)?;
        let mut encoder = device.create_command_encoder(&Default::default());
        encoder.copy_buffer_to_buffer(buffer, at, &self.staging, 0, bytes);
        let copy = queue.submit([encoder.finish()]);
        flight.began(copy.clone(), KindSet::default());
        let (sender, receiver) = channel();
        self.staging.map_async(::wgpu::MapMode::Read, 0..bytes, move |result| {
            // The receiver lives until the wait below is over.
            let _ = sender.send(result);
        });
        self.wait()?;
        // Another stage may have waited for the copy before the mapping was asked for, and then nobody
        // looks for its answer.
        self.wait_for(copy)?;
        let lost = |why: String| {
            faults.lost(why.clone());
            DeviceFault::Lost { device: info.name.clone(), why }
        };
        // Another thread's poll may have taken the answer and be about to pass it on; one that is
        // dropped ends the wait too.
        match receiver.recv() {
            Ok(Ok(())) => {}
            Ok(Err(error)) => return Err(lost(error.to_string())),
            Err(_) => return Err(lost("a read was never answered".to_owned())),
        }
        let view = self.staging.get_mapped_range(0..bytes);
        let result = view.map(|view| take(&view)).map_err(|error| lost(error.to_string()));
        self.staging.unmap();
        result
    }

    /// Until everything given out is done.
    fn wait(&self) -> Result<(), DeviceFault> {
        while let Some((number, submission)) = self.shared.flight.oldest() {
            self.wait_for(submission)?;
            self.shared.flight.answered(number);
        }
        Ok(())
    }

    /// Until this was done, and whoever waits for it was told.
    fn wait_for(&self, submission: ::wgpu::SubmissionIndex) -> Result<(), DeviceFault> {
        let Shared { device, faults, info, bounds, .. } = &*self.shared;
        let timeout = match bounds.class {
            Class::Gpu => Some(SILENCE),
            // A busy processor may take as long as it likes.
            Class::Processor => None,
        };
        let wait = ::wgpu::PollType::Wait { submission_index: Some(submission), timeout };
        if let Err(error) = device.poll(wait) {
            faults.lost(match error {
                ::wgpu::PollError::Timeout => {
                    format!("it has not answered for {} s", SILENCE.as_secs())
                }
                error => error.to_string(),
            });
        }
        faults.check(&info.name)
    }

    /// How many of the next steps are given out at once.
    fn batch(&self, steps: &[Step], pace: Pace) -> usize {
        let mut cost = 0;
        let fitting = steps.iter().take_while(|step| {
            cost += step.cost;
            cost <= self.shared.bounds.cost && (pace == Pace::Full || step.kind == steps[0].kind)
        });
        fitting.count().max(1)
    }

    /// Two bf16 share a word; the one beside an odd end is fetched and written back.
    fn write_halves(
        &self,
        buffer: &::wgpu::Buffer,
        offset: usize,
        data: &[bf16],
    ) -> Result<(), DeviceFault> {
        let (first, end) = (offset / 2, (offset + data.len()).div_ceil(2));
        let mut halves = vec![0u16; 2 * (end - first)];
        let mut edge = |word: usize| {
            let into = &mut halves[2 * (word - first)..2 * (word - first) + 2];
            self.read_words(buffer, 4 * word as u64, 4, |bytes| {
                into.copy_from_slice(&bytemuck::pod_collect_to_vec::<u8, u16>(bytes));
            })
        };
        if offset % 2 == 1 {
            edge(first)?;
        }
        if (offset + data.len()) % 2 == 1 {
            edge(end - 1)?;
        }
        let start = offset - 2 * first;
        for (half, value) in halves[start..].iter_mut().zip(data) {
            *half = value.to_bits();
        }
        self.write_words(buffer, 4 * first as u64, bytemuck::cast_slice(&halves));
        Ok(())
    }

    fn read_halves(
        &self,
        buffer: &::wgpu::Buffer,
        offset: usize,
        out: &mut [bf16],
    ) -> Result<(), DeviceFault> {
        let (first, end) = (offset / 2, (offset + out.len()).div_ceil(2));
        let mut skip = offset - 2 * first;
        let mut done = 0;
        self.read_words(buffer, 4 * first as u64, 4 * (end - first) as u64, |bytes| {
            let halves = bytemuck::pod_collect_to_vec::<u8, u16>(bytes);
            for (value, half) in out[done..].iter_mut().zip(&halves[skip..]) {
                *value = bf16::from_bits(*half);
            }
            done = (done + halves.len() - skip).min(out.len());
            skip = 0;
        })
    }

    /// Reads 32-bit elements one by one.
    fn read_each(
        &self,
        buffer: &::wgpu::Buffer,
        offset: usize,
        len: usize,
        mut put: impl FnMut(usize, u32),
    ) -> Result<(), DeviceFault> {
        let mut done = 0;
        self.read_words(buffer, 4 * offset as u64, 4 * len as u64, |bytes| {
            for word in bytes.chunks_exact(4) {
                put(done, u32::from_le_bytes([word[0], word[1], word[2], word[3]]));
                done += 1;
            }
        })
    }
}

impl Executor for WgpuExecutor {
    fn run(&mut self, program: usize) -> Result<(), DeviceFault> {
        let Shared { device, queue, faults, info, flight, .. } = &*self.shared;
        faults.check(&info.name)?;
        let pace = flight.pace();
        if pace == Pace::OneByOne {
            self.wait()?;
        }
        let mut steps = self.programs.get(program).map_or(&[][..], Vec::as_slice);
        while !steps.is_empty() {
            let (now, later) = steps.split_at(self.batch(steps, pace));
            let mut encoder = device.create_command_encoder(&Default::default());
            let mut pass = encoder.begin_compute_pass(&Default::default());
            for step in now {
                pass.set_pipeline(&step.pipeline);
                pass.set_bind_group(0, &step.group, &[]);
                pass.dispatch_workgroups(step.grid.0, step.grid.1, 1);
            }
            drop(pass);
            let submission = queue.submit([encoder.finish()]);
            flight.began(submission, now.iter().map(|step| step.kind).collect());
            #[cfg(test)]
            self.shared.crash_after(now.iter().map(|step| step.kind));
            if pace == Pace::OneByOne {
                self.wait()?;
            }
            steps = later;
        }
        faults.check(&info.name)
    }

    fn write(&mut self, slot: SlotId, offset: usize, data: Data<'_>) -> Result<(), DeviceFault> {
        let info = &self.shared.info;
        self.shared.faults.check(&info.name)?;
        let at = 4 * offset as u64;
        match data {
            Data::Real(values) => {
                let buffer = self.access(slot, offset, values.len(), Element::Real)?;
                self.write_words(buffer, at, bytemuck::cast_slice(values));
            }
            Data::Wide(values) => {
                let buffer = self.access(slot, offset, values.len(), Element::Real)?;
                for (i, part) in values.chunks(STAGING as usize / 4).enumerate() {
                    let narrow: Vec<f32> = part.iter().map(|v| *v as f32).collect();
                    let at = at + i as u64 * STAGING;
                    self.write_words(buffer, at, bytemuck::cast_slice(&narrow));
                }
            }
            Data::Index(values) => {
                let buffer = self.access(slot, offset, values.len(), Element::Index)?;
                self.write_words(buffer, at, bytemuck::cast_slice(values));
            }
            Data::Bf16(values) => {
                let buffer = self.access(slot, offset, values.len(), Element::Bf16)?;
                self.write_halves(buffer, offset, values)?;
            }
        }
        self.shared.faults.check(&info.name)
    }

    fn read(&mut self, slot: SlotId, offset: usize, out: DataMut<'_>) -> Result<(), DeviceFault> {
        match out {
            DataMut::Real(values) => {
                let buffer = self.access(slot, offset, values.len(), Element::Real)?;
                self.read_each(buffer, offset, values.len(), |i, v| values[i] = f32::from_bits(v))
            }
            DataMut::Wide(values) => {
                let buffer = self.access(slot, offset, values.len(), Element::Real)?;
                let len = values.len();
                self.read_each(buffer, offset, len, |i, v| values[i] = f32::from_bits(v).into())
            }
            DataMut::Index(values) => {
                let buffer = self.access(slot, offset, values.len(), Element::Index)?;
                self.read_each(buffer, offset, values.len(), |i, v| values[i] = v)
            }
            DataMut::Bf16(values) => {
                let buffer = self.access(slot, offset, values.len(), Element::Bf16)?;
                self.read_halves(buffer, offset, values)
            }
        }
    }
}

/// Dispatches of every program, and bytes of each scratch.
pub(super) type Lowered = (Vec<Vec<Call>>, [u64; 3]);

pub(super) fn lower(
    shared: &Shared,
    layout: &Layout,
    programs: &[Program],
) -> Result<Lowered, BuildError> {
    let mut lowering = Lowering::new(layout, shared.bounds);
    let mut all = Vec::new();
    for program in programs {
        for (index, op) in program.ops.iter().enumerate() {
            lowering.op(op).map_err(|why| BuildError::BadOp {
                program: program.name.clone(),
                index,
                why,
            })?;
        }
        all.push(lowering.take());
    }
    let scratch = [Scratch::Odd, Scratch::Even, Scratch::Links];
    Ok((all, scratch.map(|s| lowering.scratch_bytes(s))))
}

/// The buffers of an executor.
struct Memory {
    slots: Vec<::wgpu::Buffer>,
    scratch: [::wgpu::Buffer; 3],
    params: ::wgpu::Buffer,
    staging: ::wgpu::Buffer,
}

impl Memory {
    fn take(
        shared: &Shared,
        layout: &Layout,
        scratch: [u64; 3],
        calls: &[Vec<Call>],
    ) -> Result<Self, BuildError> {
        use ::wgpu::BufferUsages as U;
        let Shared { device, queue, .. } = shared;
        let buffer = |label: &str, size: u64, usage: U| {
            let label = Some(label);
            let size = size.max(16);
            let descriptor =
                ::wgpu::BufferDescriptor { label, size, usage, mapped_at_creation: false };
            device.create_buffer(&descriptor)
        };
        let words = parameter_words(calls);
        let largest = layout.slots().iter().map(|s| s.bytes() as u64).max().unwrap_or(0);
        let make = || {
            let usage = U::STORAGE | U::COPY_DST | U::COPY_SRC;
            let ids = (0..).map(SlotId);
            let slots: Vec<_> = layout
                .slots()
                .iter()
                .zip(ids)
                .map(|(slot, id)| buffer(&slot.name, buffer_bytes(layout, id), usage))
                .collect();
            let scratch = scratch.map(|bytes| buffer("scratch", bytes, U::STORAGE | U::COPY_DST));
            let params = buffer("parameters", words.len() as u64 * 4, U::UNIFORM | U::COPY_DST);
            let staging = buffer(
                "staging",
                largest.next_multiple_of(4).min(STAGING),
                U::MAP_READ | U::COPY_DST,
            );
            queue.write_buffer(&params, 0, bytemuck::cast_slice(&words));
            // Touch everything now, so that a lack of memory shows here and not in a run.
            let mut encoder = device.create_command_encoder(&Default::default());
            for slot in slots.iter().chain(&scratch) {
                encoder.clear_buffer(slot, 0, None);
            }
            queue.submit([encoder.finish()]);
            Self { slots, scratch, params, staging }
        };
        caught(device, make).map_err(|error| match error {
            Caught::OutOfMemory => out_of_memory(shared, layout),
            Caught::Refused(why) => refused(shared, "memory", why),
        })
    }

    /// Compiles what the calls need and binds it; `from` is the first call's place in the parameters.
    fn prepare(
        &self,
        shared: &Shared,
        calls: &[Call],
        from: usize,
    ) -> Result<Vec<Step>, BuildError> {
        let steps = calls.iter().zip(from..).map(|(call, place)| {
            let name = call.variant.kernel.name;
            let ready =
                shared.pipelines.get(&call.variant).map_err(|Rejected { kernel, why }| {
                    refused(shared, &kernel, why.unwrap_or_else(|| "out of memory".to_owned()))
                })?;
            let group = caught(&shared.device, || self.bind(shared, call, &ready.layout, place))
                .map_err(|error| match error {
                    Caught::OutOfMemory => refused(shared, name, "out of memory".to_owned()),
                    Caught::Refused(why) => refused(shared, name, why),
                })?;
            let across = call.groups.clamp(1, SIDE);
            let down = call.groups.div_ceil(SIDE).max(1);
            if down > SIDE {
                return Err(refused(shared, name, format!("{} workgroups", call.groups)));
            }
            // The grid may be larger than the work: kernels stop at their extents.
            let grid = (across as u32, down as u32);
            Ok(Step { pipeline: ready.pipeline, group, grid, cost: call.cost, kind: call.kind })
        });
        steps.collect()
    }

    fn bind(
        &self,
        shared: &Shared,
        call: &Call,
        layout: &::wgpu::BindGroupLayout,
        place: usize,
    ) -> ::wgpu::BindGroup {
        debug_assert_eq!(call.bindings.len(), call.variant.kernel.access.len());
        let bound = |buffer, offset, size| {
            ::wgpu::BindingResource::Buffer(::wgpu::BufferBinding {
                buffer,
                offset,
                size: ::wgpu::BufferSize::new(size),
            })
        };
        let params = bound(&self.params, place as u64 * PARAMS, PARAMS);
        let operands = call.bindings.iter().map(|binding| {
            let buffer = match binding.source {
                Source::Slot(id) => &self.slots[id.0 as usize],
                Source::Scratch(scratch) => &self.scratch[scratch as usize],
            };
            bound(buffer, binding.start, binding.bytes)
        });
        let entries: Vec<_> = std::iter::once(params)
            .chain(operands)
            .zip(0..)
            .map(|(resource, binding)| ::wgpu::BindGroupEntry { binding, resource })
            .collect();
        shared.device.create_bind_group(&::wgpu::BindGroupDescriptor {
            label: Some(call.variant.kernel.name),
            layout,
            entries: &entries,
        })
    }
}

/// The parameters of all calls, each at a multiple of [`PARAMS`] bytes.
fn parameter_words(calls: &[Vec<Call>]) -> Vec<u32> {
    let each = PARAMS as usize / 4;
    let mut words = Vec::new();
    for (i, call) in calls.iter().flatten().enumerate() {
        words.extend(&call.params);
        words.resize((i + 1) * each, 0);
    }
    words
}

fn out_of_memory(shared: &Shared, layout: &Layout) -> BuildError {
    BuildError::OutOfMemory { needed: layout.bytes(), device: shared.info.name.clone() }
}

fn refused(shared: &Shared, kernel: &str, why: String) -> BuildError {
    BuildError::KernelRefused { device: shared.info.name.clone(), kernel: kernel.to_owned(), why }
}
