//! Everything in a file, once more in a new one.
//!
//! First the structure is made, which tells the new address of every object; then elements and attributes follow, in which
//! references are replaced by those to the new addresses. Chunks are copied as they are stored where nobody may be writing.

mod blocks;
mod carried;

use std::collections::{BTreeSet, HashMap};
use std::path::Path;

use h5live_format::Addr;
use h5live_format::message::{self, CharacterSet, FillTime, LinkTarget, Name};

use self::blocks::blocks;
use self::carried::{Carried, CarriedAttribute, Losses, is_portable, refuse_foreign_widths};
use crate::check::Progress;
use crate::create::DatasetBuilder;
use crate::dataset::{ChunkInfo, Dataset, Layout};
use crate::error::{Error, ErrorKind, Result};
use crate::file::File;
use crate::group::{Group, Link, Object, Target};
use crate::live::WriterState;
use crate::selection::Slab;
use crate::structure::AttributeValue;

/// Bytes written before they are published, which lets go of what is kept for them in memory.
const PUBLISH_BYTES: u64 = 64 << 20;
/// The group of objects that nothing led to.
const LOST_AND_FOUND: &str = "lost+found";
/// What the library puts into an object header at most, in bytes.
const MOST_COMPACT_BYTES: u64 = 65_000;

/// A copy of a file to be made.
///
/// ```no_run
/// # fn main() -> h5live::Result<()> {
/// let from = h5live::File::open("old.h5")?;
/// let copied = h5live::copy::Copy::new(&from).on_note(|note| eprintln!("{note}")).to("new.h5")?;
/// println!("{} objects", copied.objects);
/// # Ok(())
/// # }
/// ```
pub struct Copy<'a> {
    from: File,
    leave_out: bool,
    orphans: Vec<u64>,
    on_note: Box<dyn FnMut(&str) + 'a>,
    on_progress: Box<dyn FnMut(Progress<'_>) -> bool + 'a>,
}

/// What was copied.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Copied {
    /// Objects.
    pub objects: u64,
    /// Bytes of elements, as stored.
    pub bytes: u64,
    /// What could not be read and was left out; empty unless that was asked for.
    pub lost: Vec<Lost>,
}

/// Something that is not in a copy.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Lost {
    /// The path of the object it belongs to.
    pub object: String,
    /// What it is, and why it could not be copied.
    pub what: String,
}

impl<'a> Copy<'a> {
    /// A copy of `from`, which may be being written: as it is now.
    #[must_use]
    pub fn new(from: &File) -> Self {
        Self {
            from: from.clone(),
            leave_out: false,
            orphans: Vec::new(),
            on_note: Box::new(|_| {}),
            on_progress: Box::new(|_| true),
        }
    }

    /// Leaves out what cannot be read, and tells of it, rather than give up.
    #[must_use]
    pub fn leave_out_unreadable(mut self) -> Self {
        self.leave_out = true;
        self
    }

    /// Copies the objects at these addresses, too, to a group `lost+found` of the new file.
    pub(crate) fn orphans(mut self, addresses: &[u64]) -> Self {
        self.orphans = addresses.to_vec();
        self
    }

    /// Calls `act` with what is not in the new file as it was.
    #[must_use]
    pub fn on_note(mut self, act: impl FnMut(&str) + 'a) -> Self {
        self.on_note = Box::new(act);
        self
    }

