//! Chunks in a version 2 B-tree: found, and entered by copying the path that changes.
//!
//! A parent stores the record counts of its children, so no record can change in place. Entered chunks are therefore
//! kept aside until the publication: then one new path (or several) is written to fresh space, and the header is turned
//! to it. The nodes that were replaced stay as they are for those who still read them.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use h5live_format::Addr;
use h5live_format::array_element::{ElementForm, StoredChunk};
use h5live_format::btree_v2::{ChunkForm, ChunkRecord, Editor, Header, Tree};

use crate::error::Result;
use crate::live::layer::LiveBlock;
use crate::live::space::Placement;
use crate::live::writer::Writer;
use crate::source::{Look, Source};

/// Bytes of a node; what libhdf5 takes.
pub(crate) const NODE_SIZE: u32 = 2048;

const WHAT: &str = "version 2 B-tree node";

/// A version 2 B-tree that indexes chunks.
#[derive(Debug, Clone)]
pub(crate) struct ChunkTree {
    at: Addr,
    tree: Tree<ChunkRecord>,
    look: Look,
    /// Entered since the last publication; `None` where a chunk was taken out.
    entered: BTreeMap<Vec<u64>, Option<StoredChunk>>,
}

impl ChunkTree {
    /// Opens the tree whose header lies at `at`.
    pub(crate) fn open(source: &Source, at: Addr, form: ChunkForm) -> Result<Self> {
        let widths = source.widths();
        let header = source
            .block("version 2 B-tree header", at, Header::size(widths), |bytes| Header::decode(bytes, at.0, widths))?;
        let tree = Tree::new(header, at.0, widths, form)?;
        Ok(Self { at, tree, look: source.look(), entered: BTreeMap::new() })
    }

    /// Where the chunk at `scaled` is stored.
    pub(crate) fn lookup(&self, source: &Source, scaled: &[u64]) -> Result<Option<StoredChunk>> {
        if let Some(entered) = self.entered.get(scaled) {
            return Ok(*entered);
        }
        let found = self.tree.find_in(
            |child, depth| {
                let said = u64::from(depth) << 16 | u64::from(child.records);
                source.node((self.look, said), child.addr, || {
                    let len = self.tree.layout().used_size(depth, child.records);
                    Ok((self.tree.node(child, depth, |addr, len| source.bytes(WHAT, addr, len))?, len))
                })
            },
            |record| Ok::<Ordering, crate::Error>(record.scaled.as_slice().cmp(scaled)),
        )?;
        Ok(found.map(|record| record.chunk))
    }

    /// Every stored chunk, in row-major order of chunks; what was entered since the last publication is left out.
    pub(crate) fn each(&self, source: &Source, mut visit: impl FnMut(&[u64], StoredChunk) -> Result<()>) -> Result<()> {
        self.tree.for_each(|addr, len| source.bytes(WHAT, addr, len), |record| visit(&record.scaled, record.chunk))
    }

    /// Plans a new, empty tree.
    pub(crate) fn create(writer: &mut Writer, element: ElementForm, rank: u8) -> Result<Self> {
        let widths = writer.widths();
        let form = ChunkForm { element, rank };
        let header = Header::empty::<ChunkRecord>(form, NODE_SIZE);
        let at = writer.reserve(Header::size(widths), Placement::InPage)?;
        writer.fresh(at, header.encode(widths))?;
        let tree = Tree::new(header, at.0, widths, form)?;
        Ok(Self { at, tree, look: Look::PASSING, entered: BTreeMap::new() })
    }

    /// Address of the header.
    pub(crate) fn at(&self) -> Addr {
        self.at
    }

    /// Bytes of a node, and the percentages at which nodes are split and merged.
    pub(crate) fn shape(&self) -> (u32, u8, u8) {
        let header = self.tree.header();
        (header.node_size, header.split_percent, header.merge_percent)
    }

    /// Enters a chunk, or takes it out, at the next [`ChunkTree::settle`].
    pub(crate) fn enter(&mut self, scaled: &[u64], chunk: Option<StoredChunk>) {
        self.entered.insert(scaled.to_vec(), chunk);
    }

    /// Plans the new paths and the header that leads to them. Returns the bytes of nodes that were replaced.
    pub(crate) fn settle(&mut self, writer: &mut Writer) -> Result<u64> {
        if self.entered.is_empty() {
            return Ok(0);
        }
        let source = writer.source();
        let mut editor = Editor::new(self.tree.clone());
        for (scaled, chunk) in &self.entered {
            let read = |addr, len| source.bytes(WHAT, addr, len);
            let compare = |record: &ChunkRecord| Ok::<Ordering, crate::Error>(record.scaled.cmp(scaled));
            match chunk {
                Some(chunk) => {
                    let record = ChunkRecord { chunk: *chunk, scaled: scaled.clone() };
                    drop(editor.put(record, read, compare)?);
                }
                None => drop(editor.remove(read, compare)?),
            }
        }
        let mut room = Ok(());
        let edited = editor.finish(|len| {
            writer.reserve(len, Placement::Anywhere).unwrap_or_else(|error| {
                room = Err(error);
                Addr(u64::MAX - 1)
            })
        });
        room?;
        for (addr, bytes) in edited.nodes {
            writer.fresh(addr, bytes)?;
        }
        let widths = writer.widths();
        let header = edited.header.encode(widths);
        let body = header.len() - 4;
        writer.edit(LiveBlock::ChunkTreeHeader, self.at, header.len(), |image| {
            image.copy_from_slice(&header[..body]);
            Some(Header::DEPTH_OFFSET as usize)
        })?;
        self.tree = Tree::new(edited.header, self.at.0, widths, self.tree.form())?;
        self.entered.clear();
        Ok(edited.superseded.iter().map(|(_, len)| len).sum())
    }
}
