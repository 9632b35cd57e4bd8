//! Attributes being set and deleted.
//!
//! Few small attributes are messages of the object's header; when they become many, or one too large, they move to
//! dense storage, all at once. Setting an attribute that is there never shows a reader that it is gone, nor twice: both values
//! change places in one change of the header, or of the index by name.

use h5live_format::message::{Attribute, AttributeInfo, CreationOrder, MaybeShared, Name, PhaseChange, SharedMessage};
use h5live_format::object_header::{AttributeOrder, HeaderMessage, MessageFlags, MessageType};
use h5live_format::{Addr, Widths};

use super::dense_edit::{self, Attributes, DenseObject};
use super::header_edit::{HeaderEdit, Place, Removal};
use super::link_edit::adjust_reference_count;
use crate::error::{Error, ErrorKind, Result};
use crate::live::writer::Writer;
use crate::source::Source;

/// Stands for the creation order where that is not kept, and bounds it where it is.
const NO_ORDER: u64 = u16::MAX as u64;

/// Plans an attribute of the object whose header lies at `object`: a new one, or in the place of the one of that name,
/// whose creation order it keeps.
///
/// # Errors
/// The name cannot be one; name, datatype or dataspace are too long; the object has a version 1 header, and readers may look.
pub(crate) fn set_attribute(writer: &mut Writer, object: Addr, attribute: &Attribute) -> Result<()> {
    check_attribute(attribute, writer.widths())?;
    let mut edit = ObjectEdit::open(writer, object)?;
    let before = edit.find(&writer.source(), attribute.name.as_bytes())?;
    edit.put(writer, attribute, before.as_ref().map(|(_, order)| *order))?;
    edit.commit(writer)?;
    let old = before.and_then(|(attribute, _)| committed(&attribute));
    let new = committed(attribute);
    if old != new {
        count_use(writer, new, 1)?;
        count_use(writer, old, -1)?;
    }
    Ok(())
}

/// Plans that an attribute goes.
///
/// # Errors
/// There is none of that name, or the object has a version 1 header, and readers may look.
pub(crate) fn delete_attribute(writer: &mut Writer, object: Addr, name: &[u8]) -> Result<()> {
    let mut edit = ObjectEdit::open(writer, object)?;
    let attribute = edit.take(writer, name)?;
    edit.commit(writer)?;
    count_use(writer, committed(&attribute), -1)
}

/// Plans that an attribute gets another name.
///
/// # Errors
/// There is none of that name, the new name is taken or cannot be one, or the object has a version 1 header, and readers may look.
pub(crate) fn rename_attribute(
    writer: &mut Writer,
    object: Addr,
    name: &[u8],
    new_name: impl Into<Name>,
) -> Result<()> {
    let mut edit = ObjectEdit::open(writer, object)?;
    let source = writer.source();
    let (mut attribute, _) = edit.find(&source, name)?.ok_or_else(|| not_found(name))?;
    attribute.name = new_name.into();
    attribute.character_set = attribute.name.character_set();
    check_attribute(&attribute, writer.widths())?;
    if attribute.name.as_bytes() == name {
        return Ok(());
    }
    if edit.find(&source, attribute.name.as_bytes())?.is_some() {
        let name = attribute.name.to_string_lossy().into_owned();
        return Err(ErrorKind::Exists { what: "attribute", name }.into());
    }
    edit.put(writer, &attribute, None)?;
    edit.take(writer, name)?;
    edit.commit(writer)
}

/// An object whose attributes are being changed.
struct ObjectEdit {
    header: HeaderEdit,
    info: AttributeInfo,
    widths: Widths,
    at: Addr,
}

/// An attribute message of the header.
struct Compact {
    place: Place,
    order: u64,
    attribute: Attribute,
    bytes: Vec<u8>,
}

impl ObjectEdit {
    fn open(writer: &mut Writer, object: Addr) -> Result<Self> {
        let widths = writer.widths();
        let header = HeaderEdit::open(writer, object)?;
        let info = match header.find(MessageType::ATTRIBUTE_INFO) {
            Some((_, message)) => AttributeInfo::decode(&message.body, object.0, widths)?,
            None => {
                let next = header.all(MessageType::ATTRIBUTE).map(|(_, message)| u64::from(message.creation_order) + 1);
                let next = next.max().unwrap_or(0);
                let creation_order = match header.settings().attribute_order {
                    AttributeOrder::Untracked => CreationOrder::Untracked,
                    AttributeOrder::Tracked => CreationOrder::Tracked { next },
                    AttributeOrder::Indexed => CreationOrder::Indexed { next },
                };
                AttributeInfo { creation_order, dense: None }
            }
        };
        Ok(Self { header, info, widths, at: object })
    }

    /// The attribute and its creation order.
    fn find(&self, source: &Source, name: &[u8]) -> Result<Option<(Attribute, u64)>> {
        if let Some(storage) = &self.info.dense {
            let Some(found) = dense_edit::find::<Attributes>(source, storage, name)? else { return Ok(None) };
            let attribute = Attribute::decode(&found.bytes, storage.heap.0, self.widths)?;
            return Ok(Some((attribute, found.order)));
        }
        let found = self.compact()?.into_iter().find(|compact| compact.attribute.name.as_bytes() == name);
        Ok(found.map(|compact| (compact.attribute, compact.order)))
    }

