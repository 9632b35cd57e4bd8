//! The metadata cache image block ("MDCI", HDF5 1.10; not in the specification's text): copies of structures as libhdf5's
//! cache had them at close. They are newer than what lies at their addresses.

use crate::{Addr, Cursor, Result, Widths};

/// One structure of the image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CachedEntry {
    /// Where in the file it belongs.
    pub addr: Addr,
    /// Its bytes.
    pub image: Vec<u8>,
}

const WHAT: &str = "metadata cache image";
/// Type, flags, ring and age, three counts of flush dependencies, the place in the list of the least recently used.
const ENTRY_HEAD: usize = 4 + 3 * 2 + 4;

/// Decodes the block at address `at`, of which there are exactly `bytes`.
///
/// # Errors
/// Another signature or version, a wrong checksum, or entries that do not fit.
pub fn decode(bytes: &[u8], at: u64, widths: Widths) -> Result<Vec<CachedEntry>> {
    let mut cursor = Cursor::new(WHAT, at, bytes);
    cursor.signature("MDCI")?;
    cursor.version(0)?;
    cursor.skip("flags", 1)?;
    cursor.length("image data length", widths)?;
    let count = cursor.u32("number of entries")?;
    let least = ENTRY_HEAD + usize::from(widths.offset) + usize::from(widths.length);
    let count = cursor.checked_count("entries", count.into(), least)?;
    let mut entries = Vec::with_capacity(count);
    for _ in 0..count {
        cursor.skip("type, flags, ring, age", 4)?;
        cursor.skip("dependency child counts", 4)?;
        let parents = cursor.u16("dependency parent count")?;
        cursor.skip("index in LRU list", 4)?;
        let addr = cursor.defined_addr("entry address", widths)?;
        let size = cursor.length("entry size", widths)?;
        cursor.skip("dependency parent addresses", usize::from(parents) * usize::from(widths.offset))?;
        let size = cursor.checked_count("entry image", size, 1)?;
        entries.push(CachedEntry { addr, image: cursor.take("entry image", size)?.to_vec() });
    }
    cursor.checksum()?;
    Ok(entries)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Put;

    fn image(entries: &[(u64, u16, &[u8])]) -> Vec<u8> {
        let mut bytes = b"MDCI\0\0".to_vec();
        bytes.put_length(0, Widths::EIGHT);
        bytes.put_u32(entries.len() as u32);
        for (addr, parents, image) in entries {
            bytes.extend_from_slice(&[3, 1, 4, 0, 0, 0, 0, 0]);
            bytes.put_u16(*parents);
            bytes.put_u32(0);
            bytes.put_addr(Some(Addr(*addr)), Widths::EIGHT);
            bytes.put_length(image.len() as u64, Widths::EIGHT);
            (0..*parents).for_each(|_| bytes.put_addr(Some(Addr(8)), Widths::EIGHT));
            bytes.extend_from_slice(image);
        }
        bytes.put_checksum_from(0);
        bytes
    }

    #[test]
    fn entries_have_addresses_and_bytes() {
        let mut bytes = image(&[(96, 0, b"OHDR..."), (800, 2, b"TREE")]);
        let entries = decode(&bytes, 0, Widths::EIGHT).unwrap();
        let found: Vec<(u64, &[u8])> = entries.iter().map(|entry| (entry.addr.0, entry.image.as_slice())).collect();
        assert_eq!(found, [(96, &b"OHDR..."[..]), (800, b"TREE")]);
        for place in 0..bytes.len() {
            assert!(decode(&bytes[..place], 0, Widths::EIGHT).is_err());
            bytes[place] ^= 0x11;
            assert!(decode(&bytes, 0, Widths::EIGHT).is_err());
            bytes[place] ^= 0x11;
        }
    }
}
