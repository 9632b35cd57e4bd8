//! Object headers of version 2 being made ([`HeaderBuilder`]) and changed ([`HeaderEdit`]).
//!
//! Readers may look at a header at any time, and read it chunk by chunk, with any time in between. So a change becomes visible by
//! one overwrite of one chunk, from the first byte that changes through the checksum: whoever has read that chunk before goes on
//! to the blocks that it named, which stay as they were. What is new goes to room that is free already (NIL messages), or to a
//! continuation block that is complete before a continuation message names it. Every header we make therefore keeps room for at
//! least one continuation message.
//!
//! Where a change touches several chunks, all but the one from which the others are named are written again elsewhere, and the
//! messages that name them are turned to the new places. So are all chunks that come after one to which a message is added: or
//! else a reader that is late could find what was added to those later, and not this. Therefore messages are added as far behind
//! as there is room. A continuation block that may not be overwritten where it is, because the change would cross a page, is
//! written elsewhere as well.

use std::cmp::Reverse;
use std::ops::RangeInclusive;

use h5live_format::message::Continuation;
use h5live_format::object_header::{HeaderMessage, HeaderSettings, MessageFlags, MessageType, RawMessage};
use h5live_format::{Addr, Put, Widths};

use super::first_chunk;
use super::upgrade::upgraded;
use crate::error::{Error, Result};
use crate::live::layer::LiveBlock;
use crate::live::space::{PAGE, Placement, crosses_page};
use crate::live::writer::Writer;

/// Bytes of messages that a new header keeps in its first chunk; those that do not fit go to continuation blocks.
const INLINE: usize = 448;
/// The most free bytes a new header can have in its first chunk.
const MOST_ROOM: usize = 3072;
/// Bytes of the first continuation block added to a header; each further one is twice as large, up to a page.
const FIRST_BLOCK: usize = 256;
/// Bytes of the checksum at the end of a chunk.
const CHECKSUM: usize = 4;
/// Bytes of the signature of a continuation block.
const SIGNATURE: usize = 4;

/// Replaces `image` by `new`, which is as long, and tells the first byte that differs.
pub(crate) fn overwrite(image: &mut [u8], new: &[u8]) -> Option<usize> {
    debug_assert_eq!(image.len(), new.len());
    let first = image.iter().zip(new).position(|(old, new)| old != new);
    image.copy_from_slice(new);
    first
}

/// A new object header.
#[derive(Debug, Clone)]
pub(crate) struct HeaderBuilder {
    settings: HeaderSettings,
    messages: Vec<HeaderMessage>,
    last: Option<HeaderMessage>,
    room: usize,
}

impl HeaderBuilder {
    /// A header without messages.
    pub(crate) fn new(settings: HeaderSettings) -> Self {
        Self { settings, messages: Vec::new(), last: None, room: 0 }
    }

    /// Adds a message.
    #[must_use]
    pub(crate) fn message(mut self, kind: MessageType, flags: MessageFlags, body: Vec<u8>) -> Self {
        self.messages.push(HeaderMessage::new(kind, flags, body));
        self
    }

    /// Adds the one message that changes while readers look. It comes last in the first chunk, right before the
    /// checksum, so that changing it takes one small overwrite.
    #[must_use]
    pub(crate) fn changing(mut self, kind: MessageType, flags: MessageFlags, body: Vec<u8>) -> Self {
        self.last = Some(HeaderMessage::new(kind, flags, body));
        self
    }

    /// Keeps `bytes` free in the first chunk, for messages to come. Room for a continuation message is kept anyway.
    #[must_use]
    pub(crate) fn room(mut self, bytes: usize) -> Self {
        self.room = bytes;
        self
    }

