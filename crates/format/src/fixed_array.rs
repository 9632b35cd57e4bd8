//! Fixed arrays (VII.C): the index of a chunked dataset whose dimensions are all limited.
//!
//! A header names one data block that has room for every chunk there can be; beyond a number of elements the block is
//! cut into pages, each with its own checksum.

use crate::array_element::{ArrayClient, ElementForm, PageBitmap, StoredChunk};
use crate::{Addr, Cursor, Malformed, Put, Result, Why, Widths};

const CHECKSUM_SIZE: u64 = 4;

/// Logarithm of the elements in a page that libhdf5 uses.
pub const LIBHDF5_PAGE_BITS: u8 = 10;

/// The header of a fixed array ("FAHD").
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// What the array indexes.
    pub client: ArrayClient,
    /// Bytes of one element.
    pub element_size: u8,
    /// Logarithm of the elements in one page of the data block.
    pub page_bits: u8,
    /// Elements of the array.
    pub elements: u64,
    /// Address of the data block; none while the array is empty.
    pub data_block: Option<Addr>,
}

impl Header {
    const WHAT: &'static str = "fixed array header";

    /// Bytes of the header.
    #[must_use]
    pub const fn size(widths: Widths) -> u64 {
        8 + widths.length as u64 + widths.offset as u64 + CHECKSUM_SIZE
    }

    /// Decodes the header at file address `at`.
    pub fn decode(bytes: &[u8], at: u64, widths: Widths) -> Result<Self> {
        let mut cursor = Cursor::new(Self::WHAT, at, bytes);
        cursor.signature("FAHD")?;
        cursor.version(0)?;
        let client = ArrayClient::decode(&mut cursor)?;
        let element_size = cursor.u8("entry size")?;
        let page_bits = cursor.u8("page bits")?;
        let elements = cursor.length("max num entries", widths)?;
        let data_block = cursor.addr("data block address", widths)?;
        cursor.checksum()?;
        Ok(Self { client, element_size, page_bits, elements, data_block })
    }

    /// The header's bytes.
    #[must_use]
    pub fn encode(&self, widths: Widths) -> Vec<u8> {
        let mut out = Vec::with_capacity(Self::size(widths) as usize);
        out.extend_from_slice(b"FAHD");
        out.put_u8(0);
        out.put_u8(self.client.id());
        out.put_u8(self.element_size);
        out.put_u8(self.page_bits);
        out.put_length(self.elements, widths);
        out.put_addr(self.data_block, widths);
        out.put_checksum_from(0);
        out
    }

    /// The geometry of the array whose header lies at `at`; `chunk_size` is the size of an unfiltered chunk, in bytes.
    ///
    /// # Errors
    /// When element size, page bits or number of elements cannot be those of an array.
    pub fn geometry(&self, at: u64, widths: Widths, chunk_size: u64) -> Result<Geometry> {
        let bad =
            |field, value, expected| Malformed { what: Self::WHAT, at, why: Why::Value { field, value, expected } };
        let form = ElementForm::of_array(self.client, self.element_size, widths, chunk_size).ok_or_else(|| {
            bad("entry size", self.element_size.into(), "is not the size of an element of this client")
        })?;
        Geometry::new(self.page_bits, self.elements, form)
            .ok_or_else(|| bad("max num entries", self.elements, "with these page bits is more than a file can hold"))
    }
}

/// Where an element lies in the data block.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Place {
    /// Directly in it.
    Block {
        /// Number of the element in the block.
        slot: u64,
    },
    /// In a page of it.
    Page {
        /// Number of the page.
        page: u64,
        /// Number of the element in the page.
        slot: u64,
    },
}

/// Where in the data block everything lies. All offsets are bytes from the start of the block, all sizes bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Geometry {
    form: ElementForm,
    page_bits: u8,
    elements: u64,
}

impl Geometry {
    /// The geometry of an array of `elements` elements; `None` when the array would exceed 2^57 elements.
    #[must_use]
    pub fn new(page_bits: u8, elements: u64, form: ElementForm) -> Option<Self> {
        // Elements are at most 20 bytes, so that bytes, too, stay below 2^64.
        (page_bits <= 57 && elements <= 1 << 57).then_some(Self { form, page_bits, elements })
    }

