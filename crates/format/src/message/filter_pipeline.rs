//! The filter pipeline message: what chunks go through on their way to the file (specification IV.A.2.l, versions 1 and
//! 2).

use super::text::Name;
use crate::{Cursor, Put, Result, Why};

/// The filters of a dataset, in the order in which writing applies them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FilterPipeline {
    /// At most [`FilterPipeline::MAX_FILTERS`], as many as a chunk's filter mask has bits.
    pub filters: Vec<Filter>,
}

/// One filter and its settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filter {
    /// Registered number.
    pub id: FilterId,
    /// What it is called, if the file says.
    pub name: Option<Name>,
    /// Whether a chunk it fails on may skip it.
    pub optional: bool,
    /// Its settings.
    pub client_data: Vec<u32>,
}

impl Filter {
    /// A filter without a name, which must not fail.
    #[must_use]
    pub fn new(id: FilterId, client_data: &[u32]) -> Self {
        Self { id, name: None, optional: false, client_data: client_data.to_vec() }
    }
}

/// Registered number of a filter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FilterId(pub u16);

impl FilterId {
    /// zlib's deflate.
    pub const DEFLATE: Self = Self(1);
    /// Bytes of equal significance side by side.
    pub const SHUFFLE: Self = Self(2);
    /// Checksum.
    pub const FLETCHER32: Self = Self(3);
    /// szip.
    pub const SZIP: Self = Self(4);
    /// Bits that count, packed.
    pub const NBIT: Self = Self(5);
    /// Scaled and offset integers.
    pub const SCALE_OFFSET: Self = Self(6);

    /// Filters below this number belong to libhdf5 and have no name in version 2 of the message.
    const FIRST_NAMED: u16 = 256;
}

const FLAG_OPTIONAL: u16 = 0x01;

impl FilterPipeline {
    /// The most filters of a pipeline.
    pub const MAX_FILTERS: usize = 32;

    /// Decodes the message body at address `at`.
    ///
    /// # Errors
    /// An unknown version, too many filters, or bytes that end early.
    pub fn decode(bytes: &[u8], at: u64) -> Result<Self> {
        let mut cursor = Cursor::new("filter pipeline message", at, bytes);
        let version = cursor.u8("version")?;
        let count = cursor.u8("number of filters")?;
        if usize::from(count) > Self::MAX_FILTERS {
            return Err(cursor.bad_value("number of filters", count.into(), "is above the limit of 32"));
        }
        match version {
            1 => cursor.skip("reserved", 6)?,
            2 => {}
            other => return Err(cursor.error(Why::Version(other))),
        }
        let filters = (0..count).map(|_| Filter::read(&mut cursor, version)).collect::<Result<_>>()?;
        Ok(Self { filters })
    }

    /// The message body, version 2.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = vec![2, self.filters.len() as u8];
        for filter in &self.filters {
            let name = filter.name.as_ref().filter(|_| filter.id.0 >= FilterId::FIRST_NAMED);
            let name_size = name.map_or(0, |name| name.as_bytes().len() + 1);
            out.put_u16(filter.id.0);
            if filter.id.0 >= FilterId::FIRST_NAMED {
                out.put_u16(name_size as u16);
            }
            filter.put_rest(&mut out, name, name_size);
        }
        out
    }

    /// The message body, version 1, for readers before HDF5 1.8.
    #[must_use]
    pub fn encode_v1(&self) -> Vec<u8> {
        let mut out = vec![1, self.filters.len() as u8, 0, 0, 0, 0, 0, 0];
        for filter in &self.filters {
            let name_size = filter.name.as_ref().map_or(0, |name| (name.as_bytes().len() + 1).next_multiple_of(8));
            out.put_u16(filter.id.0);
            out.put_u16(name_size as u16);
            filter.put_rest(&mut out, filter.name.as_ref(), name_size);
            if filter.client_data.len() % 2 == 1 {
                out.put_u32(0);
            }
        }
        out
    }
}

impl Filter {
    fn read(cursor: &mut Cursor<'_>, version: u8) -> Result<Self> {
        let id = FilterId(cursor.u16("filter identification value")?);
        let name_size = if version == 1 || id.0 >= FilterId::FIRST_NAMED { cursor.u16("name length")? } else { 0 };
        let flags = cursor.u16("flags")?;
        let count = cursor.u16("number of client data values")?;
        let name = cursor.take("name", name_size.into())?;
        let name = name.split(|byte| *byte == 0).next().filter(|name| !name.is_empty()).map(Name::new);
        let capacity = cursor.checked_count("client data", count.into(), 4)?;
        let mut client_data = Vec::with_capacity(capacity);
        for _ in 0..count {
            client_data.push(cursor.u32("client data")?);
        }
        if version == 1 && count % 2 == 1 {
            cursor.skip("padding", 4)?;
        }
        Ok(Self { id, name, optional: flags & FLAG_OPTIONAL != 0, client_data })
    }

    /// What both versions have after the length of the name.
    fn put_rest(&self, out: &mut Vec<u8>, name: Option<&Name>, name_size: usize) {
        out.put_u16(if self.optional { FLAG_OPTIONAL } else { 0 });
        out.put_u16(self.client_data.len() as u16);
        let end = out.len() + name_size;
        out.extend_from_slice(name.map_or(&[], Name::as_bytes));
        out.resize(end, 0);
        for value in &self.client_data {
            out.put_u32(*value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::testing::{hex, reads_and_writes};

    fn decode(bytes: &[u8]) -> Result<FilterPipeline> {
        FilterPipeline::decode(bytes, 0)
    }

    fn optional(id: FilterId, name: Option<&str>, client_data: &[u32]) -> Filter {
        Filter { name: name.map(Name::from), optional: true, ..Filter::new(id, client_data) }
    }

    #[test]
    fn reads_and_writes_what_libhdf5_wrote() {
        let shuffle = FilterPipeline { filters: vec![optional(FilterId::SHUFFLE, None, &[8])] };
        reads_and_writes(&hex("0201 0200 0100 0100 08000000"), &shuffle, decode, FilterPipeline::encode);

        let named = FilterPipeline { filters: vec![optional(FilterId::SHUFFLE, Some("shuffle"), &[8])] };
        let bytes = hex("0101 000000000000 0200 0800 0100 0100 73687566666c6500 08000000 00000000");
        reads_and_writes(&bytes, &named, decode, FilterPipeline::encode_v1);
        // Version 2 has no room for the names of libhdf5's own filters.
        assert_eq!(named.encode(), shuffle.encode());
    }

    #[test]
    fn filters_of_others_keep_their_names() {
        let pipeline = FilterPipeline {
            filters: vec![
                optional(FilterId::SHUFFLE, None, &[8]),
                Filter { name: Some("bitshuffle".into()), ..Filter::new(FilterId(32_008), &[0, 5, 4, 0, 2]) },
                Filter::new(FilterId(40_000), &[]),
            ],
        };
        reads_and_writes(&pipeline.encode(), &pipeline, decode, FilterPipeline::encode);
        reads_and_writes(&pipeline.encode_v1(), &pipeline, decode, FilterPipeline::encode_v1);
    }

    #[test]
    fn refuses_what_cannot_be() {
        for bytes in ["0300", "0221", "0201 0200 0100 ffff 08000000"] {
            assert!(decode(&hex(bytes)).is_err(), "{bytes}");
        }
    }
}
