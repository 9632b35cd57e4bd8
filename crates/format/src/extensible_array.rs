//! Extensible arrays (VII.D): the index of a chunked dataset with one unlimited dimension.
//!
//! An array is a header naming an index block. The first elements lie in the index block itself; the next ones in data
//! blocks the index block names; all later ones in data blocks named by super blocks. The blocks grow along a series
//! fixed by six creation parameters, so the place of an element follows from its index alone: that is [`Geometry`].
//!
//! ```text
//! header -> index block -> elements
//!                       -> data blocks                        (series of the first super blocks, without the blocks)
//!                       -> super blocks -> data blocks        (in pages once they are large)
//! ```

use crate::array_element::{ArrayClient, ElementForm, PageBitmap, StoredChunk};
use crate::{Addr, Cursor, Malformed, Put, Result, Why, Widths};

const SIGNATURE_SIZE: u64 = 4;
const CHECKSUM_SIZE: u64 = 4;

/// The creation parameters, as the layout message and the array's header store them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Parameters {
    /// Bits that hold the largest number of elements ("Max Nelmts Bits").
    pub max_elements_bits: u8,
    /// Elements in the index block.
    pub index_block_elements: u8,
    /// Elements in the smallest data block; a power of two.
    pub data_block_min_elements: u8,
    /// Data block addresses in the smallest super block; a power of two.
    pub super_block_min_pointers: u8,
    /// Logarithm of the elements in one page of a data block ("Max Dblk Page Nelmts Bits").
    pub page_bits: u8,
}

impl Parameters {
    /// What libhdf5 uses.
    pub const LIBHDF5: Self = Self {
        max_elements_bits: 32,
        index_block_elements: 4,
        data_block_min_elements: 16,
        super_block_min_pointers: 4,
        page_bits: 10,
    };
}

/// What an array's header counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Statistics {
    /// Super blocks created.
    pub super_blocks: u64,
    /// Bytes of all super blocks created.
    pub super_blocks_size: u64,
    /// Data blocks created.
    pub data_blocks: u64,
    /// Bytes of all data blocks created.
    pub data_blocks_size: u64,
    /// One more than the highest index ever set: a reader takes every element from here on as absent.
    pub max_index_set: u64,
    /// Elements there is room for: those of the index block and of all data blocks created.
    pub realized_elements: u64,
}

/// The header of an extensible array ("EAHD").
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// What the array indexes.
    pub client: ArrayClient,
    /// Bytes of one element.
    pub element_size: u8,
    /// The creation parameters.
    pub parameters: Parameters,
    /// The counts.
    pub statistics: Statistics,
    /// Address of the index block; none while the array is empty.
    pub index_block: Option<Addr>,
}

impl Header {
    const WHAT: &'static str = "extensible array header";

    /// Where the first field that ever changes (the statistics) starts: a live overwrite runs from here to the end.
    pub const STATISTICS_OFFSET: u64 = 12;

    /// Bytes of the header.
    #[must_use]
    pub const fn size(widths: Widths) -> u64 {
        Self::STATISTICS_OFFSET + 6 * widths.length as u64 + widths.offset as u64 + CHECKSUM_SIZE
    }

    /// Decodes the header at file address `at`.
    pub fn decode(bytes: &[u8], at: u64, widths: Widths) -> Result<Self> {
        let mut cursor = Cursor::new(Self::WHAT, at, bytes);
        cursor.signature("EAHD")?;
        cursor.version(0)?;
        let client = ArrayClient::decode(&mut cursor)?;
        let element_size = cursor.u8("element size")?;
        let parameters = Parameters {
            max_elements_bits: cursor.u8("max nelmts bits")?,
            index_block_elements: cursor.u8("index block elements")?,
            data_block_min_elements: cursor.u8("data block min elements")?,
            super_block_min_pointers: cursor.u8("secondary block min data pointers")?,
            page_bits: cursor.u8("max data block page elements bits")?,
        };
        let statistics = Statistics {
            super_blocks: cursor.length("number of secondary blocks", widths)?,
            super_blocks_size: cursor.length("secondary block size", widths)?,
            data_blocks: cursor.length("number of data blocks", widths)?,
            data_blocks_size: cursor.length("data block size", widths)?,
            max_index_set: cursor.length("max index set", widths)?,
            realized_elements: cursor.length("number of elements", widths)?,
        };
        let index_block = cursor.addr("index block address", widths)?;
        cursor.checksum()?;
        Ok(Self { client, element_size, parameters, statistics, index_block })
    }