    /// How elements are encoded.
    #[must_use]
    pub const fn form(&self) -> ElementForm {
        self.form
    }

    /// Elements of the array.
    #[must_use]
    pub const fn elements(&self) -> u64 {
        self.elements
    }

    /// Elements in a page, the last one excepted.
    #[must_use]
    pub const fn page_elements(&self) -> u64 {
        1 << self.page_bits
    }

    /// Pages of the data block; none when its elements lie in it directly.
    #[must_use]
    pub const fn pages(&self) -> Option<u64> {
        if self.elements > self.page_elements() { Some(self.elements.div_ceil(self.page_elements())) } else { None }
    }

    /// Where the element `index` lies; `None` beyond the array.
    #[must_use]
    pub fn locate(&self, index: u64) -> Option<Place> {
        (index < self.elements).then(|| match self.pages() {
            None => Place::Block { slot: index },
            Some(_) => Place::Page { page: index / self.page_elements(), slot: index % self.page_elements() },
        })
    }

    /// Bytes of the data block, its pages included.
    #[must_use]
    pub const fn data_block_size(&self) -> u64 {
        let checksums = match self.pages() {
            None => 1,
            Some(pages) => 1 + pages,
        };
        self.elements_at() + self.elements * self.element_size() + checksums * CHECKSUM_SIZE
    }

    /// Where the page bitmap lies in a data block with pages.
    #[must_use]
    pub const fn bitmap_at(&self) -> u64 {
        6 + self.form.widths().offset as u64
    }

    /// Bytes of the page bitmap; 0 without pages.
    #[must_use]
    pub const fn bitmap_size(&self) -> u64 {
        match self.pages() {
            Some(pages) => pages.div_ceil(8),
            None => 0,
        }
    }

    /// Where element `slot` lies in a data block without pages.
    #[must_use]
    pub const fn element_at(&self, slot: u64) -> u64 {
        self.elements_at() + slot * self.element_size()
    }

    /// Bytes of the part before the first page, which has a checksum of its own.
    #[must_use]
    pub const fn paged_prefix_size(&self) -> u64 {
        self.elements_at() + CHECKSUM_SIZE
    }

    /// Where page `page` starts in the data block.
    #[must_use]
    pub const fn page_at(&self, page: u64) -> u64 {
        self.paged_prefix_size() + page * (self.page_elements() * self.element_size() + CHECKSUM_SIZE)
    }

    /// Elements in page `page`; the last page has what is left. 0 beyond the array.
    #[must_use]
    pub const fn elements_in_page(&self, page: u64) -> u64 {
        let left = self.elements.saturating_sub(page.saturating_mul(self.page_elements()));
        if left < self.page_elements() { left } else { self.page_elements() }
    }

    /// Bytes of page `page`.
    #[must_use]
    pub const fn page_size(&self, page: u64) -> u64 {
        self.page_element_at(self.elements_in_page(page)) + CHECKSUM_SIZE
    }

    /// Where element `slot` lies in its page.
    #[must_use]
    pub const fn page_element_at(&self, slot: u64) -> u64 {
        slot * self.element_size()
    }

    const fn elements_at(&self) -> u64 {
        self.bitmap_at() + self.bitmap_size()
    }

    const fn element_size(&self) -> u64 {
        self.form.size() as u64
    }

    fn start<'a>(&self, at: u64, bytes: &'a [u8]) -> Result<(Cursor<'a>, Addr)> {
        let mut cursor = Cursor::new("fixed array data block", at, bytes);
        cursor.signature("FADB")?;
        cursor.version(0)?;
        self.form.client().require(&mut cursor)?;
        let header = cursor.defined_addr("header address", self.form.widths())?;
        Ok((cursor, header))
    }

    fn begin(&self, header: Addr) -> Vec<u8> {
        let mut out = b"FADB".to_vec();
        out.put_u8(0);
        out.put_u8(self.form.client().id());
        out.put_addr(Some(header), self.form.widths());
        out
    }
}

