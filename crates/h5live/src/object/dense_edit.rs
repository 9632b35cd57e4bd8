//! Dense storage being changed: a fractal heap of links or attributes, found by name and, if wanted, by creation order.
//!
//! Objects come first, then the index by creation order, then the index by name: with that, a name appears, disappears
//! or leads to something new. Storage that was not made for being changed while readers look (libhdf5's own has
//! checksummed heap blocks and lists of free space) is copied into storage that is, before its first change.

use std::cmp::Ordering;

use h5live_format::btree_v2::{
    AttributeNameRecord, AttributeOrderRecord, Editor, Header, LinkNameRecord, LinkOrderRecord, Record,
};
use h5live_format::fractal_heap::DoublingTable;
use h5live_format::message::{Attribute, DenseStorage, Link};
use h5live_format::{Addr, Widths, lookup3};

use super::fractal_heap::FractalHeap;
use super::fractal_heap_edit::HeapEdit;
use super::header_edit::Removal;
use super::links::{NODE, open_tree};
use super::name_tree;
use crate::error::{Error, Result};
use crate::live::layer::LiveBlock;
use crate::live::space::crosses_page;
use crate::live::writer::Writer;
use crate::source::Source;

/// What dense storage holds: links or attributes.
pub(crate) trait DenseKind {
    /// A record of the index by name.
    type ByName: Record<Form = ()>;
    /// A record of the index by creation order.
    type ByOrder: Record<Form = ()>;
    /// The heap's doubling table.
    const TABLE: DoublingTable;
    /// Bytes of a heap ID.
    const ID_LENGTH: u16;

    /// Makes a record of the index by name. `id` has [`DenseKind::ID_LENGTH`] bytes.
    fn by_name(hash: u32, id: &[u8], order: u64) -> Self::ByName;
    /// Makes a record of the index by creation order.
    fn by_order(id: &[u8], order: u64) -> Self::ByOrder;
    /// The hash of the name.
    fn hash(record: &Self::ByName) -> u32;
    /// The heap ID.
    fn id(record: &Self::ByName) -> &[u8];
    /// The creation order.
    fn order(record: &Self::ByOrder) -> u64;
    /// Whether the object lies in this heap, and not in that of shared messages.
    fn is_here(record: &Self::ByName) -> bool;
    /// Name and creation order of an object found in the heap at `at`.
    fn describe(record: &Self::ByName, object: &[u8], at: Addr, widths: Widths) -> Result<(Vec<u8>, u64)>;
}

/// Links of a group.
#[derive(Debug)]
pub(crate) enum Links {}

/// Attributes of an object.
#[derive(Debug)]
pub(crate) enum Attributes {}

/// The first bytes of a heap ID, as many as records have: IDs are made with that length.
fn fixed<const N: usize>(id: &[u8]) -> [u8; N] {
    let mut fixed = [0; N];
    fixed.copy_from_slice(&id[..N]);
    fixed
}

impl DenseKind for Links {
    type ByName = LinkNameRecord;
    type ByOrder = LinkOrderRecord;
    const TABLE: DoublingTable = DoublingTable::LINKS;
    const ID_LENGTH: u16 = 7;

    fn by_name(hash: u32, id: &[u8], _: u64) -> LinkNameRecord {
        LinkNameRecord { hash, heap_id: fixed(id) }
    }

    fn by_order(id: &[u8], order: u64) -> LinkOrderRecord {
        LinkOrderRecord { order, heap_id: fixed(id) }
    }

    fn hash(record: &LinkNameRecord) -> u32 {
        record.hash
    }

    fn id(record: &LinkNameRecord) -> &[u8] {
        &record.heap_id
    }

    fn order(record: &LinkOrderRecord) -> u64 {
        record.order
    }

    fn is_here(_: &LinkNameRecord) -> bool {
        true
    }

    fn describe(_: &LinkNameRecord, object: &[u8], at: Addr, widths: Widths) -> Result<(Vec<u8>, u64)> {
        let link = Link::decode(object, at.0, widths)?;
        Ok((link.name.as_bytes().to_vec(), link.creation_order.unwrap_or(0)))
    }
}

impl DenseKind for Attributes {
    type ByName = AttributeNameRecord;
    type ByOrder = AttributeOrderRecord;
    const TABLE: DoublingTable = DoublingTable::ATTRIBUTES;
    const ID_LENGTH: u16 = 8;

    fn by_name(hash: u32, id: &[u8], order: u64) -> AttributeNameRecord {
        AttributeNameRecord { heap_id: fixed(id), flags: 0, order: order as u32, hash }
    }

    fn by_order(id: &[u8], order: u64) -> AttributeOrderRecord {
        AttributeOrderRecord { heap_id: fixed(id), flags: 0, order: order as u32 }
    }