    /// The header's bytes.
    #[must_use]
    pub fn encode(&self, widths: Widths) -> Vec<u8> {
        let mut out = Vec::with_capacity(Self::size(widths) as usize);
        out.extend_from_slice(b"EAHD");
        out.put_u8(0);
        out.put_u8(self.client.id());
        out.put_u8(self.element_size);
        out.put_u8(self.parameters.max_elements_bits);
        out.put_u8(self.parameters.index_block_elements);
        out.put_u8(self.parameters.data_block_min_elements);
        out.put_u8(self.parameters.super_block_min_pointers);
        out.put_u8(self.parameters.page_bits);
        let counts = &self.statistics;
        for count in [
            counts.super_blocks,
            counts.super_blocks_size,
            counts.data_blocks,
            counts.data_blocks_size,
            counts.max_index_set,
            counts.realized_elements,
        ] {
            out.put_length(count, widths);
        }
        out.put_addr(self.index_block, widths);
        out.put_checksum_from(0);
        out
    }

    /// The geometry of the array whose header lies at `at`; `chunk_size` is the size of an unfiltered chunk, in bytes.
    ///
    /// # Errors
    /// When parameters or element size cannot be those of an array.
    pub fn geometry(&self, at: u64, widths: Widths, chunk_size: u64) -> Result<Geometry> {
        let form = ElementForm::of_array(self.client, self.element_size, widths, chunk_size).ok_or(Malformed {
            what: Self::WHAT,
            at,
            why: Why::Value {
                field: "element size",
                value: self.element_size.into(),
                expected: "is not the size of an element of this client",
            },
        })?;
        Geometry::new(self.parameters, form).map_err(|Unusable { field, value, expected }| Malformed {
            what: Self::WHAT,
            at,
            why: Why::Value { field, value: value.into(), expected },
        })
    }
}

/// Creation parameters that describe no array: "`field` is `value`, which `expected`".
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{field} is {value}, which {expected}")]
pub struct Unusable {
    /// The parameter.
    pub field: &'static str,
    /// Its value.
    pub value: u8,
    /// What is wrong with it.
    pub expected: &'static str,
}

/// One step of the series in which an extensible array grows: a super block, or what would be one had the index block
/// not taken over its data block addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Step {
    /// Data blocks of the step.
    pub data_blocks: u64,
    /// Elements in each of them.
    pub data_block_elements: u64,
    /// Elements of all steps before (the index block's elements not counted).
    pub first_element: u64,
    /// Data blocks of all steps before.
    pub first_data_block: u64,
    /// Pages of each data block; none when its elements lie in it directly.
    pub pages: Option<u64>,
}

/// Where an element lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Place {
    /// In the index block.
    IndexBlock {
        /// Number of the element there.
        slot: u64,
    },
    /// In a data block the index block names.
    DataBlock {
        /// Number of the data block address in the index block.
        pointer: u64,
        /// Number of the element in the data block.
        slot: u64,
    },
    /// In a data block a super block names.
    SuperBlock {
        /// Number of the super block address in the index block.
        pointer: u64,
        /// The step of the series ([`Geometry::step`]) this super block is.
        step: usize,
        /// Number of the data block in the super block.
        data_block: u64,
        /// Where in the data block.
        within: Within,
    },
}

/// Where in a data block an element lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Within {
    /// Directly in the data block.
    Block {
        /// Number of the element in the block.
        slot: u64,
    },
    /// In a page of it.
    Page {
        /// Number of the page in the block.
        page: u64,
        /// Number of the element in the page.
        slot: u64,
    },
}

/// Which block holds which element, and where in a block everything lies: all that follows from the creation parameters.
///
/// All offsets are bytes from the start of the block named, all sizes bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Geometry {
    parameters: Parameters,
    form: ElementForm,
    steps: Vec<Step>,
    direct_steps: usize,
    direct_data_blocks: u64,
}