/// A data block ("FADB") without pages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DataBlock {
    /// Address of the array's header.
    pub header: Addr,
    /// The elements.
    pub elements: Vec<Option<StoredChunk>>,
}

impl DataBlock {
    /// Decodes the data block at file address `at`.
    pub fn decode(bytes: &[u8], at: u64, geometry: &Geometry) -> Result<Self> {
        let (mut cursor, header) = geometry.start(at, bytes)?;
        let elements = geometry.form.decode_many(&mut cursor, geometry.elements)?;
        cursor.checksum()?;
        Ok(Self { header, elements })
    }

    /// The block's bytes, [`Geometry::data_block_size`] of them.
    #[must_use]
    pub fn encode(&self, geometry: &Geometry) -> Vec<u8> {
        debug_assert_eq!(self.elements.len() as u64, geometry.elements);
        let mut out = geometry.begin(self.header);
        geometry.form.encode_many(&self.elements, &mut out);
        out.put_checksum_from(0);
        out
    }
}

/// What comes before the pages of a data block ("FADB") that has pages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PagedPrefix {
    /// Address of the array's header.
    pub header: Addr,
    /// Which pages are initialised: the bytes of the others mean nothing.
    pub pages: PageBitmap,
}

impl PagedPrefix {
    /// Decodes the prefix at file address `at`.
    pub fn decode(bytes: &[u8], at: u64, geometry: &Geometry) -> Result<Self> {
        let (mut cursor, header) = geometry.start(at, bytes)?;
        let pages = PageBitmap::decode(&mut cursor, geometry.bitmap_size())?;
        cursor.checksum()?;
        Ok(Self { header, pages })
    }

    /// The prefix's bytes, [`Geometry::paged_prefix_size`] of them.
    #[must_use]
    pub fn encode(&self, geometry: &Geometry) -> Vec<u8> {
        debug_assert_eq!(self.pages.bytes().len() as u64, geometry.bitmap_size());
        let mut out = geometry.begin(self.header);
        out.extend_from_slice(self.pages.bytes());
        out.put_checksum_from(0);
        out
    }
}

/// A page of a data block: elements and their checksum, nothing else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// The elements.
    pub elements: Vec<Option<StoredChunk>>,
}

impl Page {
    /// Decodes page number `page`, which lies at file address `at`.
    pub fn decode(bytes: &[u8], at: u64, geometry: &Geometry, page: u64) -> Result<Self> {
        let mut cursor = Cursor::new("fixed array data block page", at, bytes);
        let elements = geometry.form.decode_many(&mut cursor, geometry.elements_in_page(page))?;
        cursor.checksum()?;
        Ok(Self { elements })
    }

