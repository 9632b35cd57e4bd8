//! Memory to read into, of the kind that numpy gives h5py.

use std::marker::PhantomData;

use bytemuck::Pod;
use memmap2::MmapMut;

/// Elements in memory of their own, which is there: touched, so that nobody pays for its pages.
///
/// numpy asks for huge pages for its larger arrays, and how fast rows are laid far apart depends on them. What is read here goes
/// to such memory too, so that contestants differ in how they read and not in what they were given.
pub(crate) struct Buffer<T> {
    memory: MmapMut,
    elements: PhantomData<T>,
}

impl<T: Pod> Buffer<T> {
    /// Room for `count` elements.
    pub(crate) fn new(count: usize) -> std::io::Result<Self> {
        let mut memory = MmapMut::map_anon((count * size_of::<T>()).max(1))?;
        #[cfg(target_os = "linux")]
        memory.advise(memmap2::Advice::HugePage)?;
        memory.fill(1);
        Ok(Self { memory, elements: PhantomData })
    }

    pub(crate) fn as_mut_slice(&mut self) -> &mut [T] {
        bytemuck::cast_slice_mut(&mut self.memory)
    }
}
