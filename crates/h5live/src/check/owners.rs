//! Who owns which bytes of a file: stretches by address, joined where neighbours have one owner.

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;

use super::report::{Gap, SpaceUse};

/// Stretches kept apart at most; beyond that neighbours are joined whoever owns them.
const MOST_STRETCHES: usize = 1 << 21;
/// Gaps told by size and place.
const LARGEST_GAPS: usize = 20;

/// What bytes are used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Use {
    Metadata,
    Raw,
    /// Listed by one of the file's free-space managers.
    Free,
}

/// An owner, by number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct OwnerId(u32);

/// Several neighbours that are no longer told apart.
const SEVERAL: OwnerId = OwnerId(0);

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Owner {
    structure: &'static str,
    object: Option<String>,
    purpose: Use,
}

/// Two owners of the same bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Overlap {
    pub(super) bytes: Range<u64>,
    /// Who owned them before.
    pub(super) other: String,
}

/// The owners of a file's bytes.
pub(super) struct Owners {
    owners: Vec<Owner>,
    numbers: HashMap<Owner, OwnerId>,
    /// By start: end and owner. Stretches never overlap.
    stretches: BTreeMap<u64, (u64, OwnerId)>,
    bytes: [u64; 3],
}

impl Owners {
    pub(super) fn new() -> Self {
        let several = Owner { structure: "several structures", object: None, purpose: Use::Metadata };
        Self { owners: vec![several], numbers: HashMap::new(), stretches: BTreeMap::new(), bytes: [0; 3] }
    }

    /// The number of an owner.
    pub(super) fn owner(&mut self, structure: &'static str, object: Option<&str>, purpose: Use) -> OwnerId {
        let owner = Owner { structure, object: object.map(str::to_owned), purpose };
        if let Some(number) = self.numbers.get(&owner) {
            return *number;
        }
        let number = OwnerId(self.owners.len() as u32);
        self.owners.push(owner.clone());
        self.numbers.insert(owner, number);
        number
    }

    /// Notes that `owner` has these bytes, and tells the first that have an owner already. Only the others are noted.
    pub(super) fn claim(&mut self, bytes: Range<u64>, owner: OwnerId) -> Option<Overlap> {
        if bytes.is_empty() {
            return None;
        }
        let mut overlap = None;
        let mut start = bytes.start;
        while start < bytes.end {
            let taken = self.first_taken(start..bytes.end);
            let end = taken.as_ref().map_or(bytes.end, |(taken, _)| taken.start);
            self.insert(start..end, owner);
            match taken {
                Some((taken, other)) => {
                    start = taken.end;
                    let shared = taken.start..taken.end.min(bytes.end);
                    overlap.get_or_insert_with(|| Overlap { bytes: shared, other: self.name(other) });
                }
                None => break,
            }
        }
        overlap
    }

    /// Whether nobody owns any of these bytes yet.
    pub(super) fn is_free(&self, bytes: Range<u64>) -> bool {
        self.first_taken(bytes).is_none()
    }

    /// Bytes that have an owner.
    pub(super) fn owned(&self) -> u64 {
        self.bytes.iter().sum()
    }

    /// The sum of it, for a file whose HDF5 data end at `end_of_file` and whose bytes at `size`. In a file that somebody
    /// writes, or wrote and left, what follows the last owned byte is no loss (`is_ahead`).
    pub(super) fn sum(&self, end_of_file: u64, size: u64, is_ahead: bool) -> SpaceUse {
        let [metadata, raw, free] = self.bytes;
        let mut space = SpaceUse { metadata, raw, free, ..SpaceUse::default() };
        let mut at = 0;
        let mut before = None;
        let mut gap = |range: Range<u64>, before: Option<OwnerId>| {
            if range.is_empty() {
                return;
            }
            space.dead += range.end - range.start;
            space.gaps += 1;
            let after = before.map(|owner| self.name(owner));
            let gap = Gap { address: range.start, size: range.end - range.start, after };
            let place = space.largest.partition_point(|other| other.size >= gap.size);
            if place < LARGEST_GAPS {
                space.largest.insert(place, gap);
                space.largest.truncate(LARGEST_GAPS);
            }
        };
        for (start, (end, owner)) in self.stretches.range(..end_of_file) {
            gap(at..*start, before);
            (at, before) = (*end, Some(*owner));
        }
        if is_ahead {
            space.ahead = size.saturating_sub(at);
        } else {
            gap(at..end_of_file, before);
            space.ahead = size.saturating_sub(end_of_file.max(at));
        }
        space
    }