    /// Calls `act` now and then with how far the copy is; `false` ends it.
    #[must_use]
    pub fn on_progress(mut self, act: impl FnMut(Progress<'_>) -> bool + 'a) -> Self {
        self.on_progress = Box::new(act);
        self
    }

    /// Makes it: a new file at `path`, which replaces one that is there.
    ///
    /// # Errors
    /// Something cannot be read, written, or said in a new file. What is at `path` then is no file yet.
    pub fn to(self, path: impl AsRef<Path>) -> Result<Copied> {
        let tracks_order = self.from.root().tracks_creation_order();
        let tracks_order = if self.leave_out { tracks_order.unwrap_or(false) } else { tracks_order? };
        let builder = if tracks_order { File::builder().track_order() } else { File::builder() };
        let as_stored = match self.from.writer_state()? {
            // What is stored cannot change any more.
            WriterState::Closed | WriterState::Died(_) => true,
            _ => self.leave_out,
        };
        let to = builder.create(path)?;
        let mut copier = Copier {
            from: self.from,
            to: to.clone(),
            as_stored,
            leave_out: self.leave_out,
            objects: Vec::new(),
            addresses: HashMap::new(),
            told: BTreeSet::new(),
            losses: Losses::default(),
            on_note: self.on_note,
            on_progress: self.on_progress,
            done: 0,
            total: 0,
            unpublished: 0,
            lost: Vec::new(),
        };
        let userblock = copier.from.userblock_size();
        if userblock > 0 {
            copier.tell(format!("the user block of {userblock} bytes before the HDF5 data is not copied"));
        }
        copier.structure(&self.orphans)?;
        copier.contents()?;
        let copied =
            Copied { objects: copier.objects.len() as u64, bytes: copier.done, lost: std::mem::take(&mut copier.lost) };
        drop(copier);
        to.close()?;
        Ok(copied)
    }
}

/// A copy under way.
struct Copier<'a> {
    from: File,
    to: File,
    /// Whether chunks can be copied as they are: nobody changes them.
    as_stored: bool,
    leave_out: bool,
    /// Every object and its copy.
    objects: Vec<(Object, Object)>,
    /// The address of every object's copy.
    addresses: HashMap<u64, u64>,
    /// What was told already: nothing is told twice.
    told: BTreeSet<String>,
    losses: Losses,
    on_note: Box<dyn FnMut(&str) + 'a>,
    on_progress: Box<dyn FnMut(Progress<'_>) -> bool + 'a>,
    done: u64,
    total: u64,
    unpublished: u64,
    lost: Vec<Lost>,
}

impl Copier<'_> {
    /// Tells, once, that something is not in the new file as it was.
    fn tell(&mut self, message: String) {
        if !self.told.contains(&message) {
            (self.on_note)(&message);
            self.told.insert(message);
        }
    }

    /// What `result` is of, or the note that it is lost where that is allowed.
    fn or_lost<T>(&mut self, object: &str, what: &str, result: Result<T>) -> Result<Option<T>> {
        let error = match result {
            Ok(value) => return Ok(Some(value)),
            Err(error) => error,
        };
        if !self.leave_out || matches!(error.kind(), ErrorKind::Io { .. } | ErrorKind::Interrupted) {
            return Err(error);
        }
        let gap = if what.is_empty() { "" } else { ": " };
        self.lost.push(Lost { object: object.to_owned(), what: format!("{what}{gap}{}", error.kind()) });
        Ok(None)
    }

    /// Creates all groups, datasets, committed datatypes and links.
    fn structure(&mut self, orphans: &[u64]) -> Result<()> {
        let (from, to) = (self.from.root(), self.to.root());
        self.enter(Object::Group(from.clone()), Object::Group(to.clone()));
        self.below(vec![(from.clone(), to.clone())])?;
        if orphans.is_empty() {
            return Ok(());
        }
        let place =
            if to.contains(LOST_AND_FOUND)? { to.group(LOST_AND_FOUND)? } else { to.create_group(LOST_AND_FOUND)? };
        for address in orphans {
            let name = format!("object at {address:#x}");
            let (path, mut groups) = (place.join(&name), Vec::new());
            let link = Link::from(message::Link {
                name: Name::from(name.as_str()),
                character_set: CharacterSet::Ascii,
                creation_order: None,
                target: LinkTarget::Hard(Addr(*address)),
            });
            let made = self.link(&from, &place, link, &mut groups);
            self.or_lost(&path, "", made)?;
            self.below(groups)?;
        }
        Ok(())
    }

    /// Creates everything below these groups.
    fn below(&mut self, mut groups: Vec<(Group, Group)>) -> Result<()> {
        while let Some((from, to)) = groups.pop() {
            let links = from.links();
            let Some(mut links) = self.or_lost(from.path(), "its links", links)? else { continue };
            links.sort_by_key(|link| link.creation_order);
            for link in links {
                let path = from.join(&link.name);
                let made = self.link(&from, &to, link, &mut groups);
                self.or_lost(&path, "", made)?;
            }
        }
        Ok(())
    }

