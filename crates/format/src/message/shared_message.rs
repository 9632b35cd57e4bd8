//! The envelope of a message that is stored elsewhere (specification IV.A.2, "shared message", versions 1 to 3).

use crate::{Addr, Cursor, Put, Result, Why, Widths};

/// Where the message itself is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SharedMessage {
    /// In the object header at this address: as a rule, a committed datatype.
    Committed(Addr),
    /// In the file's heap of shared messages, under this heap ID.
    Heap([u8; 8]),
}

impl SharedMessage {
    /// Decodes the message body at address `at`.
    ///
    /// # Errors
    /// An unknown version or type, or bytes that end early.
    pub fn decode(bytes: &[u8], at: u64, widths: Widths) -> Result<Self> {
        Self::read(&mut Cursor::new("shared message", at, bytes), widths)
    }

    pub(super) fn read(cursor: &mut Cursor<'_>, widths: Widths) -> Result<Self> {
        let version = cursor.u8("version")?;
        let kind = cursor.u8("type")?;
        match (version, kind) {
            (1, _) => {
                cursor.skip("reserved", 6)?;
                // A whole symbol table entry began here once: the offset of a name comes before the address.
                cursor.skip("name offset", widths.length.into())?;
                Ok(Self::Committed(cursor.defined_addr("address", widths)?))
            }
            // Before version 3 the type says nothing.
            (2, _) | (3, 2) => Ok(Self::Committed(cursor.defined_addr("address", widths)?)),
            (3, 1) => Ok(Self::Heap(cursor.array("heap ID")?)),
            (3, other) => Err(cursor.bad_value("type", other.into(), "is neither a heap (1) nor an object header (2)")),
            (other, _) => Err(cursor.error(Why::Version(other))),
        }
    }

    /// The message body: version 2 for an object header, as HDF5 1.10 writes it, 3 for the heap.
    #[must_use]
    pub fn encode(&self, widths: Widths) -> Vec<u8> {
        match self {
            Self::Committed(addr) => {
                let mut out = vec![2, 2];
                out.put_addr(Some(*addr), widths);
                out
            }
            Self::Heap(id) => [[3, 1].as_slice(), id].concat(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::testing::{hex, reads, reads_and_writes};

    fn decode(bytes: &[u8]) -> Result<SharedMessage> {
        SharedMessage::decode(bytes, 0, Widths::EIGHT)
    }

    #[test]
    fn reads_every_version() {
        let committed = SharedMessage::Committed(Addr(0x60f));
        let encode = |shared: &SharedMessage| shared.encode(Widths::EIGHT);
        reads_and_writes(&hex("0202 0f06000000000000"), &committed, decode, encode);
        reads_and_writes(&hex("0301 0102030405060708"), &SharedMessage::Heap([1, 2, 3, 4, 5, 6, 7, 8]), decode, encode);
        for bytes in
            ["0302 0f06000000000000", "0200 0f06000000000000", "0100000000000000 0800000000000000 0f06000000000000"]
        {
            reads(&hex(bytes), &committed, decode);
        }
        for bytes in ["0402 0f06000000000000", "0303 0f06000000000000", "0202 ffffffffffffffff"] {
            assert!(decode(&hex(bytes)).is_err(), "{bytes}");
        }
    }
}