    /// Plans the header and returns its address.
    pub(crate) fn place(self, writer: &mut Writer) -> Result<Addr> {
        let Self { settings, messages, last, room } = self;
        let widths = writer.widths();
        let least = continuation_size(&settings, widths);
        let (mut inline, mut elsewhere) = (Vec::new(), Vec::new());
        for message in messages {
            check_size(&message)?;
            let with = settings.messages_size(&inline) + settings.messages_size(std::slice::from_ref(&message));
            if with <= INLINE { inline.push(message) } else { elsewhere.push(message) }
        }
        for block in packed(&settings, elsewhere, 0) {
            let image = settings.encode_continuation(&block);
            let size = image.len() as u64;
            let addr = writer.place(image, Placement::InPage)?;
            inline.push(continuation(Continuation { addr, size }, widths));
        }
        inline.extend(settings.filler(room.clamp(least, MOST_ROOM)));
        inline.extend(last);
        let image = settings.encode_first_chunk(&inline);
        if image.len() as u64 > PAGE {
            return Err(Error::unsupported(format!("an object header whose first chunk has {} bytes", image.len())));
        }
        writer.place(image, Placement::InPage)
    }
}

/// Messages by the continuation blocks they go to: as many in each as a page holds beside `room` bytes, larger ones alone.
pub(crate) fn packed(settings: &HeaderSettings, messages: Vec<HeaderMessage>, room: usize) -> Vec<Vec<HeaderMessage>> {
    let mut blocks: Vec<Vec<HeaderMessage>> = Vec::new();
    for message in messages {
        let size = settings.messages_size(std::slice::from_ref(&message));
        match blocks.last_mut() {
            Some(block) if settings.continuation_size(settings.messages_size(block) + size + room) as u64 <= PAGE => {
                block.push(message);
            }
            _ => blocks.push(vec![message]),
        }
    }
    blocks
}

/// The message that names a continuation block.
pub(super) fn continuation(named: Continuation, widths: Widths) -> HeaderMessage {
    HeaderMessage::new(MessageType::CONTINUATION, MessageFlags::NONE, named.encode(widths))
}

/// Bytes of a continuation message with its own header.
pub(super) fn continuation_size(settings: &HeaderSettings, widths: Widths) -> usize {
    settings.message_header_size() + usize::from(widths.offset) + usize::from(widths.length)
}

fn check_size(message: &HeaderMessage) -> Result<()> {
    if message.body.len() > HeaderMessage::MAX_BODY {
        let (kind, size) = (message.kind, message.body.len());
        return Err(Error::unsupported(format!("a {kind} message of {size} bytes: 65535 is the most")));
    }
    Ok(())
}

/// When what a message said is to go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Removal {
    /// With everything else that becomes visible.
    Now,
    /// After that: another object says the same by then.
    Superseded,
}

/// Place of a message, until the next change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    chunk: usize,
    index: usize,
}

/// An object header being changed. Nothing is planned before [`HeaderEdit::commit`], except the space of new blocks.
#[derive(Debug)]
pub(crate) struct HeaderEdit {
    settings: HeaderSettings,
    widths: Widths,
    chunks: Vec<ChunkEdit>,
    /// The first chunk can never change; it names the second, which can.
    first_is_fixed: bool,
    /// Where the dataspace message was found: address of the chunk, and bytes before the message in it.
    extent: Option<(Addr, usize)>,
}