impl Geometry {
    /// The geometry of an array with elements of this form.
    ///
    /// # Errors
    /// When no array can have these parameters.
    pub fn new(parameters: Parameters, form: ElementForm) -> std::result::Result<Self, Unusable> {
        let Parameters { max_elements_bits, data_block_min_elements, super_block_min_pointers, page_bits, .. } =
            parameters;
        let unusable = |field, value, expected| Err(Unusable { field, value, expected });
        if !data_block_min_elements.is_power_of_two() {
            return unusable("data block min elements", data_block_min_elements, "is not a power of two");
        }
        if !super_block_min_pointers.is_power_of_two() {
            return unusable("secondary block min data pointers", super_block_min_pointers, "is not a power of two");
        }
        let min_bits = data_block_min_elements.ilog2();
        // The series counts up to twice 2^bits elements of up to 20 bytes each: bytes, too, must stay below 2^64.
        if !(min_bits..=57).contains(&u32::from(max_elements_bits)) {
            return unusable(
                "max nelmts bits",
                max_elements_bits,
                "is below the smallest data block's bits or above 57",
            );
        }
        if page_bits > max_elements_bits {
            return unusable("max data block page elements bits", page_bits, "is above max nelmts bits");
        }
        let page_elements = 1u64 << page_bits;
        let min_elements = u64::from(data_block_min_elements);
        let (mut first_element, mut first_data_block) = (0, 0);
        let steps: Vec<Step> = (0..=u32::from(max_elements_bits) - min_bits)
            .map(|step| {
                let data_blocks = 1u64 << (step / 2);
                let data_block_elements = min_elements << step.div_ceil(2);
                let pages = (data_block_elements > page_elements).then_some(data_block_elements / page_elements);
                let this = Step { data_blocks, data_block_elements, first_element, first_data_block, pages };
                first_element += data_blocks * data_block_elements;
                first_data_block += data_blocks;
                this
            })
            .collect();
        let direct_steps = 2 * super_block_min_pointers.ilog2() as usize;
        if direct_steps > steps.len() {
            return unusable(
                "secondary block min data pointers",
                super_block_min_pointers,
                "makes the index block name more data blocks than max nelmts bits allow",
            );
        }
        if steps.iter().take(direct_steps).any(|step| step.pages.is_some()) {
            return unusable("max data block page elements bits", page_bits, "would put pages below the index block");
        }
        let direct_data_blocks = 2 * (u64::from(super_block_min_pointers) - 1);
        Ok(Self { parameters, form, steps, direct_steps, direct_data_blocks })
    }

    /// The creation parameters.
    #[must_use]
    pub const fn parameters(&self) -> Parameters {
        self.parameters
    }

    /// How elements are encoded.
    #[must_use]
    pub const fn form(&self) -> ElementForm {
        self.form
    }

    /// Elements the array can hold.
    #[must_use]
    pub fn capacity(&self) -> u64 {
        let steps =
            self.steps.last().map_or(0, |last| last.first_element + last.data_blocks * last.data_block_elements);
        self.index_block_elements() + steps
    }

    /// Step `step` of the series, counted from the smallest.
    #[must_use]
    pub fn step(&self, step: usize) -> Option<Step> {
        self.steps.get(step).copied()
    }

    /// Where the element `index` lies; `None` beyond the capacity.
    #[must_use]
    pub fn locate(&self, index: u64) -> Option<Place> {
        if index >= self.capacity() {
            return None;
        }
        let Some(rest) = index.checked_sub(self.index_block_elements()) else {
            return Some(Place::IndexBlock { slot: index });
        };
        let number = (rest / u64::from(self.parameters.data_block_min_elements) + 1).ilog2() as usize;
        let step = self.steps.get(number)?;
        let rest = rest - step.first_element;
        let data_block = rest / step.data_block_elements;
        let slot = rest % step.data_block_elements;
        Some(match number.checked_sub(self.direct_steps) {
            None => Place::DataBlock { pointer: step.first_data_block + data_block, slot },
            Some(pointer) => Place::SuperBlock {
                pointer: pointer as u64,
                step: number,
                data_block,
                within: match step.pages {
                    None => Within::Block { slot },
                    Some(_) => Within::Page { page: slot / self.page_elements(), slot: slot % self.page_elements() },
                },
            },
        })
    }

    /// Elements in the index block.
    #[must_use]
    pub const fn index_block_elements(&self) -> u64 {
        self.parameters.index_block_elements as u64
    }

    /// Data block addresses in the index block.
    #[must_use]
    pub const fn index_block_data_blocks(&self) -> u64 {
        self.direct_data_blocks
    }

    /// Super block addresses in the index block.
    #[must_use]
    pub const fn index_block_super_blocks(&self) -> u64 {
        (self.steps.len() - self.direct_steps) as u64
    }

    /// Bytes of the index block.
    #[must_use]
    pub const fn index_block_size(&self) -> u64 {
        self.index_block_super_block_at(self.index_block_super_blocks()) + CHECKSUM_SIZE
    }

    /// Where element `slot` lies in the index block.
    #[must_use]
    pub const fn index_block_element_at(&self, slot: u64) -> u64 {
        self.prefix_size() + slot * self.element_size()
    }

    /// Where the address of data block `pointer` lies in the index block.
    #[must_use]
    pub const fn index_block_data_block_at(&self, pointer: u64) -> u64 {
        self.index_block_element_at(self.index_block_elements()) + pointer * self.address_size()
    }

