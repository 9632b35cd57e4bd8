//! Objects of the old form, given the present one where they are: as soon as they are to change, and only while nobody follows.
//!
//! A version 1 object header has no checksum and a symbol table no order in which a reader could look at it, so neither may change
//! under readers. Both can be said again in the present form. A header keeps its address, since links and references lead there: its
//! messages take less room in version 2, and what does not fit goes to continuation blocks. Both are understood since HDF5 1.8.

use h5live_format::message::{Continuation, DataLayout, Link, ModificationTime, ReferenceCount};
use h5live_format::object_header::{
    HeaderMessage, HeaderSettings, MessageFlags, MessageType, ObjectHeaderPrefix, Times,
};
use h5live_format::{Addr, Widths};

use super::header::{Message, ObjectHeader};
use super::header_edit::{continuation, continuation_size, packed};
use super::links;
use crate::error::{Error, ErrorKind, Result};
use crate::live::space::Placement;
use crate::live::writer::Writer;

/// What [`too_old`] says of an object header.
pub(crate) const OLD_HEADER: &str = "its object header is of version 1";

/// Reads the header at `at`, of version 2: one of version 1 becomes that.
///
/// # Errors
/// It is of version 1, and readers may look.
pub(crate) fn upgraded(writer: &mut Writer, at: Addr) -> Result<ObjectHeader> {
    let header = ObjectHeader::read(&writer.source(), at)?;
    let ObjectHeaderPrefix::V1 { reference_count, .. } = header.prefix else { return Ok(header) };
    require_changeable(writer, &header)?;
    upgrade(writer, &header, reference_count)?;
    ObjectHeader::read(&writer.source(), at)
}

fn upgrade(writer: &mut Writer, old: &ObjectHeader, reference_count: u32) -> Result<()> {
    let widths = writer.widths();
    let space = old.chunks[0].size as usize;
    let (settings, messages) = carried(old, reference_count, space, widths)?;
    let least = continuation_size(&settings, widths);
    let (mut inline, mut elsewhere) = (Vec::new(), Vec::new());
    for message in messages {
        let with = settings.messages_size(&inline) + settings.messages_size(std::slice::from_ref(&message));
        if settings.first_chunk_size(with + least) <= space { inline.push(message) } else { elsewhere.push(message) }
    }
    inline.extend(place_elsewhere(writer, &settings, elsewhere)?);
    let used = settings.messages_size(&inline);
    // More room can take a wider length field, and so leave less.
    let rooms = (0..=space - settings.first_chunk_size(used)).rev();
    let room = rooms.into_iter().find(|room| settings.first_chunk_size(used + room) <= space);
    inline.extend(room.and_then(|room| settings.filler(room)));
    let image = settings.encode_first_chunk(&inline);
    debug_assert!(image.len() <= space, "a header grew where it is");
    writer.supersede(old.chunks[1..].iter().map(|chunk| chunk.size).sum::<u64>() + (space - image.len()) as u64);
    writer.fresh(old.addr, image)?;
    writer.structure_changed();
    Ok(())
}

/// Refuses an object whose header cannot change, before space is taken for what would be added to it.
pub(crate) fn require_changeable(writer: &Writer, header: &ObjectHeader) -> Result<()> {
    match header.settings() {
        Some(_) => Ok(()),
        None => require_unwatched(writer, OLD_HEADER),
    }
}

/// What the header says, as a version 2 header says it.
fn carried(
    old: &ObjectHeader,
    reference_count: u32,
    space: usize,
    widths: Widths,
) -> Result<(HeaderSettings, Vec<HeaderMessage>)> {
    let modified = old.find(MessageType::MODIFICATION_TIME);
    let modified = modified.map(|it| ModificationTime::decode(&it.body, old.body_addr(it).0)).transpose()?;
    let with_times = HeaderSettings {
        times: modified.map(|ModificationTime(at)| Times { access: at, modification: at, change: at, birth: at }),
        ..HeaderSettings::default()
    };
    // The smallest headers have no room for times: then the message stays.
    let fits = |settings: &HeaderSettings| settings.first_chunk_size(continuation_size(settings, widths)) <= space;
    let settings = if fits(&with_times) { with_times } else { HeaderSettings::default() };
    if !fits(&settings) {
        return Err(Error::unsupported(format!("changing an object header of {space} bytes")));
    }
    let mut messages = Vec::with_capacity(old.messages.len() + 1);
    for message in &old.messages {
        if settings.times.is_some() && message.kind == MessageType::MODIFICATION_TIME {
            continue;
        }
        if message.kind.0 > u16::from(u8::MAX) {
            return Err(Error::unsupported(format!("changing an object header with {}", message.kind)));
        }
        messages.push(HeaderMessage::new(message.kind, message.flags, unpadded(old, message, widths)?));
    }
    if reference_count != 1 {
        let body = ReferenceCount(reference_count).encode();
        messages.push(HeaderMessage::new(MessageType::REFERENCE_COUNT, MessageFlags::DO_NOT_SHARE, body));
    }
    Ok((settings, messages))
}

/// The body of a message; where it ends in elements of the dataset, nothing comes after them.
fn unpadded(old: &ObjectHeader, message: &Message, widths: Widths) -> Result<Vec<u8>> {
    if message.kind == MessageType::DATA_LAYOUT {
        let layout = DataLayout::decode(&message.body, old.body_addr(message).0, widths)?;
        if matches!(layout, DataLayout::Compact(_)) {
            return Ok(layout.encode(widths));
        }
    }
    Ok(message.body.clone())
}

/// Places messages in continuation blocks, each of which names the next, and returns what names the first.
fn place_elsewhere(
    writer: &mut Writer,
    settings: &HeaderSettings,
    messages: Vec<HeaderMessage>,
) -> Result<Option<HeaderMessage>> {
    let least = continuation_size(settings, writer.widths());
    let mut next = None;
    for mut block in packed(settings, messages, least).into_iter().rev() {
        // The last has room for one to come.
        block.extend(next.or_else(|| settings.filler(least)));
        let image = settings.encode_continuation(&block);
        let size = image.len() as u64;
        let addr = writer.place(image, Placement::InPage)?;
        next = Some(continuation(Continuation { addr, size }, writer.widths()));
    }
    Ok(next)
}

/// The links of a group that gives its symbol table up.
///
/// # Errors
/// Readers may look.
pub(super) fn links_of_symbol_table(writer: &mut Writer, group: Addr) -> Result<Vec<Link>> {
    let source = writer.source();
    let header = ObjectHeader::read(&source, group)?;
    require_unwatched(writer, "the group has a symbol table")?;
    let mut found = Vec::new();
    links::each(&source, source.filters(), &header, |link| {
        found.push(link);
        Ok(())
    })?;
    writer.forget_cached_root(group)?;
    Ok(found)
}

fn require_unwatched(writer: &Writer, what: &str) -> Result<()> {
    if writer.is_live() {
        return Err(too_old(what));
    }
    Ok(())
}

/// Says that something of an old form stands in the way of readers.
pub(crate) fn too_old(what: &str) -> Error {
    let reason = format!("{what}, which cannot change while readers look; convert the file with `h5live repack`");
    Error::new(ErrorKind::NotLive { reason })
}
