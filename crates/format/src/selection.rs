//! Serialized selections: which elements of a dataset, in region references and virtual datasets (specification
//! VIII.A).

use crate::{Cursor, Put, Result, Why};

/// Which elements of an array.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Selection {
    /// None.
    None,
    /// All, whatever its extent is.
    All,
    /// Single elements, in the order of their selection.
    Points(Points),
    /// Blocks on a regular grid: one entry per dimension.
    Regular(Vec<RegularDimension>),
    /// Any blocks.
    Blocks(Blocks),
}

/// Single elements of an array.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Points {
    /// Number of dimensions.
    pub rank: usize,
    /// `rank` coordinates of each point, one point after the other.
    pub coordinates: Vec<u64>,
}

impl Points {
    /// The points, `rank` coordinates each.
    pub fn iter(&self) -> impl Iterator<Item = &[u64]> {
        self.coordinates.chunks_exact(self.rank.max(1))
    }
}

/// Blocks of an array, in no order that means anything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Blocks {
    /// Number of dimensions.
    pub rank: usize,
    /// Of each block, `rank` coordinates of its first element, then as many of its last, which belongs to it.
    pub corners: Vec<u64>,
}

impl Blocks {
    /// The blocks: coordinates of the first and of the last element of each.
    pub fn iter(&self) -> impl Iterator<Item = (&[u64], &[u64])> {
        let rank = self.rank.max(1);
        self.corners.chunks_exact(rank.saturating_mul(2)).map(move |block| block.split_at(rank))
    }
}

/// A regular grid of blocks along one dimension.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RegularDimension {
    /// Where the first block starts.
    pub start: u64,
    /// From the start of a block to that of the next.
    pub stride: u64,
    /// Number of blocks; `None`: as many as the extent has room for.
    pub count: Option<u64>,
    /// Elements of a block; `None`: up to the end of the extent.
    pub block: Option<u64>,
}

const WHAT: &str = "dataspace selection";
const TYPE_NONE: u32 = 0;
const TYPE_POINTS: u32 = 1;
const TYPE_HYPERSLAB: u32 = 2;
const TYPE_ALL: u32 = 3;
const FLAG_REGULAR: u8 = 0x01;
const MAX_RANK: u32 = 32;

impl Selection {
    /// Decodes the selection at address `at`; `bytes` may hold more than it.
    ///
    /// # Errors
    /// An unknown type or version, or bytes that end early.
    pub fn decode(bytes: &[u8], at: u64) -> Result<Self> {
        Self::read(&mut Cursor::new(WHAT, at, bytes))
    }

    /// Reads a selection that is part of a larger structure.
    ///
    /// # Errors
    /// As [`decode`](Self::decode).
    pub fn read(cursor: &mut Cursor<'_>) -> Result<Self> {
        let kind = cursor.u32("selection type")?;
        let version = cursor.u32("selection version")?;
        match (kind, version) {
            (TYPE_NONE, 1) => cursor.skip("reserved", 8).map(|()| Self::None),
            (TYPE_ALL, 1) => cursor.skip("reserved", 8).map(|()| Self::All),
            (TYPE_POINTS, 1) => {
                cursor.skip("reserved and length", 8)?;
                read_points(cursor, 4)
            }
            (TYPE_POINTS, 2) => {
                let width = read_width(cursor)?;
                read_points(cursor, width)
            }
            (TYPE_HYPERSLAB, 1) => {
                cursor.skip("reserved and length", 8)?;
                let rank = read_rank(cursor)?;
                read_blocks(cursor, rank, 4)
            }
            (TYPE_HYPERSLAB, 2) => {
                let flags = cursor.u8("flags")?;
                cursor.skip("length", 4)?;
                let rank = read_rank(cursor)?;
                if flags & FLAG_REGULAR == 0 {
                    return Err(cursor.bad_value("flags", flags.into(), "says irregular, which version 2 cannot be"));
                }
                read_regular(cursor, rank, 8)
            }
            (TYPE_HYPERSLAB, 3) => {
                let flags = cursor.u8("flags")?;
                let width = read_width(cursor)?;
                let rank = read_rank(cursor)?;
                if flags & FLAG_REGULAR == 0 {
                    read_blocks(cursor, rank, width)
                } else {
                    read_regular(cursor, rank, width)
                }
            }
            (TYPE_NONE..=TYPE_ALL, other) => {
                Err(cursor.bad_value("selection version", other.into(), "is not known for this type"))
            }
            (other, _) => Err(cursor.bad_value("selection type", other.into(), "is above 3, the last there is")),
        }
    }

