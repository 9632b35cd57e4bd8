//! An object header as a whole: all its chunks read, each message with the place it has.

use h5live_format::Addr;
use h5live_format::message::Continuation;
use h5live_format::object_header::{HeaderChunk, HeaderSettings, MessageFlags, MessageType, ObjectHeaderPrefix};

use crate::error::{Error, Result};
use crate::source::Source;

/// Continuation blocks followed at most: more than any writer makes, few enough to end a cycle soon.
const MOST_CHUNKS: usize = 4096;
/// Bytes of all chunks together at most.
const MOST_BYTES: u64 = 64 << 20;

/// An object header.
#[derive(Debug, Clone)]
pub(crate) struct ObjectHeader {
    /// Where it starts.
    pub(crate) addr: Addr,
    pub(crate) prefix: ObjectHeaderPrefix,
    /// Chunk 0 and the continuation blocks, in the order they are named.
    pub(crate) chunks: Vec<Chunk>,
    /// All messages but NIL and continuation, in file order.
    pub(crate) messages: Vec<Message>,
    /// Room for more: the NIL messages.
    pub(crate) gaps: Vec<Gap>,
}

/// A contiguous part of the header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Chunk {
    pub(crate) addr: Addr,
    /// Bytes, checksum included.
    pub(crate) size: u64,
}

/// A message, with its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Message {
    pub(crate) kind: MessageType,
    pub(crate) flags: MessageFlags,
    pub(crate) creation_order: Option<u16>,
    pub(crate) body: Vec<u8>,
    /// Which of the chunks it is in.
    pub(crate) chunk: usize,
    /// Where its own header starts in the chunk.
    pub(crate) start: usize,
    /// Where its body starts in the chunk.
    pub(crate) body_start: usize,
}

/// A NIL message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Gap {
    pub(crate) chunk: usize,
    /// Where its own header starts in the chunk.
    pub(crate) start: usize,
    /// Bytes with its own header.
    pub(crate) size: usize,
}

impl ObjectHeader {
    /// Reads the header at `addr`, all of it again if one chunk looks torn: chunks are only right together.
    pub(crate) fn read(source: &Source, addr: Addr) -> Result<Self> {
        source.patiently(|| Self::read_once(source, addr))
    }

    fn read_once(source: &Source, addr: Addr) -> Result<Self> {
        const WHAT: &str = "object header";
        // Most headers are smaller than this, so that one read is enough.
        let mut first = source.bytes_at_hand(WHAT, addr, ObjectHeaderPrefix::MAX_SIZE as u64, 512)?;
        let prefix = ObjectHeaderPrefix::decode(&first, addr.0)?;
        let size = prefix.first_chunk_size();
        if size > first.len() as u64 {
            first = source.bytes(WHAT, addr, size)?;
        }
        let mut header =
            Self { addr, prefix, chunks: vec![Chunk { addr, size }], messages: Vec::new(), gaps: Vec::new() };
        let mut waiting = Vec::new();
        header.take(&prefix.first_chunk(&first, addr.0)?, source, &mut waiting)?;
        let mut next = 0;
        let mut total = size;
        while let Some(block) = waiting.get(next).copied() {
            next += 1;
            total = total.saturating_add(block.size);
            if next > MOST_CHUNKS || total > MOST_BYTES {
                return Err(Error::unsupported("an object header with more continuation blocks than any has"));
            }
            if header.chunks.contains(&block) {
                return Err(Error::unsupported("an object header whose continuation leads back to itself"));
            }
            header.chunks.push(block);
            let bytes = source.bytes("object header continuation block", block.addr, block.size)?;
            header.take(&prefix.continuation(&bytes, block.addr.0)?, source, &mut waiting)?;
        }
        Ok(header)
    }

    /// Adds the messages of the chunk read last.
    fn take(&mut self, chunk: &HeaderChunk<'_>, source: &Source, waiting: &mut Vec<Chunk>) -> Result<()> {
        let number = self.chunks.len() - 1;
        for raw in &chunk.messages {
            match raw.kind {
                MessageType::NIL => {
                    self.gaps.push(Gap { chunk: number, start: raw.start, size: raw.end() - raw.start });
                }
                MessageType::CONTINUATION => {
                    let at = self.chunks[number].addr.0 + raw.body_start as u64;
                    let named = Continuation::decode(raw.body, at, source.widths())?;
                    waiting.push(Chunk { addr: named.addr, size: named.size });
                }
                kind => self.messages.push(Message {
                    kind,
                    flags: raw.flags,
                    creation_order: raw.creation_order,
                    body: raw.body.to_vec(),
                    chunk: number,
                    start: raw.start,
                    body_start: raw.body_start,
                }),
            }
        }
        Ok(())
    }

    /// What holds for a version 2 header as a whole; `None` for version 1.
    pub(crate) fn settings(&self) -> Option<&HeaderSettings> {
        match &self.prefix {
            ObjectHeaderPrefix::V2 { settings, .. } => Some(settings),
            ObjectHeaderPrefix::V1 { .. } => None,
        }
    }

    /// The first message of a kind.
    pub(crate) fn find(&self, kind: MessageType) -> Option<&Message> {
        self.messages.iter().find(|message| message.kind == kind)
    }

    /// All messages of a kind.
    pub(crate) fn all(&self, kind: MessageType) -> impl Iterator<Item = &Message> {
        self.messages.iter().filter(move |message| message.kind == kind)
    }

    /// The file address of a message's body.
    pub(crate) fn body_addr(&self, message: &Message) -> Addr {
        Addr(self.chunks[message.chunk].addr.0 + message.body_start as u64)
    }
}
