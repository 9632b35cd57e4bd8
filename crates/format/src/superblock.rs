//! The superblock: where everything else is found (specification II.A, all four versions).

use crate::message::{BTreeK, SymbolTable};
use crate::{Addr, Cursor, Put, Result, Why, Widths};

/// The first structure of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Superblock {
    /// Which of the four layouts it has in the file.
    pub version: SuperblockVersion,
    /// Bytes of an address and of a length in this file.
    pub widths: Widths,
    /// Who has the file open, by libhdf5's own account. Means something in version 3 only; older files hold anything.
    pub flags: ConsistencyFlags,
    /// File position to which every address is relative: that of the superblock, as a rule.
    pub base: u64,
    /// The first position after all HDF5 data, counted from the start of the file (not from `base`).
    pub end_of_file: u64,
    /// The root group.
    pub root: Root,
    /// Object header with messages that found no place here (versions 2 and 3).
    pub extension: Option<Addr>,
    /// The driver information block (versions 0 and 1).
    pub driver_info: Option<Addr>,
    /// Sizes of version 1 B-trees. Versions 2 and 3 keep other than default values in the extension, which overrides
    /// these.
    pub btree_k: BTreeK,
}

/// Version number of a superblock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SuperblockVersion {
    /// The original.
    V0,
    /// With a K value for chunk B-trees.
    V1,
    /// Short, checksummed, with an extension.
    V2,
    /// As version 2, with consistency flags that mean something: what SWMR asks for.
    V3,
}

/// How the superblock names the root group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Root {
    /// By the address of its object header (versions 2 and 3).
    ObjectHeader(Addr),
    /// By a symbol table entry (versions 0 and 1).
    SymbolTable {
        /// Its object header.
        header: Addr,
        /// The entry's copy of the group's symbol table message, if it holds one.
        cached: Option<SymbolTable>,
    },
}

impl Root {
    /// The address of the root group's object header.
    #[must_use]
    pub fn header(self) -> Addr {
        match self {
            Self::ObjectHeader(header) | Self::SymbolTable { header, .. } => header,
        }
    }
}

/// "File consistency flags" of superblock version 3.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct ConsistencyFlags(pub u8);

impl ConsistencyFlags {
    /// Nobody writes, or nobody says so.
    pub const NONE: Self = Self(0);
    /// Open for writing.
    pub const WRITE: Self = Self(0x01);
    /// Open for writing beside readers (SWMR).
    pub const SWMR_WRITE: Self = Self(0x04);

    /// Whether all of `flags` are set.
    #[must_use]
    pub fn contains(self, flags: Self) -> bool {
        self.0 & flags.0 == flags.0
    }
}

impl std::ops::BitOr for ConsistencyFlags {
    type Output = Self;
    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

const WHAT: &str = "superblock";
/// "Cache type" of a symbol table entry whose scratch pad holds a B-tree and a heap address.
const CACHED_SYMBOL_TABLE: u32 = 1;
const SCRATCH_PAD: usize = 16;

impl Superblock {
    /// The first eight bytes, which make a file an HDF5 file.
    pub const SIGNATURE: [u8; 8] = *b"\x89HDF\r\n\x1a\n";
    /// The most bytes a superblock takes, whatever its version and widths: read this many (or up to the end of the
    /// file) to decode any.
    pub const MAX_SIZE: usize = 28 + 4 * 32 + 2 * 32 + 8 + SCRATCH_PAD;
    /// Where the consistency flags lie in versions 2 and 3, from the signature.
    pub const FLAGS_OFFSET: usize = 11;

    /// Where the end-of-file address lies in versions 2 and 3, from the signature.
    #[must_use]
    pub const fn end_of_file_offset(widths: Widths) -> usize {
        12 + 2 * widths.offset as usize
    }

    /// Bytes of a superblock of version 2 or 3, checksum included: 48 with [`Widths::EIGHT`].
    #[must_use]
    pub const fn size(widths: Widths) -> usize {
        12 + 4 * widths.offset as usize + 4
    }