/// One chunk of the header.
#[derive(Debug)]
struct ChunkEdit {
    addr: Addr,
    /// What comes before the first message.
    prefix: Vec<u8>,
    /// All messages, NIL ones included.
    messages: Vec<HeaderMessage>,
    /// Bytes at the end that are too few for a message.
    gap: usize,
    state: ChunkState,
    /// It has a message more than before.
    added: bool,
    /// No reader can have seen it: it is new, or was made in the publication under way.
    unseen: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ChunkState {
    Unchanged,
    /// Changed, as this kind of block.
    Changed(LiveBlock),
    /// Not in the file yet.
    New,
}

impl HeaderEdit {
    /// Reads the header at `addr` in order to change it. One of version 1 becomes one of version 2.
    ///
    /// # Errors
    /// It is of version 1, and readers may look.
    pub(crate) fn open(writer: &mut Writer, addr: Addr) -> Result<Self> {
        // Read as everyone reads it: that checks what leads where, and is patient.
        let header = upgraded(writer, addr)?;
        let source = writer.source();
        let prefix = header.prefix;
        let Some(settings) = header.settings().copied() else {
            return Err(Error::unsupported("an object header that stays of version 1"));
        };
        let mut chunks = Vec::with_capacity(header.chunks.len());
        for (number, chunk) in header.chunks.iter().enumerate() {
            let bytes = source.bytes("object header chunk", chunk.addr, chunk.size)?;
            let (start, split) = match number {
                0 => (prefix.messages_start(), prefix.first_chunk(&bytes, chunk.addr.0)?),
                _ => (SIGNATURE, prefix.continuation(&bytes, chunk.addr.0)?),
            };
            chunks.push(ChunkEdit {
                addr: chunk.addr,
                prefix: bytes[..start].to_vec(),
                messages: split.messages.iter().map(owned).collect(),
                gap: split.gap,
                state: ChunkState::Unchanged,
                added: false,
                unseen: !writer.is_live() || writer.is_fresh(chunk.addr),
            });
        }
        let first_is_fixed = first_chunk::is_emptied(source.base(), &header);
        let mut edit = Self { settings, widths: source.widths(), chunks, first_is_fixed, extent: None };
        edit.extent = edit.place_of_extent();
        Ok(edit)
    }

    /// What holds for the header as a whole.
    pub(crate) fn settings(&self) -> &HeaderSettings {
        &self.settings
    }

    /// All messages but NIL and continuation ones, with their places.
    pub(crate) fn messages(&self) -> impl Iterator<Item = (Place, &HeaderMessage)> {
        self.every().filter(|(_, message)| !matches!(message.kind, MessageType::NIL | MessageType::CONTINUATION))
    }

    /// The messages of one kind.
    pub(crate) fn all(&self, kind: MessageType) -> impl Iterator<Item = (Place, &HeaderMessage)> {
        self.messages().filter(move |(_, message)| message.kind == kind)
    }

    /// The first message of a kind.
    pub(crate) fn find(&self, kind: MessageType) -> Option<(Place, &HeaderMessage)> {
        self.all(kind).next()
    }

    /// Bytes of all chunks.
    pub(crate) fn size(&self) -> u64 {
        self.chunks.iter().map(|chunk| chunk.size(&self.settings) as u64).sum()
    }

    /// Adds a message: to free room that fits, or to a new continuation block.
    pub(crate) fn add(&mut self, writer: &mut Writer, message: HeaderMessage) -> Result<()> {
        check_size(&message)?;
        match self.room_for(self.size_of(&message)) {
            Some(place) => {
                self.fill(place, message);
                Ok(())
            }
            None => self.add_in_new_block(writer, message),
        }
    }

    /// Puts `message` in the place of another.
    pub(crate) fn replace(&mut self, writer: &mut Writer, place: Place, message: HeaderMessage) -> Result<()> {
        check_size(&message)?;
        let size = self.size_of(&message);
        let old = self.message(place).clone();
        if self.size_of(&old) == size {
            if old != message {
                self.chunks[place.chunk].messages[place.index] = message;
                self.mark(place.chunk, LiveBlock::ObjectHeaderChunk);
            }
            return Ok(());
        }
        // In the same chunk, if the room that the old one leaves will do: one overwrite, nothing in between.
        let kept = self.chunks[place.chunk].messages.clone();
        let gap = self.chunks[place.chunk].gap;
        self.blank(place);
        let within = self.room_for(size).filter(|room| room.chunk == place.chunk);
        if let Some(room) = within {
            let added = self.chunks[room.chunk].added;
            self.fill(room, message);
            self.chunks[room.chunk].added = added;
            return Ok(());
        }
        self.chunks[place.chunk].messages = kept;
        self.chunks[place.chunk].gap = gap;
        self.add(writer, message)?;
        // Making room may have moved it.
        let old = self.messages().find(|(_, message)| **message == old).map(|(place, _)| place);
        if let Some(place) = old {
            self.remove(place, Removal::Now);
        }
        Ok(())
    }

