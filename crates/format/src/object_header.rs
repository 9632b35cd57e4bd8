//! Object headers: the prefix, and the chunks of messages (specification IV.A.1, both versions).
//!
//! A header is read in three steps: [`ObjectHeaderPrefix::decode`] tells from the first few bytes how long the first
//! chunk is;
//! [`ObjectHeaderPrefix::first_chunk`] splits it into [`RawMessage`]s; each continuation message among them names a
//! block for [`ObjectHeaderPrefix::continuation`]. Only version 2 is written, by [`HeaderSettings`].

use std::fmt;

use crate::message::PhaseChange;
use crate::{Cursor, Malformed, Put, Result, Why};

/// What an object header says before its first message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ObjectHeaderPrefix {
    /// Version 1: padded to multiples of eight bytes, no checksum.
    V1 {
        /// Messages in all chunks together.
        message_count: u16,
        /// Hard links to the object.
        reference_count: u32,
        /// Bytes of messages in the first chunk.
        chunk_size: u32,
    },
    /// Version 2: packed, checksummed.
    V2 {
        /// What holds for the header as a whole.
        settings: HeaderSettings,
        /// Bytes of messages (and gap) in the first chunk, without its checksum.
        chunk_size: u64,
        /// Bytes of the field that holds `chunk_size`: 1, 2, 4 or 8.
        chunk_size_width: u8,
    },
}

/// What holds for a version 2 object header as a whole, all its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct HeaderSettings {
    /// The object's times, if it keeps them.
    pub times: Option<Times>,
    /// Whether attributes remember the order they were created in.
    pub attribute_order: AttributeOrder,
    /// When attributes move between compact and dense storage, if that is not the default of 8 and 6.
    pub attribute_phase_change: Option<PhaseChange>,
}

/// Whether the attributes of an object remember the order they were created in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum AttributeOrder {
    /// They do not.
    #[default]
    Untracked,
    /// Every message stores its creation order.
    Tracked,
    /// In addition, dense storage has an index by creation order.
    Indexed,
}

/// Four times in seconds since 1970, UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Times {
    /// Last read or write of the raw data.
    pub access: u32,
    /// Last write of the raw data.
    pub modification: u32,
    /// Last change of the metadata.
    pub change: u32,
    /// Creation.
    pub birth: u32,
}

/// One chunk of an object header, split into messages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeaderChunk<'a> {
    /// The messages, NIL ones included, in file order.
    pub messages: Vec<RawMessage<'a>>,
    /// Bytes at the end (before the checksum) that are too few for a message.
    pub gap: usize,
}

/// A message as it lies in its chunk, not decoded yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RawMessage<'a> {
    /// Its type.
    pub kind: MessageType,
    /// Its flags.
    pub flags: MessageFlags,
    /// Its creation order, where the header tracks that.
    pub creation_order: Option<u16>,
    /// Where its own header starts: bytes from the start of the chunk (of the "OHDR", "OCHK" or version 1 structure).
    pub start: usize,
    /// Where its body starts, likewise.
    pub body_start: usize,
    /// Its body. Version 1 headers pad bodies to multiples of eight bytes.
    pub body: &'a [u8],
}

impl RawMessage<'_> {
    /// The first position after the body: bytes from the start of the chunk.
    #[must_use]
    pub fn end(&self) -> usize {
        self.body_start + self.body.len()
    }
}

/// A message to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeaderMessage {
    /// Its type.
    pub kind: MessageType,
    /// Its flags.
    pub flags: MessageFlags,
    /// Its creation order; written only where the header tracks that.
    pub creation_order: u16,
    /// Its body, of at most [`HeaderMessage::MAX_BODY`] bytes.
    pub body: Vec<u8>,
}

impl HeaderMessage {
    /// The most bytes a body can have.
    pub const MAX_BODY: usize = u16::MAX as usize;

    /// A message with creation order 0.
    #[must_use]
    pub fn new(kind: MessageType, flags: MessageFlags, body: Vec<u8>) -> Self {
        Self { kind, flags, creation_order: 0, body }
    }
}

/// Number of a header message type. Unknown ones are kept.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MessageType(pub u16);