    /// Puts an attribute in the place of the one of its name, or adds it; `order` is that of the one there is.
    fn put(&mut self, writer: &mut Writer, attribute: &Attribute, order: Option<u64>) -> Result<()> {
        let order = match order {
            Some(order) => order,
            None => self.next_order()?,
        };
        let bytes = attribute.encode(self.widths);
        let name = attribute.name.as_bytes();
        let object = DenseObject { name: name.to_vec(), order, bytes };
        if let Some(storage) = self.info.dense {
            self.info.dense = Some(dense_edit::put::<Attributes>(writer, storage, &object)?);
            return self.set_info(writer);
        }
        let there = self.compact()?;
        let replaced = there.iter().find(|compact| compact.attribute.name.as_bytes() == name);
        let count = there.len() + usize::from(replaced.is_none());
        let fits = object.bytes.len() <= HeaderMessage::MAX_BODY;
        // One that is replaced adds none, however many there are.
        if fits && (replaced.is_some() || count <= usize::from(self.phase_change().max_compact)) {
            let message = HeaderMessage {
                kind: MessageType::ATTRIBUTE,
                flags: MessageFlags::NONE,
                creation_order: order as u16,
                body: object.bytes,
            };
            if let Some(replaced) = replaced {
                return self.header.replace(writer, replaced.place, message);
            }
            self.set_info(writer)?;
            return self.header.add(writer, message);
        }
        let kept = there.iter().filter(|compact| compact.attribute.name.as_bytes() != name);
        let mut objects: Vec<_> = kept
            .map(|compact| DenseObject {
                name: compact.attribute.name.as_bytes().to_vec(),
                order: compact.order,
                bytes: compact.bytes.clone(),
            })
            .collect();
        objects.push(object);
        let indexed = matches!(self.info.creation_order, CreationOrder::Indexed { .. });
        self.info.dense = Some(dense_edit::create::<Attributes>(writer, &objects, indexed)?);
        self.set_info(writer)?;
        self.header.remove_all(MessageType::ATTRIBUTE, Removal::Now);
        Ok(())
    }

    fn take(&mut self, writer: &mut Writer, name: &[u8]) -> Result<Attribute> {
        let (attribute, _) = self.find(&writer.source(), name)?.ok_or_else(|| not_found(name))?;
        match self.info.dense {
            Some(storage) => {
                self.info.dense = Some(dense_edit::remove::<Attributes>(writer, storage, name, Removal::Now)?);
                self.set_info(writer)?;
            }
            None => {
                let found = self.compact()?.into_iter().find(|compact| compact.attribute.name.as_bytes() == name);
                if let Some(found) = found {
                    self.header.remove(found.place, Removal::Now);
                }
            }
        }
        Ok(attribute)
    }

    fn commit(self, writer: &mut Writer) -> Result<()> {
        self.header.commit(writer)?;
        writer.structure_changed();
        Ok(())
    }

    fn compact(&self) -> Result<Vec<Compact>> {
        let decode = |(place, message): (Place, &HeaderMessage)| {
            if message.flags.contains(MessageFlags::SHARED) {
                return Err(Error::unsupported(
                    "attributes in the table of shared messages cannot be changed; convert the file with `h5live repack`",
                ));
            }
            let attribute = Attribute::decode(&message.body, self.at.0, self.widths)?;
            let order = match self.info.creation_order {
                CreationOrder::Untracked => NO_ORDER,
                _ => message.creation_order.into(),
            };
            Ok(Compact { place, order, attribute, bytes: message.body.clone() })
        };
        self.header.all(MessageType::ATTRIBUTE).map(decode).collect()
    }

    /// The creation order of a new attribute.
    fn next_order(&mut self) -> Result<u64> {
        match &mut self.info.creation_order {
            CreationOrder::Untracked => Ok(NO_ORDER),
            CreationOrder::Tracked { next } | CreationOrder::Indexed { next } => {
                if *next >= NO_ORDER {
                    return Err(Error::unsupported("more than 65535 attributes of an object that keeps their order"));
                }
                *next += 1;
                Ok(*next - 1)
            }
        }
    }

    fn phase_change(&self) -> PhaseChange {
        self.header.settings().attribute_phase_change.unwrap_or_default()
    }

    fn set_info(&mut self, writer: &mut Writer) -> Result<()> {
        let body = self.info.encode(self.widths);
        self.header.set(writer, HeaderMessage::new(MessageType::ATTRIBUTE_INFO, MessageFlags::DO_NOT_SHARE, body))
    }
}

fn check_attribute(attribute: &Attribute, widths: Widths) -> Result<()> {
    let name = attribute.name.as_bytes();
    let why = if name.is_empty() {
        "it is empty"
    } else if name.contains(&0) {
        "it contains a NUL"
    } else if name.len() >= usize::from(u16::MAX) {
        "it is longer than 65534 bytes"
    } else {
        let datatype = attribute.datatype.here().map_or(0, |datatype| datatype.encode().len());
        let dataspace = attribute.dataspace.here().map_or(0, |dataspace| dataspace.encode(widths).len());
        let largest = datatype.max(dataspace);
        if largest > usize::from(u16::MAX) {
            return Err(Error::unsupported(format!(
                "an attribute whose datatype takes {largest} bytes: 65535 is the most; commit the datatype"
            )));
        }
        return Ok(());
    };
    Err(ErrorKind::BadName { name: attribute.name.to_string_lossy().into_owned(), why }.into())
}

/// The committed datatype that an attribute refers to.
fn committed(attribute: &Attribute) -> Option<Addr> {
    match &attribute.datatype {
        MaybeShared::Shared(SharedMessage::Committed(addr)) => Some(*addr),
        _ => None,
    }
}

fn count_use(writer: &mut Writer, datatype: Option<Addr>, by: i32) -> Result<()> {
    if let Some(datatype) = datatype {
        adjust_reference_count(writer, datatype, by)?;
    }
    Ok(())
}

fn not_found(name: &[u8]) -> Error {
    ErrorKind::NotFound { what: "attribute", name: String::from_utf8_lossy(name).into_owned() }.into()
}
