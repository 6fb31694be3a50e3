//! What went wrong on a device, remembered: wgpu reports errors from wherever it notices them.

use std::sync::{Arc, Mutex, PoisonError};

use crate::compute::device::DeviceFault;

/// What went wrong, in the driver's words.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Trouble {
    Lost(String),
    OutOfMemory(String),
}

/// The first unexpected error of a device, if any. Once set it stays: the device is to be reopened.
#[derive(Clone, Debug, Default)]
pub(super) struct FaultCell {
    first: Arc<Mutex<Option<Trouble>>>,
}

impl FaultCell {
    /// Takes errors that no scope catches, and the loss of the device, from now on.
    pub(super) fn listen(&self, device: &::wgpu::Device) {
        let cell = self.clone();
        device.on_uncaptured_error(Arc::new(move |error| {
            cell.set(match error {
                ::wgpu::Error::OutOfMemory { .. } => Trouble::OutOfMemory(first_line(&error)),
                _ => Trouble::Lost(first_line(&error)),
            });
        }));
        let cell = self.clone();
        // Dropping a device also "loses" it; nobody is left to care then.
        device.set_device_lost_callback(move |reason, words| {
            let words = words.trim();
            cell.lost(match (reason, words) {
                (::wgpu::DeviceLostReason::Destroyed, _) => "it was given up".to_owned(),
                (_, "") => "the driver gives no reason".to_owned(),
                (_, words) => words.to_owned(),
            });
        });
    }

    /// The device is lost; the first reason is kept.
    pub(super) fn lost(&self, why: String) {
        self.set(Trouble::Lost(why));
    }

    fn set(&self, trouble: Trouble) {
        let mut held = self.first.lock().unwrap_or_else(PoisonError::into_inner);
        held.get_or_insert(trouble);
    }

    /// An error if anything has gone wrong so far.
    pub(super) fn check(&self, device: &str) -> Result<(), DeviceFault> {
        let held = self.first.lock().unwrap_or_else(PoisonError::into_inner);
        let device = || device.to_owned();
        match held.clone() {
            Some(Trouble::Lost(why)) => Err(DeviceFault::Lost { device: device(), why }),
            Some(Trouble::OutOfMemory(why)) => {
                Err(DeviceFault::OutOfMemory { device: device(), why })
            }
            None => Ok(()),
        }
    }
}

/// wgpu's errors are stories; the innermost cause on one line is what a person can use.
pub(super) fn first_line(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text = cause.to_string();
        next = cause.source();
    }
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    lines.join("; ").chars().take(400).collect()
}

/// The outcome of device calls made inside [`caught`].
pub(super) enum Caught {
    /// There was not enough memory.
    OutOfMemory,
    /// Something else was refused, in the driver's words.
    Refused(String),
}

/// Runs device calls and returns the first error that any of them caused.
pub(super) fn caught<T>(device: &::wgpu::Device, work: impl FnOnce() -> T) -> Result<T, Caught> {
    let memory = device.push_error_scope(::wgpu::ErrorFilter::OutOfMemory);
    let internal = device.push_error_scope(::wgpu::ErrorFilter::Internal);
    let validation = device.push_error_scope(::wgpu::ErrorFilter::Validation);
    let value = work();
    let errors = [validation.pop(), internal.pop()].map(pollster::block_on);
    if pollster::block_on(memory.pop()).is_some() {
        return Err(Caught::OutOfMemory);
    }
    match errors.into_iter().flatten().next() {
        Some(error) => Err(Caught::Refused(first_line(&error))),
        None => Ok(value),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_fault_stays() {
        let cell = FaultCell::default();
        assert_eq!(cell.check("gpu"), Ok(()));
        cell.lost("reset".to_owned());
        cell.lost("later".to_owned());
        let fault = DeviceFault::Lost { device: "gpu".to_owned(), why: "reset".to_owned() };
        assert_eq!(cell.check("gpu"), Err(fault));
    }
}