    fn link(&mut self, from: &Group, to: &Group, link: Link, groups: &mut Vec<(Group, Group)>) -> Result<()> {
        match link.target {
            Target::Hard(address) => {
                if let Some(copy) = self.addresses.get(&address) {
                    return to.link_object(&link.name, &self.to.object_at(*copy)?);
                }
                // By its path if it can be found so: errors then tell it.
                let object = from.get(&link.name).or_else(|_| self.from.object_at(address))?;
                let copy = self.create(&object, to, &link.name)?;
                if let (Object::Group(from), Object::Group(to)) = (&object, &copy) {
                    groups.push((from.clone(), to.clone()));
                }
                self.enter(object, copy);
                Ok(())
            }
            Target::Soft(path) => to.link_soft(&link.name, &path),
            Target::External { file, path } => to.link_external(&link.name, &file, &path),
            Target::UserDefined { class, data } => to.link_user_defined(&link.name, class, &data),
        }
    }

    fn enter(&mut self, object: Object, copy: Object) {
        self.addresses.insert(object.address(), copy.address());
        self.objects.push((object, copy));
    }

    /// Creates the copy of an object, without contents.
    fn create(&mut self, object: &Object, to: &Group, name: &str) -> Result<Object> {
        Ok(match object {
            Object::Group(group) => {
                let builder = to.new_group(name);
                let builder = if group.tracks_creation_order()? { builder.track_order() } else { builder };
                Object::Group(builder.create()?)
            }
            Object::Datatype(datatype) => Object::Datatype(to.commit_datatype(name, datatype.datatype())?),
            Object::Dataset(dataset) => {
                refuse_foreign_widths(dataset.datatype()).map_err(|error| located(error, dataset.path()))?;
                if dataset.committed_datatype().is_some() {
                    self.tell(format!(
                        "datasets of a committed datatype ({} is one) have a datatype of their own in the copy",
                        dataset.path()
                    ));
                }
                let builder = to.new_dataset_of(name, dataset.datatype().clone());
                let builder = self.filled(builder, dataset);
                Object::Dataset(self.stored(builder, dataset)?.create()?)
            }
        })
    }

    /// Gives a new dataset the fill value of `dataset`.
    fn filled(&mut self, builder: DatasetBuilder, dataset: &Dataset) -> DatasetBuilder {
        let uses_heap = dataset.datatype().uses_global_heap();
        let builder = match dataset.fill_bytes() {
            Some(bytes) if !is_portable(dataset.datatype()) => {
                if bytes.iter().any(|byte| *byte != 0) {
                    let path = dataset.path();
                    self.tell(format!("{path}: its fill value of variable length, or a reference, is not copied"));
                }
                builder
            }
            Some(bytes) => builder.fill_bytes(bytes),
            None if dataset.has_fill_value().is_none() && dataset.fill_time().is_some() && !uses_heap => {
                builder.no_fill_value()
            }
            None => builder,
        };
        match dataset.fill_time() {
            // Space for heap data is never left as it was found.
            Some(FillTime::Never) if uses_heap => builder,
            Some(time) => builder.fill_time(time),
            None => builder,
        }
    }

    /// Gives a new dataset the extent, the storage and the filters of `dataset`, and the order of its attributes.
    fn stored(&mut self, builder: DatasetBuilder, dataset: &Dataset) -> Result<DatasetBuilder> {
        let tracks_order = dataset.attributes()?.iter().any(|attribute| attribute.creation_order().is_some());
        let builder = if tracks_order { builder.track_attribute_order() } else { builder };
        if dataset.is_null() {
            return Ok(builder.null());
        }
        let (shape, max) = (dataset.shape(), dataset.max_shape());
        let bytes = dataset.len().saturating_mul(dataset.datatype().size().into());
        let grows = shape.iter().zip(max).any(|(dim, max)| Some(*dim) != *max);
        let builder = builder.shape(shape);
        let builder = if grows { builder.resizable(max.iter().copied()) } else { builder };
        Ok(match dataset.layout() {
            Layout::Compact if bytes <= MOST_COMPACT_BYTES && !grows => builder.compact(),
            Layout::Chunked => {
                let filters = dataset.filters();
                // An axis without elements has chunks longer than itself in some files.
                let room = max.iter().map(|max| max.map_or(u64::MAX, |max| max.max(1)));
                let chunk = dataset.chunk_shape().unwrap_or_default().iter().zip(room);
                let chunk: Vec<u64> = chunk.map(|(len, room)| (*len).min(room)).collect();
                if is_allocated_early(dataset) && filters.is_empty() && !grows {
                    builder.chunks_allocated_early(chunk)
                } else {
                    builder.chunks(chunk).filters(&filters)
                }
            }
            layout @ (Layout::External | Layout::Virtual) => {
                let what = if layout == Layout::External { "external files" } else { "other datasets" };
                self.tell(format!("{}: its elements, kept in {what}, are in the copy itself", dataset.path()));
                builder
            }
            Layout::Compact | Layout::Contiguous => builder,
        })
    }

