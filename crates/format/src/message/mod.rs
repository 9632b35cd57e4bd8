//! Header messages (specification IV.A.2): one file each, and [`Message`] for any of them.

mod attribute;
mod attribute_info;
mod bogus;
mod btree_k;
mod comment;
mod continuation;
mod data_layout;
mod dataspace;
pub mod datatype;
mod driver_info;
mod external_files;
mod file_space_info;
mod fill_value;
mod filter_pipeline;
mod group_info;
mod link;
mod link_info;
mod metadata_cache_image;
mod modification_time;
mod phase_change;
mod reference_count;
mod shared_message;
mod shared_message_table;
mod symbol_table;
#[cfg(test)]
pub(crate) mod testing;
mod text;

pub use attribute::{Attribute, MaybeShared};
pub use attribute_info::AttributeInfo;
pub use bogus::Bogus;
pub use btree_k::BTreeK;
pub use comment::Comment;
pub use continuation::Continuation;
pub use data_layout::{ChunkIndex, ChunkSizeField, Chunked, DataLayout, ExtensibleArrayParameters, FilteredChunk};
pub use dataspace::Dataspace;
pub use datatype::Datatype;
pub use driver_info::DriverInfo;
pub use external_files::{ExternalFile, ExternalFiles};
pub use file_space_info::{FileSpaceInfo, FileSpaceStrategy, FreeSpaceManagers, PagedFileSpace};
pub use fill_value::{AllocationTime, Fill, FillTime, FillValue};
pub use filter_pipeline::{Filter, FilterId, FilterPipeline};
pub use group_info::{GroupEstimate, GroupInfo};
pub use link::{Link, LinkTarget};
pub use link_info::LinkInfo;
pub use metadata_cache_image::MetadataCacheImage;
pub use modification_time::ModificationTime;
pub use phase_change::{CreationOrder, DenseStorage, PhaseChange};
pub use reference_count::ReferenceCount;
pub use shared_message::SharedMessage;
pub use shared_message_table::SharedMessageTable;
pub use symbol_table::SymbolTable;
pub use text::{CharacterSet, Name, StringPadding};

use crate::object_header::{MessageFlags, MessageType};
use crate::{Result, Widths};

/// A header message of any type.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "each variant is named as the type it holds, which says what it is")]
pub enum Message {
    Nil,
    Dataspace(Dataspace),
    LinkInfo(LinkInfo),
    Datatype(Datatype),
    /// Both types of fill value message.
    FillValue(FillValue),
    Link(Link),
    ExternalFiles(ExternalFiles),
    DataLayout(DataLayout),
    Bogus(Bogus),
    GroupInfo(GroupInfo),
    FilterPipeline(FilterPipeline),
    Attribute(Attribute),
    Comment(Comment),
    /// Both types of modification time message.
    ModificationTime(ModificationTime),
    SharedMessageTable(SharedMessageTable),
    Continuation(Continuation),
    SymbolTable(SymbolTable),
    BTreeK(BTreeK),
    DriverInfo(DriverInfo),
    AttributeInfo(AttributeInfo),
    ReferenceCount(ReferenceCount),
    FileSpaceInfo(FileSpaceInfo),
    MetadataCacheImage(MetadataCacheImage),
    /// A message of this type that is stored elsewhere.
    Shared(MessageType, SharedMessage),
    /// A message of a type this crate does not know; its flags tell whether that matters.
    Unknown(MessageType),
}

