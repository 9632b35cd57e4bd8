//! What readers can see while structure changes: after each single write, in the order in which the writes are made.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex};
use std::time::SystemTime;

use h5live_format::message::{Attribute, AttributeInfo, BTreeK, Dataspace, Datatype, Link, LinkTarget};
use h5live_format::object_header::{
    AttributeOrder, HeaderMessage, HeaderSettings, MessageFlags, MessageType, ObjectHeaderPrefix,
};
use h5live_format::superblock::{ConsistencyFlags, Root, Superblock, SuperblockVersion};
use h5live_format::{Addr, Widths};
use h5live_storage::{Barrier, Memory, ReadAt, Storage};

use super::attribute_edit::{delete_attribute, rename_attribute, set_attribute};
use super::dense_edit::{self, Attributes};
use super::header::ObjectHeader;
use super::header_edit::{HeaderBuilder, HeaderEdit, Removal};
use super::link_edit::{GroupSettings, LinkOrder, create_link, move_link, new_group, remove_link};
use super::links;
use crate::error::ErrorKind;
use crate::live::trailer::{SessionId, Writer as Identity};
use crate::live::writer::Writer;
use crate::source::{Patience, Source};

/// Storage that remembers how it was after each write.
#[derive(Default)]
struct Recorded {
    memory: Memory,
    images: Mutex<Vec<Vec<u8>>>,
}

impl Recorded {
    fn take(&self) -> Vec<Vec<u8>> {
        std::mem::take(&mut self.images.lock().unwrap())
    }
}

impl ReadAt for Recorded {
    fn size(&self) -> io::Result<u64> {
        self.memory.size()
    }

    fn read_exact_at(&self, buf: &mut [u8], at: u64) -> io::Result<()> {
        self.memory.read_exact_at(buf, at)
    }
}

impl Storage for Recorded {
    fn write_all_at(&self, buf: &[u8], at: u64) -> io::Result<()> {
        self.memory.write_all_at(buf, at)?;
        // The trailer and what lies ahead of the data would only fill memory.
        let mut image = self.memory.to_vec();
        image.truncate(1 << 19);
        self.images.lock().unwrap().push(image);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.memory.set_len(len)
    }

    fn barrier(&self, barrier: Barrier) -> io::Result<()> {
        self.memory.barrier(barrier)
    }
}

/// What a reader finds, by name.
type Seen = BTreeMap<Vec<u8>, Vec<u8>>;

struct Made {
    storage: Arc<Recorded>,
    writer: Writer,
    root: Addr,
    /// What was there after each operation since the last publication; first, what that made.
    planned: Vec<Seen>,
}

fn made(settings: GroupSettings) -> Made {
    let storage = Arc::new(Recorded::default());
    let size = Superblock::size(Widths::EIGHT) as u64;
    let mut superblock = Superblock {
        version: SuperblockVersion::V3,
        widths: Widths::EIGHT,
        flags: ConsistencyFlags::NONE,
        base: 0,
        end_of_file: size,
        root: Root::ObjectHeader(Addr(size)),
        extension: None,
        driver_info: None,
        btree_k: BTreeK::default(),
    };
    let mut writer = Writer::new(storage.clone(), superblock.clone());
    let root = new_group(&mut writer, settings).unwrap();
    superblock.root = Root::ObjectHeader(root);
    writer.adopt_superblock(superblock).unwrap();
    Made { storage, writer, root, planned: Vec::new() }
}

impl Made {
    fn go_live(&mut self) {
        let identity = Identity { pid: 1, host: "here".into(), since: SystemTime::now() };
        self.writer.go_live(identity, SessionId([7; 16]), false).unwrap();
        self.storage.take();
    }

    /// Notes what is planned: an operation may publish those before it.
    fn note(&mut self, see: impl Fn(&Source) -> Seen) {
        let planned = see(&self.writer.source());
        self.planned.push(planned);
    }

    /// Publishes, and checks every state since the last time: what is there both before and after must always be there,
    /// and nothing may be that was not planned at some time.
    fn publish(&mut self, what: &str, see: impl Fn(&Source) -> Seen) {
        self.note(&see);
        self.writer.publish(Barrier::Visible).unwrap();
        let after = see(&source(self.storage.memory.to_vec()));
        let planned = std::mem::replace(&mut self.planned, vec![after.clone()]);
        let before = planned[0].clone();
        for (number, image) in self.storage.take().into_iter().enumerate() {
            let seen = see(&source(image));
            for (name, value) in &seen {
                let known = planned.iter().any(|planned| planned.get(name) == Some(value));
                assert!(known, "{what}, write {number}: {}", String::from_utf8_lossy(name));
            }
            let kept = |name: &Vec<u8>| planned.iter().all(|planned| planned.contains_key(name));
            for name in before.keys().filter(|name| kept(name)) {
                assert!(seen.contains_key(name), "{what}, write {number}: {} is gone", String::from_utf8_lossy(name));
            }
        }
    }
}