    fn hash(record: &AttributeNameRecord) -> u32 {
        record.hash
    }

    fn id(record: &AttributeNameRecord) -> &[u8] {
        &record.heap_id
    }

    fn order(record: &AttributeOrderRecord) -> u64 {
        record.order.into()
    }

    fn is_here(record: &AttributeNameRecord) -> bool {
        use h5live_format::object_header::MessageFlags;
        !MessageFlags(record.flags).contains(MessageFlags::SHARED)
    }

    fn describe(record: &AttributeNameRecord, object: &[u8], at: Addr, widths: Widths) -> Result<(Vec<u8>, u64)> {
        let attribute = Attribute::decode(object, at.0, widths)?;
        Ok((attribute.name.as_bytes().to_vec(), record.order.into()))
    }
}

/// An object on its way into dense storage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DenseObject {
    /// Its name.
    pub(crate) name: Vec<u8>,
    /// Its creation order; whatever stands for none where that is not kept.
    pub(crate) order: u64,
    /// The message.
    pub(crate) bytes: Vec<u8>,
}

/// Plans storage for `objects`, whose names are different, and returns where it is.
pub(crate) fn create<K: DenseKind>(
    writer: &mut Writer,
    objects: &[DenseObject],
    by_order: bool,
) -> Result<DenseStorage> {
    let mut heap = HeapEdit::create(writer, K::TABLE, K::ID_LENGTH)?;
    let mut named = Vec::with_capacity(objects.len());
    for object in objects {
        let id = heap.insert(writer, &object.bytes)?;
        named.push((lookup3(&object.name), object, id));
    }
    heap.settle(writer)?;
    named.sort_by(|(hash, object, _), (other_hash, other, _)| (hash, &object.name).cmp(&(other_hash, &other.name)));
    let records = named.iter().map(|(hash, object, id)| K::by_name(*hash, id, object.order)).collect();
    let name_index = name_tree::create::<K::ByName>(writer, (), records)?;
    let creation_order_index = if by_order {
        named.sort_by_key(|(_, object, _)| object.order);
        let records = named.iter().map(|(_, object, id)| K::by_order(id, object.order)).collect();
        Some(name_tree::create::<K::ByOrder>(writer, (), records)?)
    } else {
        None
    };
    Ok(DenseStorage { heap: heap.at(), name_index, creation_order_index })
}

/// The message named `name`; what errors say of its place is the heap.
pub(crate) fn find<K: DenseKind>(source: &Source, storage: &DenseStorage, name: &[u8]) -> Result<Option<DenseObject>> {
    Ok(find_record::<K>(source, storage, name)?.map(|(_, object)| object))
}

/// Enters an object under its name, in the place of the one that has it now. The new storage is returned: it is another
/// if the old one could not be changed.
pub(crate) fn put<K: DenseKind>(
    writer: &mut Writer,
    storage: DenseStorage,
    object: &DenseObject,
) -> Result<DenseStorage> {
    let (storage, mut heap) = editable::<K>(writer, storage)?;
    let hash = lookup3(&object.name);
    let id = heap.insert(writer, &object.bytes)?;
    heap.settle(writer)?;
    let before = find_record::<K>(&writer.source(), &storage, &object.name)?;
    if let Some(index) = storage.creation_order_index {
        if let Some((_, old)) = before.as_ref().filter(|(_, old)| old.order != object.order) {
            remove_order::<K>(writer, LiveBlock::ChunkTreeHeader, index, old.order)?;
        }
        // Before the name, so that whatever has a name has a place in the order, too.
        name_tree::change(writer, LiveBlock::ChunkTreeHeader, index, (), |editor: &mut Editor<K::ByOrder>, source| {
            editor.put(
                K::by_order(&id, object.order),
                |addr, len| source.bytes(NODE, addr, len),
                |other| Ok::<_, Error>(K::order(other).cmp(&object.order)),
            )
        })?;
    }
    name_tree::change(
        writer,
        LiveBlock::NameTreeHeader,
        storage.name_index,
        (),
        |editor: &mut Editor<K::ByName>, source| {
            editor.put(
                K::by_name(hash, &id, object.order),
                |addr, len| source.bytes(NODE, addr, len),
                |other| compare::<K>(source, &storage, other, hash, &object.name),
            )
        },
    )?;
    if let Some((old, _)) = before {
        heap.remove(writer, K::id(&old))?;
        heap.settle(writer)?;
    }
    Ok(storage)
}