    /// Decodes a superblock that starts at file position `at`; `bytes` may hold more than it.
    ///
    /// # Errors
    /// The signature or the checksum is wrong, the version unknown, or a field damaged.
    pub fn decode(bytes: &[u8], at: u64) -> Result<Self> {
        let mut cursor = Cursor::new(WHAT, at, bytes);
        let found: [u8; 8] = cursor.array("signature")?;
        if found != Self::SIGNATURE {
            return Err(cursor.error(Why::Signature { expected: "\u{89}HDF\r\n\u{1a}\n", found: found.to_vec() }));
        }
        match cursor.u8("version")? {
            0 => Self::decode_old(&mut cursor, SuperblockVersion::V0),
            1 => Self::decode_old(&mut cursor, SuperblockVersion::V1),
            2 => Self::decode_new(&mut cursor, SuperblockVersion::V2),
            3 => Self::decode_new(&mut cursor, SuperblockVersion::V3),
            other => Err(cursor.error(Why::Version(other))),
        }
    }

    fn decode_old(cursor: &mut Cursor<'_>, version: SuperblockVersion) -> Result<Self> {
        require_zero(cursor, "version of the free space information")?;
        require_zero(cursor, "version of the root group symbol table entry")?;
        cursor.skip("reserved", 1)?;
        require_zero(cursor, "version of the shared header message format")?;
        let widths = read_widths(cursor)?;
        cursor.skip("reserved", 1)?;
        let group_leaf = cursor.u16("group leaf node K")?;
        let group_internal = cursor.u16("group internal node K")?;
        let [flags, ..] = cursor.array::<4>("file consistency flags")?;
        let mut btree_k = BTreeK { group_leaf, group_internal, ..BTreeK::default() };
        if version == SuperblockVersion::V1 {
            btree_k.indexed_storage = cursor.u16("indexed storage internal node K")?;
            cursor.skip("reserved", 2)?;
        }
        if btree_k.group_leaf == 0 || btree_k.group_internal == 0 || btree_k.indexed_storage == 0 {
            return Err(cursor.bad_value("B-tree K", 0, "must be greater than zero"));
        }
        let base = cursor.uint("base address", widths.offset.into())?;
        cursor.addr("address of the global free space index", widths)?;
        let end_of_file = cursor.uint("end of file address", widths.offset.into())?;
        let driver_info = cursor.addr("driver information block address", widths)?;
        // The specification gives this field the size of an address, but it has that of a length in every file.
        cursor.skip("link name offset of the root group", widths.length.into())?;
        let header = cursor.defined_addr("object header address of the root group", widths)?;
        let cache_type = cursor.u32("cache type of the root group")?;
        cursor.skip("reserved", 4)?;
        let scratch = cursor.take("scratch pad of the root group", SCRATCH_PAD)?;
        let cached = match cache_type {
            // Only a copy of what the object header says. Wide addresses do not even fit the pad: then there is none.
            CACHED_SYMBOL_TABLE => SymbolTable::decode(scratch, cursor.at(), widths).ok(),
            _ => None,
        };
        let root = Root::SymbolTable { header, cached };
        let flags = ConsistencyFlags(flags);
        Ok(Self { version, widths, flags, base, end_of_file, root, extension: None, driver_info, btree_k })
    }

    fn decode_new(cursor: &mut Cursor<'_>, version: SuperblockVersion) -> Result<Self> {
        let widths = read_widths(cursor)?;
        let flags = ConsistencyFlags(cursor.u8("file consistency flags")?);
        let base = cursor.uint("base address", widths.offset.into())?;
        let extension = cursor.addr("superblock extension address", widths)?;
        let end_of_file = cursor.uint("end of file address", widths.offset.into())?;
        let root = cursor.addr("root group object header address", widths)?;
        cursor.checksum()?;
        let root =
            root.ok_or_else(|| cursor.bad_value("root group object header address", u64::MAX, "is undefined"))?;
        let root = Root::ObjectHeader(root);
        let btree_k = BTreeK::default();
        Ok(Self { version, widths, flags, base, end_of_file, root, extension, driver_info: None, btree_k })
    }