macro_rules! message_types {
    ($($(#[$doc:meta])* $name:ident = $value:literal, $text:literal;)*) => {
        impl MessageType {
            $($(#[$doc])* pub const $name: Self = Self($value);)*

            /// The specification's name for it; `None` if it has none.
            #[must_use]
            pub fn name(self) -> Option<&'static str> {
                match self { $(Self::$name => Some($text),)* _ => None }
            }
        }
    };
}

message_types! {
    /// Free space.
    NIL = 0x00, "NIL";
    /// Dimensions.
    DATASPACE = 0x01, "dataspace";
    /// How a new-style group stores its links.
    LINK_INFO = 0x02, "link info";
    /// Datatype.
    DATATYPE = 0x03, "datatype";
    /// Fill value as before version 1.6.
    FILL_VALUE_OLD = 0x04, "fill value (old)";
    /// Fill value.
    FILL_VALUE = 0x05, "fill value";
    /// One link.
    LINK = 0x06, "link";
    /// External raw data files.
    EXTERNAL_FILES = 0x07, "external data files";
    /// Where the raw data lie.
    DATA_LAYOUT = 0x08, "data layout";
    /// For libhdf5's own tests.
    BOGUS = 0x09, "bogus";
    /// Constants of a new-style group.
    GROUP_INFO = 0x0a, "group info";
    /// Filters of the raw data.
    FILTER_PIPELINE = 0x0b, "filter pipeline";
    /// One attribute.
    ATTRIBUTE = 0x0c, "attribute";
    /// A comment.
    COMMENT = 0x0d, "object comment";
    /// Modification time as text.
    MODIFICATION_TIME_OLD = 0x0e, "object modification time (old)";
    /// The table of shared messages (superblock extension).
    SHARED_MESSAGE_TABLE = 0x0f, "shared message table";
    /// Where the header goes on.
    CONTINUATION = 0x10, "object header continuation";
    /// B-tree and heap of an old-style group.
    SYMBOL_TABLE = 0x11, "symbol table";
    /// Modification time.
    MODIFICATION_TIME = 0x12, "object modification time";
    /// K values of version 1 B-trees (superblock extension).
    BTREE_K = 0x13, "B-tree K values";
    /// What a file driver needs (superblock extension).
    DRIVER_INFO = 0x14, "driver info";
    /// How the object stores its attributes.
    ATTRIBUTE_INFO = 0x15, "attribute info";
    /// Number of hard links.
    REFERENCE_COUNT = 0x16, "object reference count";
    /// Free-space managers (superblock extension).
    FILE_SPACE_INFO = 0x17, "file space info";
    /// The metadata cache image (superblock extension).
    METADATA_CACHE_IMAGE = 0x18, "metadata cache image";
}

impl fmt::Display for MessageType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name),
            None => write!(f, "message type {:#06x}", self.0),
        }
    }
}

impl fmt::Debug for MessageType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Flags of a header message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct MessageFlags(pub u8);

impl MessageFlags {
    /// No flag.
    pub const NONE: Self = Self(0);
    /// The message does not change once written.
    pub const CONSTANT: Self = Self(0x01);
    /// The body is a [`SharedMessage`](crate::message::SharedMessage) that says where the real one is.
    pub const SHARED: Self = Self(0x02);
    /// The message should not be shared.
    pub const DO_NOT_SHARE: Self = Self(0x04);
    /// Who writes to the file and does not know the message must not open the object.
    pub const FAIL_IF_UNKNOWN_ON_WRITE: Self = Self(0x08);
    /// Who changes the object and does not know the message sets [`Self::WAS_UNKNOWN`].
    pub const MARK_IF_UNKNOWN: Self = Self(0x10);
    /// The object was changed by someone who did not know the message.
    pub const WAS_UNKNOWN: Self = Self(0x20);
    /// The message may be shared.
    pub const SHAREABLE: Self = Self(0x40);
    /// Who does not know the message must not open the object.
    pub const FAIL_IF_UNKNOWN: Self = Self(0x80);

    /// Whether all of `flags` are set.
    #[must_use]
    pub fn contains(self, flags: Self) -> bool {
        self.0 & flags.0 == flags.0
    }
}

