//! Compiled kernels, each made once per device however many stages use it.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use super::fault::{Caught, caught};
use super::kernels::{Access, Variant};

/// A kernel ready to run.
#[derive(Clone, Debug)]
pub(super) struct Ready {
    /// The code.
    pub(super) pipeline: ::wgpu::ComputePipeline,
    /// What its bind groups look like.
    pub(super) layout: ::wgpu::BindGroupLayout,
}

/// A kernel could not be compiled.
pub(super) struct Rejected {
    /// Its key.
    pub(super) kernel: String,
    /// The driver's words; `None` if memory ran out.
    pub(super) why: Option<String>,
}

/// Changes the code of a kernel.
#[cfg(test)]
pub(super) type Spoil = fn(&Variant, String) -> String;

/// All pipelines of one device by the key of their variant.
#[derive(Debug)]
pub(super) struct Pipelines {
    device: ::wgpu::Device,
    ready: Mutex<HashMap<String, Ready>>,
    /// Tests put faults into kernels here.
    #[cfg(test)]
    pub(super) spoil: Option<Spoil>,
}

impl Pipelines {
    /// None yet.
    pub(super) fn new(device: &::wgpu::Device) -> Self {
        Self {
            device: device.clone(),
            ready: Mutex::default(),
            #[cfg(test)]
            spoil: None,
        }
    }

    /// The compiled kernel, from before or now.
    pub(super) fn get(&self, variant: &Variant) -> Result<Ready, Rejected> {
        let key = variant.key();
        let mut ready = self.ready.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(found) = ready.get(&key) {
            return Ok(found.clone());
        }
        let reject = |why| Rejected { kernel: key.clone(), why };
        let source = variant.wgsl().map_err(|error| reject(Some(error.to_string())))?;
        #[cfg(test)]
        let source = self.spoil.map_or(source.clone(), |spoil| spoil(variant, source));
        let made = caught(&self.device, || self.compile(variant, source)).map_err(|error| {
            reject(match error {
                Caught::OutOfMemory => None,
                Caught::Refused(why) => Some(why),
            })
        })?;
        ready.insert(key, made.clone());
        Ok(made)
    }

    fn compile(&self, variant: &Variant, source: String) -> Ready {
        let label = Some(variant.kernel.name);
        let descriptor = ::wgpu::ShaderModuleDescriptor {
            label,
            source: ::wgpu::ShaderSource::Wgsl(source.into()),
        };
        // SAFETY: without run-time checks a kernel must not index outside its bindings, loop
        // forever or divide by zero. All indices follow from shapes that `lower` has checked to
        // lie within the bound bytes; the only indices that come from data (tokens, targets) are
        // compared with the extent in the kernel; all loops count up to a bound of the parameters
        // (the chains of `embed_links` only go forward); divisors are extents of non-empty views.
        let module = unsafe {
            self.device
                .create_shader_module_trusted(descriptor, ::wgpu::ShaderRuntimeChecks::unchecked())
        };
        let layout = self.bind_group_layout(variant.kernel.access);
        let pipeline_layout =
            self.device.create_pipeline_layout(&::wgpu::PipelineLayoutDescriptor {
                label,
                bind_group_layouts: &[Some(&layout)],
                immediate_size: 0,
            });
        let pipeline = self.device.create_compute_pipeline(&::wgpu::ComputePipelineDescriptor {
            label,
            layout: Some(&pipeline_layout),
            module: &module,
            entry_point: Some("main"),
            compilation_options: ::wgpu::PipelineCompilationOptions {
                constants: &[],
                zero_initialize_workgroup_memory: false,
            },
            cache: None,
        });
        Ready { pipeline, layout }
    }

    fn bind_group_layout(&self, access: &[Access]) -> ::wgpu::BindGroupLayout {
        let uniform = ::wgpu::BufferBindingType::Uniform;
        let storage = access.iter().map(|access| ::wgpu::BufferBindingType::Storage {
            read_only: *access == Access::Read,
        });
        let entries: Vec<::wgpu::BindGroupLayoutEntry> = std::iter::once(uniform)
            .chain(storage)
            .zip(0..)
            .map(|(ty, binding)| ::wgpu::BindGroupLayoutEntry {
                binding,
                visibility: ::wgpu::ShaderStages::COMPUTE,
                ty: ::wgpu::BindingType::Buffer {
                    ty,
                    has_dynamic_offset: false,
                    min_binding_size: None,
                },
                count: None,
            })
            .collect();
        self.device.create_bind_group_layout(&::wgpu::BindGroupLayoutDescriptor {
            label: None,
            entries: &entries,
        })
    }
}