    /// The bytes of the selection, in versions that HDF5 1.10 reads: version 1, or 2 for regular hyperslabs. `None` if
    /// those cannot hold it: coordinates of points and blocks have 32 bits.
    #[must_use]
    pub fn encode(&self) -> Option<Vec<u8>> {
        let mut out = Vec::new();
        match self {
            Self::None => put_head(&mut out, TYPE_NONE, 1, &[0; 8]),
            Self::All => put_head(&mut out, TYPE_ALL, 1, &[0; 8]),
            Self::Points(points) => {
                put_head(&mut out, TYPE_POINTS, 1, &[0; 4]);
                put_v1(&mut out, points.rank, points.rank, &points.coordinates)?;
            }
            Self::Blocks(blocks) => {
                put_head(&mut out, TYPE_HYPERSLAB, 1, &[0; 4]);
                put_v1(&mut out, blocks.rank, blocks.rank.checked_mul(2)?, &blocks.corners)?;
            }
            Self::Regular(dimensions) => {
                put_head(&mut out, TYPE_HYPERSLAB, 2, &[FLAG_REGULAR]);
                let rank = u32::try_from(dimensions.len()).ok()?;
                out.put_u32(4 + rank.checked_mul(32)?);
                out.put_u32(rank);
                for dimension in dimensions {
                    let RegularDimension { start, stride, count, block } = *dimension;
                    for value in [start, stride, count.unwrap_or(u64::MAX), block.unwrap_or(u64::MAX)] {
                        out.put_u64(value);
                    }
                }
            }
        }
        Some(out)
    }
}

fn put_head(out: &mut Vec<u8>, kind: u32, version: u32, rest: &[u8]) {
    out.put_u32(kind);
    out.put_u32(version);
    out.extend_from_slice(rest);
}

/// Length, rank, count and numbers, all of 32 bits; `each` numbers make an item.
fn put_v1(out: &mut Vec<u8>, rank: usize, each: usize, numbers: &[u64]) -> Option<()> {
    let count = numbers.len().checked_div(each)?;
    out.put_u32(u32::try_from(numbers.len().checked_mul(4)?.checked_add(8)?).ok()?);
    out.put_u32(u32::try_from(rank).ok()?);
    out.put_u32(u32::try_from(count).ok()?);
    for number in numbers {
        out.put_u32(u32::try_from(*number).ok()?);
    }
    Some(())
}

fn read_width(cursor: &mut Cursor<'_>) -> Result<usize> {
    match cursor.u8("encode size")? {
        width @ (2 | 4 | 8) => Ok(width.into()),
        other => Err(cursor.bad_value("encode size", other.into(), "is none of 2, 4 and 8")),
    }
}

fn read_rank(cursor: &mut Cursor<'_>) -> Result<usize> {
    match cursor.u32("rank")? {
        rank @ 1..=MAX_RANK => Ok(rank as usize),
        other => Err(cursor.bad_value("rank", other.into(), "is not within 1 to 32")),
    }
}

fn read_points(cursor: &mut Cursor<'_>, width: usize) -> Result<Selection> {
    let rank = read_rank(cursor)?;
    let count = cursor.uint("number of points", width)?;
    let coordinates = read_numbers(cursor, "point", count, rank, width)?;
    Ok(Selection::Points(Points { rank, coordinates }))
}

fn read_blocks(cursor: &mut Cursor<'_>, rank: usize, width: usize) -> Result<Selection> {
    let count = cursor.uint("number of blocks", width)?;
    let corners = read_numbers(cursor, "block", count, rank * 2, width)?;
    let blocks = Blocks { rank, corners };
    if blocks.iter().any(|(first, last)| first.iter().zip(last).any(|(first, last)| first > last)) {
        return Err(cursor.error(Why::Text("a block ends before it starts")));
    }
    Ok(Selection::Blocks(blocks))
}

fn read_regular(cursor: &mut Cursor<'_>, rank: usize, width: usize) -> Result<Selection> {
    // "Unlimited" is all bits set, in whatever width.
    let unlimited = u64::MAX >> (64 - width * 8);
    let limited = |value| Some(value).filter(|value| *value != unlimited);
    let mut dimensions = Vec::with_capacity(rank);
    for _ in 0..rank {
        let start = cursor.uint("start", width)?;
        let stride = cursor.uint("stride", width)?;
        let count = limited(cursor.uint("count", width)?);
        let block = limited(cursor.uint("block", width)?);
        if stride == 0 && count != Some(1) {
            return Err(cursor.bad_value("stride", 0, "puts all blocks in one place"));
        }
        dimensions.push(RegularDimension { start, stride, count, block });
    }
    Ok(Selection::Regular(dimensions))
}