    /// Where the address of super block `pointer` lies in the index block.
    #[must_use]
    pub const fn index_block_super_block_at(&self, pointer: u64) -> u64 {
        self.index_block_data_block_at(self.index_block_data_blocks()) + pointer * self.address_size()
    }

    /// The step, with its data block number in it, of data block `pointer` of the index block.
    #[must_use]
    pub fn direct_data_block(&self, pointer: u64) -> Option<(Step, u64)> {
        let step = self.steps.iter().take(self.direct_steps).rfind(|step| step.first_data_block <= pointer)?;
        let number = pointer - step.first_data_block;
        (number < step.data_blocks).then_some((*step, number))
    }

    /// The step that super block `pointer` of the index block is.
    #[must_use]
    pub fn super_block_step(&self, pointer: u64) -> Option<(usize, Step)> {
        let number = usize::try_from(pointer).ok()?.checked_add(self.direct_steps)?;
        Some((number, self.step(number)?))
    }

    /// Bytes of the super block that names the data blocks of `step`.
    #[must_use]
    pub const fn super_block_size(&self, step: &Step) -> u64 {
        self.super_block_data_block_at(step, step.data_blocks) + CHECKSUM_SIZE
    }

    /// Where the page bitmap lies in a super block.
    #[must_use]
    pub const fn super_block_bitmap_at(&self) -> u64 {
        self.prefix_size() + self.block_offset_size()
    }

    /// Bytes of the page bitmap in a super block; 0 when its data blocks have no pages.
    #[must_use]
    pub const fn super_block_bitmap_size(&self, step: &Step) -> u64 {
        match step.pages {
            Some(pages) => step.data_blocks * pages.div_ceil(8),
            None => 0,
        }
    }

    /// Number of a page's bit in its super block's bitmap. The bits of all data blocks follow each other without gap,
    /// although the bitmap has whole bytes for each.
    #[must_use]
    pub const fn super_block_page_bit(&self, step: &Step, data_block: u64, page: u64) -> u64 {
        match step.pages {
            Some(pages) => data_block * pages + page,
            None => 0,
        }
    }

    /// Where the address of data block `data_block` lies in a super block.
    #[must_use]
    pub const fn super_block_data_block_at(&self, step: &Step, data_block: u64) -> u64 {
        self.super_block_bitmap_at() + self.super_block_bitmap_size(step) + data_block * self.address_size()
    }

    /// Bytes of a data block of `step`, its pages included.
    #[must_use]
    pub const fn data_block_size(&self, step: &Step) -> u64 {
        match step.pages {
            None => self.data_block_element_at(step.data_block_elements) + CHECKSUM_SIZE,
            Some(pages) => self.page_at(pages),
        }
    }

    /// Where element `slot` lies in a data block without pages.
    #[must_use]
    pub const fn data_block_element_at(&self, slot: u64) -> u64 {
        self.prefix_size() + self.block_offset_size() + slot * self.element_size()
    }

    /// Bytes of the part before the first page of a data block, which has a checksum of its own.
    #[must_use]
    pub const fn paged_prefix_size(&self) -> u64 {
        self.data_block_element_at(0) + CHECKSUM_SIZE
    }

    /// Elements in a page.
    #[must_use]
    pub const fn page_elements(&self) -> u64 {
        1 << self.parameters.page_bits
    }

    /// Where page `page` starts in its data block.
    #[must_use]
    pub const fn page_at(&self, page: u64) -> u64 {
        self.paged_prefix_size() + page * self.page_size()
    }

    /// Bytes of a page.
    #[must_use]
    pub const fn page_size(&self) -> u64 {
        self.page_element_at(self.page_elements()) + CHECKSUM_SIZE
    }

    /// Where element `slot` lies in its page.
    #[must_use]
    pub const fn page_element_at(&self, slot: u64) -> u64 {
        slot * self.element_size()
    }

    /// The block offset libhdf5 stores in data block `data_block` of `step`, and in the step's super block (`data_block` 0).
    ///
    /// For blocks of super blocks it is the index of their first element, those of the index block not counted. For data
    /// blocks the index block names, libhdf5 counts `data_block` from the first of the array: larger, and never read.
    #[must_use]
    pub const fn block_offset(&self, step: &Step, data_block: u64) -> u64 {
        let direct = step.first_data_block < self.direct_data_blocks;
        let before = if direct { step.first_data_block } else { 0 };
        step.first_element + (before + data_block) * step.data_block_elements
    }

    const fn prefix_size(&self) -> u64 {
        SIGNATURE_SIZE + 2 + self.address_size()
    }

    const fn block_offset_size(&self) -> u64 {
        (self.parameters.max_elements_bits as u64).div_ceil(8)
    }

