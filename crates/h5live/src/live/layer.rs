//! The order in which a publication reaches the file. Declaration order *is* the protocol: see `docs/live.md`.

/// What a write may rely on: everything of the layers above it is in the file before it begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Layer {
    /// Space that nothing names yet.
    Fresh,
    /// The superblock's end-of-file: before anything above the old one is named.
    EndOfFile,
    /// Where chunks and heap objects are: what the extent or a name will count on.
    Index,
    /// What makes things visible: extents, links, attributes, the roots of name indexes.
    Extent,
    /// Tidying that nobody waits for: names that something else has by now.
    Sweep,
    /// The live trailer: tells followers that all of the above is there.
    Commit,
}

impl Layer {
    /// Every layer, in the order of the protocol.
    pub(crate) const ALL: [Self; 6] =
        [Self::Fresh, Self::EndOfFile, Self::Index, Self::Extent, Self::Sweep, Self::Commit];
}

/// A structure that carries its own checksum and may therefore be replaced while readers look. Each states its layer;
/// whatever is not in this list is written once, to fresh space.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LiveBlock {
    /// Superblock (II.A).
    Superblock,
    /// Version 2 object header: the prefix with chunk 0, or a continuation chunk (IV.A.1.b).
    ObjectHeaderChunk,
    /// Version 2 object header chunk that loses a link which another group has.
    SupersededMessages,
    /// Extensible array header, index block, unpaged data block, or one page of a data block (VII.D).
    ExtensibleArray,
    /// Fixed array header, unpaged data block, the paged data block's own part, or one page (VII.C).
    FixedArray,
    /// Header of a version 2 B-tree that indexes chunks or huge heap objects (III.A.2).
    ChunkTreeHeader,
    /// Header of a version 2 B-tree that indexes names: the names appear with it.
    NameTreeHeader,
    /// Header of a version 2 B-tree that loses only names which something else has replaced.
    SupersededNames,
    /// Fractal heap header or indirect block (III.G).
    FractalHeap,
}

impl LiveBlock {
    /// The layer in which a changed block of this kind is written.
    pub(crate) const fn layer(self) -> Layer {
        match self {
            Self::Superblock => Layer::EndOfFile,
            Self::ExtensibleArray | Self::FixedArray | Self::ChunkTreeHeader | Self::FractalHeap => Layer::Index,
            Self::ObjectHeaderChunk | Self::NameTreeHeader => Layer::Extent,
            Self::SupersededMessages | Self::SupersededNames => Layer::Sweep,
        }
    }

    /// The structure, in the specification's words.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Superblock => "superblock",
            Self::ObjectHeaderChunk | Self::SupersededMessages => "object header chunk",
            Self::ExtensibleArray => "extensible array block",
            Self::FixedArray => "fixed array block",
            Self::ChunkTreeHeader | Self::NameTreeHeader | Self::SupersededNames => "version 2 B-tree header",
            Self::FractalHeap => "fractal heap block",
        }
    }
}