impl std::ops::BitOr for MessageFlags {
    type Output = Self;
    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

const WHAT: &str = "object header";
const WHAT_CONTINUATION: &str = "object header continuation block";
const SIGNATURE: &str = "OHDR";
const CONTINUATION_SIGNATURE: &str = "OCHK";
const CHECKSUM_SIZE: usize = 4;
const V1_PREFIX_SIZE: usize = 16;
const V1_MESSAGE_HEADER: usize = 8;

const FLAG_SIZE_WIDTH: u8 = 0x03;
const FLAG_ORDER_TRACKED: u8 = 0x04;
const FLAG_ORDER_INDEXED: u8 = 0x08;
const FLAG_PHASE_CHANGE: u8 = 0x10;
const FLAG_TIMES: u8 = 0x20;

impl ObjectHeaderPrefix {
    /// The most bytes a prefix takes: read this many (or up to the end of the file) to decode any.
    pub const MAX_SIZE: usize = 4 + 1 + 1 + 16 + 4 + 8;

    /// Decodes the prefix of the header at address `at`; `bytes` may hold more or, past the prefix, less than the
    /// header.
    ///
    /// # Errors
    /// The signature or version is unknown, or the bytes end early. The checksum is only looked at with the chunk.
    pub fn decode(bytes: &[u8], at: u64) -> Result<Self> {
        let mut cursor = Cursor::new(WHAT, at, bytes);
        // Version 1 has no signature, and its first byte is the version: no "O".
        if bytes.first() == Some(&1) {
            return Self::decode_v1(&mut cursor);
        }
        cursor.signature(SIGNATURE)?;
        match cursor.u8("version")? {
            2 => Self::decode_v2(&mut cursor),
            other => Err(cursor.error(Why::Version(other))),
        }
    }

    fn decode_v1(cursor: &mut Cursor<'_>) -> Result<Self> {
        cursor.skip("version", 1)?;
        cursor.skip("reserved", 1)?;
        let message_count = cursor.u16("number of messages")?;
        let reference_count = cursor.u32("object reference count")?;
        let chunk_size = cursor.u32("object header size")?;
        cursor.skip("alignment", 4)?;
        Ok(Self::V1 { message_count, reference_count, chunk_size })
    }

    fn decode_v2(cursor: &mut Cursor<'_>) -> Result<Self> {
        let flags = cursor.u8("flags")?;
        let times = match flags & FLAG_TIMES {
            0 => None,
            _ => Some(Times {
                access: cursor.u32("access time")?,
                modification: cursor.u32("modification time")?,
                change: cursor.u32("change time")?,
                birth: cursor.u32("birth time")?,
            }),
        };
        let attribute_phase_change = match flags & FLAG_PHASE_CHANGE {
            0 => None,
            _ => Some(PhaseChange {
                max_compact: cursor.u16("maximum number of compact attributes")?,
                min_dense: cursor.u16("minimum number of dense attributes")?,
            }),
        };
        let attribute_order = match (flags & FLAG_ORDER_TRACKED != 0, flags & FLAG_ORDER_INDEXED != 0) {
            (false, false) => AttributeOrder::Untracked,
            (true, false) => AttributeOrder::Tracked,
            (true, true) => AttributeOrder::Indexed,
            (false, true) => {
                return Err(cursor.bad_value("flags", flags.into(), "indexes the creation order without tracking it"));
            }
        };
        let chunk_size_width = 1 << (flags & FLAG_SIZE_WIDTH);
        let chunk_size = cursor.uint("size of chunk #0", usize::from(chunk_size_width))?;
        let settings = HeaderSettings { times, attribute_order, attribute_phase_change };
        Ok(Self::V2 { settings, chunk_size, chunk_size_width })
    }

    /// Bytes from the start of the header to its first message.
    #[must_use]
    pub fn messages_start(&self) -> usize {
        match self {
            Self::V1 { .. } => V1_PREFIX_SIZE,
            Self::V2 { settings, chunk_size_width, .. } => {
                settings.fixed_prefix_size() + usize::from(*chunk_size_width)
            }
        }
    }

