//! The native backend: every kernel in Rust on the processor's cores, in f32 for work and the same
//! code in f64 as the oracle that other backends are measured against.
//!
//! Memory is taken at build and never again (only `matrixmultiply` packs its operands into buffers
//! of its own); `run` returns when the program is done. Two runs give the same bits, for any number
//! of threads: see `matrix`.

mod attention;
mod executor;
mod gemm;
mod matrix;
mod pointwise;
mod real;
mod rows;
mod vector;

use std::num::NonZeroUsize;
use std::sync::Arc;

use rayon::{ThreadPool, ThreadPoolBuilder};

use super::check::check;
use super::device::{BuildError, Device, DeviceInfo, DeviceKind, Executor, ReopenError, Reopened};
use super::layout::Layout;
use super::op::Program;
use executor::CpuExecutor;

/// The processor's cores as one device.
#[derive(Clone, Debug)]
pub struct CpuDevice {
    info: DeviceInfo,
    threads: usize,
    /// None with one thread, or where the system gave no more: then the caller's thread works.
    pool: Option<Arc<ThreadPool>>,
}

impl CpuDevice {
    /// The device in f32 with this many threads, by default one per core.
    pub fn new(threads: Option<usize>) -> Self {
        Self::open(DeviceKind::Cpu, threads)
    }

    /// The same kernels in f64: the oracle.
    pub fn oracle() -> Self {
        Self::open(DeviceKind::Oracle, None)
    }

    fn open(kind: DeviceKind, threads: Option<usize>) -> Self {
        let cores = || std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
        let wanted = threads.unwrap_or_else(cores).max(1);
        let pool = if wanted > 1 { pool(wanted) } else { None };
        let threads = if pool.is_some() { wanted } else { 1 };
        let plural = if threads == 1 { "" } else { "s" };
        let info = DeviceInfo {
            kind,
            backend: "cpu",
            name: format!("{} processor, {threads} thread{plural}", std::env::consts::ARCH),
            driver: String::new(),
            memory: None,
            place: String::new(),
        };
        Self { info, threads, pool }
    }
}

fn pool(threads: usize) -> Option<Arc<ThreadPool>> {
    let named = ThreadPoolBuilder::new().thread_name(|i| format!("compute-{i}"));
    named.num_threads(threads).build().ok().map(Arc::new)
}

impl Device for CpuDevice {
    fn info(&self) -> &DeviceInfo {
        &self.info
    }

    fn build(
        &self,
        layout: &Layout,
        programs: &[Program],
    ) -> Result<Box<dyn Executor>, BuildError> {
        check(layout, programs)?;
        let out_of_memory =
            || BuildError::OutOfMemory { needed: layout.bytes(), device: self.info.name.clone() };
        let pool = self.pool.clone();
        Ok(match self.info.kind {
            DeviceKind::Oracle => Box::new(
                CpuExecutor::<f64>::new(layout, programs, self.threads, pool)
                    .ok_or_else(out_of_memory)?,
            ),
            _ => Box::new(
                CpuExecutor::<f32>::new(layout, programs, self.threads, pool)
                    .ok_or_else(out_of_memory)?,
            ),
        })
    }

    /// A processor is never lost; another one of the same threads.
    fn reopen(&self) -> Result<Reopened, ReopenError> {
        Ok(Reopened { device: Arc::new(self.clone()), changed: None })
    }
}

#[cfg(test)]
mod tests;