    const fn element_size(&self) -> u64 {
        self.form.size() as u64
    }

    const fn address_size(&self) -> u64 {
        self.form.widths().offset as u64
    }

    fn start<'a>(
        &self,
        what: &'static str,
        name: &'static str,
        at: u64,
        bytes: &'a [u8],
    ) -> Result<(Cursor<'a>, Addr)> {
        let mut cursor = Cursor::new(what, at, bytes);
        cursor.signature(name)?;
        cursor.version(0)?;
        self.form.client().require(&mut cursor)?;
        let header = cursor.defined_addr("header address", self.form.widths())?;
        Ok((cursor, header))
    }

    fn begin(&self, name: &[u8; 4], header: Addr, size: u64) -> Vec<u8> {
        let mut out = Vec::with_capacity(usize::try_from(size).unwrap_or(0));
        out.extend_from_slice(name);
        out.put_u8(0);
        out.put_u8(self.form.client().id());
        out.put_addr(Some(header), self.form.widths());
        out
    }

    fn addresses(&self, cursor: &mut Cursor<'_>, field: &'static str, count: u64) -> Result<Vec<Option<Addr>>> {
        let count = cursor.checked_count(field, count, self.address_size() as usize)?;
        (0..count).map(|_| cursor.addr(field, self.form.widths())).collect()
    }
}

/// The index block ("EAIB").
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IndexBlock {
    /// Address of the array's header.
    pub header: Addr,
    /// The array's first elements.
    pub elements: Vec<Option<StoredChunk>>,
    /// Addresses of the first data blocks.
    pub data_blocks: Vec<Option<Addr>>,
    /// Addresses of the super blocks.
    pub super_blocks: Vec<Option<Addr>>,
}

impl IndexBlock {
    /// The index block of a new array: nothing in it.
    #[must_use]
    pub fn empty(header: Addr, geometry: &Geometry) -> Self {
        Self {
            header,
            elements: vec![None; geometry.index_block_elements() as usize],
            data_blocks: vec![None; geometry.index_block_data_blocks() as usize],
            super_blocks: vec![None; geometry.index_block_super_blocks() as usize],
        }
    }

    /// Decodes the index block at file address `at`.
    pub fn decode(bytes: &[u8], at: u64, geometry: &Geometry) -> Result<Self> {
        let (mut cursor, header) = geometry.start("extensible array index block", "EAIB", at, bytes)?;
        let elements = geometry.form.decode_many(&mut cursor, geometry.index_block_elements())?;
        let data_blocks =
            geometry.addresses(&mut cursor, "data block addresses", geometry.index_block_data_blocks())?;
        let super_blocks =
            geometry.addresses(&mut cursor, "secondary block addresses", geometry.index_block_super_blocks())?;
        cursor.checksum()?;
        Ok(Self { header, elements, data_blocks, super_blocks })
    }

    /// The block's bytes, [`Geometry::index_block_size`] of them.
    #[must_use]
    pub fn encode(&self, geometry: &Geometry) -> Vec<u8> {
        debug_assert_eq!(self.elements.len() as u64, geometry.index_block_elements());
        debug_assert_eq!(self.data_blocks.len() as u64, geometry.index_block_data_blocks());
        debug_assert_eq!(self.super_blocks.len() as u64, geometry.index_block_super_blocks());
        let mut out = geometry.begin(b"EAIB", self.header, geometry.index_block_size());
        geometry.form.encode_many(&self.elements, &mut out);
        for addr in self.data_blocks.iter().chain(&self.super_blocks) {
            out.put_addr(*addr, geometry.form.widths());
        }
        out.put_checksum_from(0);
        out
    }
}

/// A super block ("EASB", "secondary block").
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SuperBlock {
    /// Address of the array's header.
    pub header: Addr,
    /// Index of its first element, not counting those of the index block.
    pub block_offset: u64,
    /// Which pages of its data blocks are initialised ([`Geometry::super_block_page_bit`]); empty without pages.
    pub pages: PageBitmap,
    /// Addresses of its data blocks.
    pub data_blocks: Vec<Option<Addr>>,
}

impl SuperBlock {
    /// The super block of `step` with no data block in it.
    #[must_use]
    pub fn empty(header: Addr, geometry: &Geometry, step: &Step) -> Self {
        Self {
            header,
            block_offset: geometry.block_offset(step, 0),
            pages: PageBitmap::empty(geometry.super_block_bitmap_size(step) as usize),
            data_blocks: vec![None; step.data_blocks as usize],
        }
    }