    /// Copies elements and attributes.
    fn contents(&mut self) -> Result<()> {
        let objects = std::mem::take(&mut self.objects);
        let total = objects.iter().map(|(object, _)| match object {
            Object::Dataset(dataset) => bytes(dataset),
            _ => 0,
        });
        self.total = total.fold(0, u64::saturating_add);
        for (object, copy) in &objects {
            if let (Object::Dataset(from), Object::Dataset(to)) = (object, copy) {
                let copied = self.elements(from, to);
                self.or_lost(from.path(), "its elements", copied)?;
            }
            self.attributes(object, copy)?;
        }
        self.objects = objects;
        for message in self.losses.messages() {
            self.tell(message);
        }
        Ok(())
    }

    fn attributes(&mut self, object: &Object, copy: &Object) -> Result<()> {
        let attributes = object.attributes();
        let Some(attributes) = self.or_lost(object.path(), "its attributes", attributes)? else { return Ok(()) };
        for attribute in attributes {
            let copied = self.attribute(object, &attribute, copy);
            let what = format!("attribute {:?}", attribute.name());
            self.or_lost(object.path(), &what, copied)?;
        }
        Ok(())
    }

    fn attribute(&mut self, object: &Object, attribute: &crate::Attribute, copy: &Object) -> Result<()> {
        let (name, datatype) = (attribute.name(), attribute.datatype());
        if attribute.is_null() || is_portable(datatype) {
            let shape = (!attribute.is_null()).then_some(attribute.shape());
            let raw = if attribute.is_null() { &[] } else { attribute.raw() };
            return match copy {
                Object::Group(group) => group.set_attribute_raw(name, datatype, shape, raw),
                Object::Dataset(dataset) => dataset.set_attribute_raw(name, datatype, shape, raw),
                Object::Datatype(committed) => committed.set_attribute_raw(name, datatype, shape, raw),
            };
        }
        refuse_foreign_widths(datatype).map_err(|error| located(error, &format!("{}@{name}", object.path())))?;
        let mut elements: Vec<Carried> = attribute.read_vec()?;
        elements.iter_mut().for_each(|element| element.redirect(&self.addresses, &mut self.losses));
        let value = CarriedAttribute { datatype: datatype.clone(), shape: attribute.shape().to_vec(), elements };
        set_attribute(copy, name, value)
    }

    fn elements(&mut self, from: &Dataset, to: &Dataset) -> Result<()> {
        if from.is_null() || from.is_empty() {
            return Ok(());
        }
        if from.layout() != Layout::Chunked {
            let nothing_stored = from.layout() == Layout::Contiguous && from.storage_size()? == 0;
            if !nothing_stored {
                for block in blocks(&from.shape(), from.datatype().size().into()) {
                    let what = block_name(&block);
                    let copied = self.block(from, to, block);
                    self.or_lost(from.path(), &what, copied)?;
                }
            }
            return Ok(());
        }
        let shape = from.shape();
        let chunk_shape = from.chunk_shape().unwrap_or_default().to_vec();
        let same_form = to.chunk_shape() == Some(&chunk_shape) && !is_allocated_early(to);
        let as_stored = self.as_stored && same_form && is_portable(from.datatype());
        // Chunks that nobody wrote are none in the copy either.
        for chunk in from.chunks()? {
            let ends = chunk.offset.iter().zip(&chunk_shape).map(|(start, len)| start.saturating_add(*len));
            let is_edge = ends.clone().zip(&shape).any(|(end, dim)| end > *dim);
            let has_own_form = is_edge && from.has_plain_edge_chunks();
            let copied = if as_stored && !has_own_form {
                self.chunk(from, to, &chunk)
            } else {
                let block = chunk.offset.iter().zip(ends).zip(&shape);
                self.block(from, to, block.map(|((start, end), dim)| Slab::range(*start..end.min(*dim))).collect())
            };
            let what = format!("the chunk at {:?}", chunk.offset);
            self.or_lost(from.path(), &what, copied)?;
        }
        Ok(())
    }