    /// Bytes from the start of the header to the end of its first chunk, checksum included: what
    /// [`first_chunk`](Self::first_chunk) needs. Unchecked against the file's size.
    #[must_use]
    pub fn first_chunk_size(&self) -> u64 {
        let start = self.messages_start() as u64;
        match self {
            Self::V1 { chunk_size, .. } => start + u64::from(*chunk_size),
            Self::V2 { chunk_size, .. } => start.saturating_add(*chunk_size).saturating_add(CHECKSUM_SIZE as u64),
        }
    }

    /// Splits the first chunk into messages. `bytes` are those of the whole header, from the prefix on, which lies at
    /// `at`.
    ///
    /// # Errors
    /// The bytes end early, the checksum is wrong or a message reaches beyond the chunk.
    pub fn first_chunk<'a>(&self, bytes: &'a [u8], at: u64) -> Result<HeaderChunk<'a>> {
        let cursor = Cursor::new(WHAT, at, bytes);
        let needed = self.first_chunk_size();
        let chunk = usize::try_from(needed)
            .ok()
            .and_then(|size| bytes.get(..size))
            .ok_or_else(|| cursor.error(Why::Truncated { field: "chunk #0", needed, left: bytes.len() as u64 }))?;
        self.split(WHAT, chunk, at, self.messages_start())
    }

    /// Splits a continuation block into messages. `bytes` are exactly those the continuation message names, at `at`.
    ///
    /// # Errors
    /// The signature or checksum is wrong, or a message reaches beyond the block.
    pub fn continuation<'a>(&self, bytes: &'a [u8], at: u64) -> Result<HeaderChunk<'a>> {
        match self {
            Self::V1 { .. } => self.split(WHAT_CONTINUATION, bytes, at, 0),
            Self::V2 { .. } => {
                let mut cursor = Cursor::new(WHAT_CONTINUATION, at, bytes);
                cursor.signature(CONTINUATION_SIGNATURE)?;
                self.split(WHAT_CONTINUATION, bytes, at, CONTINUATION_SIGNATURE.len())
            }
        }
    }

    /// Messages of one chunk, which starts at `bytes` and whose first message starts `start` bytes later.
    fn split<'a>(&self, what: &'static str, bytes: &'a [u8], at: u64, start: usize) -> Result<HeaderChunk<'a>> {
        let messages = match self {
            Self::V1 { .. } => bytes,
            Self::V2 { .. } => checked_body(what, bytes, at)?,
        };
        let mut cursor = Cursor::new(what, at, messages);
        cursor.skip("prefix", start)?;
        let least = self.message_header_size();
        let mut found = Vec::new();
        while cursor.left() >= least {
            found.push(self.read_message(&mut cursor)?);
        }
        Ok(HeaderChunk { messages: found, gap: cursor.left() })
    }

    fn read_message<'a>(&self, cursor: &mut Cursor<'a>) -> Result<RawMessage<'a>> {
        let start = cursor.position();
        let (kind, size, flags, creation_order) = match self {
            Self::V1 { .. } => {
                let kind = cursor.u16("message type")?;
                let size = cursor.u16("message size")?;
                let flags = cursor.u8("message flags")?;
                cursor.skip("reserved", 3)?;
                (kind, size, flags, None)
            }
            Self::V2 { settings, .. } => {
                let kind = cursor.u8("message type")?;
                let size = cursor.u16("message size")?;
                let flags = cursor.u8("message flags")?;
                let order = match settings.attribute_order {
                    AttributeOrder::Untracked => None,
                    _ => Some(cursor.u16("message creation order")?),
                };
                (kind.into(), size, flags, order)
            }
        };
        let body_start = cursor.position();
        let body = cursor.take("message body", size.into())?;
        let (kind, flags) = (MessageType(kind), MessageFlags(flags));
        Ok(RawMessage { kind, flags, creation_order, start, body_start, body })
    }

    fn message_header_size(&self) -> usize {
        match self {
            Self::V1 { .. } => V1_MESSAGE_HEADER,
            Self::V2 { settings, .. } => settings.message_header_size(),
        }
    }
}

