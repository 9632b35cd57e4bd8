//! The live trailer: the record by which a writer tells its followers how far it is.
//!
//! It lies at the very end of the file, above the superblock's end-of-file, where nothing in HDF5 looks. It is rewritten
//! in place, last, by every publication, and cut off when the file is closed. So a file whose size is its end-of-file was
//! closed; one with a trailer is being written, or its writer died: the lease tells which.
//!
//! The record holds the extent of every dataset that this session has changed. A follower takes its extents from here and
//! not from the object headers: one checksummed record is one instant, which several headers are not.
//!
//! ```text
//! offset size
//!      0    8  magic
//!      8    4  version (1)
//!     12    4  length of the record, checksum included
//!     16    8  offset in the file of this record: a copy elsewhere is not the trailer
//!     24   16  session
//!     40    8  commit: 1 and up
//!     48    8  commit that last changed structure (links, attributes, new objects)
//!     56    8  nothing at or above this address is named by anything: where a later session may begin
//!     64    8  time the session began, microseconds since 1970
//!     72    8  time of this commit
//!     80    4  process id of the writer
//!     84    2  bytes of the host's name
//!     86    2  strict: the consistency flags are set (1) or not (0)
//!     88    4  number of datasets
//!     92    -  host's name; then per dataset: object header address (8), commit that last changed it (8), rank (1),
//!              dimensions (8 each)
//!      -    4  checksum (lookup3)
//! ```
//!
//! A record that would be larger than a page cannot be replaced in one instant, and a crash must leave the old one or the new. So it is
//! parted: version 2 has in place of the datasets
//!
//! ```text
//!      -    8  offset of the datasets, from the record's own
//!      -    8  bytes of the datasets
//!      -    4  checksum of the datasets (lookup3)
//! ```
//!
//! and the datasets go, by turns, to two places behind it, each before the record that names it.
//!
//! The last 16 bytes of the file are a footer, written when the trailer is placed and never changed: magic (8) and the
//! offset of the record (8).

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use h5live_format::{Addr, Cursor, Malformed, Put, Why, lookup3};

const WHAT: &str = "live trailer";
const MAGIC: &str = "h5live\r\n";
const FOOTER_MAGIC: &str = "h5liveat";
/// With the datasets.
const WHOLE: u32 = 1;
/// Without.
const PARTED: u32 = 2;
/// Bytes that stand for the datasets in a record without them.
const NAMED: u64 = 20;
/// Bytes of the footer.
pub(crate) const FOOTER: u64 = 16;

/// Which session of writing this is: two sessions never have the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct SessionId(pub(crate) [u8; 16]);

/// Who writes, from where and since when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Writer {
    /// Name of the host.
    pub host: String,
    /// Process id on that host.
    pub pid: u32,
    /// When it went live.
    pub since: SystemTime,
}

impl std::fmt::Display for Writer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let age = self.since.elapsed().unwrap_or_default();
        write!(f, "pid {} on {} (since {})", self.pid, self.host, ago(age))
    }
}

fn ago(age: Duration) -> String {
    match age.as_secs() {
        0 => "less than a second ago".to_owned(),
        seconds @ 1..120 => format!("{seconds} s ago"),
        seconds @ 120..7200 => format!("{} min ago", seconds / 60),
        seconds => format!("{} h ago", seconds / 3600),
    }
}

/// The extent of one dataset, and the commit that last changed it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Extent {
    pub(crate) commit: u64,
    pub(crate) dims: Vec<u64>,
}

impl Extent {
    /// Bytes an extent of so many axes takes in the record.
    pub(crate) fn len(rank: usize) -> u64 {
        17 + 8 * rank as u64
    }
}

/// The record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Trailer {
    /// Where the record lies in the file.
    pub(crate) position: u64,
    pub(crate) session: SessionId,
    pub(crate) writer: Writer,
    pub(crate) strict: bool,
    /// Commits so far.
    pub(crate) commit: u64,
    /// The commit that last changed structure.
    pub(crate) structure: u64,
    /// Nothing at or above this HDF5 address is named by anything, published or not.
    pub(crate) bound: u64,
    /// When the last commit was made.
    pub(crate) published: SystemTime,
    /// By address of the object header.
    pub(crate) extents: BTreeMap<u64, Extent>,
}

/// Where the datasets of a parted record are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Datasets {
    /// From the record's own position.
    pub(crate) offset: u64,
    pub(crate) len: u64,
    sum: u32,
}

impl Trailer {
    /// Bytes the record takes if it holds the datasets.
    pub(crate) fn len(&self) -> u64 {
        self.len_with(self.datasets_len())
    }

