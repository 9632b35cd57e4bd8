//! Object headers: their chunks, their messages, and what these say together.

use h5live_format::message::{self, Continuation, Message as Decoded, SharedMessage};
use h5live_format::object_header::{MessageFlags, MessageType, ObjectHeaderPrefix};
use h5live_format::{Addr, lookup3};

use super::owners::Use;
use super::report::Severity;
use super::walk::Walk;
use crate::group::kind_of;
use crate::object::header::ObjectHeader;

const WHAT: &str = "object header";
const CONTINUATION: &str = "object header continuation block";
const CHECKSUM: usize = 4;
/// Bytes of a damaged header's first chunk at most.
const MOST_MENDED: u64 = 16 << 20;
/// Continuation blocks of a damaged header followed at most.
const MOST_CHUNKS: usize = 256;

/// Messages of which a header has one at most.
const SINGLE: [MessageType; 12] = [
    MessageType::DATASPACE,
    MessageType::LINK_INFO,
    MessageType::DATATYPE,
    MessageType::FILL_VALUE,
    MessageType::EXTERNAL_FILES,
    MessageType::DATA_LAYOUT,
    MessageType::GROUP_INFO,
    MessageType::FILTER_PIPELINE,
    MessageType::SYMBOL_TABLE,
    MessageType::MODIFICATION_TIME,
    MessageType::ATTRIBUTE_INFO,
    MessageType::REFERENCE_COUNT,
];

impl Walk<'_> {
    /// Looks at the object whose header lies at `addr`.
    pub(super) fn object_at(&mut self, addr: Addr) {
        let errors = self.findings.len();
        let header = self.header(addr);
        self.links_lost |= self.findings[errors..].iter().any(|finding| finding.severity == Severity::Error);
        let Some(header) = header else { return };
        self.messages(&header);
        let stored = match header.prefix {
            ObjectHeaderPrefix::V1 { reference_count, .. } => Some(reference_count.into()),
            ObjectHeaderPrefix::V2 { .. } => match header.find(MessageType::REFERENCE_COUNT) {
                Some(message) => {
                    let decoded = message::ReferenceCount::decode(&message.body, header.body_addr(message).0);
                    decoded.ok().map(|count| count.0.into())
                }
                None => Some(1),
            },
        };
        if let Some(met) = self.met.get_mut(&addr) {
            met.stored = stored;
        }
        self.attributes(&header);
        match kind_of(&header) {
            Some(crate::MemberKind::Dataset) => self.dataset(&header),
            Some(crate::MemberKind::Group) => {
                let errors = self.errors();
                self.group(&header);
                self.links_lost |= self.errors() > errors;
            }
            Some(_) => {}
            None => {
                let problem = "is that of neither a group nor a dataset nor a committed datatype";
                self.find(Severity::Warning, WHAT, Some(addr), problem);
            }
        }
    }

    /// Reads a header, notes its chunks as owned, and mends what can be.
    pub(super) fn header(&mut self, addr: Addr) -> Option<ObjectHeader> {
        let header = match ObjectHeader::read(&self.source, addr) {
            Ok(header) => header,
            Err(error) => {
                let saved = self.mend_header(addr);
                let again = saved.is_some().then(|| ObjectHeader::read(&self.source, addr)).and_then(Result::ok);
                let salvage = saved.filter(|_| again.is_some());
                self.damaged(WHAT, addr, error, salvage);
                again?
            }
        };
        for (number, chunk) in header.chunks.iter().enumerate() {
            let structure = if number == 0 { WHAT } else { CONTINUATION };
            self.claim(structure, chunk.addr, chunk.size, Use::Metadata);
        }
        Some(header)
    }

    fn messages(&mut self, header: &ObjectHeader) {
        if let ObjectHeaderPrefix::V1 { message_count, .. } = header.prefix {
            let found = header.messages.len() + header.gaps.len() + header.chunks.len() - 1;
            if found != usize::from(message_count) {
                let problem = format!("counts {message_count} messages and has {found}");
                self.find(Severity::Warning, WHAT, Some(header.addr), problem);
            }
        }
        for kind in SINGLE {
            let count = header.all(kind).count();
            if count > 1 {
                let problem = format!("has {count} {kind} messages, and only one can count");
                self.find(Severity::Warning, WHAT, Some(header.addr), problem);
            }
        }
        for message in &header.messages {
            let at = header.body_addr(message);
            match Decoded::decode(message.kind, message.flags, &message.body, at.0, self.widths) {
                Ok(Decoded::Shared(_, SharedMessage::Committed(addr))) => self.share(addr),
                Ok(Decoded::Unknown(kind)) => {
                    let must = message.flags.contains(MessageFlags::FAIL_IF_UNKNOWN);
                    let must = if must { ", which must be understood" } else { "" };
                    let problem = format!("has a message of unknown type {:#x}{must}", kind.0);
                    self.find(Severity::Warning, WHAT, Some(header.addr), problem);
                }
                Ok(_) => {}
                Err(malformed) => self.malformed(malformed),
            }
        }
    }

    /// A message is kept in another object's header.
    pub(super) fn share(&mut self, addr: Addr) {
        let path = format!("<object at {addr}>");
        self.lead_to(addr, path);
    }

    /// Lays a header over a damaged one in which every message that still makes sense is left, and tells what that is.
    fn mend_header(&self, addr: Addr) -> Option<String> {
        let overlay = self.overlay?;
        let start = self.source.bytes_up_to(WHAT, addr, ObjectHeaderPrefix::MAX_SIZE as u64).ok()?;
        let prefix = ObjectHeaderPrefix::decode(&start, addr.0).ok()?;
        let size = prefix.first_chunk_size();
        if size > MOST_MENDED {
            return None;
        }
        let form = Form::of(&prefix);
        let mut chunks = vec![(addr, size, prefix.messages_start())];
        let (mut kept, mut lost, mut next) = (0u64, 0u64, 0);
        while let Some((addr, size, start)) = chunks.get(next).copied() {
            next += 1;
            let mut bytes = self.source.bytes(WHAT, addr, size).ok()?;
            let mended = form.mend(
                &mut bytes,
                start,
                addr,
                |at, body| {
                    let Ok(next) = Continuation::decode(body, at, self.widths) else { return false };
                    let is_there = next.size >= CHECKSUM as u64 + 4
                        && next.size <= MOST_MENDED
                        && self.is_plausible(next.addr, next.size)
                        && (!form.is_v2 || self.has_signature(next.addr, "OCHK"))
                        && chunks.len() < MOST_CHUNKS
                        && chunks.iter().all(|(addr, ..)| *addr != next.addr);
                    if is_there {
                        chunks.push((next.addr, next.size, if form.is_v2 { 4 } else { 0 }));
                    }
                    is_there
                },
                self.widths,
            )?;
            kept += mended.0;
            lost += mended.1;
            overlay.patch(self.source.base() + addr.0, bytes);
        }
        Some(format!("{kept} messages can be saved, {lost} are lost"))
    }
}