/// All of `bytes` but the checksum at their end, which must be right.
fn checked_body<'a>(what: &'static str, bytes: &'a [u8], at: u64) -> Result<&'a [u8]> {
    let mut cursor = Cursor::new(what, at, bytes);
    let Some(length) = bytes.len().checked_sub(CHECKSUM_SIZE) else {
        return Err(too_short(&cursor, bytes.len()));
    };
    let body = cursor.take("messages", length)?;
    cursor.checksum()?;
    Ok(body)
}

fn too_short(cursor: &Cursor<'_>, left: usize) -> Malformed {
    cursor.error(Why::Truncated { field: "checksum", needed: CHECKSUM_SIZE as u64, left: left as u64 })
}

impl HeaderSettings {
    /// Bytes in front of a message's body.
    #[must_use]
    pub fn message_header_size(&self) -> usize {
        match self.attribute_order {
            AttributeOrder::Untracked => 4,
            AttributeOrder::Tracked | AttributeOrder::Indexed => 6,
        }
    }

    /// Bytes that `messages` take together, their headers included.
    #[must_use]
    pub fn messages_size(&self, messages: &[HeaderMessage]) -> usize {
        messages.iter().map(|message| self.message_header_size() + message.body.len()).sum()
    }

    /// Bytes of a header whose first chunk holds `messages_size` bytes of messages: prefix and checksum included.
    #[must_use]
    pub fn first_chunk_size(&self, messages_size: usize) -> usize {
        let (_, width) = size_width(messages_size);
        self.fixed_prefix_size() + width + messages_size + CHECKSUM_SIZE
    }

    /// Bytes of a continuation block with `messages_size` bytes of messages: signature and checksum included.
    #[must_use]
    pub fn continuation_size(&self, messages_size: usize) -> usize {
        CONTINUATION_SIGNATURE.len() + messages_size + CHECKSUM_SIZE
    }

    /// A NIL message that takes `size` bytes with its own header: room for messages to come. `None` if there is no
    /// message of that size: fewer bytes than its header, or more than one body can have.
    #[must_use]
    pub fn filler(&self, size: usize) -> Option<HeaderMessage> {
        let body = size.checked_sub(self.message_header_size()).filter(|body| *body <= HeaderMessage::MAX_BODY)?;
        Some(HeaderMessage::new(MessageType::NIL, MessageFlags::NONE, vec![0; body]))
    }

    /// The bytes of an object header with `messages`, in order, as its first chunk.
    ///
    /// # Panics
    /// A body is larger than [`HeaderMessage::MAX_BODY`], or a type above 255: the caller's mistake.
    #[must_use]
    pub fn encode_first_chunk(&self, messages: &[HeaderMessage]) -> Vec<u8> {
        let size = self.messages_size(messages);
        let (width_flag, width) = size_width(size);
        let mut out = Vec::with_capacity(self.first_chunk_size(size));
        out.extend_from_slice(SIGNATURE.as_bytes());
        out.put_u8(2);
        out.put_u8(self.flags() | width_flag);
        if let Some(times) = self.times {
            for time in [times.access, times.modification, times.change, times.birth] {
                out.put_u32(time);
            }
        }
        if let Some(phase_change) = self.attribute_phase_change {
            out.put_u16(phase_change.max_compact);
            out.put_u16(phase_change.min_dense);
        }
        out.put_uint(size as u64, width);
        self.put_messages(&mut out, messages);
        out.put_checksum_from(0);
        out
    }