    /// Decodes the super block of `step` at file address `at`.
    pub fn decode(bytes: &[u8], at: u64, geometry: &Geometry, step: &Step) -> Result<Self> {
        let (mut cursor, header) = geometry.start("extensible array secondary block", "EASB", at, bytes)?;
        let block_offset = cursor.uint("block offset", geometry.block_offset_size() as usize)?;
        let pages = PageBitmap::decode(&mut cursor, geometry.super_block_bitmap_size(step))?;
        let data_blocks = geometry.addresses(&mut cursor, "data block addresses", step.data_blocks)?;
        cursor.checksum()?;
        Ok(Self { header, block_offset, pages, data_blocks })
    }

    /// The block's bytes, [`Geometry::super_block_size`] of them.
    #[must_use]
    pub fn encode(&self, geometry: &Geometry, step: &Step) -> Vec<u8> {
        debug_assert_eq!(self.data_blocks.len() as u64, step.data_blocks);
        debug_assert_eq!(self.pages.bytes().len() as u64, geometry.super_block_bitmap_size(step));
        let mut out = geometry.begin(b"EASB", self.header, geometry.super_block_size(step));
        out.put_uint(self.block_offset, geometry.block_offset_size() as usize);
        out.extend_from_slice(self.pages.bytes());
        for addr in &self.data_blocks {
            out.put_addr(*addr, geometry.form.widths());
        }
        out.put_checksum_from(0);
        out
    }
}

/// A data block ("EADB") without pages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DataBlock {
    /// Address of the array's header.
    pub header: Addr,
    /// Index of its first element as libhdf5 counts it ([`Geometry::block_offset`]).
    pub block_offset: u64,
    /// The elements.
    pub elements: Vec<Option<StoredChunk>>,
}

impl DataBlock {
    /// Decodes the data block of `step` at file address `at`.
    pub fn decode(bytes: &[u8], at: u64, geometry: &Geometry, step: &Step) -> Result<Self> {
        let (mut cursor, header) = geometry.start("extensible array data block", "EADB", at, bytes)?;
        let block_offset = cursor.uint("block offset", geometry.block_offset_size() as usize)?;
        let elements = geometry.form.decode_many(&mut cursor, step.data_block_elements)?;
        cursor.checksum()?;
        Ok(Self { header, block_offset, elements })
    }

    /// The block's bytes, [`Geometry::data_block_size`] of them.
    #[must_use]
    pub fn encode(&self, geometry: &Geometry) -> Vec<u8> {
        let size = geometry.data_block_element_at(self.elements.len() as u64) + CHECKSUM_SIZE;
        let mut out = geometry.begin(b"EADB", self.header, size);
        out.put_uint(self.block_offset, geometry.block_offset_size() as usize);
        geometry.form.encode_many(&self.elements, &mut out);
        out.put_checksum_from(0);
        out
    }
}

/// What comes before the pages of a data block ("EADB") that has pages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PagedPrefix {
    /// Address of the array's header.
    pub header: Addr,
    /// Index of the block's first element as libhdf5 counts it ([`Geometry::block_offset`]).
    pub block_offset: u64,
}

impl PagedPrefix {
    /// Decodes the prefix at file address `at`.
    pub fn decode(bytes: &[u8], at: u64, geometry: &Geometry) -> Result<Self> {
        let (mut cursor, header) = geometry.start("extensible array data block", "EADB", at, bytes)?;
        let block_offset = cursor.uint("block offset", geometry.block_offset_size() as usize)?;
        cursor.checksum()?;
        Ok(Self { header, block_offset })
    }