    /// Bytes of the datasets.
    pub(crate) fn datasets_len(&self) -> u64 {
        self.extents.values().map(|extent| Extent::len(extent.dims.len())).sum()
    }

    fn len_with(&self, datasets: u64) -> u64 {
        92 + self.writer.host.len() as u64 + datasets + 4
    }

    /// The whole record as bytes.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut bytes = self.encode_start(WHOLE, self.len());
        self.put_datasets(&mut bytes);
        bytes.put_checksum_from(0);
        debug_assert_eq!(bytes.len() as u64, self.len());
        bytes
    }

    /// The record without the datasets, which are `named`: less than a page.
    pub(crate) fn encode_parted(&self, named: Datasets) -> Vec<u8> {
        let mut bytes = self.encode_start(PARTED, self.len_with(NAMED));
        bytes.put_u64(named.offset);
        bytes.put_u64(named.len);
        bytes.put_u32(named.sum);
        bytes.put_checksum_from(0);
        bytes
    }

    /// The datasets as bytes.
    pub(crate) fn encode_datasets(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.datasets_len() as usize);
        self.put_datasets(&mut bytes);
        bytes
    }

    fn put_datasets(&self, bytes: &mut Vec<u8>) {
        for (addr, extent) in &self.extents {
            bytes.put_u64(*addr);
            bytes.put_u64(extent.commit);
            bytes.put_u8(extent.dims.len() as u8);
            for dim in &extent.dims {
                bytes.put_u64(*dim);
            }
        }
    }

    fn encode_start(&self, version: u32, len: u64) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(len as usize);
        bytes.extend_from_slice(MAGIC.as_bytes());
        bytes.put_u32(version);
        bytes.put_u32(len as u32);
        bytes.put_u64(self.position);
        bytes.extend_from_slice(&self.session.0);
        bytes.put_u64(self.commit);
        bytes.put_u64(self.structure);
        bytes.put_u64(self.bound);
        bytes.put_u64(micros(self.writer.since));
        bytes.put_u64(micros(self.published));
        bytes.put_u32(self.writer.pid);
        bytes.put_u16(self.writer.host.len() as u16);
        bytes.put_u16(self.strict.into());
        bytes.put_u32(self.extents.len() as u32);
        bytes.extend_from_slice(self.writer.host.as_bytes());
        bytes
    }

    /// The length that the record at the start of `bytes` says it has, if a record starts there.
    pub(crate) fn length_of(bytes: &[u8], position: u64) -> Option<u64> {
        let mut cursor = Cursor::new(WHAT, position, bytes);
        cursor.signature(MAGIC).ok()?;
        matches!(cursor.u32("version").ok()?, WHOLE | PARTED).then_some(())?;
        let len = cursor.u32("length").ok()?;
        (cursor.u64("position").ok()? == position && len > 96).then_some(u64::from(len))
    }

    /// Decodes the record at file offset `position`; `bytes` may go on behind it. With a parted one comes where its datasets are: it
    /// has none before [`Trailer::join`].
    pub(crate) fn decode(bytes: &[u8], position: u64) -> h5live_format::Result<(Self, Option<Datasets>)> {
        let whole = Cursor::new(WHAT, position, bytes);
        let len = Self::length_of(bytes, position).ok_or_else(|| whole.bad_value("magic", 0, "is none here"))?;
        let bytes = bytes.get(..len as usize).ok_or_else(|| whole.bad_value("length", len, "is more than there is"))?;
        let mut sum = Cursor::new(WHAT, position, bytes);
        sum.skip("record", len as usize - 4)?;
        sum.checksum()?;
        let mut cursor = Cursor::new(WHAT, position, &bytes[..len as usize - 4]);
        cursor.skip("magic", 8)?;
        let version = cursor.u32("version")?;
        cursor.skip("length and position", 12)?;
        let session = SessionId(cursor.array("session")?);
        let commit = cursor.u64("commit")?;
        let structure = cursor.u64("structure")?;
        let bound = cursor.u64("bound")?;
        let since = time(cursor.u64("start")?);
        let published = time(cursor.u64("published")?);
        let pid = cursor.u32("pid")?;
        let host_len = cursor.u16("host length")?;
        let strict = cursor.u16("strict")? != 0;
        let count = cursor.u32("datasets")?;
        let host = String::from_utf8_lossy(cursor.take("host", host_len.into())?).into_owned();
        let (extents, datasets) = if version == PARTED {
            let (offset, len) = (cursor.u64("offset of the datasets")?, cursor.u64("bytes of the datasets")?);
            (BTreeMap::new(), Some(Datasets { offset, len, sum: cursor.u32("checksum of the datasets")? }))
        } else {
            cursor.checked_count("datasets", count.into(), 17)?;
            ((0..count).map(|_| decode_extent(&mut cursor)).collect::<Result<_, Malformed>>()?, None)
        };
        let writer = Writer { host, pid, since };
        Ok((Self { position, session, writer, strict, commit, structure, bound, published, extents }, datasets))
    }

    /// Takes in the datasets of a parted record: `bytes` are those where it says.
    pub(crate) fn join(&mut self, datasets: Datasets, bytes: &[u8]) -> h5live_format::Result<()> {
        let at = self.position.saturating_add(datasets.offset);
        let computed = lookup3(bytes);
        if computed != datasets.sum {
            return Err(Malformed { what: WHAT, at, why: Why::Checksum { stored: datasets.sum, computed } });
        }
        let mut cursor = Cursor::new(WHAT, at, bytes);
        while cursor.left() > 0 {
            let (addr, extent) = decode_extent(&mut cursor)?;
            self.extents.insert(addr, extent);
        }
        Ok(())
    }
}