impl Message {
    /// Decodes the body, at address `at`, of a message of type `kind`.
    ///
    /// # Errors
    /// What the message's own `decode` objects to.
    pub fn decode(kind: MessageType, flags: MessageFlags, body: &[u8], at: u64, widths: Widths) -> Result<Self> {
        if flags.contains(MessageFlags::SHARED) {
            return Ok(Self::Shared(kind, SharedMessage::decode(body, at, widths)?));
        }
        Ok(match kind {
            MessageType::NIL => Self::Nil,
            MessageType::DATASPACE => Self::Dataspace(Dataspace::decode(body, at, widths)?),
            MessageType::LINK_INFO => Self::LinkInfo(LinkInfo::decode(body, at, widths)?),
            MessageType::DATATYPE => Self::Datatype(Datatype::decode(body, at)?),
            MessageType::FILL_VALUE_OLD => Self::FillValue(FillValue::decode_old(body, at)?),
            MessageType::FILL_VALUE => Self::FillValue(FillValue::decode(body, at)?),
            MessageType::LINK => Self::Link(Link::decode(body, at, widths)?),
            MessageType::EXTERNAL_FILES => Self::ExternalFiles(ExternalFiles::decode(body, at, widths)?),
            MessageType::DATA_LAYOUT => Self::DataLayout(DataLayout::decode(body, at, widths)?),
            MessageType::BOGUS => Self::Bogus(Bogus::decode(body, at)?),
            MessageType::GROUP_INFO => Self::GroupInfo(GroupInfo::decode(body, at)?),
            MessageType::FILTER_PIPELINE => Self::FilterPipeline(FilterPipeline::decode(body, at)?),
            MessageType::ATTRIBUTE => Self::Attribute(Attribute::decode(body, at, widths)?),
            MessageType::COMMENT => Self::Comment(Comment::decode(body, at)?),
            MessageType::MODIFICATION_TIME_OLD => Self::ModificationTime(ModificationTime::decode_old(body, at)?),
            MessageType::SHARED_MESSAGE_TABLE => {
                Self::SharedMessageTable(SharedMessageTable::decode(body, at, widths)?)
            }
            MessageType::CONTINUATION => Self::Continuation(Continuation::decode(body, at, widths)?),
            MessageType::SYMBOL_TABLE => Self::SymbolTable(SymbolTable::decode(body, at, widths)?),
            MessageType::MODIFICATION_TIME => Self::ModificationTime(ModificationTime::decode(body, at)?),
            MessageType::BTREE_K => Self::BTreeK(BTreeK::decode(body, at)?),
            MessageType::DRIVER_INFO => Self::DriverInfo(DriverInfo::decode(body, at)?),
            MessageType::ATTRIBUTE_INFO => Self::AttributeInfo(AttributeInfo::decode(body, at, widths)?),
            MessageType::REFERENCE_COUNT => Self::ReferenceCount(ReferenceCount::decode(body, at)?),
            MessageType::FILE_SPACE_INFO => Self::FileSpaceInfo(FileSpaceInfo::decode(body, at, widths)?),
            MessageType::METADATA_CACHE_IMAGE => {
                Self::MetadataCacheImage(MetadataCacheImage::decode(body, at, widths)?)
            }
            other => Self::Unknown(other),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Debug;

    use super::testing::{hex, reads, reads_and_writes};
    use super::*;
    use crate::Addr;

    const WIDTHS: Widths = Widths::EIGHT;

    fn check<T: PartialEq + Debug>(
        bytes: &str,
        value: T,
        decode: impl Fn(&[u8]) -> Result<T>,
        encode: impl Fn(&T) -> Vec<u8>,
    ) {
        reads_and_writes(&hex(bytes), &value, decode, encode);
    }

    #[test]
    fn the_small_messages_come_back() {
        check(
            "6907000000000000 2100000000000000",
            Continuation { addr: Addr(0x769), size: 0x21 },
            |bytes| Continuation::decode(bytes, 0, WIDTHS),
            |message| message.encode(WIDTHS),
        );
        check(
            "8800000000000000 a802000000000000",
            SymbolTable { btree: Addr(0x88), heap: Addr(0x2a8) },
            |bytes| SymbolTable::decode(bytes, 0, WIDTHS),
            |message| message.encode(WIDTHS),
        );
        check(
            "00 4000 2000 0800",
            BTreeK { group_leaf: 8, group_internal: 32, indexed_storage: 64 },
            |bytes| BTreeK::decode(bytes, 0),
            BTreeK::encode,
        );
        let phase_change = Some(PhaseChange { max_compact: 1, min_dense: 2 });
        let estimate = Some(GroupEstimate { entry_count: 3, name_length: 4 });
        let rows = [
            ("0000", GroupInfo::default()),
            ("0001 0100 0200", GroupInfo { phase_change, estimate: None }),
            ("0002 0300 0400", GroupInfo { phase_change: None, estimate }),
            ("0003 0100 0200 0300 0400", GroupInfo { phase_change, estimate }),
        ];
        for (bytes, value) in rows {
            check(bytes, value, |bytes| GroupInfo::decode(bytes, 0), GroupInfo::encode);
        }
        check("00 02000000", ReferenceCount(2), |bytes| ReferenceCount::decode(bytes, 0), ReferenceCount::encode);
        check("686900", Comment("hi".into()), |bytes| Comment::decode(bytes, 0), Comment::encode);
        reads(&hex("efbeadde"), &Bogus, |bytes| Bogus::decode(bytes, 0));
        check(
            "00 0008000000000000 03",
            SharedMessageTable { addr: Addr(0x800), index_count: 3 },
            |bytes| SharedMessageTable::decode(bytes, 0, WIDTHS),
            |message| message.encode(WIDTHS),
        );
        check(
            "00 0008000000000000 1000000000000000",
            MetadataCacheImage { addr: Some(Addr(0x800)), size: 16 },
            |bytes| MetadataCacheImage::decode(bytes, 0, WIDTHS),
            |message| message.encode(WIDTHS),
        );
        let family = DriverInfo { driver: "NCSAfami".into(), data: vec![0, 4, 0, 0, 0, 0, 0, 0] };
        let decode_message = |bytes: &[u8]| DriverInfo::decode(bytes, 0);
        check("00 4e43534166616d69 0800 0004000000000000", family.clone(), decode_message, DriverInfo::encode);
        let block = hex("00 000000 08000000 4e43534166616d69 0004000000000000");
        reads(&block, &family, |bytes| DriverInfo::decode_block(bytes, 0));
        let piece = ExternalFile { name_offset: 8, offset: 0, size: None };
        check(
            "01 000000 0100 0100 0008000000000000 0800000000000000 0000000000000000 ffffffffffffffff",
            ExternalFiles { heap: Addr(0x800), files: vec![piece] },
            |bytes| ExternalFiles::decode(bytes, 0, WIDTHS),
            |message| message.encode(WIDTHS),
        );
    }

    #[test]
    fn file_space_info_of_both_versions() {
        let decode = |bytes: &[u8]| FileSpaceInfo::decode(bytes, 0, WIDTHS);
        let paged =
            Some(PagedFileSpace { page_size: 4096, page_end_threshold: 0, end_of_allocated: Some(Addr(0x2000)) });
        let mut managers = FreeSpaceManagers { small: [None; 6], large: [None; 6] };
        let plain = FileSpaceInfo { strategy: FileSpaceStrategy::Paged, threshold: 1, persistent: None, paged };
        let head = "0100000000000000 0010000000000000 0000 0020000000000000";
        check(&format!("01 01 00 {head}"), plain.clone(), decode, |message| message.encode(WIDTHS));
        managers.small[1] = Some(Addr(5));
        managers.large[5] = Some(Addr(6));
        let kept = FileSpaceInfo { persistent: Some(managers.clone()), ..plain.clone() };
        let none = "ffffffffffffffff".repeat(9);
        let bytes = format!("01 01 01 {head} ffffffffffffffff 0500000000000000 {none} 0600000000000000");
        check(&bytes, kept, decode, |message| message.encode(WIDTHS));

        let old = FileSpaceInfo { strategy: FileSpaceStrategy::None, paged: None, ..plain };
        reads(&hex("00 04 0100000000000000"), &old, decode);
        managers.large = [None; 6];
        let strategy = FileSpaceStrategy::FreeSpaceAndAggregators;
        let kept = FileSpaceInfo { strategy, persistent: Some(managers), ..old };
        let none = "ffffffffffffffff".repeat(4);
        let bytes = format!("00 01 0100000000000000 ffffffffffffffff 0500000000000000 {none}");
        reads(&hex(&bytes), &kept, decode);
    }

    #[test]
    fn the_type_and_the_shared_flag_choose_the_decoder() {
        let body = hex("0202 0f06000000000000");
        let shared = Message::decode(MessageType::DATATYPE, MessageFlags::SHARED, &body, 0, WIDTHS);
        assert_eq!(shared, Ok(Message::Shared(MessageType::DATATYPE, SharedMessage::Committed(Addr(0x60f)))));
        let unknown = Message::decode(MessageType(0xff), MessageFlags::NONE, &body, 0, WIDTHS);
        assert_eq!(unknown, Ok(Message::Unknown(MessageType(0xff))));
        let nil = Message::decode(MessageType::NIL, MessageFlags::NONE, &body, 0, WIDTHS);
        assert_eq!(nil, Ok(Message::Nil));
    }

    #[test]
    fn no_type_panics_on_any_short_body() {
        for kind in 0..=0x19 {
            for version in 0..=6 {
                for fill in [0x00, 0x01, 0x02, 0x7f, 0xff] {
                    for length in 0..80 {
                        let mut body = vec![fill; length];
                        if let Some(first) = body.first_mut() {
                            *first = version;
                        }
                        let _ = Message::decode(MessageType(kind), MessageFlags::NONE, &body, 0, WIDTHS);
                    }
                }
            }
        }
    }
}
