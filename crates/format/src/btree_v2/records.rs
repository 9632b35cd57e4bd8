//! The kinds of records: of chunks, of a fractal heap's huge objects, of links and of attributes.

use super::Record;
use crate::array_element::{ArrayClient, ElementForm, StoredChunk};
use crate::{Addr, Cursor, Put, Result, Widths};

/// How the chunk records of a tree (types 10 and 11) are encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChunkForm {
    /// Address, and for filtered chunks size and filter mask.
    pub element: ElementForm,
    /// Dimensions of the dataset.
    pub rank: u8,
}

/// Where one chunk of a dataset lies (types 10, unfiltered, and 11, filtered). Trees are ordered by `scaled`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChunkRecord {
    /// Where it is stored.
    pub chunk: StoredChunk,
    /// Its offset in the dataset, in chunks, slowest dimension first.
    pub scaled: Vec<u64>,
}

impl Record for ChunkRecord {
    type Form = ChunkForm;

    fn kind(form: ChunkForm) -> u8 {
        match form.element.client() {
            ArrayClient::Chunks => 10,
            ArrayClient::FilteredChunks => 11,
        }
    }

    fn size(form: ChunkForm) -> u16 {
        u16::from(form.element.size()) + 8 * u16::from(form.rank)
    }

    fn decode(cursor: &mut Cursor<'_>, form: ChunkForm) -> Result<Self> {
        let chunk = form.element.decode(cursor)?;
        let chunk = chunk.ok_or_else(|| cursor.bad_value("chunk address", u64::MAX, "is the undefined address"))?;
        let scaled = (0..form.rank).map(|_| cursor.u64("chunk scaled offset")).collect::<Result<_>>()?;
        Ok(Self { chunk, scaled })
    }

    fn encode(&self, form: ChunkForm, out: &mut Vec<u8>) {
        debug_assert_eq!(self.scaled.len(), usize::from(form.rank));
        form.element.encode(Some(self.chunk), out);
        for offset in &self.scaled {
            out.put_u64(*offset);
        }
    }
}

/// How the records of a fractal heap's huge objects (types 1 to 4) are encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HugeForm {
    /// Bytes of an address and a length.
    pub widths: Widths,
    /// Whether heap IDs name a record (types 1 and 2) instead of the object itself (types 3 and 4).
    pub indirect: bool,
    /// Whether the heap has a filter pipeline (types 2 and 4).
    pub filtered: bool,
}

/// A huge object of a fractal heap. Indirect ones are ordered by `id`, direct ones by address and then size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HugeRecord {
    /// Address of the object.
    pub addr: Addr,
    /// Its bytes, as stored.
    pub size: u64,
    /// Filters skipped, and bytes before filtering, in a heap with filters.
    pub filtered: Option<HugeFiltered>,
    /// The ID by which heap IDs name it, if indirect.
    pub id: Option<u64>,
}

/// What a filtered huge object has besides its address and size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HugeFiltered {
    /// Bit n set: filter n was skipped.
    pub filter_mask: u32,
    /// Bytes before filtering.
    pub memory_size: u64,
}

impl Record for HugeRecord {
    type Form = HugeForm;

    fn kind(form: HugeForm) -> u8 {
        match (form.indirect, form.filtered) {
            (true, false) => 1,
            (true, true) => 2,
            (false, false) => 3,
            (false, true) => 4,
        }
    }

    fn size(form: HugeForm) -> u16 {
        let length = u16::from(form.widths.length);
        let filtered = if form.filtered { 4 + length } else { 0 };
        let id = if form.indirect { length } else { 0 };
        u16::from(form.widths.offset) + length + filtered + id
    }

    fn decode(cursor: &mut Cursor<'_>, form: HugeForm) -> Result<Self> {
        let addr = cursor.defined_addr("huge object address", form.widths)?;
        let size = cursor.length("huge object length", form.widths)?;
        let filtered = if form.filtered {
            let filter_mask = cursor.u32("filter mask")?;
            Some(HugeFiltered { filter_mask, memory_size: cursor.length("huge object memory size", form.widths)? })
        } else {
            None
        };
        let id = if form.indirect { Some(cursor.length("huge object ID", form.widths)?) } else { None };
        Ok(Self { addr, size, filtered, id })
    }

    fn encode(&self, form: HugeForm, out: &mut Vec<u8>) {
        debug_assert_eq!((self.id.is_some(), self.filtered.is_some()), (form.indirect, form.filtered));
        out.put_addr(Some(self.addr), form.widths);
        out.put_length(self.size, form.widths);
        if let Some(HugeFiltered { filter_mask, memory_size }) = self.filtered {
            out.put_u32(filter_mask);
            out.put_length(memory_size, form.widths);
        }
        if let Some(id) = self.id {
            out.put_length(id, form.widths);
        }
    }
}

/// A field whose width is the same in every file.
trait Field: Sized {
    const SIZE: u16;
    fn get(cursor: &mut Cursor<'_>, what: &'static str) -> Result<Self>;
    fn put(self, out: &mut Vec<u8>);
}

impl<const N: usize> Field for [u8; N] {
    const SIZE: u16 = N as u16;

