//! Elements of virtual datasets that refer to the heap of the file their source is in.
//!
//! Such an element has the address of a heap collection in the other file. It is marked with a number for that file, in
//! bits that no address has, so that whoever follows it knows where. Files whose addresses have less than 8 bytes have no such bits.

use h5live_format::Addr;

use crate::error::{Error, Result};
use crate::file::{File, Inner};

const MARK: u64 = 1 << 63;
/// Bits of an address: 256 TiB.
const ADDR_BITS: u32 = 48;

/// How an element in `to` points to the collection at `addr` of `from`.
pub(crate) fn pointer(from: &Inner, to: &Inner, addr: Addr) -> Result<Addr> {
    let (file, addr) = match follow(from, addr) {
        // The source is a virtual dataset itself.
        Some((file, addr)) => (file, addr),
        None => (from.handle().ok_or(crate::error::ErrorKind::Closed)?, addr),
    };
    let too_large =
        || Error::unsupported("a virtual dataset over heap data of more or larger files than can be told apart");
    let number = u64::try_from(to.foreign_number(&file)).map_err(|_| too_large())?;
    let fits = to.source.widths().offset >= 8 && addr.0 >> ADDR_BITS == 0 && number < 1 << (63 - ADDR_BITS);
    if fits { Ok(Addr(MARK | number << ADDR_BITS | addr.0)) } else { Err(too_large()) }
}

/// The file that an element in `file` points to, and the address there; `None` where it is its own.
pub(crate) fn follow(file: &Inner, addr: Addr) -> Option<(File, Addr)> {
    let is_marked = file.source.widths().offset >= 8 && addr.0 & MARK != 0;
    let number = (addr.0 & !MARK) >> ADDR_BITS;
    let file = is_marked.then(|| file.foreign(number as usize))??;
    Some((file, Addr(addr.0 & ((1 << ADDR_BITS) - 1))))
}