impl Datasets {
    /// `bytes`, placed `offset` bytes from the record.
    pub(crate) fn placed(bytes: &[u8], offset: u64) -> Self {
        Self { offset, len: bytes.len() as u64, sum: lookup3(bytes) }
    }
}

fn decode_extent(cursor: &mut Cursor<'_>) -> h5live_format::Result<(u64, Extent)> {
    let addr = cursor.u64("object header")?;
    let commit = cursor.u64("commit of the extent")?;
    let rank = cursor.u8("rank")?;
    let dims = (0..rank).map(|_| cursor.u64("dimension")).collect::<Result<_, Malformed>>()?;
    Ok((addr, Extent { commit, dims }))
}

/// The footer that says where the record lies.
pub(crate) fn footer(position: u64) -> Vec<u8> {
    let mut bytes = FOOTER_MAGIC.as_bytes().to_vec();
    bytes.put_u64(position);
    bytes
}

/// Where the footer says the record lies.
pub(crate) fn decode_footer(bytes: &[u8]) -> Option<Addr> {
    let mut cursor = Cursor::new(WHAT, 0, bytes);
    cursor.signature(FOOTER_MAGIC).ok()?;
    cursor.u64("position").ok().map(Addr)
}

fn micros(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).unwrap_or_default().as_micros() as u64
}

fn time(micros: u64) -> SystemTime {
    UNIX_EPOCH.checked_add(Duration::from_micros(micros)).unwrap_or(UNIX_EPOCH)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Trailer {
        Trailer {
            position: 8192,
            session: SessionId(*b"0123456789abcdef"),
            writer: Writer { host: "beamline".into(), pid: 4711, since: time(1_700_000_000_000_000) },
            strict: false,
            commit: 9,
            structure: 3,
            bound: 5000,
            published: time(1_700_000_001_000_000),
            extents: BTreeMap::from([
                (4096, Extent { commit: 9, dims: vec![7, 512] }),
                (6000, Extent { commit: 8, dims: vec![] }),
            ]),
        }
    }

    #[test]
    fn round_trip() {
        let mut bytes = sample().encode();
        bytes.extend_from_slice(b"behind it");
        assert_eq!(Trailer::decode(&bytes, 8192), Ok((sample(), None)));
        assert!(Trailer::decode(&bytes, 4096).is_err(), "a copy elsewhere is not the trailer");
        assert_eq!(decode_footer(&footer(8192)), Some(Addr(8192)));
    }

    #[test]
    fn a_parted_record_is_joined_with_its_own_datasets_alone() {
        let datasets = sample().encode_datasets();
        let named = Datasets::placed(&datasets, 4096);
        let (mut found, where_to) = Trailer::decode(&sample().encode_parted(named), 8192).unwrap();
        assert_eq!(where_to, Some(named));
        assert!(found.extents.is_empty());
        found.clone().join(named, &datasets[1..]).unwrap_err();
        found.join(named, &datasets).unwrap();
        assert_eq!(found, sample());
    }

    #[test]
    fn every_change_and_every_cut_is_noticed() {
        every_change_is_noticed(&sample().encode());
        every_change_is_noticed(&sample().encode_parted(Datasets::placed(&sample().encode_datasets(), 4096)));
    }

    fn every_change_is_noticed(bytes: &[u8]) {
        for at in 0..bytes.len() {
            let mut changed = bytes.to_vec();
            changed[at] ^= 0x40;
            assert!(Trailer::decode(&changed, 8192).is_err(), "byte {at}");
            assert!(Trailer::decode(&bytes[..at], 8192).is_err(), "cut at {at}");
        }
    }
}