    /// Replaces the first message of `message`'s kind, or adds it if there is none.
    pub(crate) fn set(&mut self, writer: &mut Writer, message: HeaderMessage) -> Result<()> {
        match self.find(message.kind).map(|(place, _)| place) {
            Some(place) => self.replace(writer, place, message),
            None => self.add(writer, message),
        }
    }

    /// Moves a message to a block of its own, within one page, where it can change.
    pub(crate) fn move_to_own_block(&mut self, writer: &mut Writer, kind: MessageType) -> Result<()> {
        if let Some((place, message)) = self.find(kind) {
            let message = message.clone();
            self.remove(place, Removal::Now);
            self.open_block(writer, Some(message))?;
        }
        Ok(())
    }

    /// Removes a message; its room becomes free.
    pub(crate) fn remove(&mut self, place: Place, when: Removal) {
        self.blank(place);
        let kind = match when {
            Removal::Now => LiveBlock::ObjectHeaderChunk,
            Removal::Superseded => LiveBlock::SupersededMessages,
        };
        self.mark(place.chunk, kind);
    }

    /// Removes all messages of a kind.
    pub(crate) fn remove_all(&mut self, kind: MessageType, when: Removal) {
        while let Some((place, _)) = self.find(kind) {
            self.remove(place, when);
        }
    }

    /// Plans what was changed.
    pub(crate) fn commit(mut self, writer: &mut Writer) -> Result<()> {
        if let Some(first) = self.chunks.iter().position(|chunk| chunk.added && !chunk.unseen) {
            for later in first + 1..self.chunks.len() {
                self.mark(later, LiveBlock::ObjectHeaderChunk);
            }
        }
        // Later blocks first: moving one changes the chunk that names it, which always comes before it. In the end one is left.
        for number in (1..self.chunks.len()).rev() {
            if self.must_move(writer, number)? {
                self.move_block(writer, number)?;
            }
        }
        if self.place_of_extent() != self.extent {
            writer.extent_moved(self.chunks[0].addr);
        }
        // What is named before what names it: an edit may publish those before it.
        let new = self.chunks.iter().filter(|chunk| chunk.state == ChunkState::New);
        for chunk in new {
            let mut image = chunk.image(&self.settings);
            image.put_checksum_from(0);
            writer.fresh(chunk.addr, image)?;
        }
        for kind in [LiveBlock::ObjectHeaderChunk, LiveBlock::SupersededMessages] {
            for chunk in self.chunks.iter().rev().filter(|chunk| chunk.state == ChunkState::Changed(kind)) {
                let image = chunk.image(&self.settings);
                writer.edit(kind, chunk.addr, image.len() + CHECKSUM, |old| overwrite(old, &image))?;
            }
        }
        Ok(())
    }
}

impl HeaderEdit {
    fn place_of_extent(&self) -> Option<(Addr, usize)> {
        let (place, _) = self.find(MessageType::DATASPACE)?;
        let chunk = &self.chunks[place.chunk];
        Some((chunk.addr, chunk.prefix.len() + self.settings.messages_size(&chunk.messages[..place.index])))
    }

    fn every(&self) -> impl Iterator<Item = (Place, &HeaderMessage)> {
        self.chunks.iter().enumerate().flat_map(|(chunk, edit)| {
            edit.messages.iter().enumerate().map(move |(index, message)| (Place { chunk, index }, message))
        })
    }

    fn message(&self, place: Place) -> &HeaderMessage {
        &self.chunks[place.chunk].messages[place.index]
    }

    fn size_of(&self, message: &HeaderMessage) -> usize {
        self.settings.message_header_size() + message.body.len()
    }