/// `count` times `each` numbers of `width` bytes.
fn read_numbers(
    cursor: &mut Cursor<'_>,
    field: &'static str,
    count: u64,
    each: usize,
    width: usize,
) -> Result<Vec<u64>> {
    let total = count.saturating_mul(each as u64);
    let total = cursor.checked_count(field, total, width)?;
    let mut numbers = Vec::with_capacity(total);
    for _ in 0..total {
        numbers.push(cursor.uint(field, width)?);
    }
    Ok(numbers)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::testing::{hex, reads, reads_and_writes, survives};

    fn decode(bytes: &[u8]) -> Result<Selection> {
        Selection::decode(bytes, 0)
    }

    fn encode(selection: &Selection) -> Vec<u8> {
        selection.encode().expect("fits")
    }

    fn dimension(start: u64, stride: u64, count: u64, block: u64) -> RegularDimension {
        RegularDimension { start, stride, count: Some(count), block: Some(block) }
    }

    #[test]
    fn reads_what_libhdf5_wrote() {
        let regular = |dimension| Selection::Regular(vec![dimension]);
        let rows: &[(&str, Selection)] = &[
            ("03000000 01000000 00000000 00000000", Selection::All),
            ("02000000 03000000 01 02 01000000 0100 0100 0100 0200", regular(dimension(1, 1, 1, 2))),
            ("02000000 03000000 01 02 01000000 0000 0200 0200 0100", regular(dimension(0, 2, 2, 1))),
            (
                "01000000 02000000 02 02000000 0400 0000 0000 0100 0100 0200 0200 0300 0300",
                Selection::Points(Points { rank: 2, coordinates: vec![0, 0, 1, 1, 2, 2, 3, 3] }),
            ),
            (
                "02000000 03000000 01 02 01000000 0000 0100 ffff 0100",
                regular(RegularDimension { count: None, ..dimension(0, 1, 1, 1) }),
            ),
            (
                "02000000 03000000 00 04 01000000 02000000 00000000 01000000 04000000 04000000",
                Selection::Blocks(Blocks { rank: 1, corners: vec![0, 1, 4, 4] }),
            ),
        ];
        for (bytes, expected) in rows {
            reads(&hex(bytes), expected, decode);
        }
    }

    #[test]
    fn writes_what_hdf5_1_10_reads() {
        let rows: &[(&str, Selection)] = &[
            ("00000000 01000000 0000000000000000", Selection::None),
            ("03000000 01000000 0000000000000000", Selection::All),
            (
                "01000000 01000000 00000000 18000000 02000000 02000000 01000000 02000000 03000000 04000000",
                Selection::Points(Points { rank: 2, coordinates: vec![1, 2, 3, 4] }),
            ),
            (
                "02000000 01000000 00000000 18000000 01000000 02000000 00000000 01000000 04000000 04000000",
                Selection::Blocks(Blocks { rank: 1, corners: vec![0, 1, 4, 4] }),
            ),
            (
                "02000000 02000000 01 24000000 01000000 0100000000000000 0200000000000000 ffffffffffffffff 0300000000000000",
                Selection::Regular(vec![RegularDimension { count: None, ..dimension(1, 2, 1, 3) }]),
            ),
        ];
        for (bytes, selection) in rows {
            reads_and_writes(&hex(bytes), selection, decode, encode);
        }
    }

    #[test]
    fn what_version_1_cannot_hold_is_not_written() {
        let far = Selection::Points(Points { rank: 1, coordinates: vec![1 << 32] });
        assert_eq!(far.encode(), None);
        assert_eq!(Selection::Points(Points { rank: 0, coordinates: Vec::new() }).encode(), None);
    }

    #[test]
    fn points_and_blocks_are_walked_one_by_one() {
        let points = Points { rank: 2, coordinates: vec![1, 2, 3, 4] };
        assert_eq!(points.iter().collect::<Vec<_>>(), [[1, 2], [3, 4]]);
        let blocks = Blocks { rank: 1, corners: vec![0, 1, 4, 4] };
        assert_eq!(blocks.iter().collect::<Vec<_>>(), [(&[0][..], &[1][..]), (&[4], &[4])]);
    }

    #[test]
    fn a_count_beyond_the_bytes_is_refused_before_it_is_believed() {
        let bytes = hex("01000000 02000000 08 02000000 ffffffffffffff7f 0000000000000000");
        assert!(matches!(decode(&bytes).unwrap_err().why, Why::Truncated { .. }));
        survives(&bytes, decode);
        assert!(decode(&hex("02000000 01000000 00000000 10000000 01000000 01000000 05000000 04000000")).is_err());
    }
}