    /// The bytes of the superblock, in its own version.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(Self::MAX_SIZE);
        out.extend_from_slice(&Self::SIGNATURE);
        match self.version {
            SuperblockVersion::V0 => self.encode_old(&mut out, 0),
            SuperblockVersion::V1 => self.encode_old(&mut out, 1),
            SuperblockVersion::V2 => self.encode_new(&mut out, 2),
            SuperblockVersion::V3 => self.encode_new(&mut out, 3),
        }
        out
    }

    fn encode_old(&self, out: &mut Vec<u8>, version: u8) {
        let Self { widths, btree_k, .. } = *self;
        // Versions of the free space information, the root entry, a reserved byte and the shared message format: all 0.
        out.extend_from_slice(&[version, 0, 0, 0, 0, widths.offset, widths.length, 0]);
        out.put_u16(btree_k.group_leaf);
        out.put_u16(btree_k.group_internal);
        out.put_u32(self.flags.0.into());
        if version == 1 {
            out.put_u16(btree_k.indexed_storage);
            out.put_u16(0);
        }
        out.put_uint(self.base, widths.offset.into());
        out.put_addr(None, widths);
        out.put_uint(self.end_of_file, widths.offset.into());
        out.put_addr(self.driver_info, widths);
        out.put_length(0, widths);
        out.put_addr(Some(self.root.header()), widths);
        let cached = match self.root {
            Root::SymbolTable { cached, .. } => cached,
            Root::ObjectHeader(_) => None,
        };
        out.put_u32(if cached.is_some() { CACHED_SYMBOL_TABLE } else { 0 });
        out.put_u32(0);
        let end = out.len() + SCRATCH_PAD;
        if let Some(table) = cached {
            out.extend(table.encode(widths));
        }
        out.resize(end, 0);
    }

    fn encode_new(&self, out: &mut Vec<u8>, version: u8) {
        let widths = self.widths;
        out.extend_from_slice(&[version, widths.offset, widths.length, self.flags.0]);
        out.put_uint(self.base, widths.offset.into());
        out.put_addr(self.extension, widths);
        out.put_uint(self.end_of_file, widths.offset.into());
        out.put_addr(Some(self.root.header()), widths);
        out.put_checksum_from(0);
    }
}

fn require_zero(cursor: &mut Cursor<'_>, field: &'static str) -> Result<()> {
    match cursor.u8(field)? {
        0 => Ok(()),
        other => Err(cursor.bad_value(field, other.into(), "is not 0, the only one there is")),
    }
}

fn read_widths(cursor: &mut Cursor<'_>) -> Result<Widths> {
    let offset = read_width(cursor, "size of offsets")?;
    let length = read_width(cursor, "size of lengths")?;
    Ok(Widths { offset, length })
}

