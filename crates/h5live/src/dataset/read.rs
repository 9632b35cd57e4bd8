//! From a selection to bytes in the caller's buffer.
//!
//! Only what is selected is touched, each chunk once. Unfiltered data go from the file straight to where they belong; a
//! filtered chunk that is selected whole, and lies in one piece in memory, is decoded straight into place. Filtered chunks are
//! decoded on all cores.

mod chunks;
mod gather;
mod parts;
mod pieces;
mod work;

use h5live_format::{Addr, Malformed, Why};
use rayon::prelude::*;

use self::chunks::Chunks;
use self::gather::Gather;
use self::parts::Parts;
pub(super) use self::pieces::read_converted;
use super::{Meta, Storage, View};
use crate::error::{Error, Result};
use crate::file::Inner;
use crate::selection::{Selection, elements};
use crate::source::Source;

/// From so many bytes on, copying them out of the kernel is worth more than one core.
const LARGE: usize = 8 << 20;
/// What one core then takes at a time.
const PIECE: usize = 1 << 20;

/// Reads the selected elements of `view` into `out`, which is exactly as long as they are.
pub(super) fn read(file: &Inner, meta: &Meta, view: &View, selection: &Selection, out: &mut [u8]) -> Result<()> {
    let source = &file.source;
    let mut gather = Gather::new(meta.element_size);
    let bytes = elements(&view.dims).and_then(|count| count.checked_mul(meta.element_size as u64));
    if bytes.is_none() && !matches!(view.storage, Storage::Chunked { .. } | Storage::Virtual(_)) {
        // What lies in one piece has an end that can be said.
        return Err(Error::unsupported("a dataset of more than 2^64 bytes in one piece"));
    }
    match &view.storage {
        Storage::Compact(data) => gather.all(selection, &view.dims, out, &|at, buf| {
            let found = usize::try_from(at).ok().and_then(|at| data.get(at..)?.get(..buf.len()));
            match found {
                Some(found) => buf.copy_from_slice(found),
                None => return Err(too_short(at, buf.len(), data.len())),
            }
            Ok(())
        }),
        Storage::Contiguous(None) => {
            fill(out, meta.unwritten());
            Ok(())
        }
        Storage::Contiguous(Some(start)) => {
            let read = |at: u64, buf: &mut [u8]| read_plain(source, Addr(start.0.saturating_add(at)), buf);
            match selection.slabs(&view.dims).and_then(|slabs| Parts::new(slabs, &view.dims, meta.element_size)) {
                Some(parts) => parts.read(meta.element_size, out, &read),
                None => gather.all(selection, &view.dims, out, &read),
            }
        }
        Storage::External(data) => {
            let data = data.to_read(file);
            gather.all(selection, &view.dims, out, &|at, buf| data.read(at, buf))
        }
        Storage::Chunked { layout, .. } => {
            let Some(grid) = &meta.grid else { return Ok(()) };
            let index = view.index(file, meta)?;
            let chunks = Chunks { file, meta, layout, grid, index, view };
            match selection.slabs(&view.dims) {
                Some(slabs) => chunks.read_slabs(&slabs, out),
                None => match selection {
                    Selection::Points(points) => chunks.read_points(points, out),
                    _ => Ok(()),
                },
            }
        }
        Storage::Virtual(data) => data.read(file, meta, &view.dims, selection, out),
    }
}

/// Reads raw data that lie in one piece.
fn read_plain(source: &Source, addr: Addr, buf: &mut [u8]) -> Result<()> {
    if buf.len() < LARGE {
        return source.read_into("raw data", addr, buf);
    }
    buf.par_chunks_mut(PIECE).enumerate().try_for_each(|(number, piece)| {
        source.read_into("raw data", Addr(addr.0.saturating_add((number * PIECE) as u64)), piece)
    })
}

/// Fills `out` with copies of one element, or zeros.
pub(super) fn fill(out: &mut [u8], element: Option<&[u8]>) {
    match element {
        Some(element) if !element.is_empty() && element.iter().any(|byte| *byte != 0) => {
            for to in out.chunks_exact_mut(element.len()) {
                to.copy_from_slice(element);
            }
        }
        _ => out.fill(0),
    }
}

fn too_short(at: u64, needed: usize, size: usize) -> Error {
    let why = Why::Truncated { field: "elements", needed: needed as u64, left: (size as u64).saturating_sub(at) };
    Malformed { what: "raw data", at: 0, why }.into()
}
