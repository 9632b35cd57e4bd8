//! Raw data in other files.

use std::path::PathBuf;

use h5live_format::local_heap::LocalHeap;
use h5live_format::message::{ExternalFiles, Name};
use h5live_storage::ReadAt;

use crate::error::{Error, Result};
use crate::file::Inner;

/// The files that hold a dataset's elements, one after the other.
pub(crate) struct ExternalData {
    pieces: Vec<Piece>,
}

struct Piece {
    name: Name,
    /// Where the piece starts in its file.
    offset: u64,
    /// Its bytes; `None`: as many as it takes.
    size: Option<u64>,
}

impl ExternalData {
    /// Reads what the external files message with this body says.
    pub(crate) fn read(file: &Inner, body: &[u8], at: u64) -> Result<Self> {
        let source = &file.source;
        let widths = source.widths();
        let message = ExternalFiles::decode(body, at, widths)?;
        let heap = source.block("local heap", message.heap, LocalHeap::size(widths), |bytes| {
            LocalHeap::decode(bytes, message.heap.0, widths)
        })?;
        let segment = source.bytes("local heap data segment", heap.segment, heap.segment_size)?;
        let mut pieces = Vec::with_capacity(message.files.len());
        for piece in message.files {
            let name = Name::new(heap.name(&segment, piece.name_offset)?);
            pieces.push(Piece { name, offset: piece.offset, size: piece.size });
        }
        Ok(Self { pieces })
    }

    /// Name, offset and size of each piece.
    pub(crate) fn describe(&self) -> Vec<(String, u64, Option<u64>)> {
        self.pieces.iter().map(|piece| (piece.name.to_string_lossy().into_owned(), piece.offset, piece.size)).collect()
    }

    /// Opens the files for reading.
    pub(crate) fn open(&self, file: &Inner) -> Result<OpenData> {
        let mut start = 0u64;
        let mut pieces = Vec::new();
        for piece in &self.pieces {
            let end = piece.size.map_or(u64::MAX, |size| start.saturating_add(size));
            let path = file.find_other(piece.name.as_bytes())?;
            let storage = h5live_storage::File::open(&path)
                .map_err(|source| Error::io("open a file of external data", source).in_file(&path))?;
            pieces.push(OpenPiece { path, storage, start, end, offset: piece.offset });
            start = end;
        }
        Ok(OpenData { pieces })
    }
}

/// External data, their files open.
pub(crate) struct OpenData {
    pieces: Vec<OpenPiece>,
}

struct OpenPiece {
    path: PathBuf,
    storage: h5live_storage::File,
    /// The bytes of the dataset that are here.
    start: u64,
    end: u64,
    offset: u64,
}

impl OpenData {
    /// Fills `buf` from byte `at` of the dataset. What a file lacks reads as zeros, as in libhdf5.
    pub(crate) fn read(&self, at: u64, buf: &mut [u8]) -> Result<()> {
        let end = at + buf.len() as u64;
        buf.fill(0);
        for piece in &self.pieces {
            let (from, to) = (at.max(piece.start), end.min(piece.end));
            if from >= to {
                continue;
            }
            let io = |source| Error::io("read external data", source).in_file(&piece.path);
            let position = piece.offset.saturating_add(from - piece.start);
            let left = piece.storage.size().map_err(io)?.saturating_sub(position);
            let len = (to - from).min(left) as usize;
            let start = (from - at) as usize;
            piece.storage.read_exact_at(&mut buf[start..start + len], position).map_err(io)?;
        }
        Ok(())
    }
}
