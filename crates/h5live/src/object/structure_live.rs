//! What readers can see while structure changes: after each single write, in the order in which the writes are made, and when
//! they are held up between two of their reads while more is written.

use std::collections::BTreeMap;
use std::io;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::SystemTime;

use h5live_format::btree_v2::LinkNameRecord;
use h5live_format::message::{Attribute, BTreeK, Dataspace, Datatype, Link, LinkTarget, PhaseChange};
use h5live_format::object_header::{
    AttributeOrder, HeaderMessage, HeaderSettings, MessageFlags, MessageType, ObjectHeaderPrefix,
};
use h5live_format::superblock::{ConsistencyFlags, Root, Superblock, SuperblockVersion};
use h5live_format::{Addr, Widths};
use h5live_storage::{Barrier, Memory, ReadAt, Storage};

use super::attribute_edit::{delete_attribute, rename_attribute, set_attribute};
use super::header::ObjectHeader;
use super::header_edit::{HeaderBuilder, HeaderEdit, Removal};
use super::link_edit::{GroupSettings, LinkOrder, create_link, move_link, new_group, remove_link};
use super::links::{self, LinkStorage};
use super::{attributes, fractal_heap::FractalHeap};
use crate::error::{ErrorKind, Result};
use crate::file::{File, Role};
use crate::live::follower::Follower;
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
        image.truncate(1 << 23);
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

/// How a reader finds it.
type See = fn(&File, Addr) -> Result<Seen>;

/// Moments that a slow reader may come from: so many of the last ones.
const WINDOW: usize = 5;
/// One in so many of the earlier ones stays in sight, for readers that were stopped for long.
const STOPPED: usize = 40;

/// The file as it is between two writes.
struct Moment {
    image: Arc<Vec<u8>>,
    /// Which of the states that were planned one can see: the last one published before, to the one being published.
    states: RangeInclusive<usize>,
}

struct Made {
    storage: Arc<Recorded>,
    writer: Writer,
    root: Addr,
    see: See,
    /// What there was after each operation: an operation may publish those before it.
    states: Vec<Seen>,
    published: usize,
    moments: Vec<Moment>,
    /// Slow reads made, and of those with one state to see, how many saw the one before or after it.
    slow: u64,
}

fn made(settings: GroupSettings, see: See) -> Made {
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
    Made { storage, writer, root, see, states: vec![Seen::new()], published: 0, moments: Vec::new(), slow: 0 }
}

impl Made {
    fn go_live(&mut self) {
        let identity = Identity { pid: 1, host: "here".into(), since: SystemTime::now() };
        self.writer.go_live(identity, SessionId([7; 16]), false).unwrap();
        self.storage.take();
    }

    /// Notes what is planned.
    fn note(&mut self) {
        let source = self.writer.source();
        let follower = Follower::new(Arc::new(Memory::default()), None, source.clone());
        let superblock = self.writer.superblock().clone();
        let file = File::assemble(PathBuf::new(), source, superblock, Role::Reader(follower)).unwrap();
        self.states.push((self.see)(&file, self.root).unwrap());
    }

    /// Publishes, and lets readers look at every moment since the last time, fast ones and slow ones.
    fn publish(&mut self, what: &str) {
        self.note();
        self.writer.publish(Barrier::Visible).unwrap();
        let states = self.published..=self.states.len() - 1;
        self.published = *states.end();
        for (number, image) in self.storage.take().into_iter().enumerate() {
            self.moments.push(Moment { image: Arc::new(image), states: states.clone() });
            let now = self.moments.len() - 1;
            for from in (0..=now).filter(|from| now - from <= WINDOW || from % STOPPED == 0) {
                self.read_slowly(from, now).unwrap_or_else(|why| panic!("{what}, write {number}: {why}"));
            }
            if let Some(before) = now.checked_sub(WINDOW + 1).filter(|before| before % STOPPED != 0) {
                self.moments[before].image = Arc::default();
            }
        }
        let last = self.moments.last().map(|moment| Slow::new(moment.image.clone(), moment.image.clone()));
        let after = last.map(|last| self.look(&Arc::new(last)).unwrap());
        assert!(after.is_none_or(|after| after == self.states[self.published]), "{what}: not what was planned");
    }

