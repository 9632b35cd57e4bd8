//! What belongs to the file as a whole: superblock and extension, shared messages, free-space managers, and its ends.

use h5live_format::free_space::{FreeSpaceHeader, FreeSpaceList, SectionKind};
use h5live_format::message::{BTreeK, FileSpaceInfo, SharedMessageTable as TableMessage};
use h5live_format::object_header::MessageType;
use h5live_format::shared_message_table::{SharedMessageList, SharedMessageRecord, SharedMessageTable};
use h5live_format::superblock::ConsistencyFlags;
use h5live_format::{Addr, message};

use super::btree_v2::Records;
use super::owners::Use;
use super::report::Severity;
use super::walk::Walk;
use crate::file::Role;

pub(super) const SUPERBLOCK: &str = "superblock";
const MANAGER: &str = "free-space manager header";
const SECTIONS: &str = "free-space section list";

impl Walk<'_> {
    /// The superblock, its extension, and what only they name.
    pub(super) fn superblock(&mut self) {
        let superblock = self.file.superblock.clone();
        self.claim(SUPERBLOCK, Addr(0), superblock.encode().len() as u64, Use::Metadata);
        if superblock.base != self.source.base() {
            let problem = format!("its base address is {}, and it lies at {}", superblock.base, self.source.base());
            self.find(Severity::Note, SUPERBLOCK, Some(Addr(0)), problem);
        }
        let Some(extension) = superblock.extension else { return };
        let Some(header) = self.header(extension) else { return };
        for message in &header.messages {
            let at = header.body_addr(message).0;
            let decoded = message::Message::decode(message.kind, message.flags, &message.body, at, self.widths);
            match decoded {
                Ok(message::Message::SharedMessageTable(table)) => self.shared_messages(table),
                Ok(message::Message::FileSpaceInfo(info)) => self.file_space(&info),
                Ok(_) => {}
                Err(malformed) => self.malformed(malformed),
            }
        }
    }

    /// The sizes of version 1 B-trees.
    pub(super) fn btree_k(&self) -> BTreeK {
        let extension = self.file.superblock.extension;
        let header = extension.and_then(|at| crate::object::header::ObjectHeader::read(&self.source, at).ok());
        let message = header.as_ref().and_then(|header| Some((header, header.find(MessageType::BTREE_K)?)));
        let stored = message.and_then(|(header, it)| BTreeK::decode(&it.body, header.body_addr(it).0).ok());
        stored.unwrap_or(self.file.superblock.btree_k)
    }

    fn shared_messages(&mut self, message: TableMessage) {
        let widths = self.widths;
        let (at, count) = (message.addr, message.index_count);
        let size = SharedMessageTable::size(count, widths);
        let decode = |bytes: &[u8]| SharedMessageTable::decode(bytes, at.0, count, widths);
        let table = self.block("shared object header message table", at, size, decode, |_, _| None);
        for index in table.iter().flat_map(|table| &table.indexes) {
            let mut found = None;
            match index.index {
                Some(at) if index.is_tree => {
                    let compare = |one: &SharedMessageRecord, other: &SharedMessageRecord| one.hash.cmp(&other.hash);
                    let makes_sense = |_: &Walk<'_>, _: &SharedMessageRecord| true;
                    let records =
                        Records { form: widths, compare: &compare, is_unique: false, makes_sense: &makes_sense };
                    found = self.tree(at, &records, |_, _| {});
                }
                Some(at) => {
                    // The list has room for as many as come before it becomes a tree.
                    let used = SharedMessageList::size(index.messages, widths);
                    let room = SharedMessageList::size(index.list_cutoff.max(index.messages), widths);
                    let decode = |bytes: &[u8]| {
                        let bytes = bytes.get(..used as usize).unwrap_or(bytes);
                        SharedMessageList::decode(bytes, at.0, index.messages, widths)
                    };
                    let list = self.block("shared message record list", at, room, decode, |_, _| None);
                    found = list.map(|list| list.records.len() as u64);
                }
                None => {}
            }
            if found.is_some_and(|found| found != u64::from(index.messages)) {
                let problem = format!("counts {} messages of an index that has others", index.messages);
                self.find(Severity::Warning, "shared object header message table", Some(at), problem);
            }
            if let Some(heap) = index.heap {
                self.fractal_heap(heap);
            }
        }
    }

    fn file_space(&mut self, info: &FileSpaceInfo) {
        let Some(managers) = &info.persistent else { return };
        for manager in managers.small.iter().chain(&managers.large).flatten() {
            self.free_space(*manager, Some(Use::Free));
        }
    }

    /// A free-space manager. What it lists is space of the file where `purpose` is given, of a heap otherwise.
    pub(super) fn free_space(&mut self, at: Addr, purpose: Option<Use>) {
        let widths = self.widths;
        let decode = |bytes: &[u8]| FreeSpaceHeader::decode(bytes, at.0, widths);
        let Some(header) = self.block(MANAGER, at, FreeSpaceHeader::size(widths), decode, |_, _| None) else { return };
        let Some(list) = header.list else { return };
        if header.list_used > header.list_allocated {
            let problem = format!("uses {} bytes of a list of {}", header.list_used, header.list_allocated);
            self.find(Severity::Error, MANAGER, Some(at), problem);
            return;
        }
        let decode = |bytes: &[u8]| {
            let bytes = bytes.get(..header.list_used as usize).unwrap_or(bytes);
            FreeSpaceList::decode(bytes, list.0, &header, widths)
        };
        let Some(found) = self.block(SECTIONS, list, header.list_allocated, decode, |_, _| None) else { return };
        if found.header != at {
            let problem = format!("belongs to the manager at {}, not to that at {at}, which names it", found.header);
            self.find(Severity::Error, SECTIONS, Some(list), problem);
        }
        let total = found.sections.iter().fold(0u64, |total, section| total.saturating_add(section.size));
        if total > header.total_space {
            let problem = format!("counts {} bytes, and its sections have {total}", header.total_space);
            self.find(Severity::Warning, MANAGER, Some(at), problem);
        }
        let Some(purpose) = purpose else { return };
        for section in &found.sections {
            if let SectionKind::Simple(_) = section.kind {
                // A section at the very end may reach into what the file does not have yet.
                let left = self.physical.saturating_sub(section.offset);
                self.claim("free section", Addr(section.offset), section.size.min(left), purpose);
            }
        }
    }

    /// The ends of the file, against each other and against what is named.
    pub(super) fn end_of_file(&mut self) {
        let superblock = match &self.file.role {
            Role::Reader(follower) if self.source.is_patient() => follower.superblock(),
            _ => Ok(self.file.superblock.clone()),
        };
        let superblock = match superblock {
            Ok(superblock) => superblock,
            Err(error) => return self.unreadable(SUPERBLOCK, Addr(0), error),
        };
        let flags = superblock.flags;
        let is_new = superblock.version >= h5live_format::superblock::SuperblockVersion::V3;
        let foreign = is_new && flags != ConsistencyFlags::NONE && !self.has_trailer();
        if foreign {
            let mode = if flags.contains(ConsistencyFlags::SWMR_WRITE) { "for SWMR writing" } else { "for writing" };
            let problem = format!(
                "its consistency flags are {:#04x}: a libhdf5 writer has the file open {mode}, or died; then libhdf5 opens it no \
                 more, and `h5live recover` makes a copy that it opens",
                flags.0
            );
            self.find(Severity::Warning, SUPERBLOCK, Some(Addr(0)), problem);
        }
        let end = superblock.end_of_file.saturating_sub(superblock.base);
        if self.highest.end > end {
            let (highest, who) = (self.highest.end, std::mem::take(&mut self.highest.who));
            // libhdf5 sets it when it closes the file.
            let severity = if foreign { Severity::Warning } else { Severity::Error };
            self.misplaced_ends += u64::from(!foreign);
            let problem = format!(
                "its end-of-file address is {end:#x}, and bytes up to {highest:#x} are named, the last by: {who}"
            );
            self.find(severity, SUPERBLOCK, Some(Addr(0)), problem);
        }
        let size = self.source.size().unwrap_or(self.physical);
        if size < end {
            let severity = if foreign { Severity::Warning } else { Severity::Error };
            self.misplaced_ends += u64::from(!foreign);
            let problem = format!("its end-of-file address is {end:#x}, and the file ends at {size:#x}");
            self.find(severity, SUPERBLOCK, Some(Addr(0)), problem);
        }
    }

    fn has_trailer(&self) -> bool {
        match &self.file.role {
            Role::Reader(follower) => follower.last().is_some(),
            Role::Writer(_) => true,
        }
    }
}