    /// The bytes of a continuation block with `messages`, in order.
    ///
    /// # Panics
    /// As [`encode_first_chunk`](Self::encode_first_chunk).
    #[must_use]
    pub fn encode_continuation(&self, messages: &[HeaderMessage]) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.continuation_size(self.messages_size(messages)));
        out.extend_from_slice(CONTINUATION_SIGNATURE.as_bytes());
        self.put_messages(&mut out, messages);
        out.put_checksum_from(0);
        out
    }

    fn put_messages(&self, out: &mut Vec<u8>, messages: &[HeaderMessage]) {
        for message in messages {
            assert!(message.body.len() <= HeaderMessage::MAX_BODY, "{} message of more than 65535 bytes", message.kind);
            assert!(message.kind.0 <= u16::from(u8::MAX), "{} in a version 2 object header", message.kind);
            out.put_u8(message.kind.0 as u8);
            out.put_u16(message.body.len() as u16);
            out.put_u8(message.flags.0);
            if self.attribute_order != AttributeOrder::Untracked {
                out.put_u16(message.creation_order);
            }
            out.extend_from_slice(&message.body);
        }
    }

    fn flags(&self) -> u8 {
        let order = match self.attribute_order {
            AttributeOrder::Untracked => 0,
            AttributeOrder::Tracked => FLAG_ORDER_TRACKED,
            AttributeOrder::Indexed => FLAG_ORDER_TRACKED | FLAG_ORDER_INDEXED,
        };
        let phase_change = if self.attribute_phase_change.is_some() { FLAG_PHASE_CHANGE } else { 0 };
        let times = if self.times.is_some() { FLAG_TIMES } else { 0 };
        order | phase_change | times
    }

    /// Bytes of the prefix up to the size of chunk #0.
    fn fixed_prefix_size(&self) -> usize {
        let times = if self.times.is_some() { 16 } else { 0 };
        let phase_change = if self.attribute_phase_change.is_some() { 4 } else { 0 };
        SIGNATURE.len() + 2 + times + phase_change
    }
}

