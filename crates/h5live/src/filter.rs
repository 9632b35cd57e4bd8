//! The filters that chunks pass through: those a new dataset gets, and those a program brings along.
//!
//! A program's own filter is a type that implements [`Filter`], under a number in a [`Registry`], which
//! [`File::builder`](crate::File::builder) takes for the files that need it:
//!
//! ```
//! use h5live::filter::{Encoded, Filter, FilterId, Problem, Registry};
//!
//! /// Turns all bits round.
//! #[derive(Debug)]
//! struct Not;
//!
//! impl Filter for Not {
//!     fn name(&self) -> &str {
//!         "not"
//!     }
//!     fn decode(&self, _: &[u32], input: &[u8], output: &mut [u8]) -> Result<usize, Problem> {
//!         let limit = output.len();
//!         let output = output.get_mut(..input.len()).ok_or(Problem::TooLong { limit })?;
//!         output.iter_mut().zip(input).for_each(|(to, byte)| *to = !byte);
//!         Ok(input.len())
//!     }
//!     fn encode(&self, _: &[u32], input: &[u8], output: &mut Vec<u8>) -> Result<Encoded, Problem> {
//!         output.extend(input.iter().map(|byte| !byte));
//!         Ok(Encoded::Done)
//!     }
//! }
//!
//! # fn main() -> h5live::Result<()> {
//! let mut filters = Registry::default();
//! filters.register(FilterId(400), Not);
//! # let directory = std::env::temp_dir().join(format!("h5live-filter-{}", std::process::id()));
//! # std::fs::create_dir_all(&directory).unwrap();
//! # let path = directory.join("own.h5");
//! let file = h5live::File::builder().filters(filters.clone()).create(&path)?;
//! let data = file.new_dataset::<u8>("data").shape([4]).filter(FilterId(400), &[]).create()?;
//! data.write(.., &[1_u8, 2, 3, 4])?;
//! file.close()?;
//! let file = h5live::File::builder().filters(filters).open(&path)?;
//! assert_eq!(file.dataset("data")?.read_vec::<u8>(..)?, [1, 2, 3, 4]);
//! # std::fs::remove_dir_all(&directory).unwrap();
//! # Ok(())
//! # }
//! ```

use h5live_format::message::datatype::{self, FloatOrder};
use h5live_format::message::{self, Datatype, FilterPipeline};

pub use h5live_filter::{
    BitField, ByteOrder, ChunkForm, ElementType, Encoded, Error, Filter, FilterId, Problem, Registry,
};

use crate::create::DatasetBuilder;
use crate::dataset::FilterInfo;
use crate::error::{ErrorKind, Result};

/// What [`DatasetBuilder::bitshuffle`] does with the bits it has put side by side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BitshuffleCodec {
    /// Nothing: the filter that follows compresses them.
    None,
    /// Compresses each block with LZ4.
    Lz4,
    /// Compresses each block with Zstandard, at about its first level.
    Zstandard,
}

/// How Blosc and Blosc2 compress.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BloscCodec {
    /// Blosc's own.
    BloscLz,
    /// LZ4.
    Lz4,
    /// Snappy, which only Blosc has.
    Snappy,
    /// zlib.
    Zlib,
    /// Zstandard, at about its first level.
    Zstandard,
}

/// What Blosc and Blosc2 do before they compress.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BloscShuffle {
    /// Nothing.
    None,
    /// Puts bytes of equal significance side by side.
    Bytes,
    /// Puts bits of equal significance side by side.
    Bits,
    /// Takes differences of neighbours, which only Blosc2 does.
    Differences,
}

/// What szip codes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SzipCoding {
    /// The values ("EC").
    Values,
    /// The differences of neighbours ("NN"), which is better for smooth data.
    Differences,
}

/// What ZFP may lose.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum ZfpMode {
    /// As much as it takes to get to so many bits per value.
    Rate(f64),
    /// All but so many bits of each value, relative to the largest near it.
    Precision(u32),
    /// No more than this of any value.
    Accuracy(f64),
    /// Nothing.
    Reversible,
}

impl BloscCodec {
    fn number(self) -> u32 {
        match self {
            Self::BloscLz => 0,
            Self::Lz4 => 1,
            Self::Snappy => 3,
            Self::Zlib => 4,
            Self::Zstandard => 5,
        }
    }
}