/// How messages lie in a chunk.
#[derive(Clone, Copy)]
struct Form {
    is_v2: bool,
    /// Bytes in front of a message's body.
    head: usize,
}

impl Form {
    fn of(prefix: &ObjectHeaderPrefix) -> Self {
        match prefix {
            ObjectHeaderPrefix::V1 { .. } => Self { is_v2: false, head: 8 },
            ObjectHeaderPrefix::V2 { settings, .. } => {
                let tracked = settings.attribute_order != Default::default();
                Self { is_v2: true, head: if tracked { 6 } else { 4 } }
            }
        }
    }

    /// Blanks the messages of a chunk that make no sense, and sets its checksum. Returns how many are left and how many were
    /// blanked. `follow` tells whether a continuation message leads anywhere.
    fn mend(
        self,
        bytes: &mut [u8],
        start: usize,
        addr: Addr,
        mut follow: impl FnMut(u64, &[u8]) -> bool,
        widths: h5live_format::Widths,
    ) -> Option<(u64, u64)> {
        let end = if self.is_v2 { bytes.len().checked_sub(CHECKSUM)? } else { bytes.len() };
        let (mut kept, mut lost) = (0, 0);
        let mut at = start;
        while at + self.head <= end {
            let (kind, size, flags) = match self.is_v2 {
                true => (bytes[at].into(), u16::from_le_bytes([bytes[at + 1], bytes[at + 2]]), bytes[at + 3]),
                false => (
                    u16::from_le_bytes([bytes[at], bytes[at + 1]]),
                    u16::from_le_bytes([bytes[at + 2], bytes[at + 3]]),
                    bytes[at + 4],
                ),
            };
            let body = at + self.head;
            let left = end - body;
            if usize::from(size) > left {
                // Nothing after this can be told apart.
                lost += 1;
                self.blank(&mut bytes[at..], left.min(u16::MAX.into()) as u16);
                at = body + left.min(u16::MAX.into());
                continue;
            }
            let next = body + usize::from(size);
            let kind = MessageType(kind);
            let position = addr.0 + body as u64;
            let content = &bytes[body..next];
            let makes_sense = match kind {
                MessageType::NIL => true,
                MessageType::CONTINUATION => follow(position, content),
                kind => {
                    let decoded = Decoded::decode(kind, MessageFlags(flags), content, position, widths);
                    !matches!(decoded, Err(_) | Ok(Decoded::Unknown(_)))
                }
            };
            if !makes_sense {
                lost += 1;
                self.blank(&mut bytes[at..], size);
            } else if kind != MessageType::NIL {
                kept += 1;
            }
            at = next;
        }
        if self.is_v2 {
            let sum = lookup3(&bytes[..end]);
            bytes[end..].copy_from_slice(&sum.to_le_bytes());
        }
        Some((kept, lost))
    }

    /// Makes the message that starts here a NIL message of `size` bytes.
    fn blank(self, message: &mut [u8], size: u16) {
        message[..self.head].fill(0);
        let at = if self.is_v2 { 1 } else { 2 };
        message[at..at + 2].copy_from_slice(&size.to_le_bytes());
    }
}
