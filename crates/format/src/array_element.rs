//! The elements of the two array chunk indexes (extensible and fixed): where each chunk of a dataset lies.

use crate::{Addr, Cursor, Put, Result, Widths};

/// What an extensible or fixed array indexes ("Client ID").
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ArrayClient {
    /// Chunks that all have the same size: an element is an address.
    Chunks,
    /// Chunks that passed a filter pipeline: an element is an address, a size and a filter mask.
    FilteredChunks,
}

impl ArrayClient {
    /// The client ID as stored.
    #[must_use]
    pub const fn id(self) -> u8 {
        match self {
            Self::Chunks => 0,
            Self::FilteredChunks => 1,
        }
    }

    pub(crate) fn decode(cursor: &mut Cursor<'_>) -> Result<Self> {
        match cursor.u8("client ID")? {
            0 => Ok(Self::Chunks),
            1 => Ok(Self::FilteredChunks),
            id => Err(cursor.bad_value("client ID", id.into(), "is neither 0 (chunks) nor 1 (filtered chunks)")),
        }
    }

    /// Reads the client ID of an array's inner block, which repeats that of the array's header.
    pub(crate) fn require(self, cursor: &mut Cursor<'_>) -> Result<()> {
        let found = Self::decode(cursor)?;
        if found == self {
            return Ok(());
        }
        Err(cursor.bad_value("client ID", found.id().into(), "is not that of the array's header"))
    }
}

/// Where one chunk is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct StoredChunk {
    /// Address of its bytes.
    pub addr: Addr,
    /// Bytes as stored, after filtering.
    pub size: u64,
    /// Bit n set: filter n of the pipeline was skipped for this chunk.
    pub filter_mask: u32,
}

/// How the elements of one array are encoded. An absent chunk is the undefined address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ElementForm {
    widths: Widths,
    kind: Kind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Kind {
    Plain { chunk_size: u64 },
    Filtered { size_width: u8 },
}

impl ElementForm {
    /// Elements that are addresses of chunks of `chunk_size` bytes each.
    #[must_use]
    pub const fn chunks(widths: Widths, chunk_size: u64) -> Self {
        Self { widths, kind: Kind::Plain { chunk_size } }
    }

    /// Elements that carry each chunk's size in `size_width` bytes, and its filter mask.
    #[must_use]
    pub const fn filtered_chunks(widths: Widths, size_width: u8) -> Self {
        Self { widths, kind: Kind::Filtered { size_width } }
    }

    /// The form of an array's elements from what its header says; `chunk_size` is the size of an unfiltered chunk.
    /// `None` when the element size does not go with the client.
    #[must_use]
    pub fn of_array(client: ArrayClient, element_size: u8, widths: Widths, chunk_size: u64) -> Option<Self> {
        match client {
            ArrayClient::Chunks => (element_size == widths.offset).then_some(Self::chunks(widths, chunk_size)),
            ArrayClient::FilteredChunks => {
                let size_width = element_size.checked_sub(widths.offset)?.checked_sub(4)?;
                (1..=8).contains(&size_width).then_some(Self::filtered_chunks(widths, size_width))
            }
        }
    }

    /// The client the elements belong to.
    #[must_use]
    pub const fn client(self) -> ArrayClient {
        match self.kind {
            Kind::Plain { .. } => ArrayClient::Chunks,
            Kind::Filtered { .. } => ArrayClient::FilteredChunks,
        }
    }

    /// Bytes of an address and a length in this array.
    #[must_use]
    pub const fn widths(self) -> Widths {
        self.widths
    }

    /// Bytes of one element.
    #[must_use]
    pub const fn size(self) -> u8 {
        match self.kind {
            Kind::Plain { .. } => self.widths.offset,
            Kind::Filtered { size_width } => self.widths.offset + size_width + 4,
        }
    }

    /// Reads one element; `None` is a chunk that is not stored.
    pub fn decode(self, cursor: &mut Cursor<'_>) -> Result<Option<StoredChunk>> {
        let addr = cursor.addr("chunk address", self.widths)?;
        let (size, filter_mask) = match self.kind {
            Kind::Plain { chunk_size } => (chunk_size, 0),
            Kind::Filtered { size_width } => {
                (cursor.uint("chunk size", size_width.into())?, cursor.u32("filter mask")?)
            }
        };
        Ok(addr.map(|addr| StoredChunk { addr, size, filter_mask }))
    }