/// The flag bits and the bytes of the smallest field that holds `size`.
fn size_width(size: usize) -> (u8, usize) {
    match size {
        0..=0xff => (0, 1),
        0x100..=0xffff => (1, 2),
        0x1_0000..=0xffff_ffff => (2, 4),
        _ => (3, 8),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::testing::{hex, survives};

    fn first_chunk(bytes: &[u8]) -> Result<HeaderChunk<'_>> {
        ObjectHeaderPrefix::decode(bytes, 0)?.first_chunk(bytes, 0)
    }

    fn all_settings() -> Vec<HeaderSettings> {
        let mut all = Vec::new();
        for times in [None, Some(Times { access: 1, modification: 2, change: 3, birth: 4 })] {
            for attribute_order in [AttributeOrder::Untracked, AttributeOrder::Tracked, AttributeOrder::Indexed] {
                for attribute_phase_change in [None, Some(PhaseChange { max_compact: 9, min_dense: 0 })] {
                    all.push(HeaderSettings { times, attribute_order, attribute_phase_change });
                }
            }
        }
        all
    }

    fn messages(settings: &HeaderSettings, size: usize) -> Vec<HeaderMessage> {
        vec![
            HeaderMessage::new(MessageType::DATASPACE, MessageFlags::NONE, vec![7; size]),
            settings.filler(settings.message_header_size()).expect("a NIL message without a body"),
            HeaderMessage {
                creation_order: 3,
                ..HeaderMessage::new(MessageType::ATTRIBUTE, MessageFlags::CONSTANT, vec![8])
            },
        ]
    }

    fn check(settings: &HeaderSettings, written: &[HeaderMessage], chunk: &HeaderChunk<'_>, bytes: &[u8]) {
        assert_eq!(chunk.gap, 0);
        assert_eq!(chunk.messages.len(), written.len());
        for (message, written) in chunk.messages.iter().zip(written) {
            assert_eq!((message.kind, message.flags, message.body), (written.kind, written.flags, &*written.body));
            let tracked = settings.attribute_order != AttributeOrder::Untracked;
            assert_eq!(message.creation_order, tracked.then_some(written.creation_order));
            assert_eq!(&bytes[message.body_start..message.end()], message.body);
            assert_eq!(message.body_start - message.start, settings.message_header_size());
        }
    }

    #[test]
    fn what_is_written_comes_back() {
        for settings in all_settings() {
            for size in [0, 1, 200, 300, 40_000] {
                let written = messages(&settings, size);
                let bytes = settings.encode_first_chunk(&written);
                let prefix = ObjectHeaderPrefix::decode(&bytes, 0).unwrap();
                assert!(matches!(prefix, ObjectHeaderPrefix::V2 { settings: found, .. } if found == settings));
                assert_eq!(prefix.first_chunk_size(), bytes.len() as u64);
                assert_eq!(settings.first_chunk_size(settings.messages_size(&written)), bytes.len());
                check(&settings, &written, &prefix.first_chunk(&bytes, 0).unwrap(), &bytes);

                let block = settings.encode_continuation(&written);
                assert_eq!(settings.continuation_size(settings.messages_size(&written)), block.len());
                check(&settings, &written, &prefix.continuation(&block, 0).unwrap(), &block);
            }
        }
    }

    #[test]
    fn a_large_chunk_widens_its_size_field() {
        let settings = HeaderSettings::default();
        let large = || HeaderMessage::new(MessageType::NIL, MessageFlags::NONE, vec![0; HeaderMessage::MAX_BODY]);
        for (messages, width) in [(vec![], 1), (vec![settings.filler(256).unwrap()], 2), (vec![large(), large()], 4)] {
            let bytes = settings.encode_first_chunk(&messages);
            let prefix = ObjectHeaderPrefix::decode(&bytes, 0).unwrap();
            assert!(matches!(prefix, ObjectHeaderPrefix::V2 { chunk_size_width, .. } if chunk_size_width == width));
            assert_eq!(prefix.first_chunk(&bytes, 0).unwrap().messages.len(), messages.len());
        }
        assert_eq!(settings.filler(3), None);
        assert_eq!(settings.filler(4 + HeaderMessage::MAX_BODY + 1), None);
    }

    #[test]
    fn damage_is_an_error_and_a_torn_header_says_so() {
        let settings = HeaderSettings { attribute_order: AttributeOrder::Tracked, ..HeaderSettings::default() };
        let bytes = settings.encode_first_chunk(&messages(&settings, 20));
        for length in 0..bytes.len() {
            assert!(first_chunk(&bytes[..length]).is_err());
        }
        survives(&bytes, |bytes| first_chunk(bytes).map(drop));
        let mut torn = bytes.clone();
        torn[20] ^= 1;
        assert!(first_chunk(&torn).unwrap_err().may_be_torn());

        let prefix = ObjectHeaderPrefix::decode(&bytes, 0).unwrap();
        let block = settings.encode_continuation(&messages(&settings, 20));
        for length in 0..block.len() {
            assert!(prefix.continuation(&block[..length], 0).is_err());
        }
        survives(&block, |bytes| prefix.continuation(bytes, 0).map(drop));
    }

    #[test]
    fn reads_version_1_as_libhdf5_wrote_it() {
        let bytes = hex("01 00 0400 01000000 50000000 00000000 \
             1000 1000 00 000000 c802000000000000 4800000000000000 \
             0200 1800 00 000000 00006072000000000000f272000000000000000000000000 \
             0a00 0800 01 000000 0000000000000000 \
             0000 0000 00 000000");
        let prefix = ObjectHeaderPrefix::decode(&bytes, 0).unwrap();
        assert_eq!(prefix, ObjectHeaderPrefix::V1 { message_count: 4, reference_count: 1, chunk_size: 80 });
        let chunk = first_chunk(&bytes).unwrap();
        let kinds: Vec<_> = chunk.messages.iter().map(|message| message.kind).collect();
        let expected = [MessageType::CONTINUATION, MessageType::LINK_INFO, MessageType::GROUP_INFO, MessageType::NIL];
        assert_eq!(kinds, expected);
        assert_eq!(chunk.messages[2].flags, MessageFlags::CONSTANT);
        survives(&bytes, |bytes| first_chunk(bytes).map(drop));
        // Continuation blocks have nothing but messages.
        assert_eq!(prefix.continuation(&bytes[16..], 0).unwrap().messages.len(), 4);
    }

    #[test]
    fn reads_a_gap_as_libhdf5_left_it() {
        // A committed datatype whose first chunk has two bytes too few for a message at its end.
        let mut bytes = hex("4f484452 02 20 3f92026b 3f92026b 3f92026b 3f92026b 16 \
            10 1000 00 69070000000000002100000000000000 0000");
        bytes.put_checksum_from(0);
        let chunk = first_chunk(&bytes).unwrap();
        assert_eq!((chunk.messages.len(), chunk.gap), (1, 2));
        assert_eq!(chunk.messages[0].kind, MessageType::CONTINUATION);
    }

    #[test]
    fn message_types_have_names() {
        assert_eq!(MessageType::DATA_LAYOUT.to_string(), "data layout");
        assert_eq!(MessageType(0x7f).to_string(), "message type 0x007f");
    }
}