fn source(image: Vec<u8>) -> Source {
    Source::new(Arc::new(Memory::from(image)), 0, Widths::EIGHT, Patience::NONE)
}

fn links_of(source: &Source, group: Addr) -> BTreeMap<Vec<u8>, Vec<u8>> {
    let header = ObjectHeader::read(source, group).unwrap();
    let mut seen = BTreeMap::new();
    links::each(source, &h5live_filter::Registry::default(), &header, |link| {
        seen.insert(link.name.as_bytes().to_vec(), Link { creation_order: None, ..link }.encode(Widths::EIGHT));
        Ok(())
    })
    .unwrap();
    seen
}

/// Where two have the same name, the first counts, as in libhdf5.
fn attributes_of(source: &Source, object: Addr) -> BTreeMap<Vec<u8>, Vec<u8>> {
    let header = ObjectHeader::read(source, object).unwrap();
    let info = header.find(MessageType::ATTRIBUTE_INFO);
    let dense = info.and_then(|info| AttributeInfo::decode(&info.body, 0, Widths::EIGHT).unwrap().dense);
    let mut seen = BTreeMap::new();
    match dense {
        Some(storage) => {
            for object in dense_edit::every::<Attributes>(source, &storage).unwrap() {
                seen.insert(object.name, object.bytes);
            }
        }
        None => {
            for message in header.all(MessageType::ATTRIBUTE) {
                let attribute = Attribute::decode(&message.body, 0, Widths::EIGHT).unwrap();
                seen.entry(attribute.name.as_bytes().to_vec()).or_insert_with(|| message.body.clone());
            }
        }
    }
    seen
}

#[test]
fn links_are_there_before_and_after_whatever_happens_to_others() {
    for link_order in [LinkOrder::Untracked, LinkOrder::Indexed] {
        let mut made = made(GroupSettings { link_order, ..GroupSettings::default() });
        let group = made.root;
        made.go_live();
        made.note(|source| links_of(source, group));
        for round in 0..60 {
            let name = format!("link {round}");
            let target = LinkTarget::Soft("/x".repeat(1 + round % 40).as_str().into());
            let see = |source: &Source| links_of(source, group);
            create_link(&mut made.writer, group, &Link::new(name.as_str(), target)).unwrap();
            made.note(see);
            if round % 3 == 1 && round % 7 != 0 {
                let other = format!("link {}", round - 1);
                move_link(&mut made.writer, group, other.as_bytes(), group, format!("moved {round}")).unwrap();
                made.note(see);
            }
            if round % 7 == 6 {
                remove_link(&mut made.writer, group, name.as_bytes()).unwrap();
            }
            if round % 5 != 4 {
                made.publish(&format!("round {round}"), see);
            }
        }
    }
}

#[test]
fn attributes_are_there_before_and_after_whatever_happens_to_others() {
    for attribute_order in [AttributeOrder::Untracked, AttributeOrder::Indexed] {
        let header = HeaderSettings { attribute_order, ..HeaderSettings::default() };
        let mut made = made(GroupSettings { header, ..GroupSettings::default() });
        let object = made.root;
        made.go_live();
        made.note(|source| attributes_of(source, object));
        let set = |writer: &mut Writer, name: &str, size: usize, value: u8| {
            let space = Dataspace::fixed(&[size as u64]);
            set_attribute(writer, object, &Attribute::new(name, Datatype::u8(), space, vec![value; size])).unwrap();
        };
        for round in 0..60usize {
            // At first among few, then among many.
            let name = format!("a{}", round % if round < 30 { 6 } else { 40 });
            let size = [10, 10, 200, 40, 3000, 10, 5000, 90][round % 8];
            set(&mut made.writer, &name, size, round as u8);
            made.publish(&format!("round {round}"), |source| attributes_of(source, object));
            if round % 6 == 5 {
                rename_attribute(&mut made.writer, object, name.as_bytes(), "renamed").unwrap();
                made.publish(&format!("renaming in round {round}"), |source| attributes_of(source, object));
                delete_attribute(&mut made.writer, object, b"renamed").unwrap();
                made.publish(&format!("deleting in round {round}"), |source| attributes_of(source, object));
            }
        }
    }
}

