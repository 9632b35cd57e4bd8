//! The metadata cache image message of the superblock extension (HDF5 1.10; not in the specification's text).

use crate::{Addr, Cursor, Put, Result, Widths};

/// A block with a copy of libhdf5's metadata cache, written at close to be loaded at open. Where there is one, the
/// file's own metadata may be older than it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MetadataCacheImage {
    /// Where it is; `None` if there is none.
    pub addr: Option<Addr>,
    /// Its bytes.
    pub size: u64,
}

impl MetadataCacheImage {
    /// Decodes the message body at address `at`.
    ///
    /// # Errors
    /// An unknown version, or bytes that end early.
    pub fn decode(bytes: &[u8], at: u64, widths: Widths) -> Result<Self> {
        let mut cursor = Cursor::new("metadata cache image message", at, bytes);
        cursor.version(0)?;
        let addr = cursor.addr("image address", widths)?;
        Ok(Self { addr, size: cursor.length("image size", widths)? })
    }

    /// The message body.
    #[must_use]
    pub fn encode(&self, widths: Widths) -> Vec<u8> {
        let mut out = vec![0];
        out.put_addr(self.addr, widths);
        out.put_length(self.size, widths);
        out
    }
}