    fn get(cursor: &mut Cursor<'_>, what: &'static str) -> Result<Self> {
        cursor.array(what)
    }

    fn put(self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self);
    }
}

macro_rules! integer_fields {
    ($($integer:ty),*) => {$(
        impl Field for $integer {
            const SIZE: u16 = size_of::<$integer>() as u16;

            fn get(cursor: &mut Cursor<'_>, what: &'static str) -> Result<Self> {
                Ok(Self::from_le_bytes(cursor.array(what)?))
            }

            fn put(self, out: &mut Vec<u8>) {
                out.extend_from_slice(&self.to_le_bytes());
            }
        }
    )*};
}
integer_fields!(u8, u32, u64);

/// Records that are the same in every file: their type, and their fields in the order in which they are stored.
macro_rules! fixed_records {
    ($(
        $(#[$doc:meta])*
        $kind:literal $name:ident { $( $(#[$field_doc:meta])* $field:ident: $width:ty = $what:literal, )* }
    )*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub struct $name {
            $( $(#[$field_doc])* pub $field: $width, )*
        }

        impl Record for $name {
            type Form = ();

            fn kind((): ()) -> u8 {
                $kind
            }

            fn size((): ()) -> u16 {
                0 $( + <$width as Field>::SIZE )*
            }

            fn decode(cursor: &mut Cursor<'_>, (): ()) -> Result<Self> {
                Ok(Self { $( $field: Field::get(cursor, $what)?, )* })
            }

            fn encode(&self, (): (), out: &mut Vec<u8>) {
                $( self.$field.put(out); )*
            }
        }
    )*};
}

fixed_records! {
    /// A link in a group with dense storage (type 5). Ordered by `hash`, then by name.
    5 LinkNameRecord {
        /// [`lookup3`](crate::lookup3) of the name.
        hash: u32 = "hash of name",
        /// Fractal heap ID of the link message.
        heap_id: [u8; 7] = "heap ID",
    }

    /// A link in a group with dense storage and creation order (type 6). Ordered by `order`.
    6 LinkOrderRecord {
        /// Creation order.
        order: u64 = "creation order",
        /// Fractal heap ID of the link message.
        heap_id: [u8; 7] = "heap ID",
    }

    /// An attribute in dense storage (type 8). Ordered by `hash`, then by name.
    8 AttributeNameRecord {
        /// Heap ID of the attribute message: of the object's own heap, or of the shared message heap if the flags say so.
        heap_id: [u8; 8] = "heap ID",
        /// The message's flags.
        flags: u8 = "message flags",
        /// Creation order.
        order: u32 = "creation order",
        /// [`lookup3`](crate::lookup3) of the name.
        hash: u32 = "hash of name",
    }

    /// An attribute in dense storage with creation order (type 9). Ordered by `order`.
    9 AttributeOrderRecord {
        /// Heap ID of the attribute message, as in [`AttributeNameRecord`].
        heap_id: [u8; 8] = "heap ID",
        /// The message's flags.
        flags: u8 = "message flags",
        /// Creation order.
        order: u32 = "creation order",
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{FORM, record};
    use super::*;

    fn round_trip<R: Record + PartialEq>(record: R, form: R::Form, kind: u8) {
        let mut bytes = Vec::new();
        record.encode(form, &mut bytes);
        assert_eq!(bytes.len(), usize::from(R::size(form)), "{record:?}");
        assert_eq!(R::kind(form), kind);
        assert_eq!(R::decode(&mut Cursor::new("record", 0, &bytes), form).unwrap(), record);
        for length in 0..bytes.len() {
            assert!(R::decode(&mut Cursor::new("record", 0, &bytes[..length]), form).is_err());
        }
    }

    #[test]
    fn every_kind_of_record_round_trips() {
        for (kind, indirect, filtered) in [(1, true, false), (2, true, true), (3, false, false), (4, false, true)] {
            let filter = HugeFiltered { filter_mask: 2, memory_size: 7000 };
            round_trip(
                HugeRecord {
                    addr: Addr(4096),
                    size: 6000,
                    filtered: filtered.then_some(filter),
                    id: indirect.then_some(21),
                },
                HugeForm { widths: Widths::EIGHT, indirect, filtered },
                kind,
            );
        }
        round_trip(LinkNameRecord { hash: 9, heap_id: *b"heap id" }, (), 5);
        round_trip(LinkOrderRecord { order: 9, heap_id: *b"heap id" }, (), 6);
        round_trip(AttributeNameRecord { heap_id: *b"heap id8", flags: 1, order: 2, hash: 3 }, (), 8);
        round_trip(AttributeOrderRecord { heap_id: *b"heap id8", flags: 1, order: 2 }, (), 9);
        round_trip(record(100, 5), FORM, 10);
        let element = ElementForm::filtered_chunks(Widths::EIGHT, 2);
        let chunk = StoredChunk { addr: Addr(5), size: 65_535, filter_mask: 1 };
        round_trip(ChunkRecord { chunk, scaled: vec![1, 2, 3] }, ChunkForm { element, rank: 3 }, 11);
    }
}