    /// The bytes below `limit` that nobody owns.
    pub(super) fn unowned(&self, limit: u64) -> Vec<Range<u64>> {
        let mut gaps = Vec::new();
        let mut at = 0;
        for (start, (end, _)) in self.stretches.range(..limit) {
            gaps.push(at..*start);
            at = *end;
        }
        gaps.push(at..limit.max(at));
        gaps.retain(|gap| !gap.is_empty());
        gaps
    }

    /// Structure, use and bytes of every stretch.
    #[cfg(test)]
    pub(super) fn stretches(&self) -> impl Iterator<Item = (&'static str, Use, Range<u64>)> {
        self.stretches.iter().map(|(start, (end, owner))| {
            let Owner { structure, purpose, .. } = &self.owners[owner.0 as usize];
            (*structure, *purpose, *start..*end)
        })
    }

    /// The first stretch within `bytes` that has an owner, as far as it lies within `bytes` at its start.
    fn first_taken(&self, bytes: Range<u64>) -> Option<(Range<u64>, OwnerId)> {
        if let Some((_, (end, owner))) = self.stretches.range(..=bytes.start).next_back()
            && *end > bytes.start
        {
            return Some((bytes.start..*end, *owner));
        }
        let (start, (end, owner)) = self.stretches.range(bytes).next()?;
        Some((*start..*end, *owner))
    }

    /// Adds a stretch that overlaps none.
    fn insert(&mut self, bytes: Range<u64>, owner: OwnerId) {
        if bytes.is_empty() {
            return;
        }
        self.bytes[self.purpose(owner) as usize] += bytes.end - bytes.start;
        let (mut start, mut end) = (bytes.start, bytes.end);
        let mut owner = owner;
        if self.stretches.len() >= MOST_STRETCHES {
            // Too many to tell apart: from here on this one joins whatever it touches.
            owner = SEVERAL;
        }
        let joins = |other: OwnerId| other == owner || owner == SEVERAL;
        if let Some((before, (until, other))) = self.stretches.range(..start).next_back()
            && *until == start
            && joins(*other)
        {
            start = *before;
        }
        if let Some((until, other)) = self.stretches.get(&end)
            && joins(*other)
        {
            let until = *until;
            self.stretches.remove(&end);
            end = until;
        }
        self.stretches.insert(start, (end, owner));
    }

    fn purpose(&self, owner: OwnerId) -> Use {
        self.owners[owner.0 as usize].purpose
    }

    fn name(&self, owner: OwnerId) -> String {
        let Owner { structure, object, .. } = &self.owners[owner.0 as usize];
        match object {
            Some(object) => format!("{structure} of {object}"),
            None => (*structure).to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_has_one_owner_and_the_rest_is_told() {
        let mut owners = Owners::new();
        let a = owners.owner("data", Some("/a"), Use::Raw);
        let b = owners.owner("node", Some("/b"), Use::Metadata);
        assert_eq!(owners.owner("data", Some("/a"), Use::Raw), a);
        // Neighbours of one owner join, in whatever order they come.
        for start in [30, 10, 20] {
            assert_eq!(owners.claim(start..start + 10, a), None);
        }
        assert_eq!(owners.stretches.len(), 1);
        assert_eq!(owners.claim(50..60, b), None);
        assert_eq!(owners.claim(5..5, b), None);
        // What is taken is told, and the rest noted.
        let overlap = owners.claim(35..70, b);
        assert_eq!(overlap, Some(Overlap { bytes: 35..40, other: "data of /a".to_owned() }));
        assert_eq!(owners.claim(12..13, b).map(|overlap| overlap.bytes), Some(12..13));
        assert!(owners.is_free(0..10) && !owners.is_free(0..11) && owners.is_free(70..80) && !owners.is_free(69..70));
        assert_eq!(owners.owned(), 60);
        let space = owners.sum(90, 100, false);
        assert_eq!((space.metadata, space.raw, space.dead, space.gaps, space.ahead), (30, 30, 30, 2, 10));
        let told: Vec<_> = space.largest.iter().map(|gap| (gap.address, gap.size, gap.after.as_deref())).collect();
        assert_eq!(told, [(70, 20, Some("node of /b")), (0, 10, None)]);
        assert_eq!(owners.sum(90, 100, true).ahead, 30);
    }
}