    fn mark(&mut self, chunk: usize, kind: LiveBlock) {
        let state = &mut self.chunks[chunk].state;
        *state = match *state {
            ChunkState::New => ChunkState::New,
            // Tidying in a chunk that changes anyway comes with that change: the chunk is read as a whole.
            ChunkState::Changed(LiveBlock::ObjectHeaderChunk) => ChunkState::Changed(LiveBlock::ObjectHeaderChunk),
            _ => ChunkState::Changed(kind),
        };
    }

    /// Free rooms: place and bytes.
    fn rooms(&self) -> impl Iterator<Item = (Place, usize)> {
        self.every()
            .filter(|(place, message)| message.kind == MessageType::NIL && !(self.first_is_fixed && place.chunk == 0))
            .map(|(place, message)| (place, self.size_of(message)))
    }

    /// Whether a message of `size` bytes can take a room of `room`: what is left must be nothing, or a message.
    fn fits(&self, room: usize, size: usize) -> bool {
        room == size || room >= size + self.settings.message_header_size()
    }

    /// Of several rooms, the best is that in the last chunk, and of those in one chunk the smallest.
    fn best(&self, rooms: impl Iterator<Item = (Place, usize)>) -> Option<Place> {
        let best = rooms.min_by_key(|(place, room)| (Reverse(place.chunk), *room));
        best.map(|(place, _)| place)
    }

    /// The best room for the name of a block.
    fn any_room(&self, size: usize) -> Option<Place> {
        self.best(self.rooms().filter(|(_, room)| self.fits(*room, size)))
    }

    /// The best room for a message, such that a continuation message still finds one, if it does now.
    fn room_for(&self, size: usize) -> Option<Place> {
        let least = continuation_size(&self.settings, self.widths);
        let could_continue = self.rooms().any(|(_, room)| self.fits(room, least));
        let keeps = |taken: Place, room: usize| {
            self.fits(room - size, least) || self.rooms().any(|(place, room)| place != taken && self.fits(room, least))
        };
        self.best(
            self.rooms().filter(|(place, room)| self.fits(*room, size) && (!could_continue || keeps(*place, *room))),
        )
    }

    /// Puts a message where a NIL message is.
    fn fill(&mut self, place: Place, message: HeaderMessage) {
        let left = self.size_of(self.message(place)) - self.size_of(&message);
        let rest = if left > 0 { self.settings.filler(left) } else { None };
        let chunk = &mut self.chunks[place.chunk];
        chunk.messages.splice(place.index..=place.index, [message].into_iter().chain(rest));
        chunk.added = true;
        self.mark(place.chunk, LiveBlock::ObjectHeaderChunk);
    }

    /// Turns a message into free room, joined with free room on either side and with what is left over at the end.
    fn blank(&mut self, place: Place) {
        let settings = self.settings;
        let chunk = &mut self.chunks[place.chunk];
        let is_nil = |message: Option<&HeaderMessage>| message.is_some_and(|message| message.kind == MessageType::NIL);
        let first =
            if place.index > 0 && is_nil(chunk.messages.get(place.index - 1)) { place.index - 1 } else { place.index };
        let last = if is_nil(chunk.messages.get(place.index + 1)) { place.index + 1 } else { place.index };
        // With a NIL message in the chunk, libhdf5 allows nothing to be left over.
        let size = settings.messages_size(&chunk.messages[first..=last]) + chunk.gap;
        match settings.filler(size) {
            Some(nil) => {
                chunk.gap = 0;
                chunk.messages.splice(first..=last, [nil]);
            }
            // Together they are more than one message can be.
            None => {
                let alone = settings.messages_size(&chunk.messages[place.index..=place.index]);
                chunk.messages.splice(place.index..=place.index, settings.filler(alone));
            }
        }
    }

