//! Global heap collections (III.E): where variable-length data, references and virtual dataset mappings lie.
//!
//! A collection is a run of objects, each with an index by which a [`GlobalHeapId`] names it; what is left over is
//! "object 0". Collections carry no checksum, so one that readers can reach is never changed: [`CollectionBuilder`]
//! makes a new one, complete.

use crate::{Addr, Cursor, Put, Result, Why, Widths};

/// Bytes of the smallest collection libhdf5 accepts.
pub const MIN_COLLECTION_SIZE: u64 = 4096;

/// Names an object of a global heap: what stands in a dataset's element in place of variable-length data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct GlobalHeapId {
    /// Address of the collection.
    pub collection: Addr,
    /// Index of the object in it; never 0.
    pub index: u32,
}

impl GlobalHeapId {
    /// Bytes of an ID.
    #[must_use]
    pub const fn size(widths: Widths) -> usize {
        widths.offset as usize + 4
    }

    /// Reads an ID; `None` where it names nothing: libhdf5 writes address 0 (or the undefined one) for empty data.
    pub fn decode(cursor: &mut Cursor<'_>, widths: Widths) -> Result<Option<Self>> {
        let collection = cursor.addr("global heap collection address", widths)?;
        let index = cursor.u32("global heap object index")?;
        Ok(collection.filter(|addr| addr.0 != 0).map(|collection| Self { collection, index }))
    }

    /// Writes an ID; `None` as libhdf5 writes it for empty data: zeros.
    pub fn encode(id: Option<Self>, out: &mut Vec<u8>, widths: Widths) {
        out.put_addr(Some(id.map_or(Addr(0), |id| id.collection)), widths);
        out.put_u32(id.map_or(0, |id| id.index));
    }
}

/// What an element of variable-length type holds in the file: how much data, and where.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct VariableLength {
    /// Elements of the base type (for strings: bytes).
    pub length: u32,
    /// The object with the data; none when there is none.
    pub object: Option<GlobalHeapId>,
}

impl VariableLength {
    /// Bytes of one.
    #[must_use]
    pub const fn size(widths: Widths) -> usize {
        4 + GlobalHeapId::size(widths)
    }

    /// Reads one.
    pub fn decode(cursor: &mut Cursor<'_>, widths: Widths) -> Result<Self> {
        Ok(Self { length: cursor.u32("sequence length")?, object: GlobalHeapId::decode(cursor, widths)? })
    }

    /// Writes one.
    pub fn encode(self, out: &mut Vec<u8>, widths: Widths) {
        out.put_u32(self.length);
        GlobalHeapId::encode(self.object, out, widths);
    }
}

/// One object of a collection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Object<'a> {
    /// Its index; never 0.
    pub index: u16,
    /// How many references there are to it, as far as libhdf5 counts them.
    pub reference_count: u16,
    /// The data, without padding.
    pub data: &'a [u8],
}

/// A decoded collection, which borrows the bytes it was decoded from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Collection<'a> {
    size: u64,
    objects: Vec<Object<'a>>,
}

impl<'a> Collection<'a> {
    const WHAT: &'static str = "global heap collection";

    /// Bytes of the part before the objects, which says how large the collection is.
    #[must_use]
    pub const fn prefix_size(widths: Widths) -> u64 {
        pad(8 + widths.length as u64)
    }

    /// Reads from the first [`Self::prefix_size`] bytes how many the collection at `at` has in all.
    pub fn decode_size(bytes: &[u8], at: u64, widths: Widths) -> Result<u64> {
        Self::prefix(&mut Cursor::new(Self::WHAT, at, bytes), widths)
    }

