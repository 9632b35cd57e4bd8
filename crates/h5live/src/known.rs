//! What was looked up in a file that nobody writes, kept: programs ask for the same few objects again and again.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use h5live_format::Addr;
use h5live_format::message::Link;

use crate::dataset::Shared;
use crate::error::Result;
use crate::object::header::ObjectHeader;

/// Object headers kept at most, and bytes of each.
const MOST_HEADERS: usize = 512;
const LONGEST_HEADER: u64 = 16 << 10;
/// Links kept at most.
const MOST_LINKS: usize = 16 << 10;
/// Datasets without handles kept at most.
const MOST_DATASETS: usize = 32;

/// Objects of one file. Only for files that do not change.
#[derive(Default)]
pub(crate) struct Known {
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    /// Counts how often all was forgotten: what was read before is not kept after.
    epoch: u64,
    headers: HashMap<Addr, Arc<ObjectHeader>>,
    /// By group and name.
    links: HashMap<Addr, HashMap<Box<[u8]>, Link>>,
    /// All of a group, as the file has them.
    lists: HashMap<Addr, Arc<Vec<Link>>>,
    links_count: usize,
    /// The oldest first.
    datasets: VecDeque<Arc<Shared>>,
}

impl Known {
    /// The object header at `addr`, read by `read` unless it is known.
    pub(crate) fn header(&self, addr: Addr, read: impl FnOnce() -> Result<ObjectHeader>) -> Result<Arc<ObjectHeader>> {
        let epoch = {
            let kept = self.kept();
            if let Some(header) = kept.headers.get(&addr) {
                return Ok(header.clone());
            }
            kept.epoch
        };
        let header = Arc::new(read()?);
        let mut kept = self.kept();
        if kept.epoch == epoch && header.chunks.iter().map(|chunk| chunk.size).sum::<u64>() <= LONGEST_HEADER {
            if kept.headers.len() >= MOST_HEADERS {
                kept.headers.clear();
            }
            kept.headers.insert(addr, header.clone());
        }
        Ok(header)
    }

    /// The link `name` of the group at `group`, looked up by `find` unless it is known.
    pub(crate) fn link(
        &self,
        group: Addr,
        name: &[u8],
        find: impl FnOnce() -> Result<Option<Link>>,
    ) -> Result<Option<Link>> {
        let epoch = {
            let kept = self.kept();
            if let Some(link) = kept.links.get(&group).and_then(|links| links.get(name)) {
                return Ok(Some(link.clone()));
            }
            kept.epoch
        };
        let found = find()?;
        if let Some(link) = &found {
            self.keep_links(group, epoch, std::slice::from_ref(link));
        }
        Ok(found)
    }

    /// All links of the group at `group`, as `list` gives them; each is known then.
    pub(crate) fn links(&self, group: Addr, list: impl FnOnce() -> Result<Vec<Link>>) -> Result<Arc<Vec<Link>>> {
        let epoch = {
            let kept = self.kept();
            if let Some(list) = kept.lists.get(&group) {
                return Ok(list.clone());
            }
            kept.epoch
        };
        let found = Arc::new(list()?);
        if let Some(mut kept) = self.keep_links(group, epoch, &found) {
            kept.lists.insert(group, found.clone());
        }
        Ok(found)
    }

    /// Keeps links of a group, and gives what is kept; `None` if they are not.
    fn keep_links(&self, group: Addr, epoch: u64, links: &[Link]) -> Option<MutexGuard<'_, Kept>> {
        let mut kept = self.kept();
        if kept.epoch != epoch || links.len() > MOST_LINKS {
            return None;
        }
        if kept.links_count + links.len() > MOST_LINKS {
            kept.links.clear();
            kept.lists.clear();
            kept.links_count = 0;
        }
        let of_group = kept.links.entry(group).or_default();
        let before = of_group.len();
        of_group.extend(links.iter().map(|link| (link.name.as_bytes().into(), link.clone())));
        let more = of_group.len() - before;
        kept.links_count += more;
        Some(kept)
    }

    /// Keeps a dataset that was just opened, beyond its last handle.
    pub(crate) fn keep_dataset(&self, dataset: &Arc<Shared>) {
        let mut kept = self.kept();
        kept.datasets.push_back(dataset.clone());
        let oldest = if kept.datasets.len() > MOST_DATASETS { kept.datasets.pop_front() } else { None };
        drop(kept);
        drop(oldest);
    }

    /// Forgets all: the file may have changed.
    pub(crate) fn forget(&self) {
        let mut kept = self.kept();
        let epoch = kept.epoch + 1;
        let before = std::mem::replace(&mut *kept, Kept { epoch, ..Kept::default() });
        drop(kept);
        drop(before);
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