    /// The page's bytes, [`Geometry::page_size`] of them.
    #[must_use]
    pub fn encode(&self, geometry: &Geometry) -> Vec<u8> {
        let mut out = Vec::new();
        geometry.form.encode_many(&self.elements, &mut out);
        out.put_checksum_from(0);
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: ElementForm = ElementForm::chunks(Widths::EIGHT, 400);
    const FILTERED: ElementForm = ElementForm::filtered_chunks(Widths::EIGHT, 3);

    fn element(number: u64) -> Option<StoredChunk> {
        (!number.is_multiple_of(3)).then_some(StoredChunk { addr: Addr(number << 9), size: 400, filter_mask: 0 })
    }

    /// `bytes` decode to `value`; shortened or changed they give an error, at every place.
    fn check<T: PartialEq + std::fmt::Debug>(bytes: &[u8], decode: impl Fn(&[u8]) -> Result<T>, value: T) {
        assert_eq!(decode(bytes), Ok(value));
        for length in 0..bytes.len() {
            assert!(decode(&bytes[..length]).is_err(), "{length}");
        }
        let mut bytes = bytes.to_vec();
        for place in 0..bytes.len() {
            bytes[place] ^= 0x41;
            assert!(decode(&bytes).is_err(), "{place}");
            bytes[place] ^= 0x41;
        }
    }

    #[test]
    fn headers_round_trip() {
        let header = Header {
            client: ArrayClient::FilteredChunks,
            element_size: 15,
            page_bits: LIBHDF5_PAGE_BITS,
            elements: 4000,
            data_block: Some(Addr(0x1234)),
        };
        let bytes = header.encode(Widths::EIGHT);
        assert_eq!(bytes.len() as u64, Header::size(Widths::EIGHT));
        check(&bytes, |bytes| Header::decode(bytes, 0, Widths::EIGHT), header.clone());
        assert_eq!(header.geometry(0, Widths::EIGHT, 400).unwrap().form(), FILTERED);
        assert!(Header { element_size: 12, ..header.clone() }.geometry(0, Widths::EIGHT, 400).is_err());
        assert!(Header { elements: u64::MAX, ..header.clone() }.geometry(0, Widths::EIGHT, 400).is_err());
        assert!(Header { page_bits: 255, ..header }.geometry(0, Widths::EIGHT, 400).is_err());
    }

    #[test]
    fn data_blocks_round_trip_and_lie_where_the_geometry_says() {
        let header = Addr(0x1_0000);
        for form in [PLAIN, FILTERED] {
            for elements in [1, 15, 16, 17, 31, 32, 33, 128, 129, 145] {
                let geometry = Geometry::new(4, elements, form).unwrap();
                assert_eq!(geometry.locate(elements), None);
                let Some(pages) = geometry.pages() else {
                    assert!(elements <= 16);
                    let block = DataBlock { header, elements: (0..elements).map(element).collect() };
                    let bytes = block.encode(&geometry);
                    assert_eq!(bytes.len() as u64, geometry.data_block_size());
                    assert_eq!(geometry.locate(elements - 1), Some(Place::Block { slot: elements - 1 }));
                    let at = geometry.element_at(elements - 1) as usize;
                    let mut cursor = Cursor::new("element", 0, &bytes[at..]);
                    assert_eq!(form.decode(&mut cursor), Ok(element(elements - 1)));
                    check(&bytes, |bytes| DataBlock::decode(bytes, 0, &geometry), block);
                    continue;
                };
                let mut prefix = PagedPrefix { header, pages: PageBitmap::empty(geometry.bitmap_size() as usize) };
                prefix.pages.set(pages - 1);
                let mut bytes = prefix.encode(&geometry);
                assert_eq!(bytes.len() as u64, geometry.paged_prefix_size());
                check(&bytes, |bytes| PagedPrefix::decode(bytes, 0, &geometry), prefix);
                for number in 0..pages {
                    assert_eq!(bytes.len() as u64, geometry.page_at(number));
                    let first = number * 16;
                    let page = Page { elements: (first..(first + 16).min(elements)).map(element).collect() };
                    let page_bytes = page.encode(&geometry);
                    assert_eq!(page_bytes.len() as u64, geometry.page_size(number));
                    check(&page_bytes, |bytes| Page::decode(bytes, 0, &geometry, number), page);
                    bytes.extend_from_slice(&page_bytes);
                }
                assert_eq!(bytes.len() as u64, geometry.data_block_size());
                for index in 0..elements {
                    let Some(Place::Page { page, slot }) = geometry.locate(index) else { panic!("{index}") };
                    let at = (geometry.page_at(page) + geometry.page_element_at(slot)) as usize;
                    let mut cursor = Cursor::new("element", 0, &bytes[at..]);
                    assert_eq!(form.decode(&mut cursor), Ok(element(index)));
                }
            }
        }
    }

    #[test]
    fn the_geometry_is_that_of_a_file_of_libhdf5() {
        // h5py: 4000 chunks, unfiltered; the next block of the file starts where this one ends.
        let geometry = Geometry::new(LIBHDF5_PAGE_BITS, 4000, PLAIN).unwrap();
        assert_eq!((geometry.pages(), geometry.bitmap_size()), (Some(4), 1));
        assert_eq!(geometry.data_block_size(), 209_463 - 177_428);
    }
}
