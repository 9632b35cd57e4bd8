//! Groups being made, and links being created, moved and removed.
//!
//! Few links are messages of the group's header; when they become many, they move to dense storage, all at once: the
//! link info message is turned to it and the messages are blanked in one change of the header. Creating and removing go by
//! name, so a reader sees a group before or after, never between.

use h5live_format::message::{
    CreationOrder, DenseStorage, GroupEstimate, GroupInfo, Link, LinkInfo, LinkTarget, Name, PhaseChange,
    ReferenceCount,
};
use h5live_format::object_header::{HeaderMessage, HeaderSettings, MessageFlags, MessageType};
use h5live_format::{Addr, Widths};

use super::dense_edit::{self, DenseObject, Links};
use super::header_edit::{HeaderBuilder, HeaderEdit, Place, Removal};
use super::upgrade::links_of_symbol_table;
use crate::error::{Error, ErrorKind, Result};
use crate::live::writer::Writer;
use crate::source::Source;

/// Free bytes in the header of a new group: room for a few links or attributes.
const ROOM: usize = 192;

/// How a new group keeps its links.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct GroupSettings {
    /// What holds for its header: times, order of attributes.
    pub(crate) header: HeaderSettings,
    /// Whether links remember the order they were created in.
    pub(crate) link_order: LinkOrder,
    /// When links move to dense storage, if that is not libhdf5's default.
    pub(crate) phase_change: Option<PhaseChange>,
    /// What is expected of the group, if that is not libhdf5's default.
    pub(crate) estimate: Option<GroupEstimate>,
}

/// Whether links remember the order they were created in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum LinkOrder {
    /// They do not.
    #[default]
    Untracked,
    /// Each link stores it, and dense storage has an index by it.
    Indexed,
}

/// Plans a new, empty group and returns the address of its header. Nothing leads to it yet: [`create_link`] does that.
pub(crate) fn new_group(writer: &mut Writer, settings: GroupSettings) -> Result<Addr> {
    let creation_order = match settings.link_order {
        LinkOrder::Untracked => CreationOrder::Untracked,
        LinkOrder::Indexed => CreationOrder::Indexed { next: 0 },
    };
    let info = LinkInfo { creation_order, dense: None }.encode(writer.widths());
    let constants = GroupInfo { phase_change: settings.phase_change, estimate: settings.estimate }.encode();
    HeaderBuilder::new(settings.header)
        .message(MessageType::LINK_INFO, MessageFlags::NONE, info)
        .message(MessageType::GROUP_INFO, MessageFlags::CONSTANT, constants)
        .room(ROOM)
        .place(writer)
}

/// Plans a link in the group whose header lies at `group`. A hard link is the first one to its object: further ones are
/// made by [`create_hard_link`]. The link's creation order is set here.
///
/// # Errors
/// The name is taken, or cannot be one; the group is of the old kind, and readers may look; a value is too long.
pub(crate) fn create_link(writer: &mut Writer, group: Addr, link: &Link) -> Result<()> {
    check_link(link)?;
    let mut edit = GroupEdit::open(writer, group)?;
    edit.insert(writer, link.clone())?;
    edit.commit(writer)
}

/// Plans one more hard link to an object that has some already.
///
/// # Errors
/// As [`create_link`]; also, when the object has a version 1 header, and readers may look.
pub(crate) fn create_hard_link(writer: &mut Writer, group: Addr, name: impl Into<Name>, object: Addr) -> Result<()> {
    let link = Link::new(name, LinkTarget::Hard(object));
    check_link(&link)?;
    GroupEdit::open(writer, group)?.require_free(&writer.source(), &link.name)?;
    adjust_reference_count(writer, object, 1)?;
    create_link(writer, group, &link)
}

/// Plans that a link goes, and returns it. An object that loses its last hard link is counted as superseded.
///
/// # Errors
/// There is none of that name, or the group is of the old kind, and readers may look.
pub(crate) fn remove_link(writer: &mut Writer, group: Addr, name: &[u8]) -> Result<Link> {
    let mut edit = GroupEdit::open(writer, group)?;
    let link = edit.take(writer, name, Removal::Now)?;
    edit.commit(writer)?;
    if let LinkTarget::Hard(object) = link.target {
        adjust_reference_count(writer, object, -1)?;
    }
    Ok(link)
}

/// Plans that a link gets another name, in the same group, all at once, or in another one: then there is a moment with both
/// names, and none without either.
///
/// # Errors
/// As [`create_link`] and [`remove_link`].
pub(crate) fn move_link(
    writer: &mut Writer,
    from: Addr,
    name: &[u8],
    to: Addr,
    new_name: impl Into<Name>,
) -> Result<()> {
    let mut edit = GroupEdit::open(writer, from)?;
    let link = edit.find(&writer.source(), name)?.ok_or_else(|| not_found(name))?;
    let moved = Link { creation_order: None, ..Link::new(new_name, link.target) };
    if from != to {
        create_link(writer, to, &moved)?;
        edit = GroupEdit::open(writer, from)?;
        edit.take(writer, name, Removal::Superseded)?;
    } else if moved.name.as_bytes() != name {
        check_link(&moved)?;
        edit.insert(writer, moved)?;
        edit.take(writer, name, Removal::Now)?;
    }
    edit.commit(writer)
}