    fn add_in_new_block(&mut self, writer: &mut Writer, message: HeaderMessage) -> Result<()> {
        let least = continuation_size(&self.settings, self.widths);
        let alone = self.settings.continuation_size(self.size_of(&message) + least) as u64 > PAGE;
        if !alone {
            return self.open_block(writer, Some(message));
        }
        // A block of its own size has no room for a continuation message: another must keep that.
        let rooms: usize = self.rooms().map(|(_, room)| room / (least + self.settings.message_header_size())).sum();
        if rooms < 2 {
            self.open_block(writer, None)?;
        }
        let size = self.settings.continuation_size(self.size_of(&message));
        let addr = writer.reserve(size as u64, Placement::Anywhere)?;
        self.name_block(addr, size as u64)?;
        self.chunks.push(ChunkEdit::new(addr, vec![message]));
        Ok(())
    }

    /// Opens a continuation block with a message, or with room only.
    fn open_block(&mut self, writer: &mut Writer, message: Option<HeaderMessage>) -> Result<()> {
        let least = continuation_size(&self.settings, self.widths);
        let mut messages = match self.any_room(least) {
            Some(_) => Vec::new(),
            None => self.make_room(least)?,
        };
        messages.extend(message);
        let content = self.settings.messages_size(&messages);
        let needed = self.settings.continuation_size(content + least + self.settings.message_header_size());
        let before =
            self.chunks.iter().skip(1).map(|chunk| chunk.size(&self.settings)).max().unwrap_or(FIRST_BLOCK / 2);
        let size = needed.max((before * 2).min(PAGE as usize)).max(FIRST_BLOCK).next_power_of_two();
        // Messages that had to move may be too many for a page together with this one: then the block is written once.
        let (size, placement) =
            if size as u64 <= PAGE { (size, Placement::InPage) } else { (needed, Placement::Anywhere) };
        let addr = writer.reserve(size as u64, placement)?;
        messages.extend(self.settings.filler(size - self.settings.continuation_size(content)));
        self.name_block(addr, size as u64)?;
        self.chunks.push(ChunkEdit::new(addr, messages));
        Ok(())
    }

    fn name_block(&mut self, addr: Addr, size: u64) -> Result<()> {
        let message = continuation(Continuation { addr, size }, self.widths);
        let place = self.any_room(self.size_of(&message)).ok_or_else(no_room)?;
        self.fill(place, message);
        Ok(())
    }

    /// Takes neighbouring messages out, as few bytes as leave room for `needed`, and returns them: they are to go to
    /// the block that the continuation message in their place will name.
    fn make_room(&mut self, needed: usize) -> Result<Vec<HeaderMessage>> {
        // The dataspace stays where appending finds it.
        let stays =
            |message: &HeaderMessage| matches!(message.kind, MessageType::CONTINUATION | MessageType::DATASPACE);
        let mut best: Option<(usize, usize, usize, usize)> = None;
        for (number, chunk) in self.chunks.iter().enumerate() {
            for first in 0..chunk.messages.len() {
                let mut size = 0;
                for (index, message) in chunk.messages.iter().enumerate().skip(first) {
                    if stays(message) {
                        break;
                    }
                    size += self.size_of(message);
                    if self.fits(size, needed) || self.ends_with_gap(chunk, first..=index, size, needed) {
                        if best.is_none_or(|(smallest, ..)| size < smallest) {
                            best = Some((size, number, first, index));
                        }
                        break;
                    }
                }
            }
        }
        let (size, number, first, last) = best.ok_or_else(no_room)?;
        let leaves_room = size > needed && self.fits(size, needed);
        let chunk = &mut self.chunks[number];
        let room = match leaves_room {
            // Something is left of the room, so nothing may be left over at the end.
            true => size + std::mem::take(&mut chunk.gap),
            false => needed,
        };
        if !leaves_room {
            chunk.gap += size - needed;
        }
        let room = self.settings.filler(room).ok_or_else(no_room)?;
        let moved = chunk.messages.splice(first..=last, [room]).filter(|message| message.kind != MessageType::NIL);
        let moved = moved.collect();
        self.mark(number, LiveBlock::ObjectHeaderChunk);
        Ok(moved)
    }