    /// Writes one element.
    pub fn encode(self, element: Option<StoredChunk>, out: &mut Vec<u8>) {
        out.put_addr(element.map(|chunk| chunk.addr), self.widths);
        if let Kind::Filtered { size_width } = self.kind {
            out.put_uint(element.map_or(0, |chunk| chunk.size), size_width.into());
            out.put_u32(element.map_or(0, |chunk| chunk.filter_mask));
        }
    }

    pub(crate) fn decode_many(self, cursor: &mut Cursor<'_>, count: u64) -> Result<Vec<Option<StoredChunk>>> {
        let count = cursor.checked_count("elements", count, self.size().into())?;
        (0..count).map(|_| self.decode(cursor)).collect()
    }

    pub(crate) fn encode_many(self, elements: &[Option<StoredChunk>], out: &mut Vec<u8>) {
        for element in elements {
            self.encode(*element, out);
        }
    }
}

/// Bytes libhdf5 gives to the stored size of a filtered chunk in layouts up to version 4: one more than an unfiltered
/// chunk of `chunk_size` bytes needs, at most 8. Version 5 layouts (HDF5 2.0) always use 8.
#[must_use]
pub fn filtered_size_width(chunk_size: u64) -> u8 {
    (1 + (chunk_size.max(1).ilog2() as u8 + 8) / 8).min(8)
}

/// Which pages of paged data blocks have been initialised: one bit each, the most significant bit of a byte first.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct PageBitmap(Vec<u8>);

impl PageBitmap {
    /// A bitmap of `size` bytes with no page initialised.
    #[must_use]
    pub fn empty(size: usize) -> Self {
        Self(vec![0; size])
    }

    /// The bytes as stored.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// Whether `page` is initialised; pages beyond the bitmap are not.
    #[must_use]
    pub fn is_set(&self, page: u64) -> bool {
        usize::try_from(page / 8).ok().and_then(|byte| self.0.get(byte)).is_some_and(|byte| byte & mask(page) != 0)
    }

    /// Marks `page` initialised; nothing happens beyond the bitmap.
    pub fn set(&mut self, page: u64) {
        if let Some(byte) = usize::try_from(page / 8).ok().and_then(|byte| self.0.get_mut(byte)) {
            *byte |= mask(page);
        }
    }

    pub(crate) fn decode(cursor: &mut Cursor<'_>, size: u64) -> Result<Self> {
        let size = cursor.checked_count("page initialization bitmap", size, 1)?;
        Ok(Self(cursor.take("page initialization bitmap", size)?.to_vec()))
    }
}

fn mask(page: u64) -> u8 {
    0x80 >> (page % 8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_size_of_a_filtered_chunk_takes_a_byte_more_than_its_unfiltered_size() {
        for (chunk_size, width) in [
            (0, 2),
            (1, 2),
            (4, 2),
            (255, 2),
            (256, 3),
            (65_535, 3),
            (65_536, 4),
            (400_000, 4),
            (1 << 56, 8),
            (u64::MAX, 8),
        ] {
            assert_eq!(filtered_size_width(chunk_size), width, "{chunk_size}");
        }
    }

    #[test]
    fn elements_round_trip_and_an_absent_chunk_is_the_undefined_address() {
        let chunk = StoredChunk { addr: Addr(0x1234), size: 99, filter_mask: 5 };
        let filtered = ElementForm::of_array(ArrayClient::FilteredChunks, 14, Widths::EIGHT, 400).unwrap();
        let plain = ElementForm::of_array(ArrayClient::Chunks, 8, Widths::EIGHT, 400).unwrap();
        assert_eq!(ElementForm::of_array(ArrayClient::FilteredChunks, 12, Widths::EIGHT, 400), None);
        assert_eq!(ElementForm::of_array(ArrayClient::Chunks, 9, Widths::EIGHT, 400), None);
        for (form, element) in [
            (filtered, Some(chunk)),
            (filtered, None),
            (plain, Some(StoredChunk { size: 400, filter_mask: 0, ..chunk })),
            (plain, None),
        ] {
            let mut bytes = Vec::new();
            form.encode(element, &mut bytes);
            assert_eq!(bytes.len(), usize::from(form.size()));
            assert_eq!(form.decode(&mut Cursor::new("element", 0, &bytes)), Ok(element));
        }
    }

    #[test]
    fn bitmaps_count_from_the_most_significant_bit() {
        let mut bitmap = PageBitmap::empty(2);
        for page in [0, 9, 16] {
            bitmap.set(page);
        }
        assert_eq!(bitmap.bytes(), [0x80, 0x40]);
        assert_eq!((0..20).filter(|page| bitmap.is_set(*page)).collect::<Vec<_>>(), [0, 9]);
    }
}