/// Plans that an object has `by` hard links more, and returns how many that makes. An object without any is counted as
/// superseded.
///
/// # Errors
/// The object has a version 1 header, and readers may look.
pub(crate) fn adjust_reference_count(writer: &mut Writer, object: Addr, by: i32) -> Result<u32> {
    let mut header = HeaderEdit::open(writer, object)?;
    let stored = match header.find(MessageType::REFERENCE_COUNT) {
        Some((_, message)) => ReferenceCount::decode(&message.body, object.0)?.0,
        None => 1,
    };
    let count = stored.saturating_add_signed(by);
    match (count, header.find(MessageType::REFERENCE_COUNT).map(|(place, _)| place)) {
        (0, _) => {
            writer.supersede(header.size());
            return Ok(0);
        }
        (1, Some(place)) => header.remove(place, Removal::Now),
        (1, None) => return Ok(1),
        _ => {
            let body = ReferenceCount(count).encode();
            header.set(writer, HeaderMessage::new(MessageType::REFERENCE_COUNT, MessageFlags::DO_NOT_SHARE, body))?;
        }
    }
    header.commit(writer)?;
    Ok(count)
}

/// A group being changed.
struct GroupEdit {
    header: HeaderEdit,
    info: LinkInfo,
    info_flags: MessageFlags,
    widths: Widths,
    at: Addr,
}

impl GroupEdit {
    /// Reads the group at `group` in order to change it. One that has a symbol table gets the present form.
    fn open(writer: &mut Writer, group: Addr) -> Result<Self> {
        let mut header = HeaderEdit::open(writer, group)?;
        if header.find(MessageType::SYMBOL_TABLE).is_some() && header.find(MessageType::LINK_INFO).is_none() {
            Self::instead_of_symbol_table(writer, header, group)?;
            header = HeaderEdit::open(writer, group)?;
        }
        let source = writer.source();
        let Some((_, message)) = header.find(MessageType::LINK_INFO) else {
            let found = if header.find(MessageType::DATASPACE).is_some() { "dataset" } else { "committed datatype" };
            return Err(ErrorKind::WrongKind { expected: "group", found }.into());
        };
        let info = LinkInfo::decode(&message.body, group.0, source.widths())?;
        let info_flags = message.flags;
        Ok(Self { header, info, info_flags, widths: source.widths(), at: group })
    }

    /// Lets the group have its links in place of its symbol table.
    fn instead_of_symbol_table(writer: &mut Writer, mut header: HeaderEdit, group: Addr) -> Result<()> {
        let links = links_of_symbol_table(writer, group)?;
        header.remove_all(MessageType::SYMBOL_TABLE, Removal::Now);
        let info = LinkInfo { creation_order: CreationOrder::Untracked, dense: None };
        let mut edit = Self { header, info, info_flags: MessageFlags::NONE, widths: writer.widths(), at: group };
        let objects: Vec<_> = links.iter().map(|link| edit.dense_object(link)).collect();
        let constants = GroupInfo { phase_change: None, estimate: None }.encode();
        edit.header.add(writer, HeaderMessage::new(MessageType::GROUP_INFO, MessageFlags::CONSTANT, constants))?;
        if links.len() > usize::from(edit.phase_change()?.max_compact) {
            edit.info.dense = Some(edit.make_dense(writer, &objects)?);
        } else {
            for object in objects {
                edit.header.add(writer, HeaderMessage::new(MessageType::LINK, MessageFlags::NONE, object.bytes))?;
            }
        }
        edit.set_info(writer)?;
        edit.commit(writer)
    }

    fn find(&self, source: &Source, name: &[u8]) -> Result<Option<Link>> {
        if let Some(storage) = &self.info.dense {
            let found = dense_edit::find::<Links>(source, storage, name)?;
            return found.map(|object| self.decode(&object.bytes)).transpose();
        }
        Ok(self.compact()?.into_iter().find(|(_, link)| link.name.as_bytes() == name).map(|(_, link)| link))
    }

    fn require_free(&self, source: &Source, name: &Name) -> Result<()> {
        match self.find(source, name.as_bytes())? {
            Some(_) => Err(ErrorKind::Exists { what: "link", name: name.to_string_lossy().into_owned() }.into()),
            None => Ok(()),
        }
    }