    /// Copies a chunk as it is stored.
    fn chunk(&mut self, from: &Dataset, to: &Dataset, chunk: &ChunkInfo) -> Result<()> {
        let source = &self.from.inner.source;
        let addr = Addr(chunk.file_offset.saturating_sub(source.base()));
        let bytes = source.bytes("chunk", addr, chunk.size)?;
        if self.leave_out {
            from.verify_chunk(chunk, &bytes)?;
        }
        to.write_chunk(&chunk.offset, chunk.filter_mask, &bytes)?;
        self.done(chunk.size, from.path())
    }

    /// Copies elements.
    fn block(&mut self, from: &Dataset, to: &Dataset, block: Vec<Slab>) -> Result<()> {
        let count = block.iter().fold(1u64, |count, slab| count.saturating_mul(slab.len()));
        if is_portable(from.datatype()) {
            let bytes = match block.is_empty() {
                true => from.read_raw(..)?,
                false => from.read_raw(block.clone())?,
            };
            match block.is_empty() {
                true => to.write_raw(.., &bytes)?,
                false => to.write_raw(block, &bytes)?,
            }
        } else {
            let mut elements: Vec<Carried> = match block.is_empty() {
                true => from.read_vec(..)?,
                false => from.read_vec(block.clone())?,
            };
            elements.iter_mut().for_each(|element| element.redirect(&self.addresses, &mut self.losses));
            match block.is_empty() {
                true => to.write(.., &elements)?,
                false => to.write(block, &elements)?,
            }
        }
        self.done(count.saturating_mul(from.datatype().size().into()), from.path())
    }

    /// Counts bytes as copied.
    fn done(&mut self, bytes: u64, object: &str) -> Result<()> {
        self.done = self.done.saturating_add(bytes);
        if !(self.on_progress)(Progress { done: self.done, total: self.total, object }) {
            return Err(Error::new(ErrorKind::Interrupted));
        }
        self.unpublished = self.unpublished.saturating_add(bytes);
        if self.unpublished >= PUBLISH_BYTES {
            self.to.publish()?;
            self.unpublished = 0;
        }
        Ok(())
    }
}

/// What a block of elements is called.
fn block_name(block: &[Slab]) -> String {
    let start: Vec<u64> = block.iter().map(|slab| slab.start).collect();
    let end: Vec<u64> = block.iter().map(|slab| slab.start.saturating_add(slab.len())).collect();
    format!("elements {start:?} to {end:?}")
}

/// Bytes to be copied of a dataset, about: without what is compressed.
fn bytes(dataset: &Dataset) -> u64 {
    match dataset.layout() {
        Layout::Virtual => dataset.len().saturating_mul(dataset.datatype().size().into()),
        // A damaged index is found, and told, when the chunks are copied.
        _ => dataset.storage_size().unwrap_or(0),
    }
}

fn is_allocated_early(dataset: &Dataset) -> bool {
    dataset.chunk_index() == Some("implicit")
}

fn set_attribute(object: &Object, name: &str, value: impl AttributeValue) -> Result<()> {
    match object {
        Object::Group(group) => group.set_attribute(name, value),
        Object::Dataset(dataset) => dataset.set_attribute(name, value),
        Object::Datatype(committed) => committed.set_attribute(name, value),
    }
}

fn located(kind: ErrorKind, path: &str) -> Error {
    Error::new(kind).at_object(path)
}