#[test]
fn names_that_cannot_be_names_are_refused() {
    let mut made = made(GroupSettings::default());
    for (wrong, why) in [("", "empty"), (".", "itself"), ("a/b", "slash"), ("a\0", "NUL")] {
        let link = Link::new(wrong, LinkTarget::Soft("/x".into()));
        let error = create_link(&mut made.writer, made.root, &link).unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::BadName { why: said, .. } if said.contains(why)), "{error}");
        if wrong.is_empty() || wrong.contains('\0') {
            let attribute = Attribute::new(wrong, Datatype::u8(), Dataspace::Scalar, vec![1]);
            let error = set_attribute(&mut made.writer, made.root, &attribute).unwrap_err();
            assert!(matches!(error.kind(), ErrorKind::BadName { why: said, .. } if said.contains(why)), "{error}");
        }
    }
    for target in [LinkTarget::Soft("".into()), LinkTarget::Soft("x".repeat(65_536).into())] {
        assert!(create_link(&mut made.writer, made.root, &Link::new("a", target)).is_err());
    }
}

/// A header edited at random agrees with a list of messages, and stays well-formed after every write.
#[test]
fn headers_hold_what_was_put_into_them() {
    for tracked in [AttributeOrder::Untracked, AttributeOrder::Tracked] {
        for (room, inline) in [(0, 3), (100, 3), (0, 14)] {
            let mut made = made(GroupSettings::default());
            let settings = HeaderSettings { attribute_order: tracked, ..HeaderSettings::default() };
            let mut builder = HeaderBuilder::new(settings);
            let mut expected: Vec<Vec<u8>> = Vec::new();
            for number in 0..inline {
                let body = vec![number as u8; 20 + number * 40];
                expected.push(body.clone());
                builder = builder.message(MessageType::COMMENT, MessageFlags::NONE, body);
            }
            let object = builder.room(room).place(&mut made.writer).unwrap();
            made.go_live();
            let mut seed = 11 + room as u64;
            for step in 0..400 {
                seed = seed.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
                let size = match (seed >> 40) % 20 {
                    0 => 4000 + (seed >> 33) % 3000,
                    _ => (seed >> 33) % 120,
                };
                let mut body = vec![(seed >> 20) as u8; size as usize];
                body.extend_from_slice(&(step as u32).to_le_bytes());
                let mut edit = HeaderEdit::open(&mut made.writer, object).unwrap();
                let message = HeaderMessage::new(MessageType::COMMENT, MessageFlags::NONE, body.clone());
                let count = expected.len();
                let victim = expected.get((seed >> 50) as usize % count.max(1)).cloned();
                let place = victim.as_ref().and_then(|victim| {
                    edit.messages().find(|(_, message)| message.body == *victim).map(|(place, _)| place)
                });
                match (place, (seed >> 10) % 3) {
                    (Some(place), 0) if count > 4 => {
                        edit.remove(place, Removal::Now);
                        expected.retain(|body| Some(body) != victim.as_ref());
                    }
                    (Some(place), 1) => {
                        edit.replace(&mut made.writer, place, message).unwrap();
                        expected.retain(|body| Some(body) != victim.as_ref());
                        expected.push(body);
                    }
                    _ if count < 30 => {
                        edit.add(&mut made.writer, message).unwrap();
                        expected.push(body);
                    }
                    _ => {}
                }
                edit.commit(&mut made.writer).unwrap();
                expected.sort();
                let header = ObjectHeader::read(&made.writer.source(), object).unwrap();
                let mut found: Vec<_> = header.messages.iter().map(|message| message.body.clone()).collect();
                found.sort();
                assert!(found == expected, "step {step}: {} and {} messages", found.len(), expected.len());
                if step % 3 == 0 {
                    made.writer.publish(Barrier::Visible).unwrap();
                    for image in made.storage.take() {
                        well_formed(&source(image), object);
                    }
                }
            }
        }
    }
}

/// libhdf5 refuses bytes left over in a chunk that has NIL messages.
fn well_formed(source: &Source, object: Addr) {
    let header = ObjectHeader::read(source, object).unwrap();
    let ObjectHeaderPrefix::V2 { .. } = header.prefix else { panic!("a version 1 header") };
    for (number, chunk) in header.chunks.iter().enumerate() {
        let bytes = source.bytes("chunk", chunk.addr, chunk.size).unwrap();
        let split = match number {
            0 => header.prefix.first_chunk(&bytes, chunk.addr.0).unwrap(),
            _ => header.prefix.continuation(&bytes, chunk.addr.0).unwrap(),
        };
        assert!(split.gap == 0 || split.messages.iter().all(|message| message.kind != MessageType::NIL));
    }
}