/// Removes the object named `name`, which is there. The new storage is returned, as by [`put`].
pub(crate) fn remove<K: DenseKind>(
    writer: &mut Writer,
    storage: DenseStorage,
    name: &[u8],
    when: Removal,
) -> Result<DenseStorage> {
    let (storage, mut heap) = editable::<K>(writer, storage)?;
    let Some((record, object)) = find_record::<K>(&writer.source(), &storage, name)? else { return Ok(storage) };
    let kind = match when {
        Removal::Now => LiveBlock::NameTreeHeader,
        Removal::Superseded => name_tree::TIDIED,
    };
    let hash = lookup3(name);
    name_tree::change(writer, kind, storage.name_index, (), |editor: &mut Editor<K::ByName>, source| {
        editor.remove(
            |addr, len| source.bytes(NODE, addr, len),
            |other| compare::<K>(source, &storage, other, hash, name),
        )
    })?;
    if let Some(index) = storage.creation_order_index {
        remove_order::<K>(writer, name_tree::TIDIED, index, object.order)?;
    }
    heap.remove(writer, K::id(&record))?;
    heap.settle(writer)?;
    Ok(storage)
}

/// The heap, open for changes, and the storage it belongs to: a copy, unless the one there is will do.
fn editable<K: DenseKind>(writer: &mut Writer, storage: DenseStorage) -> Result<(DenseStorage, HeapEdit)> {
    let source = writer.source();
    let heap = HeapEdit::open(&source, storage.heap)?;
    let base = writer.base();
    let tree_size = Header::size(writer.widths());
    let in_page = |addr: Addr| !crosses_page(base + addr.0, tree_size);
    if heap.is_live_editable(base) && in_page(storage.name_index) && storage.creation_order_index.is_none_or(in_page) {
        return Ok((storage, heap));
    }
    let objects = every::<K>(&source, &storage)?;
    writer.supersede(objects.iter().map(|object| object.bytes.len() as u64).sum());
    let copy = create::<K>(writer, &objects, storage.creation_order_index.is_some())?;
    let heap = HeapEdit::open(&source, copy.heap)?;
    Ok((copy, heap))
}

/// Every object there is.
pub(crate) fn every<K: DenseKind>(source: &Source, storage: &DenseStorage) -> Result<Vec<DenseObject>> {
    let heap = FractalHeap::open(source, storage.heap, source.filters())?;
    let tree = open_tree::<K::ByName>(source, storage.name_index, ())?;
    let mut objects = Vec::new();
    tree.for_each(
        |addr, len| source.bytes(NODE, addr, len),
        |record| -> Result<()> {
            objects.push(object::<K>(source, &heap, storage, &record)?);
            Ok(())
        },
    )?;
    Ok(objects)
}

fn object<K: DenseKind>(
    source: &Source,
    heap: &FractalHeap,
    storage: &DenseStorage,
    record: &K::ByName,
) -> Result<DenseObject> {
    if !K::is_here(record) {
        return Err(Error::unsupported(
            "attributes in the table of shared messages cannot be changed; convert the file with `h5live repack`",
        ));
    }
    let bytes = heap.object(source, K::id(record))?;
    let (name, order) = K::describe(record, &bytes, storage.heap, source.widths())?;
    Ok(DenseObject { name, order, bytes })
}

fn find_record<K: DenseKind>(
    source: &Source,
    storage: &DenseStorage,
    name: &[u8],
) -> Result<Option<(K::ByName, DenseObject)>> {
    let hash = lookup3(name);
    let tree = open_tree::<K::ByName>(source, storage.name_index, ())?;
    let found = tree
        .find(|addr, len| source.bytes(NODE, addr, len), |record| compare::<K>(source, storage, record, hash, name))?;
    let Some(record) = found else { return Ok(None) };
    let heap = FractalHeap::open(source, storage.heap, source.filters())?;
    let object = object::<K>(source, &heap, storage, &record)?;
    Ok(Some((record, object)))
}

/// How a record relates to a name: by hash, then by the name itself, which lies in the heap.
fn compare<K: DenseKind>(
    source: &Source,
    storage: &DenseStorage,
    record: &K::ByName,
    hash: u32,
    name: &[u8],
) -> Result<Ordering> {
    match K::hash(record).cmp(&hash) {
        Ordering::Equal => {
            let heap = FractalHeap::open(source, storage.heap, source.filters())?;
            Ok(object::<K>(source, &heap, storage, record)?.name.as_slice().cmp(name))
        }
        other => Ok(other),
    }
}

fn remove_order<K: DenseKind>(writer: &mut Writer, kind: LiveBlock, index: Addr, order: u64) -> Result<()> {
    name_tree::change(writer, kind, index, (), |editor: &mut Editor<K::ByOrder>, source| {
        editor.remove(|addr, len| source.bytes(NODE, addr, len), |other| Ok::<_, Error>(K::order(other).cmp(&order)))
    })?;
    Ok(())
}
