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
use crate::{Cursor, Result, Why, Widths};

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

/// Reads a version that can only be `expected`.
fn read_version(cursor: &mut Cursor<'_>, expected: u8) -> Result<()> {
    match cursor.u8("version")? {
        version if version == expected => Ok(()),
        other => Err(cursor.error(Why::Version(other))),
    }
}
