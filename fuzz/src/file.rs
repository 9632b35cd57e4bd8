//! Whole files: opened from memory, walked, and everything read that is not too large.

use std::collections::HashSet;
use std::io;
use std::sync::{Arc, LazyLock};

use h5live::{Attribute, Dataset, File, Group, MemberKind, Object};
use h5live_storage::{Memory, ReadAt, Storage};

/// What is looked at of a file: a damaged one may claim to have anything.
const OBJECTS: usize = 300;
const ELEMENTS: u64 = 20_000;
const BYTES: u64 = 1 << 20;
const CHUNKS: usize = 2_000;

/// The input is the file.
pub(crate) fn whole(bytes: &[u8]) {
    walk(Arc::new(Memory::from(bytes.to_vec())));
}

fn walk(storage: Arc<dyn ReadAt>) {
    let Ok(file) = File::open_with(storage) else { return };
    let _ = (file.superblock_version(), file.consistency_flags(), file.userblock_size());
    let mut walk = Walk { seen: HashSet::new() };
    walk.group(&file.root());
    // Objects that the walk came to are also found by where they are.
    for address in walk.seen.iter().take(20) {
        let _ = file.object_at(*address);
    }
    let _ = file.refresh();
}

/// The input takes the place of the last page of a file that is live.
pub(crate) fn trailer(bytes: &[u8]) {
    let mut page = bytes[..bytes.len().min(PAGE)].to_vec();
    page.resize(PAGE, 0);
    walk(Arc::new(Paged { page }));
}

/// The live file with another last page.
struct Paged {
    page: Vec<u8>,
}

impl ReadAt for Paged {
    fn size(&self) -> io::Result<u64> {
        Ok(LIVE.len() as u64)
    }

    fn read_exact_at(&self, buf: &mut [u8], at: u64) -> io::Result<()> {
        let last = LIVE.len() - PAGE;
        for (to, at) in buf.iter_mut().zip(at..) {
            let at = usize::try_from(at).map_err(|_| io::ErrorKind::UnexpectedEof)?;
            let byte = if at < last { LIVE.get(at) } else { self.page.get(at - last) };
            *to = *byte.ok_or(io::ErrorKind::UnexpectedEof)?;
        }
        Ok(())
    }
}

const PAGE: usize = 4096;

/// A file that is being written.
static LIVE: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let memory = Arc::new(Memory::new());
    let file = File::create_with(memory.clone() as Arc<dyn Storage>).expect("memory can be written");
    let data = file.new_dataset::<i32>("data").shape([0, 3]).unlimited().chunks([4, 3]).create().expect("it is new");
    file.go_live().expect("the file has the form for it");
    data.append(&[1, 2, 3, 4, 5, 6]).expect("memory can be written");
    file.publish().expect("memory can be written");
    let image = memory.to_vec();
    // Closing takes the trailer away.
    drop(file);
    image
});

/// The last page of that file.
pub(crate) fn trailers() -> Vec<Vec<u8>> {
    vec![LIVE[LIVE.len() - PAGE..].to_vec()]
}

struct Walk {
    /// The objects that were met, by address.
    seen: HashSet<u64>,
}

impl Walk {
    fn group(&mut self, group: &Group) {
        if !self.is_new(group.address()) {
            return;
        }
        attributes(group.attributes());
        let _ = group.tracks_creation_order();
        let Ok(links) = group.links() else { return };
        for link in links.iter().take(OBJECTS) {
            if let Ok(found) = group.link(&link.name) {
                assert_eq!(found.name, link.name);
            }
            match group.get_raw(link.name.as_bytes()) {
                Ok(Object::Group(group)) => self.group(&group),
                Ok(Object::Dataset(dataset)) => self.dataset(&dataset),
                Ok(object) => assert_eq!(object.kind(), MemberKind::Datatype),
                Err(error) => assert!(!error.to_string().is_empty()),
            }
        }
    }

    fn is_new(&mut self, address: u64) -> bool {
        self.seen.len() < OBJECTS && self.seen.insert(address)
    }

    fn dataset(&mut self, dataset: &Dataset) {
        if !self.is_new(dataset.address()) {
            return;
        }
        attributes(dataset.attributes());
        let _ = (dataset.fill_value(), dataset.filters(), dataset.external_files(), dataset.datatype().to_string());
        // What reading follows leads to other files: here there are none.
        let _ = dataset.virtual_sources();
        let mut chunks = 0;
        let _ = dataset.for_each_chunk(|_| chunks += 1);
        assert!(chunks <= 1 << 24);
        let size = u64::from(dataset.datatype().size());
        let chunk_bytes =
            dataset.chunk_shape().map_or(0, |chunk| chunk.iter().fold(size, |all, dim| all.saturating_mul(*dim)));
        if chunk_bytes > BYTES || chunks > CHUNKS {
            return;
        }
        let shape = dataset.shape();
        if dataset.len() <= ELEMENTS && dataset.len().saturating_mul(size) <= BYTES {
            if let Ok(values) = dataset.read_values(..) {
                assert_eq!(values.len() as u64, if dataset.is_null() { 0 } else { dataset.len() });
            }
            let _ = dataset.read_vec::<f64>(..);
        } else if let Some(first) = shape.first().filter(|first| **first > 0) {
            // The last row, if it is not too long.
            let row = shape[1..].iter().fold(size, |all, dim| all.saturating_mul(*dim));
            if row <= BYTES && shape[1..].iter().fold(1_u64, |all, dim| all.saturating_mul(*dim)) <= ELEMENTS {
                let _ = dataset.read_values(first - 1..*first);
            }
        }
    }
}

fn attributes(found: h5live::Result<Vec<Attribute>>) {
    for attribute in found.unwrap_or_default().iter().take(OBJECTS) {
        if attribute.len() as u64 <= ELEMENTS {
            let _ = attribute.read_values();
        }
    }
}