    /// Decodes the collection at file address `at`. Where two objects claim one index, the first counts.
    pub fn decode(bytes: &'a [u8], at: u64, widths: Widths) -> Result<Self> {
        let size = Self::prefix(&mut Cursor::new(Self::WHAT, at, bytes), widths)?;
        let whole = usize::try_from(size).ok().and_then(|size| bytes.get(..size)).ok_or_else(|| {
            Cursor::new(Self::WHAT, at, bytes).error(Why::Truncated {
                field: "collection",
                needed: size,
                left: bytes.len() as u64,
            })
        })?;
        let mut cursor = Cursor::new(Self::WHAT, at, whole);
        cursor.skip("prefix", Self::prefix_size(widths) as usize)?;
        let mut objects = Vec::new();
        // Less than an object header at the end is free space without a name.
        while cursor.left() as u64 >= object_header_size(widths) {
            let start = cursor.position();
            let index = cursor.u16("object index")?;
            let reference_count = cursor.u16("reference count")?;
            cursor.skip("reserved", 4)?;
            let size = cursor.length("object size", widths)?;
            if index == 0 {
                break;
            }
            cursor.skip("reserved", object_header_size(widths) as usize + start - cursor.position())?;
            let size = cursor.checked_count("object data", size, 1)?;
            let data = cursor.take("object data", size)?;
            let padding = (pad(size as u64) as usize - size).min(cursor.left());
            cursor.skip("padding", padding)?;
            objects.push(Object { index, reference_count, data });
        }
        objects.sort_by_key(|object| object.index);
        Ok(Self { size, objects })
    }

    /// Bytes of the collection in the file.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// All objects, by index.
    #[must_use]
    pub fn objects(&self) -> &[Object<'a>] {
        &self.objects
    }

    /// The object with this index.
    #[must_use]
    pub fn object(&self, index: u32) -> Option<&Object<'a>> {
        let first = self.objects.partition_point(|object| u32::from(object.index) < index);
        self.objects.get(first).filter(|object| u32::from(object.index) == index)
    }

    fn prefix(cursor: &mut Cursor<'_>, widths: Widths) -> Result<u64> {
        cursor.signature("GCOL")?;
        cursor.version(1)?;
        cursor.skip("reserved", 3)?;
        let size = cursor.length("collection size", widths)?;
        if size < Self::prefix_size(widths) {
            return Err(cursor.bad_value("collection size", size, "is less than its own prefix"));
        }
        Ok(size)
    }
}

/// Packs objects into a new collection.
#[derive(Debug, Clone)]
pub struct CollectionBuilder {
    widths: Widths,
    bytes: Vec<u8>,
    objects: u16,
}

impl CollectionBuilder {
    /// An empty collection.
    #[must_use]
    pub fn new(widths: Widths) -> Self {
        let mut bytes = b"GCOL".to_vec();
        bytes.put_u8(1);
        bytes.resize(Collection::prefix_size(widths) as usize, 0);
        Self { widths, bytes, objects: 0 }
    }

    /// Adds an object and returns its index; `None` when all 65,535 indices are taken. Its reference count is 0, as
    /// libhdf5 writes it: nothing counts references to variable-length data.
    pub fn add(&mut self, data: &[u8]) -> Option<u16> {
        let index = self.objects.checked_add(1)?;
        self.objects = index;
        let start = self.bytes.len() as u64;
        self.bytes.put_u16(index);
        self.bytes.put_u16(0);
        self.bytes.put_u32(0);
        self.bytes.put_length(data.len() as u64, self.widths);
        self.bytes.resize((start + object_header_size(self.widths)) as usize, 0);
        self.bytes.extend_from_slice(data);
        self.bytes.resize(pad(self.bytes.len() as u64) as usize, 0);
        Some(index)
    }