    /// Lets readers look that are held up after their first read, after their second, and so on: from then on they find the
    /// file as it is at moment `to`. What is there all the time from one moment to the other must be found, and nothing
    /// that was never there, nor anything new without what came before it.
    fn read_slowly(&mut self, from: usize, to: usize) -> std::result::Result<(), String> {
        let [first, last] = [from, to].map(|at| self.moments[at].image.clone());
        let states = &self.states[*self.moments[from].states.start()..=*self.moments[to].states.end()];
        // From which state on each name is there, and to the end.
        let mut stay: BTreeMap<&Vec<u8>, usize> = BTreeMap::new();
        for (number, state) in states.iter().enumerate() {
            stay.retain(|name, _| state.contains_key(*name));
            for name in state.keys() {
                stay.entry(name).or_insert(number);
            }
        }
        for reads in 1.. {
            let slow = Arc::new(Slow::new(first.clone(), last.clone()));
            slow.hold_up_after(reads);
            let wrong = |why: String| format!("held up {} moments after {reads} reads: {why}", to - from);
            let seen = self.look(&slow).map_err(|error| wrong(error.to_string()))?;
            let shown = |name: &[u8]| String::from_utf8_lossy(name).into_owned();
            let mut newest = 0;
            for (name, value) in &seen {
                let Some(at) = states.iter().position(|state| state.get(name) == Some(value)) else {
                    return Err(wrong(format!("{} was never there", shown(name))));
                };
                // What has changed since it came is as new as its name.
                let gone = states[..at].iter().rposition(|state| !state.contains_key(name));
                newest = newest.max(gone.map_or(0, |gone| gone + 1));
            }
            let missing = stay.iter().find(|(name, since)| **since <= newest && !seen.contains_key(**name));
            if let Some((name, since)) = missing {
                return Err(wrong(format!("{} is missing, there since state {since} of {newest}", shown(name))));
            }
            self.slow += 1;
            if from == to || !slow.was_held_up() {
                break;
            }
        }
        Ok(())
    }

    /// What a reader finds that reads nothing twice.
    fn look(&self, slow: &Arc<Slow>) -> Result<Seen> {
        let held = slow.reads.swap(u64::MAX, Ordering::Relaxed);
        let file = File::open_damaged(slow.clone(), None, PathBuf::new(), true)?;
        slow.reads.store(held, Ordering::Relaxed);
        (self.see)(&file, self.root)
    }
}

/// The file for a reader that is held up between two of its reads.
struct Slow {
    first: Arc<Vec<u8>>,
    then: Arc<Vec<u8>>,
    /// Reads before it is held up.
    reads: AtomicU64,
}

impl Slow {
    fn new(first: Arc<Vec<u8>>, then: Arc<Vec<u8>>) -> Self {
        Self { first, then, reads: AtomicU64::new(u64::MAX) }
    }

    fn hold_up_after(&self, reads: u64) {
        self.reads.store(reads, Ordering::Relaxed);
    }

    fn was_held_up(&self) -> bool {
        self.reads.load(Ordering::Relaxed) == 0
    }
}

impl ReadAt for Slow {
    fn size(&self) -> io::Result<u64> {
        Ok(self.first.len().max(self.then.len()) as u64)
    }