impl BloscShuffle {
    fn number(self) -> u32 {
        match self {
            Self::None => 0,
            Self::Bytes => 1,
            Self::Bits => 2,
            Self::Differences => 3,
        }
    }
}

/// A filter of a dataset that is not made yet.
#[derive(Debug, Clone)]
pub(crate) struct NewFilter {
    filter: message::Filter,
    /// Whether the values are those the file keeps, not those a program gives.
    settled: bool,
}

impl NewFilter {
    pub(crate) fn id(&self) -> FilterId {
        FilterId(self.filter.id.0)
    }
}

/// Filters, in the order of writing. Those that compress are skipped for chunks they fail on, and so are those that gain nothing,
/// unless files of other programs show that they never are.
impl DatasetBuilder {
    /// Compresses chunks with deflate, at a level from 0 to 9.
    pub fn gzip(self, level: u32) -> Self {
        self.optional_filter(FilterId::DEFLATE, &[level.min(9)])
    }

    /// Compresses chunks with LZF, as h5py does.
    pub fn lzf(self) -> Self {
        self.optional_filter(FilterId::LZF, &[])
    }

    /// Puts bytes of equal significance side by side, which helps the compression that follows.
    pub fn shuffle(self) -> Self {
        self.optional_filter(FilterId::SHUFFLE, &[])
    }

    /// Adds a checksum to each chunk.
    pub fn fletcher32(self) -> Self {
        self.filter(FilterId::FLETCHER32, &[])
    }

    /// Codes numbers with szip (CCSDS 121.0-B), in blocks of an even number of up to 32 values; 8 is usual for
    /// [`SzipCoding::Differences`].
    pub fn szip(self, coding: SzipCoding, block: u32) -> Self {
        /// What libhdf5 always sets: splits of 13 bits are allowed, and there is no header of szip's own.
        const ALWAYS: u32 = 1 | 128;
        let mask = match coding {
            SzipCoding::Values => 4,
            SzipCoding::Differences => 32,
        };
        self.optional_filter(FilterId::SZIP, &[mask | ALWAYS, block])
    }

    /// Stores only those bits of numbers that count, for types whose precision is less than their size.
    pub fn nbit(self) -> Self {
        self.optional_filter(FilterId::NBIT, &[])
    }

    /// Stores integers as differences from the smallest of the chunk, in `parameter` bits or, if it is 0, in as few as it takes;
    /// floating-point numbers likewise, after rounding to `parameter` decimal digits.
    pub fn scale_offset(self, parameter: u32) -> Self {
        let method = if matches!(self.datatype(), Datatype::Float(_)) { 0 } else { 2 };
        self.optional_filter(FilterId::SCALE_OFFSET, &[method, parameter])
    }

    /// Compresses chunks with bzip2, in blocks of 1 to 9 times 100 kB.
    pub fn bzip2(self, block: u32) -> Self {
        self.optional_filter(FilterId::BZIP2, &[block.clamp(1, 9)])
    }

    /// Compresses chunks with LZ4.
    pub fn lz4(self) -> Self {
        self.optional_filter(FilterId::LZ4, &[0])
    }

    /// Compresses chunks with Zstandard. The level is kept in the file for libraries that have levels; this one compresses at about the
    /// first.
    pub fn zstd(self, level: u32) -> Self {
        self.optional_filter(FilterId::ZSTANDARD, &[level])
    }

    /// Puts bits of equal significance side by side, and compresses them if asked.
    pub fn bitshuffle(self, codec: BitshuffleCodec) -> Self {
        let codec = match codec {
            BitshuffleCodec::None => 0,
            BitshuffleCodec::Lz4 => 2,
            BitshuffleCodec::Zstandard => 3,
        };
        self.optional_filter(FilterId::BITSHUFFLE, &[0, codec])
    }

    /// Compresses chunks with Blosc, at a level from 0 to 9.
    pub fn blosc(self, codec: BloscCodec, level: u32, shuffle: BloscShuffle) -> Self {
        self.optional_filter(FilterId::BLOSC, &[0, 0, 0, 0, level.min(9), shuffle.number(), codec.number()])
    }

    /// Compresses chunks with Blosc2, at a level from 0 to 9.
    pub fn blosc2(self, codec: BloscCodec, level: u32, shuffle: BloscShuffle) -> Self {
        self.optional_filter(FilterId::BLOSC2, &[0, 0, 0, 0, level.min(9), shuffle.number(), codec.number()])
    }

