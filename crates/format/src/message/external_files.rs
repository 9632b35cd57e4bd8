//! The external data files message: raw data outside the file (specification IV.A.2.h).

use crate::{Addr, Cursor, Put, Result, Widths};

/// The files that hold a dataset's raw data, one after the other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExternalFiles {
    /// The local heap with the names of the files.
    pub heap: Addr,
    /// The pieces, in the order of the data.
    pub files: Vec<ExternalFile>,
}

/// A piece of one file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExternalFile {
    /// Offset of the file's name in the heap.
    pub name_offset: u64,
    /// Where the piece starts in the file.
    pub offset: u64,
    /// Its bytes; `None`: as many as it takes.
    pub size: Option<u64>,
}

impl ExternalFiles {
    /// Decodes the message body at address `at`.
    ///
    /// # Errors
    /// An unknown version, or bytes that end early.
    pub fn decode(bytes: &[u8], at: u64, widths: Widths) -> Result<Self> {
        let mut cursor = Cursor::new("external data files message", at, bytes);
        cursor.version(1)?;
        cursor.skip("reserved", 3)?;
        let allocated = cursor.u16("allocated slots")?;
        let used = cursor.u16("used slots")?;
        if used > allocated {
            return Err(cursor.bad_value("used slots", used.into(), "is above the number of allocated slots"));
        }
        let heap = cursor.defined_addr("heap address", widths)?;
        let count = cursor.checked_count("slot definitions", used.into(), usize::from(widths.length) * 3)?;
        let mut files = Vec::with_capacity(count);
        for _ in 0..count {
            files.push(ExternalFile {
                name_offset: cursor.length("name offset in local heap", widths)?,
                offset: cursor.length("offset in external data file", widths)?,
                size: cursor.length_or_max("data size in external file", widths)?,
            });
        }
        Ok(Self { heap, files })
    }

    /// The message body.
    #[must_use]
    pub fn encode(&self, widths: Widths) -> Vec<u8> {
        let count = self.files.len() as u16;
        let mut out = vec![1, 0, 0, 0];
        out.put_u16(count);
        out.put_u16(count);
        out.put_addr(Some(self.heap), widths);
        for file in &self.files {
            out.put_length(file.name_offset, widths);
            out.put_length(file.offset, widths);
            out.put_length_or_max(file.size, widths);
        }
        out
    }
}
