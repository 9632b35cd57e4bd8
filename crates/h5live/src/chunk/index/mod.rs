//! The six chunk indexes of version 4 layouts, and the version 1 B-tree of older ones: where is each chunk?

pub(crate) mod adopt;
pub(crate) mod btree_v1;
pub(crate) mod btree_v2;
pub(crate) mod extensible_array;
pub(crate) mod fixed_array;
mod open;
mod settle;

use h5live_format::Addr;
use h5live_format::array_element::StoredChunk;

pub(crate) use settle::{ArraySlot, UNFILTERED};

use self::btree_v1::ChunkTreeV1;
use self::btree_v2::ChunkTree;
use self::extensible_array::ExtensibleArray;
use self::fixed_array::FixedArray;
use super::grid::Grid;
use crate::error::{Error, Result};
use crate::live::layer::LiveBlock;
use crate::live::writer::Writer;
use crate::source::Source;

/// The index of one dataset. Exactly one of these.
#[derive(Debug, Clone)]
pub(crate) enum Index {
    /// Nothing is stored yet, and no index either.
    Absent,
    /// One chunk is the whole dataset.
    Single(StoredChunk),
    /// All chunks lie side by side, in the order of their numbers.
    Implicit(Addr),
    /// A fixed array.
    Fixed(FixedArray),
    /// An extensible array.
    Extensible(ExtensibleArray),
    /// A version 2 B-tree.
    Tree(ChunkTree),
    /// A version 1 B-tree, of which nothing but reading is done here.
    BTreeV1(ChunkTreeV1),
}

/// The place of one chunk in an index, and what is stored there now.
#[derive(Debug, Clone)]
pub(crate) struct Slot {
    pub(crate) stored: Option<StoredChunk>,
    place: Place,
    /// Whether a chunk the layout names may come to lie elsewhere.
    moves: bool,
}

#[derive(Debug, Clone)]
enum Place {
    Array(ArraySlot),
    Tree(Vec<u64>),
    /// The layout message itself, or an address that follows from the chunk's number.
    Given,
}

impl Slot {
    /// Whether the entry can be replaced while readers look. One that cannot already names the space to use.
    pub(crate) fn is_replaceable(&self, base: u64) -> bool {
        match &self.place {
            Place::Array(slot) => slot.is_replaceable(base),
            Place::Tree(_) => true,
            // A single chunk without filters lies where the layout says; with filters, the layout can say otherwise.
            Place::Given => self.moves,
        }
    }
}

impl Index {
    /// Where the chunk at `scaled` is stored.
    pub(crate) fn lookup(&self, source: &Source, grid: &Grid, scaled: &[u64]) -> Result<Option<StoredChunk>> {
        let number = || grid.number(scaled).ok_or_else(|| Error::unsupported("a chunk number of more than 64 bits"));
        match self {
            Self::Absent => Ok(None),
            Self::Single(chunk) => Ok(scaled.iter().all(|at| *at == 0).then_some(*chunk)),
            Self::Implicit(start) => Ok(Some(implicit(*start, grid, number()?)?)),
            Self::Fixed(array) => array.lookup(source, number()?),
            Self::Extensible(array) => array.lookup(source, number()?),
            Self::Tree(tree) => tree.lookup(source, scaled),
            Self::BTreeV1(tree) => tree.lookup(source, scaled),
        }
    }

    /// Every stored chunk that touches `dims`, in the order of the index.
    pub(crate) fn each(
        &self,
        source: &Source,
        grid: &Grid,
        dims: &[u64],
        mut visit: impl FnMut(&[u64], StoredChunk) -> Result<()>,
    ) -> Result<()> {
        let mut inside = |scaled: &[u64], chunk| if grid.touches(scaled, dims) { visit(scaled, chunk) } else { Ok(()) };
        let last: Vec<u64> = grid.counts(dims).iter().map(|count| count.saturating_sub(1)).collect();
        let end = grid.number(&last).unwrap_or(u64::MAX).saturating_add(1);
        match self {
            Self::Absent => Ok(()),
            Self::Single(chunk) => inside(&vec![0; grid.rank()], *chunk),
            Self::Implicit(start) => {
                for number in 0..end {
                    inside(&grid.scaled(number), implicit(*start, grid, number)?)?;
                }
                Ok(())
            }
            Self::Fixed(array) => array.each(source, end, |number, chunk| inside(&grid.scaled(number), chunk)),
            Self::Extensible(array) => array.each(source, end, |number, chunk| inside(&grid.scaled(number), chunk)),
            Self::Tree(tree) => tree.each(source, inside),
            Self::BTreeV1(tree) => tree.each(source, inside),
        }
    }

    /// Makes room for the chunk at `scaled`.
    pub(crate) fn slot(&mut self, writer: &mut Writer, grid: &Grid, scaled: &[u64]) -> Result<Slot> {
        let number = || grid.number(scaled).ok_or_else(|| Error::unsupported("a chunk number of more than 64 bits"));
        let array = |slot: ArraySlot| Slot { stored: slot.stored(), place: Place::Array(slot), moves: true };
        match self {
            Self::Fixed(index) => index.slot(writer, grid, number()?).map(array),
            Self::Extensible(index) => index.slot(writer, grid, number()?).map(array),
            Self::Tree(index) => {
                let stored = index.lookup(&writer.source(), scaled)?;
                Ok(Slot { stored, place: Place::Tree(scaled.to_vec()), moves: true })
            }
            Self::Absent | Self::Single(_) | Self::Implicit(_) | Self::BTreeV1(_) => {
                let stored = self.lookup(&writer.source(), grid, scaled)?;
                let moves = matches!(self, Self::Absent | Self::Single(_));
                Ok(Slot { stored, place: Place::Given, moves })
            }
        }
    }

    /// Enters `chunk`, or takes the entry out. Not for slots that say they cannot be replaced, unless they are still fresh.
    pub(crate) fn enter(&mut self, writer: &mut Writer, slot: &Slot, chunk: Option<StoredChunk>) -> Result<()> {
        match (self, &slot.place) {
            (Self::Fixed(index), Place::Array(slot)) => slot.enter(writer, index.form(), LiveBlock::FixedArray, chunk),
            (Self::Extensible(index), Place::Array(slot)) => {
                slot.enter(writer, index.form(), LiveBlock::ExtensibleArray, chunk)
            }
            (Self::Tree(index), Place::Tree(scaled)) => {
                index.enter(scaled, chunk);
                Ok(())
            }
            // The layout message names the only chunk: whoever has that message writes it.
            (index @ (Self::Absent | Self::Single(_)), Place::Given) => {
                *index = chunk.map_or(Self::Absent, Self::Single);
                Ok(())
            }
            _ => Err(Error::unsupported("entering a chunk in an index that has no entries")),
        }
    }

    /// Completes what was entered: to be called before a publication.
    pub(crate) fn settle(&mut self, writer: &mut Writer) -> Result<()> {
        if let Self::Tree(tree) = self {
            let replaced = tree.settle(writer)?;
            writer.supersede(replaced);
        }
        Ok(())
    }
}

fn implicit(start: Addr, grid: &Grid, number: u64) -> Result<StoredChunk> {
    let addr = number.checked_mul(grid.chunk_bytes).and_then(|offset| start.checked_add(offset));
    let addr = addr.ok_or_else(|| Error::unsupported("a chunk address of more than 64 bits"))?;
    Ok(StoredChunk { addr, size: grid.chunk_bytes, filter_mask: 0 })
}