    /// Whether nothing was added.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.objects == 0
    }

    /// Bytes the collection would have if finished now.
    #[must_use]
    pub fn size(&self) -> u64 {
        (self.bytes.len() as u64).max(MIN_COLLECTION_SIZE)
    }

    /// Bytes the collection would have if finished after adding an object of `data` bytes.
    #[must_use]
    pub fn size_with(&self, data: u64) -> u64 {
        (self.bytes.len() as u64 + object_header_size(self.widths) + pad(data)).max(MIN_COLLECTION_SIZE)
    }

    /// The bytes of the collection. What is left over becomes object 0, if it has room for an object header at all.
    #[must_use]
    pub fn finish(mut self) -> Vec<u8> {
        let size = self.size();
        let free = size - self.bytes.len() as u64;
        if free >= object_header_size(self.widths) {
            self.bytes.put_u64(0);
            self.bytes.put_length(free, self.widths);
        }
        self.bytes.resize(size as usize, 0);
        let mut stored = Vec::new();
        stored.put_length(size, self.widths);
        for (to, from) in self.bytes.iter_mut().skip(8).zip(stored) {
            *to = from;
        }
        self.bytes
    }
}

const fn object_header_size(widths: Widths) -> u64 {
    pad(8 + widths.length as u64)
}

const fn pad(size: u64) -> u64 {
    size.next_multiple_of(8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn collections_round_trip_at_every_fill() {
        for widths in [Widths::EIGHT, Widths { offset: 4, length: 4 }] {
            // The last object's size runs over the point where object 0 has no room left and the collection grows.
            for last in 3900..4100 {
                let mut builder = CollectionBuilder::new(widths);
                assert!(builder.is_empty());
                let objects = [&b"first"[..], b"", &vec![7; last]];
                for (number, object) in objects.iter().enumerate() {
                    let expected = builder.size_with(object.len() as u64);
                    assert_eq!(builder.add(object), Some(number as u16 + 1));
                    assert_eq!(builder.size(), expected);
                }
                let size = builder.size();
                let bytes = builder.finish();
                assert_eq!(bytes.len() as u64, size);
                assert_eq!(size % 8, 0);
                assert_eq!(Collection::decode_size(&bytes[..16], 0, widths), Ok(size));
                let collection = Collection::decode(&bytes, 0, widths).unwrap();
                assert_eq!(collection.size(), size);
                assert_eq!(collection.objects().len(), 3);
                for (number, object) in objects.iter().enumerate() {
                    let found = collection.object(number as u32 + 1).unwrap();
                    assert_eq!((found.data, found.reference_count), (*object, 0));
                }
                assert_eq!(collection.object(0), None);
                assert_eq!(collection.object(4), None);
            }
        }
    }

    #[test]
    fn all_indices_can_be_taken() {
        let mut builder = CollectionBuilder::new(Widths::EIGHT);
        assert!((1..=u16::MAX).all(|index| builder.add(b"x") == Some(index)));
        assert_eq!(builder.add(b"x"), None);
        let bytes = builder.finish();
        assert_eq!(Collection::decode(&bytes, 0, Widths::EIGHT).unwrap().object(65_535).unwrap().data, b"x");
    }

    #[test]
    fn shortened_collections_are_errors_and_changed_ones_never_panic() {
        let mut builder = CollectionBuilder::new(Widths::EIGHT);
        builder.add(b"some data").unwrap();
        builder.add(&[1; 100]).unwrap();
        let mut bytes = builder.finish();
        for length in 0..bytes.len() {
            assert!(Collection::decode(&bytes[..length], 0, Widths::EIGHT).is_err(), "{length}");
        }
        for place in 0..300 {
            for bit in 0..8 {
                bytes[place] ^= 1 << bit;
                let _ = Collection::decode(&bytes, 0, Widths::EIGHT);
                bytes[place] ^= 1 << bit;
            }
        }
    }

    #[test]
    fn variable_length_elements_round_trip() {
        let object = GlobalHeapId { collection: Addr(0x800), index: 3 };
        for element in [VariableLength { length: 9, object: Some(object) }, VariableLength { length: 0, object: None }]
        {
            let mut bytes = Vec::new();
            element.encode(&mut bytes, Widths::EIGHT);
            assert_eq!(bytes.len(), VariableLength::size(Widths::EIGHT));
            assert_eq!(VariableLength::decode(&mut Cursor::new("element", 0, &bytes), Widths::EIGHT), Ok(element));
        }
    }
}