    fn insert(&mut self, writer: &mut Writer, mut link: Link) -> Result<()> {
        self.require_free(&writer.source(), &link.name)?;
        link.creation_order = self.next_order();
        let object = self.dense_object(&link);
        if let Some(storage) = self.info.dense {
            self.info.dense = Some(dense_edit::put::<Links>(writer, storage, &object)?);
            return self.set_info(writer);
        }
        let links = self.compact()?;
        if links.len() < usize::from(self.phase_change()?.max_compact) && object.bytes.len() <= HeaderMessage::MAX_BODY
        {
            self.set_info(writer)?;
            return self.header.add(writer, HeaderMessage::new(MessageType::LINK, MessageFlags::NONE, object.bytes));
        }
        let mut objects: Vec<_> = links.iter().map(|(_, link)| self.dense_object(link)).collect();
        objects.push(object);
        self.info.dense = Some(self.make_dense(writer, &objects)?);
        self.set_info(writer)?;
        self.header.remove_all(MessageType::LINK, Removal::Now);
        Ok(())
    }

    fn take(&mut self, writer: &mut Writer, name: &[u8], when: Removal) -> Result<Link> {
        let link = self.find(&writer.source(), name)?.ok_or_else(|| not_found(name))?;
        match self.info.dense {
            Some(storage) => {
                self.info.dense = Some(dense_edit::remove::<Links>(writer, storage, name, when)?);
                self.set_info(writer)?;
            }
            None => {
                let place = self.compact()?.into_iter().find(|(_, link)| link.name.as_bytes() == name);
                if let Some((place, _)) = place {
                    self.header.remove(place, when);
                }
            }
        }
        Ok(link)
    }

    fn commit(self, writer: &mut Writer) -> Result<()> {
        self.header.commit(writer)?;
        writer.structure_changed();
        Ok(())
    }

    fn compact(&self) -> Result<Vec<(Place, Link)>> {
        self.header.all(MessageType::LINK).map(|(place, message)| Ok((place, self.decode(&message.body)?))).collect()
    }

    fn decode(&self, bytes: &[u8]) -> Result<Link> {
        Ok(Link::decode(bytes, self.at.0, self.widths)?)
    }

    fn dense_object(&self, link: &Link) -> DenseObject {
        DenseObject {
            name: link.name.as_bytes().to_vec(),
            order: link.creation_order.unwrap_or(0),
            bytes: link.encode(self.widths),
        }
    }

    fn make_dense(&self, writer: &mut Writer, objects: &[DenseObject]) -> Result<DenseStorage> {
        let indexed = matches!(self.info.creation_order, CreationOrder::Indexed { .. });
        dense_edit::create::<Links>(writer, objects, indexed)
    }

    /// The creation order of a new link, where that is kept.
    fn next_order(&mut self) -> Option<u64> {
        match &mut self.info.creation_order {
            CreationOrder::Untracked => None,
            CreationOrder::Tracked { next } | CreationOrder::Indexed { next } => {
                *next += 1;
                Some(*next - 1)
            }
        }
    }

    fn phase_change(&self) -> Result<PhaseChange> {
        let Some((_, message)) = self.header.find(MessageType::GROUP_INFO) else { return Ok(PhaseChange::default()) };
        Ok(GroupInfo::decode(&message.body, self.at.0)?.phase_change.unwrap_or_default())
    }

    fn set_info(&mut self, writer: &mut Writer) -> Result<()> {
        let body = self.info.encode(self.widths);
        self.header.set(writer, HeaderMessage::new(MessageType::LINK_INFO, self.info_flags, body))
    }
}

fn check_link(link: &Link) -> Result<()> {
    let name = link.name.as_bytes();
    let why = if name.is_empty() {
        "it is empty"
    } else if name == b"." {
        "it means the group itself"
    } else if name.contains(&b'/') {
        "it contains a slash"
    } else if name.contains(&0) {
        "it contains a NUL"
    } else {
        return check_target(&link.target);
    };
    Err(ErrorKind::BadName { name: link.name.to_string_lossy().into_owned(), why }.into())
}

/// A link's value takes 65535 bytes at most, and ends its texts with NUL.
fn check_target(target: &LinkTarget) -> Result<()> {
    let (size, texts): (usize, &[&Name]) = match target {
        LinkTarget::Hard(_) => return Ok(()),
        LinkTarget::Soft(path) => (path.as_bytes().len(), &[path]),
        LinkTarget::External { file, path } => (file.as_bytes().len() + path.as_bytes().len() + 3, &[file, path]),
        LinkTarget::UserDefined { data, .. } => (data.len(), &[]),
    };
    for text in texts {
        let why = if text.as_bytes().is_empty() {
            "a link cannot lead to nothing"
        } else if text.as_bytes().contains(&0) {
            "it contains a NUL"
        } else {
            continue;
        };
        return Err(ErrorKind::BadName { name: text.to_string_lossy().into_owned(), why }.into());
    }
    if size > usize::from(u16::MAX) {
        return Err(Error::unsupported(format!("a link with a value of {size} bytes: 65535 is the most")));
    }
    Ok(())
}

fn not_found(name: &[u8]) -> Error {
    ErrorKind::NotFound { what: "link", name: String::from_utf8_lossy(name).into_owned() }.into()
}
