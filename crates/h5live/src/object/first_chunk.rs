//! Object headers whose first chunk crosses a page, as libhdf5 places them: emptied once, so that they never change again.
//!
//! The first chunk cannot move, for its address is the object's. And it cannot change while readers look, for what changes lies on one
//! page and the checksum on another. So before a file is live all its messages go to a continuation block, which lies within a page
//! and can change. The first chunk is left with the message that names that block, and filler.
//!
//! This one change of the first chunk is atomic too. Filler may hold anything: it is given the bytes for which the checksum of the whole
//! chunk stays what it was ([`lookup3_filler`]). Then nothing changes but the chunk's first page, and that is written wholly or not at
//! all. It takes some fifty bytes of messages on the first page; a chunk of which less lies there is changed on both its pages.

use h5live_format::lookup3_filler;
use h5live_format::message::Continuation;
use h5live_format::object_header::{
    HeaderMessage, HeaderSettings, MessageFlags, MessageType, ObjectHeaderPrefix, RawMessage,
};

use super::header::ObjectHeader;
use super::header_edit::overwrite;
use crate::error::Result;
use crate::live::layer::LiveBlock;
use crate::live::space::{PAGE, Placement, crosses_page};
use crate::live::writer::Writer;

/// Bytes of the checksum at the end of a chunk.
const CHECKSUM: usize = 4;
/// Bytes of the signature of a continuation block.
const SIGNATURE: usize = 4;
/// Bytes of a block of the checksum.
const BLOCK: usize = 12;

/// How a first chunk was emptied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Emptied {
    /// It can change as it is, or was emptied before.
    NotNeeded,
    /// By a change of its first page alone.
    OnOnePage,
    /// By a change of all its pages: a crash while they are written would leave the header unreadable.
    OnSeveralPages,
    /// It has no room for the name of another block, and stays as it is.
    TooSmall,
}

/// Whether the first chunk of a header can never change: it crosses a page, and holds nothing but the name of what follows.
pub(crate) fn is_emptied(base: u64, header: &ObjectHeader) -> bool {
    let first = header.chunks[0];
    crosses_page(base + first.addr.0, first.size) && header.messages.iter().all(|message| message.chunk > 0)
}

/// Plans what empties the first chunk of `header`, if it crosses a page. Nothing else of the header may have been planned.
pub(crate) fn empty(writer: &mut Writer, header: &ObjectHeader) -> Result<Emptied> {
    let (first, ObjectHeaderPrefix::V2 { settings, .. }) = (header.chunks[0], &header.prefix) else {
        return Ok(Emptied::NotNeeded);
    };
    if !crosses_page(writer.base() + first.addr.0, first.size) || is_emptied(writer.base(), header) {
        return Ok(Emptied::NotNeeded);
    }
    let before = writer.source().bytes("object header chunk", first.addr, first.size)?;
    let start = header.prefix.messages_start();
    let named = block_of(writer, settings, &header.prefix.first_chunk(&before, first.addr.0)?.messages)?;

    let message = HeaderMessage::new(MessageType::CONTINUATION, MessageFlags::NONE, named.encode(writer.widths()));
    let content = start..before.len() - CHECKSUM;
    let mut messages = vec![message];
    let Some(left) = content.len().checked_sub(settings.messages_size(&messages)) else {
        return Ok(Emptied::TooSmall);
    };
    let filler_start = content.end - left + settings.message_header_size();
    // What is left over and too little for a message may stay, if there is no filler.
    messages.extend(fillers(settings, left));
    let encoded = settings.encode_continuation(&messages);
    let mut after = before[..content.end].to_vec();
    after[start..start + encoded.len() - SIGNATURE - CHECKSUM]
        .copy_from_slice(&encoded[SIGNATURE..encoded.len() - CHECKSUM]);

    let block = filler_start.next_multiple_of(BLOCK);
    let first_page = (PAGE - (writer.base() + first.addr.0) % PAGE) as usize;
    let one_filler = messages.len() == 2 && block + BLOCK <= first_page.min(content.end);
    if one_filler {
        // The filler stays what it was there, but for its beginning.
        after[block..].copy_from_slice(&before[block..content.end]);
    }
    let filler = lookup3_filler(&before[..content.end], &after, block).filter(|_| one_filler);
    match filler {
        Some(filler) => {
            after[block..block + BLOCK].copy_from_slice(&filler);
            let kind = LiveBlock::ObjectHeaderChunk;
            writer.replace_start(kind, first.addr, before.len(), &after[..block + BLOCK])?;
            Ok(Emptied::OnOnePage)
        }
        None => {
            writer.edit(LiveBlock::ObjectHeaderChunk, first.addr, before.len(), |old| overwrite(old, &after))?;
            Ok(Emptied::OnSeveralPages)
        }
    }
}

/// NIL messages that take `left` bytes, or all but the last few.
fn fillers(settings: &HeaderSettings, mut left: usize) -> Vec<HeaderMessage> {
    let mut fillers = Vec::new();
    while left > 0 {
        // As much as one can take, but never so much that too little is left for the next.
        let most = (HeaderMessage::MAX_BODY / 2).min(left);
        let size = if left <= HeaderMessage::MAX_BODY { left } else { most };
        let Some(filler) = settings.filler(size) else { break };
        fillers.push(filler);
        left -= size;
    }
    fillers
}

/// Places `messages`, with room for more: in one block within a page, or, where they are too many, behind one.
fn block_of(writer: &mut Writer, settings: &HeaderSettings, messages: &[RawMessage<'_>]) -> Result<Continuation> {
    let messages: Vec<HeaderMessage> =
        messages.iter().filter(|message| message.kind != MessageType::NIL).map(super::header_edit::owned).collect();
    let widths = writer.widths();
    let named = |writer: &mut Writer, messages: &[HeaderMessage], placement| -> Result<Continuation> {
        let image = settings.encode_continuation(messages);
        let size = image.len() as u64;
        Ok(Continuation { addr: writer.place(image, placement)?, size })
    };
    let room = settings.message_header_size() + usize::from(widths.offset) + usize::from(widths.length);
    let with_room = |mut messages: Vec<HeaderMessage>| {
        let content = settings.continuation_size(settings.messages_size(&messages));
        let size = (content + 2 * room).next_power_of_two().clamp(256, PAGE as usize);
        messages.extend(size.checked_sub(content).and_then(|left| settings.filler(left)));
        messages
    };
    let content = settings.continuation_size(settings.messages_size(&messages) + 2 * room);
    if content as u64 <= PAGE {
        return named(writer, &with_room(messages), Placement::InPage);
    }
    let mut names = Vec::new();
    for block in super::header_edit::packed(settings, messages, 0) {
        let body = named(writer, &block, Placement::InPage)?.encode(widths);
        names.push(HeaderMessage::new(MessageType::CONTINUATION, MessageFlags::NONE, body));
    }
    named(writer, &with_room(names), Placement::InPage)
}