    /// Whether what `taken`, `size` bytes at the end of a chunk, leaves beside `needed` may be left over there: too few bytes for a
    /// message, in a chunk without NIL messages.
    fn ends_with_gap(&self, chunk: &ChunkEdit, taken: RangeInclusive<usize>, size: usize, needed: usize) -> bool {
        let before = &chunk.messages[..*taken.start()];
        size >= needed
            && taken.end() + 1 == chunk.messages.len()
            && size - needed + chunk.gap < self.settings.message_header_size()
            && before.iter().all(|message| message.kind != MessageType::NIL)
    }

    /// Whether a chunk has changed in a way that readers could see.
    fn shows(&self, number: usize) -> bool {
        let chunk = &self.chunks[number];
        matches!(chunk.state, ChunkState::Changed(_)) && !chunk.unseen
    }

    /// Whether a block has changed, and may not be overwritten where it is: another chunk has changed too, or it lies on two pages.
    fn must_move(&self, writer: &Writer, number: usize) -> Result<bool> {
        if !self.shows(number) {
            return Ok(false);
        }
        if (0..number).any(|earlier| self.shows(earlier)) {
            return Ok(true);
        }
        let chunk = &self.chunks[number];
        let new = chunk.image(&self.settings);
        let mut old = writer.source().bytes("object header chunk", chunk.addr, new.len() as u64)?;
        let len = (new.len() + CHECKSUM) as u64;
        Ok(overwrite(&mut old, &new)
            .is_some_and(|first| crosses_page(writer.base() + chunk.addr.0 + first as u64, len - first as u64)))
    }

    fn move_block(&mut self, writer: &mut Writer, number: usize) -> Result<()> {
        let size = self.chunks[number].size(&self.settings) as u64;
        let old = Continuation { addr: self.chunks[number].addr, size }.encode(self.widths);
        let named = self.every().find(|(_, message)| message.kind == MessageType::CONTINUATION && message.body == old);
        let Some((place, _)) = named else { return Err(no_room()) };
        let kind = match self.chunks[number].state {
            ChunkState::Changed(kind) => kind,
            ChunkState::Unchanged | ChunkState::New => LiveBlock::ObjectHeaderChunk,
        };
        let addr = writer.reserve(size, Placement::InPage)?;
        writer.supersede(size);
        self.chunks[place.chunk].messages[place.index] = continuation(Continuation { addr, size }, self.widths);
        self.mark(place.chunk, kind);
        let chunk = &mut self.chunks[number];
        (chunk.addr, chunk.state, chunk.unseen) = (addr, ChunkState::New, true);
        Ok(())
    }
}

impl ChunkEdit {
    fn new(addr: Addr, messages: Vec<HeaderMessage>) -> Self {
        Self { addr, prefix: b"OCHK".to_vec(), messages, gap: 0, state: ChunkState::New, added: false, unseen: true }
    }

    /// Bytes, checksum included.
    fn size(&self, settings: &HeaderSettings) -> usize {
        self.prefix.len() + settings.messages_size(&self.messages) + self.gap + CHECKSUM
    }

    /// The bytes, without the checksum.
    fn image(&self, settings: &HeaderSettings) -> Vec<u8> {
        // A continuation block is nothing but signature, messages and checksum.
        let encoded = settings.encode_continuation(&self.messages);
        let mut image = self.prefix.clone();
        image.extend_from_slice(&encoded[SIGNATURE..encoded.len() - CHECKSUM]);
        image.resize(image.len() + self.gap, 0);
        image
    }
}

pub(crate) fn owned(raw: &RawMessage<'_>) -> HeaderMessage {
    HeaderMessage {
        kind: raw.kind,
        flags: raw.flags,
        creation_order: raw.creation_order.unwrap_or(0),
        body: raw.body.to_vec(),
    }
}

fn no_room() -> Error {
    Error::unsupported("the object header has no room to be continued; convert the file with `h5live repack`")
}