    /// Compresses numbers of 32 and 64 bits with ZFP, which loses some of them unless it is [`ZfpMode::Reversible`].
    pub fn zfp(self, mode: ZfpMode) -> Self {
        let double = |mode: u32, value: f64| {
            let bits = value.to_bits();
            [mode, 0, bits as u32, (bits >> 32) as u32, 0, 0]
        };
        let values = match mode {
            ZfpMode::Rate(bits) => double(1, bits),
            ZfpMode::Precision(bits) => [2, 0, bits, 0, 0, 0],
            ZfpMode::Accuracy(error) => double(3, error),
            ZfpMode::Reversible => [5, 0, 0, 0, 0, 0],
        };
        self.optional_filter(FilterId::ZFP, &values)
    }

    /// Adds a filter, with the client values that a program gives (as in h5py's `compression_opts`): the filter adds what it keeps of
    /// the dataset's type and chunks. A chunk it fails on is an error.
    ///
    /// A filter that is not known here keeps the values as they are: chunks can then be written only as they are to be stored.
    pub fn filter(self, id: FilterId, values: &[u32]) -> Self {
        self.with_filter(NewFilter { filter: message::Filter::new(message::FilterId(id.0), values), settled: false })
    }

    /// Adds a filter as [`DatasetBuilder::filter`] does, but one that is skipped for chunks it fails on or that it makes no shorter.
    pub fn optional_filter(self, id: FilterId, values: &[u32]) -> Self {
        let filter = message::Filter { optional: true, ..message::Filter::new(message::FilterId(id.0), values) };
        self.with_filter(NewFilter { filter, settled: false })
    }

    /// Adds the filters of another dataset of that type and chunk shape, as [`crate::Dataset::filters`] tells them. Chunks can then
    /// be copied as they are stored, whether or not their filters are known here.
    pub fn filters(self, filters: &[FilterInfo]) -> Self {
        filters.iter().fold(self, |this, info| {
            let filter = message::Filter {
                optional: info.optional,
                name: info.name.as_deref().map(Into::into),
                ..message::Filter::new(message::FilterId(info.id), &info.values)
            };
            this.with_filter(NewFilter { filter, settled: true })
        })
    }
}

/// The filters as the file keeps them, for chunks of that form.
pub(crate) fn settle(filters: &[NewFilter], form: &ChunkForm<'_>, registry: &Registry) -> Result<FilterPipeline> {
    let settled = filters.iter().map(|new| {
        let mut filter = new.filter.clone();
        if let Some(known) = registry.find(new.id()).filter(|_| !new.settled) {
            filter.client_data = known.settle(&filter.client_data, form).map_err(|problem| {
                let source = h5live_filter::Error::Settings { id: new.id(), problem };
                ErrorKind::Filter { chunk: Vec::new(), source }
            })?;
            filter.name = Some(known.name().into());
        }
        Ok(filter)
    });
    Ok(FilterPipeline { filters: settled.collect::<Result<_>>()? })
}

/// A type as far as filters distinguish.
pub(crate) fn element_type(datatype: &Datatype) -> ElementType {
    match datatype {
        Datatype::Integer(integer) => ElementType::Integer {
            signed: integer.signed,
            bits: BitField {
                size: integer.size,
                order: match integer.order {
                    datatype::ByteOrder::Little => ByteOrder::Little,
                    datatype::ByteOrder::Big => ByteOrder::Big,
                },
                precision: integer.bits.precision.into(),
                offset: integer.bits.offset.into(),
            },
        },
        Datatype::Float(float) => {
            let order = match float.order {
                FloatOrder::Little => ByteOrder::Little,
                FloatOrder::Big => ByteOrder::Big,
                FloatOrder::Vax => return ElementType::Other { size: float.size },
            };
            let (precision, offset) = (float.bits.precision.into(), float.bits.offset.into());
            ElementType::Float(BitField { size: float.size, order, precision, offset })
        }
        Datatype::Array(array) => ElementType::Array {
            count: array.dims.iter().fold(1_u32, |count, dim| count.saturating_mul(*dim)),
            base: Box::new(element_type(&array.base)),
        },
        Datatype::Compound(compound) => ElementType::Compound {
            size: compound.size,
            members: compound.members.iter().map(|member| (member.offset, element_type(&member.datatype))).collect(),
        },
        other => ElementType::Other { size: other.size() },
    }
}
