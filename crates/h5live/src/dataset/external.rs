//! Raw data in other files.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use h5live_format::local_heap::LocalHeap;
use h5live_format::message::{ExternalFiles, Name};
use h5live_storage::{ReadAt, Storage};

use crate::chunk::runs::runs;
use crate::error::{Error, ErrorKind, Result};
use crate::file::Inner;
use crate::selection::{Selection, Slab, elements};

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

    /// The files, to be read.
    pub(crate) fn to_read<'a>(&'a self, file: &'a Inner) -> Opened<'a> {
        self.opened(file, Purpose::Read)
    }

    fn opened<'a>(&'a self, file: &'a Inner, purpose: Purpose) -> Opened<'a> {
        let mut start = 0u64;
        let mut pieces = Vec::with_capacity(self.pieces.len());
        for piece in &self.pieces {
            let end = piece.size.map_or(u64::MAX, |size| start.saturating_add(size));
            pieces.push(OpenPiece { piece, start, end, storage: OnceLock::new() });
            start = end;
        }
        Opened { file, purpose, pieces }
    }

    /// Writes selected elements, `bytes` in row-major order of the selection, to where they lie. A file that is missing is made
    /// beside the one that names it.
    pub(crate) fn write(
        &self,
        file: &Inner,
        dims: &[u64],
        element_size: u64,
        selection: &Selection,
        bytes: &[u8],
    ) -> Result<()> {
        let shape = selection.shape(dims)?;
        if elements(&shape).and_then(|count| count.checked_mul(element_size)) != Some(bytes.len() as u64) {
            let why = format!("{} bytes were given and the selection has the shape {shape:?}", bytes.len());
            return Err(ErrorKind::Shape { given: vec![bytes.len() as u64], why }.into());
        }
        let files = self.opened(file, Purpose::Write);
        let spans: Vec<_> = dims.iter().map(|dim| 0..*dim).collect();
        let write = |slabs: &[Slab], bytes: &[u8]| {
            let mut result = Ok(());
            runs(slabs, &spans, |run| {
                let part = &bytes[(run.in_memory * element_size) as usize..][..(run.len * element_size) as usize];
                if result.is_ok() {
                    result = files.write(run.in_box * element_size, part);
                }
            });
            result
        };
        match selection.slabs(dims) {
            Some(slabs) => write(&slabs, bytes),
            None => {
                let Selection::Points(points) = selection else { return Ok(()) };
                points.iter().zip(bytes.chunks_exact(element_size as usize)).try_for_each(|(point, element)| {
                    write(&point.iter().map(|at| Slab::range(*at..at + 1)).collect::<Vec<_>>(), element)
                })
            }
        }
    }
}

/// What files are opened for.
#[derive(Clone, Copy)]
enum Purpose {
    Read,
    Write,
}

impl Purpose {
    /// Opens the file that `file` calls `name`.
    fn open(self, file: &Inner, name: &Name) -> Result<(PathBuf, h5live_storage::File)> {
        let found = file.find_other(name.as_bytes());
        let (path, opened) = match self {
            Self::Read => {
                let path = found?;
                let opened = h5live_storage::File::open(&path);
                (path, opened)
            }
            Self::Write => {
                // Joining an absolute path gives that path.
                let beside = || file.path.parent().unwrap_or(Path::new("")).join(&*name.to_string_lossy());
                let path = found.unwrap_or_else(|_| beside());
                let opened = match h5live_storage::File::open_read_write(&path) {
                    Err(error) if error.kind() == io::ErrorKind::NotFound => h5live_storage::File::create_new(&path),
                    other => other,
                };
                (path, opened)
            }
        };
        match opened {
            Ok(storage) => Ok((path, storage)),
            Err(source) => Err(Error::io("open a file of external data", source).in_file(&path)),
        }
    }
}

/// External data in use. Each file is opened when a byte of it is wanted first: one that is missing stands in the way of
/// its own bytes and of no others, as in libhdf5.
pub(crate) struct Opened<'a> {
    file: &'a Inner,
    purpose: Purpose,
    pieces: Vec<OpenPiece<'a>>,
}

struct OpenPiece<'a> {
    piece: &'a Piece,
    /// The bytes of the dataset that are here.
    start: u64,
    end: u64,
    storage: OnceLock<(PathBuf, h5live_storage::File)>,
}

impl Opened<'_> {
    /// The file of a piece, and where it is.
    fn storage<'p>(&self, piece: &'p OpenPiece) -> Result<&'p (PathBuf, h5live_storage::File)> {
        if let Some(open) = piece.storage.get() {
            return Ok(open);
        }
        let open = self.purpose.open(self.file, &piece.piece.name)?;
        Ok(piece.storage.get_or_init(|| open))
    }

    /// Writes `bytes` from byte `at` of the dataset on.
    fn write(&self, at: u64, bytes: &[u8]) -> Result<()> {
        let end = at + bytes.len() as u64;
        for piece in &self.pieces {
            let (from, to) = (at.max(piece.start), end.min(piece.end));
            if from < to {
                let part = &bytes[(from - at) as usize..(to - at) as usize];
                let (path, storage) = self.storage(piece)?;
                storage
                    .write_all_at(part, piece.position(from))
                    .map_err(|source| Error::io("write external data", source).in_file(path))?;
            }
        }
        match self.pieces.last() {
            Some(last) if last.end < end => Err(Error::unsupported(format!(
                "writing {} bytes beyond what the external files have room for",
                end - last.end
            ))),
            _ => Ok(()),
        }
    }

    /// Fills `buf` from byte `at` of the dataset. What a file lacks reads as zeros, as in libhdf5.
    pub(crate) fn read(&self, at: u64, buf: &mut [u8]) -> Result<()> {
        let end = at + buf.len() as u64;
        buf.fill(0);
        for piece in &self.pieces {
            let (from, to) = (at.max(piece.start), end.min(piece.end));
            if from >= to {
                continue;
            }
            let (path, storage) = self.storage(piece)?;
            let io = |source| Error::io("read external data", source).in_file(path);
            let position = piece.position(from);
            let left = storage.size().map_err(io)?.saturating_sub(position);
            let len = (to - from).min(left) as usize;
            let start = (from - at) as usize;
            storage.read_exact_at(&mut buf[start..start + len], position).map_err(io)?;
        }
        Ok(())
    }
}

impl OpenPiece<'_> {
    /// Where byte `at` of the dataset is in the file.
    fn position(&self, at: u64) -> u64 {
        self.piece.offset.saturating_add(at - self.start)
    }
}