    fn read_exact_at(&self, buf: &mut [u8], at: u64) -> io::Result<()> {
        let left = self.reads.load(Ordering::Relaxed);
        let image = if left == 0 { &self.then } else { &self.first };
        if left != u64::MAX {
            self.reads.store(left.saturating_sub(1), Ordering::Relaxed);
        }
        let end = at as usize + buf.len();
        buf.copy_from_slice(image.get(at as usize..end).ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }
}

fn source(image: Vec<u8>) -> Source {
    Source::new(Arc::new(Memory::from(image)), 0, Widths::EIGHT, Patience::NONE)
}

fn links_of(file: &File, group: Addr) -> Result<Seen> {
    let header = file.inner.header(group)?;
    let links = file.inner.links(group, &header)?;
    let mut seen = Seen::new();
    for link in links.iter() {
        let said = Link { creation_order: None, ..link.clone() }.encode(Widths::EIGHT);
        assert!(seen.insert(link.name.as_bytes().to_vec(), said).is_none(), "{:?} is listed twice", link.name);
    }
    // By name as well: that goes another way. By then the link may be gone.
    if let Some(last) = links.last()
        && file.inner.link(group, &header, last.name.as_bytes())?.is_none()
    {
        seen.remove(last.name.as_bytes());
    }
    Ok(seen)
}

/// The heap first and then the names, as libhdf5 goes about it.
fn links_of_in_other_order(file: &File, group: Addr) -> Result<Seen> {
    let header = file.inner.header(group)?;
    let source = &file.inner.source;
    let Some(LinkStorage::Dense(dense)) = LinkStorage::of(source, &header)? else { return links_of(file, group) };
    let heap = FractalHeap::open(source, dense.heap, source.filters())?;
    let mut records: Vec<LinkNameRecord> = Vec::new();
    links::open_tree(source, dense.name_index, ())?.for_each(
        |addr, len| source.bytes(links::NODE, addr, len),
        |record| -> Result<()> {
            records.push(record);
            Ok(())
        },
    )?;
    let mut seen = Seen::new();
    for record in records {
        let link = Link::decode(&heap.object(source, &record.heap_id)?, dense.heap.0, Widths::EIGHT)?;
        let said = Link { creation_order: None, ..link.clone() }.encode(Widths::EIGHT);
        seen.insert(link.name.as_bytes().to_vec(), said);
    }
    Ok(seen)
}

fn attributes_of(file: &File, object: Addr) -> Result<Seen> {
    let header = file.inner.header(object)?;
    let mut seen = Seen::new();
    for attribute in attributes::all(&file.inner, &header)? {
        let name = attribute.name.as_bytes();
        assert!(seen.insert(name.to_vec(), attribute.data).is_none(), "{:?} is listed twice", attribute.name);
    }
    Ok(seen)
}

#[test]
fn links_are_there_before_and_after_whatever_happens_to_others() {
    for (link_order, see) in [
        (LinkOrder::Untracked, links_of as See),
        (LinkOrder::Indexed, links_of),
        (LinkOrder::Untracked, links_of_in_other_order),
    ] {
        let mut made = made(GroupSettings { link_order, ..GroupSettings::default() }, see);
        let group = made.root;
        made.go_live();
        for round in 0..60 {
            let name = format!("link {round}");
            let target = LinkTarget::Soft("/x".repeat(1 + round % 40).as_str().into());
            create_link(&mut made.writer, group, &Link::new(name.as_str(), target)).unwrap();
            made.note();
            if round % 3 == 1 && round % 7 != 0 {
                let other = format!("link {}", round - 1);
                move_link(&mut made.writer, group, other.as_bytes(), group, format!("moved {round}")).unwrap();
                made.note();
            }
            if round % 7 == 6 {
                remove_link(&mut made.writer, group, name.as_bytes()).unwrap();
            }
            if round % 5 != 4 {
                made.publish(&format!("round {round}"));
            }
        }
        assert!(made.slow > 1000, "only {} slow reads", made.slow);
    }
}

/// Links that never become dense, of all lengths: rooms come free in every block of the header.
#[test]
fn links_in_a_header_of_many_blocks_come_in_order() {
    let phase_change = Some(PhaseChange { max_compact: 500, min_dense: 400 });
    let mut made = made(GroupSettings { phase_change, ..GroupSettings::default() }, links_of);
    made.go_live();
    let mut random = 5_u64;
    let mut below = |end: u64| {
        random = random.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (random >> 33) % end
    };
    let mut there: Vec<String> = Vec::new();
    for round in 0..200 {
        let name = format!("link {round}");
        let length = if below(3) == 0 { 100 + below(150) } else { 1 + below(20) };
        let target = LinkTarget::Soft("/x".repeat(length as usize).as_str().into());
        create_link(&mut made.writer, made.root, &Link::new(name.as_str(), target)).unwrap();
        there.push(name);
        made.publish(&format!("round {round}"));
        if there.len() > 60 || below(4) == 0 {
            let gone = there.swap_remove(below(there.len() as u64) as usize);
            remove_link(&mut made.writer, made.root, gone.as_bytes()).unwrap();
            made.publish(&format!("removing in round {round}"));
        }
    }
}

#[test]
fn attributes_are_there_before_and_after_whatever_happens_to_others() {
    for attribute_order in [AttributeOrder::Untracked, AttributeOrder::Indexed] {
        let header = HeaderSettings { attribute_order, ..HeaderSettings::default() };
        let mut made = made(GroupSettings { header, ..GroupSettings::default() }, attributes_of);
        let object = made.root;
        made.go_live();
        let set = |writer: &mut Writer, name: &str, size: usize, value: u8| {
            let space = Dataspace::fixed(&[size as u64]);
            set_attribute(writer, object, &Attribute::new(name, Datatype::u8(), space, vec![value; size])).unwrap();
        };
        for round in 0..120usize {
            // At first among few, then among many.
            let name = format!("a{}", round % if round < 70 { 7 } else { 17 });
            let size = [10, 10, 200, 40, 3000, 10, 5000, 90, 6000][round % 9];
            set(&mut made.writer, &name, size, round as u8);
            made.publish(&format!("round {round}"));
            if round % 4 == 3 {
                rename_attribute(&mut made.writer, object, name.as_bytes(), "renamed").unwrap();
                made.publish(&format!("renaming in round {round}"));
                delete_attribute(&mut made.writer, object, b"renamed").unwrap();
                made.publish(&format!("deleting in round {round}"));
            }
        }
        assert!(made.slow > 1000, "only {} slow reads", made.slow);
    }
}

#[test]
fn names_that_cannot_be_names_are_refused() {
    let mut made = made(GroupSettings::default(), links_of);
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
            let mut made = made(GroupSettings::default(), links_of);
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