    /// The prefix's bytes, [`Geometry::paged_prefix_size`] of them.
    #[must_use]
    pub fn encode(&self, geometry: &Geometry) -> Vec<u8> {
        let mut out = geometry.begin(b"EADB", self.header, geometry.paged_prefix_size());
        out.put_uint(self.block_offset, geometry.block_offset_size() as usize);
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
    /// Decodes the page at file address `at`.
    pub fn decode(bytes: &[u8], at: u64, geometry: &Geometry) -> Result<Self> {
        let mut cursor = Cursor::new("extensible array data block page", at, bytes);
        let elements = geometry.form.decode_many(&mut cursor, geometry.page_elements())?;
        cursor.checksum()?;
        Ok(Self { elements })
    }

    /// The page's bytes, [`Geometry::page_size`] of them.
    #[must_use]
    pub fn encode(&self, geometry: &Geometry) -> Vec<u8> {
        let mut out = Vec::with_capacity(usize::try_from(geometry.page_size()).unwrap_or(0));
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

    fn parameters(index: u8, pointers: u8, elements: u8, page_bits: u8) -> Parameters {
        Parameters {
            max_elements_bits: 32,
            index_block_elements: index,
            data_block_min_elements: elements,
            super_block_min_pointers: pointers,
            page_bits,
        }
    }

    fn element(number: u64) -> Option<StoredChunk> {
        (!number.is_multiple_of(3)).then_some(StoredChunk { addr: Addr(number << 9), size: 400, filter_mask: 0 })
    }

    /// Walks the blocks in the order in which an array grows and says where each element must be.
    fn places(geometry: &Geometry) -> impl Iterator<Item = Place> {
        let index_block = (0..geometry.index_block_elements()).map(|slot| Place::IndexBlock { slot });
        let direct = (0..geometry.index_block_data_blocks()).flat_map(|pointer| {
            let (step, _) = geometry.direct_data_block(pointer).unwrap();
            (0..step.data_block_elements).map(move |slot| Place::DataBlock { pointer, slot })
        });
        let beyond = (0..geometry.index_block_super_blocks()).flat_map(move |pointer| {
            let (number, step) = geometry.super_block_step(pointer).unwrap();
            (0..step.data_blocks * step.data_block_elements).map(move |element| {
                let (data_block, slot) = (element / step.data_block_elements, element % step.data_block_elements);
                let page_elements = 1 << geometry.parameters().page_bits;
                let within = match step.pages {
                    None => Within::Block { slot },
                    Some(_) => Within::Page { page: slot / page_elements, slot: slot % page_elements },
                };
                Place::SuperBlock { pointer, step: number, data_block, within }
            })
        });
        index_block.chain(direct).chain(beyond)
    }

    #[test]
    fn every_element_has_the_place_that_growing_block_by_block_gives_it() {
        for parameters in [
            Parameters::LIBHDF5,
            parameters(4, 4, 2, 5),
            parameters(1, 2, 1, 4),
            parameters(32, 4, 2, 8),
            parameters(8, 8, 4, 6),
            parameters(0, 1, 1, 0),
        ] {
            let geometry = Geometry::new(parameters, PLAIN).unwrap();
            for (index, place) in places(&geometry).take(300_000).enumerate() {
                assert_eq!(geometry.locate(index as u64), Some(place), "{parameters:?} {index}");
            }
            assert!(geometry.locate(geometry.capacity() - 1).is_some());
            assert_eq!(geometry.locate(geometry.capacity()), None);
            assert_eq!(geometry.locate(u64::MAX), None);
        }
    }

    #[test]
    fn the_geometry_is_that_of_files_of_libhdf5() {
        // h5py: (200000,) in chunks of one; counted in the file.
        let geometry = Geometry::new(Parameters::LIBHDF5, PLAIN).unwrap();
        assert_eq!((geometry.index_block_data_blocks(), geometry.index_block_super_blocks()), (6, 25));
        let (number, step) = geometry.super_block_step(9).unwrap();
        assert_eq!((number, step.data_blocks, step.data_block_elements, step.pages), (13, 64, 2048, Some(2)));
        assert_eq!((step.first_element, geometry.block_offset(&step, 1)), (131_056, 133_104));
        assert_eq!(
            geometry.locate(199_999),
            Some(Place::SuperBlock {
                pointer: 9,
                step: 13,
                data_block: 33,
                within: Within::Page { page: 1, slot: 331 }
            })
        );
        assert_eq!(geometry.super_block_page_bit(&step, 33, 1), 67);
        assert_eq!(geometry.super_block_bitmap_size(&step), 64);
        // The block offsets of data blocks the index block names, as stored.
        let stored: Vec<u64> = (0..6)
            .map(|pointer| geometry.direct_data_block(pointer).unwrap())
            .map(|(step, number)| geometry.block_offset(&step, number))
            .collect();
        assert_eq!(stored, [0, 48, 112, 144, 368, 432]);
        assert_eq!(geometry.direct_data_block(6), None);
        // The header's statistics of a filtered array of 3000 chunks.
        let geometry = Geometry::new(Parameters::LIBHDF5, ElementForm::filtered_chunks(Widths::EIGHT, 2)).unwrap();
        let steps: Vec<Step> = (0..4).map(|pointer| geometry.super_block_step(pointer).unwrap().1).collect();
        assert_eq!(steps.iter().map(|step| geometry.super_block_size(step)).sum::<u64>(), 280);
    }

    #[test]
    fn impossible_parameters_are_refused() {
        for bad in [
            parameters(4, 3, 16, 10),
            parameters(4, 0, 16, 10),
            parameters(4, 4, 0, 10),
            parameters(4, 4, 24, 10),
            parameters(4, 4, 16, 3),
            parameters(4, 4, 16, 60),
            Parameters { max_elements_bits: 200, ..Parameters::LIBHDF5 },
            Parameters { max_elements_bits: 3, ..Parameters::LIBHDF5 },
            Parameters { max_elements_bits: 5, super_block_min_pointers: 128, ..Parameters::LIBHDF5 },
        ] {
            assert!(Geometry::new(bad, PLAIN).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_header_of_libhdf5_decodes_and_encodes_to_the_same_bytes() {
        let header = Header {
            client: ArrayClient::Chunks,
            element_size: 8,
            parameters: Parameters::LIBHDF5,
            statistics: Statistics { max_index_set: 3, realized_elements: 4, ..Statistics::default() },
            index_block: Some(Addr(0x207)),
        };
        let bytes = header.encode(Widths::EIGHT);
        assert_eq!(bytes.len() as u64, Header::size(Widths::EIGHT));
        assert_eq!(&bytes[..12], b"EAHD\x00\x00\x08\x20\x04\x10\x04\x0a");
        check(&bytes, |bytes| Header::decode(bytes, 7, Widths::EIGHT), header);
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
    fn blocks_round_trip_and_lie_where_the_geometry_says() {
        let header = Addr(0x1_0000);
        for form in [PLAIN, FILTERED] {
            let geometry = Geometry::new(parameters(4, 4, 2, 4), form).unwrap();
            let mut index = IndexBlock::empty(header, &geometry);
            index.elements = (0..4).map(element).collect();
            index.data_blocks[3] = Some(Addr(0x3333));
            index.super_blocks[2] = Some(Addr(0x4444));
            let bytes = index.encode(&geometry);
            assert_eq!(bytes.len() as u64, geometry.index_block_size());
            let at = geometry.index_block_data_block_at(3) as usize;
            assert_eq!(bytes[at..at + 8], 0x3333u64.to_le_bytes());
            let at = geometry.index_block_super_block_at(2) as usize;
            assert_eq!(bytes[at..at + 8], 0x4444u64.to_le_bytes());
            let at = geometry.index_block_element_at(1) as usize;
            assert_eq!(bytes[at..at + 8], 512u64.to_le_bytes());
            check(&bytes, |bytes| IndexBlock::decode(bytes, 1, &geometry), index);

            let (_, step) = geometry.super_block_step(3).unwrap();
            assert_eq!((step.data_block_elements, step.pages), (32, Some(2)));
            let mut block = SuperBlock::empty(header, &geometry, &step);
            block.pages.set(geometry.super_block_page_bit(&step, 1, 1));
            block.data_blocks[1] = Some(Addr(0x5555));
            let bytes = block.encode(&geometry, &step);
            assert_eq!(bytes.len() as u64, geometry.super_block_size(&step));
            assert_eq!(bytes[geometry.super_block_bitmap_at() as usize], 0x10);
            let at = geometry.super_block_data_block_at(&step, 1) as usize;
            assert_eq!(bytes[at..at + 8], 0x5555u64.to_le_bytes());
            check(&bytes, |bytes| SuperBlock::decode(bytes, 1, &geometry, &step), block);

            let prefix = PagedPrefix { header, block_offset: geometry.block_offset(&step, 1) };
            let page = Page { elements: (0..geometry.page_elements()).map(element).collect() };
            let mut bytes = prefix.encode(&geometry);
            assert_eq!(bytes.len() as u64, geometry.paged_prefix_size());
            check(&bytes, |bytes| PagedPrefix::decode(bytes, 1, &geometry), prefix);
            let page_bytes = page.encode(&geometry);
            assert_eq!(page_bytes.len() as u64, geometry.page_size());
            let at = geometry.page_element_at(5) as usize;
            assert_eq!(page_bytes[at..at + 8], (5u64 << 9).to_le_bytes());
            check(&page_bytes, |bytes| Page::decode(bytes, 1, &geometry), page);
            bytes.extend_from_slice(&page_bytes);
            assert_eq!(bytes.len() as u64, geometry.page_at(1));
            bytes.extend_from_slice(&page_bytes);
            assert_eq!(bytes.len() as u64, geometry.data_block_size(&step));

            let (step, number) = geometry.direct_data_block(2).unwrap();
            let block = DataBlock {
                header,
                block_offset: geometry.block_offset(&step, number),
                elements: (0..step.data_block_elements).map(element).collect(),
            };
            let bytes = block.encode(&geometry);
            assert_eq!(bytes.len() as u64, geometry.data_block_size(&step));
            let at = geometry.data_block_element_at(1) as usize;
            assert_eq!(bytes[at..at + 8], 512u64.to_le_bytes());
            check(&bytes, |bytes| DataBlock::decode(bytes, 1, &geometry, &step), block);
        }
    }
}
