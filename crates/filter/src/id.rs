//! The numbers by which files name filters.

use std::fmt;

/// The number of a filter, as the filter pipeline message stores it (spec IV.A.2.l). Below 256 they are HDF5's own, from there on
/// registered with The HDF Group or free for private use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FilterId(pub u16);

impl FilterId {
    /// zlib's deflate. Client values: the level, 0 to 9.
    pub const DEFLATE: Self = Self(1);
    /// Byte shuffle. Client values: the element size in bytes.
    pub const SHUFFLE: Self = Self(2);
    /// Fletcher-32 checksum. No client values.
    pub const FLETCHER32: Self = Self(3);
    /// Szip. Client values: options, pixels per block.
    pub const SZIP: Self = Self(4);
    /// N-bit packing. Client values: the datatype's layout.
    pub const NBIT: Self = Self(5);
    /// Scale-offset packing. Client values: the method and the datatype.
    pub const SCALE_OFFSET: Self = Self(6);
    /// bzip2. Client values: the block size, 1 to 9.
    pub const BZIP2: Self = Self(307);
    /// LZF as h5py writes it. Client values: versions and the chunk size, none of which decoding needs.
    pub const LZF: Self = Self(32000);
    /// Blosc. Client values: see [`crate::Blosc`].
    pub const BLOSC: Self = Self(32001);
    /// LZ4. Client values: the bytes of a block.
    pub const LZ4: Self = Self(32004);
    /// Bitshuffle. Client values: see [`crate::Bitshuffle`].
    pub const BITSHUFFLE: Self = Self(32008);
    /// ZFP. Client values: see [`crate::Zfp`].
    pub const ZFP: Self = Self(32013);
    /// Zstandard. Client values: the level.
    pub const ZSTANDARD: Self = Self(32015);
    /// Blosc2. Client values: see [`crate::Blosc2`].
    pub const BLOSC2: Self = Self(32026);

    /// The name of the filter this number is commonly known to mean, whether or not it is available here.
    pub fn name(self) -> Option<&'static str> {
        KNOWN.binary_search_by_key(&self.0, |&(id, _)| id).ok().map(|found| KNOWN[found].1)
    }
}

impl fmt::Display for FilterId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => write!(f, "{} ({name})", self.0),
            None => self.0.fmt(f),
        }
    }
}

/// By number: HDF5's own filters and those registered with The HDF Group.
const KNOWN: &[(u16, &str)] = &[
    (1, "deflate"),
    (2, "shuffle"),
    (3, "fletcher32"),
    (4, "szip"),
    (5, "nbit"),
    (6, "scaleoffset"),
    (305, "lzo"),
    (307, "bzip2"),
    (32000, "lzf"),
    (32001, "blosc"),
    (32002, "mafisc"),
    (32003, "snappy"),
    (32004, "lz4"),
    (32005, "apax"),
    (32006, "cbf"),
    (32007, "jpeg-xr"),
    (32008, "bitshuffle"),
    (32009, "spdp"),
    (32010, "lpc-rice"),
    (32011, "ccsds-123"),
    (32012, "jpeg-ls"),
    (32013, "zfp"),
    (32014, "fpzip"),
    (32015, "zstd"),
    (32016, "b3d"),
    (32017, "sz"),
    (32018, "fcidecomp"),
    (32019, "jpeg"),
    (32020, "vbz"),
    (32021, "fapec"),
    (32022, "bitgroom"),
    (32023, "granular bitround"),
    (32024, "sz3"),
    (32025, "delta-rice"),
    (32026, "blosc2"),
    (32027, "flac"),
    (32028, "sperr"),
    (32033, "htj2k"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_what_is_known() {
        assert!(KNOWN.is_sorted());
        for (id, shown) in [
            (FilterId::DEFLATE, "1 (deflate)"),
            (FilterId(4), "4 (szip)"),
            (FilterId(305), "305 (lzo)"),
            (FilterId(307), "307 (bzip2)"),
            (FilterId(32001), "32001 (blosc)"),
            (FilterId(32004), "32004 (lz4)"),
            (FilterId(32008), "32008 (bitshuffle)"),
            (FilterId(32013), "32013 (zfp)"),
            (FilterId(32015), "32015 (zstd)"),
            (FilterId(32026), "32026 (blosc2)"),
            (FilterId(777), "777"),
        ] {
            assert_eq!(id.to_string(), shown);
        }
    }
}