fn read_width(cursor: &mut Cursor<'_>, field: &'static str) -> Result<u8> {
    match cursor.u8(field)? {
        width @ (2 | 4 | 8 | 16 | 32) => Ok(width),
        other => Err(cursor.bad_value(field, other.into(), "is none of 2, 4, 8, 16 and 32")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::testing::{hex, reads, survives};

    fn version_3() -> Superblock {
        Superblock {
            version: SuperblockVersion::V3,
            widths: Widths::EIGHT,
            flags: ConsistencyFlags::NONE,
            base: 0,
            end_of_file: 0x3f81,
            root: Root::ObjectHeader(Addr(0x30)),
            extension: None,
            driver_info: None,
            btree_k: BTreeK::default(),
        }
    }

    fn check(bytes: &[u8], expected: &Superblock) {
        reads(bytes, expected, |bytes| Superblock::decode(bytes, 0));
        assert_eq!(expected.encode(), bytes);
        assert!(bytes.len() <= Superblock::MAX_SIZE);
    }

    #[test]
    fn reads_and_writes_what_libhdf5_wrote() {
        let newest = hex(
            "894844460d0a1a0a 03080800 0000000000000000 ffffffffffffffff 813f000000000000 3000000000000000 49f58e9a",
        );
        check(&newest, &version_3());

        let oldest = "894844460d0a1a0a 00 00 00 00 00 08 08 00 0400 1000 00000000 0000000000000000 ffffffffffffffff \
            957b000000000000 ffffffffffffffff 0000000000000000 6000000000000000 01000000 00000000 8800000000000000 a802000000000000";
        let root = Root::SymbolTable {
            header: Addr(0x60),
            cached: Some(SymbolTable { btree: Addr(0x88), heap: Addr(0x2a8) }),
        };
        let expected = Superblock { version: SuperblockVersion::V0, end_of_file: 0x7b95, root, ..version_3() };
        check(&hex(oldest), &expected);

        // The name offset of the root entry has the size of a length (4), not of an address (2).
        let narrow = "894844460d0a1a0a 00 00 00 00 00 02 04 00 0400 1000 00000000 0000 ffff 6124 ffff \
            00000000 3e00 01000000 00000000 6600 3601 000000000000000000000000";
        let root = Root::SymbolTable {
            header: Addr(0x3e),
            cached: Some(SymbolTable { btree: Addr(0x66), heap: Addr(0x136) }),
        };
        let widths = Widths { offset: 2, length: 4 };
        check(&hex(narrow), &Superblock { widths, end_of_file: 0x2461, root, ..expected });
    }

    #[test]
    fn every_version_and_width_comes_back() {
        for version in [SuperblockVersion::V0, SuperblockVersion::V1, SuperblockVersion::V2, SuperblockVersion::V3] {
            for (offset, length) in [(2, 2), (4, 8), (8, 8), (16, 8), (32, 32)] {
                let widths = Widths { offset, length };
                let old = version < SuperblockVersion::V2;
                let header = Addr(0x60);
                let root = if old { Root::SymbolTable { header, cached: None } } else { Root::ObjectHeader(header) };
                let indexed_storage = if version == SuperblockVersion::V1 { 7 } else { 32 };
                let superblock = Superblock {
                    version,
                    widths,
                    flags: ConsistencyFlags::WRITE | ConsistencyFlags::SWMR_WRITE,
                    base: 0x200,
                    root,
                    extension: Some(Addr(0x80)).filter(|_| !old),
                    driver_info: Some(Addr(0x90)).filter(|_| old),
                    btree_k: BTreeK { indexed_storage, ..BTreeK::default() },
                    ..version_3()
                };
                check(&superblock.encode(), &superblock);
            }
        }
    }

    #[test]
    fn fields_lie_where_live_overwrites_expect_them() {
        let quiet = version_3();
        let grown = Superblock { end_of_file: u64::MAX / 2, ..quiet.clone() };
        let writing = Superblock { flags: ConsistencyFlags::SWMR_WRITE, ..quiet.clone() };
        let differs = |other: &Superblock| quiet.encode().iter().zip(other.encode()).position(|(a, b)| *a != b);
        assert_eq!(differs(&grown), Some(Superblock::end_of_file_offset(Widths::EIGHT)));
        assert_eq!(differs(&writing), Some(Superblock::FLAGS_OFFSET));
        assert_eq!(quiet.encode().len(), Superblock::size(Widths::EIGHT));
    }

    #[test]
    fn a_torn_superblock_says_so() {
        let mut bytes = version_3().encode();
        bytes[30] ^= 0x10;
        assert!(Superblock::decode(&bytes, 0).unwrap_err().may_be_torn());
        survives(&bytes, |bytes| Superblock::decode(bytes, 0));
        assert!(matches!(Superblock::decode(b"CDF\x01____", 0).unwrap_err().why, Why::Signature { .. }));
    }
}
