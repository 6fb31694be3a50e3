//! How much memory an adapter has, by its driver's own word. wgpu itself does not tell, but what it
//! is built on does.

use super::adapter::GpuClass;

/// Bytes that buffers may take in all; none where the driver does not say.
#[cfg(not(target_vendor = "apple"))]
pub(super) fn of(adapter: &::wgpu::Adapter, class: GpuClass) -> Option<u64> {
    /// `VK_MEMORY_HEAP_DEVICE_LOCAL_BIT`.
    const DEVICE_LOCAL: u32 = 1;
    if class == GpuClass::Software {
        // What such a driver says has nothing to do with the machine it runs on.
        return None;
    }
    // SAFETY: the adapter lives as long as what is read from it, and nothing of it is destroyed.
    let vulkan = unsafe { adapter.as_hal::<::wgpu::hal::api::Vulkan>() }?;
    let instance = vulkan.shared_instance().raw_instance();
    // SAFETY: the handle is this adapter's own, from this instance.
    let memory =
        unsafe { instance.get_physical_device_memory_properties(vulkan.raw_physical_device()) };
    let heaps = memory.memory_heaps.iter().take(memory.memory_heap_count as usize);
    let bytes = if class.shares_memory() {
        heaps.map(|heap| heap.size).sum()
    } else {
        let own = heaps.filter(|heap| heap.flags.as_raw() & DEVICE_LOCAL != 0);
        own.map(|heap| heap.size).max().unwrap_or(0)
    };
    Some(bytes).filter(|bytes| *bytes > 0)
}

/// Metal has one memory, the machine's, and no word on how much of it is free.
#[cfg(target_vendor = "apple")]
pub(super) fn of(_adapter: &::wgpu::Adapter, _class: GpuClass) -> Option<u64> {
    None
}
