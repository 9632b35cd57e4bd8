//! Making and changing trees.

use std::cmp::Ordering;

use super::{Child, Header, Layout, Level, Node, Record, Tree, search};
use crate::{Addr, Malformed, Result, Why, Widths};

/// New nodes for a tree, and what they replace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edited {
    /// The header to publish once the nodes are written.
    pub header: Header,
    /// New nodes with their bytes; children come before their parents.
    pub nodes: Vec<(Addr, Vec<u8>)>,
    /// Address and size of nodes the new header does not lead to any more.
    pub superseded: Vec<(Addr, u64)>,
}

/// Makes a whole tree from records that are in order, as full as even spreading allows. Takes kind, node size and
/// percentages from `empty`, the header of a tree without records; `allocate` yields room for as many bytes as it is
/// asked for.
///
/// # Errors
/// When `empty` describes no tree, or none that could hold so many records.
pub fn build<R: Record>(
    empty: &Header,
    widths: Widths,
    form: R::Form,
    records: Vec<R>,
    mut allocate: impl FnMut(u64) -> Addr,
) -> Result<Edited> {
    let mut header = Header { depth: 0, root: None, root_records: 0, total_records: records.len() as u64, ..*empty };
    let layout = Layout::new(&header, 0, widths)?;
    let mut edited = Edited { header, nodes: Vec::new(), superseded: Vec::new() };
    if records.is_empty() {
        return Ok(edited);
    }
    let (mut records, mut children) = (records, Vec::<Child>::new());
    for depth in 0.. {
        let limit = editable_level(&layout, depth)?.split_records;
        // Each node but the last is followed by a record that goes up to the next level.
        let count = (records.len() as u64 + 1).div_ceil(limit + 1);
        let within = records.len() as u64 + 1 - count;
        let (mut up, mut parents) = (Vec::new(), Vec::new());
        let (mut from_records, mut from_children) = (records.into_iter(), children.into_iter());
        for number in 0..count {
            let share = (within * (number + 1) / count - within * number / count) as usize;
            let node = Node {
                records: from_records.by_ref().take(share).collect(),
                children: from_children.by_ref().take(if depth == 0 { 0 } else { share + 1 }).collect(),
            };
            let addr = allocate(layout.node_size.into());
            parents.push(Child { addr, records: node.records.len() as u16, total: node.total() });
            edited.nodes.push((addr, node.encode(depth, &layout, form)));
            up.extend(from_records.next());
        }
        if let [root] = parents.as_slice() {
            header.depth = depth;
            header.root = Some(root.addr);
            header.root_records = root.records;
            break;
        }
        (records, children) = (up, parents);
    }
    edited.header = header;
    Ok(edited)
}

/// Changes a tree by copying: nothing of the old one is touched.
///
/// Any number of records may be put and removed; nodes are read as needed and held until [`Editor::finish`]. An editor
/// that returned an error is of no more use: its changes are half done.
#[derive(Debug)]
pub struct Editor<R: Record> {
    tree: Tree<R>,
    root: Option<Link<R>>,
    depth: u16,
    total: u64,
    superseded: Vec<Addr>,
    failed: bool,
}

#[derive(Debug)]
enum Link<R> {
    /// As in the file, not read.
    Stored(Child),
    Loaded(Branch<R>),
}

#[derive(Debug)]
struct Branch<R> {
    /// Where it was read from; none for a new one.
    origin: Option<Child>,
    changed: bool,
    records: Vec<R>,
    links: Vec<Link<R>>,
}

impl<R: Record> Editor<R> {
    /// Starts with the tree as it is.
    #[must_use]
    pub fn new(tree: Tree<R>) -> Self {
        let root = tree.root().map(Link::Stored);
        Self {
            root,
            depth: tree.header.depth,
            total: tree.header.total_records,
            superseded: Vec::new(),
            failed: false,
            tree,
        }
    }

    /// Puts a record in the place `compare` ([`search`]) gives it. A record that compares equal is replaced, and returned.
    pub fn put<E: From<Malformed>>(
        &mut self,
        record: R,
        mut read: impl FnMut(Addr, u64) -> std::result::Result<Vec<u8>, E>,
        mut compare: impl FnMut(&R) -> std::result::Result<Ordering, E>,
    ) -> std::result::Result<Option<R>, E> {
        // Checked ahead, so that nothing but `read` and `compare` can fail half way.
        editable_level(&self.tree.layout, self.depth + 1)?;
        let Some(mut root) = self.root.take() else {
            let root = Branch { origin: None, changed: true, records: vec![record], links: Vec::new() };
            (self.root, self.depth, self.total) = (Some(Link::Loaded(root)), 0, 1);
            return Ok(None);
        };
        self.failed = true;
        let replaced = self.put_below(&mut root, self.depth, record, &mut read, &mut compare)?;
        if root.records() > editable_level(&self.tree.layout, self.depth)?.split_records {
            let mut top = Branch { origin: None, changed: true, records: Vec::new(), links: vec![root] };
            self.depth += 1;
            self.relieve(&mut top, 0, self.depth, &mut read)?;
            root = Link::Loaded(top);
        }
        self.root = Some(root);
        self.total += u64::from(replaced.is_none());
        self.failed = false;
        Ok(replaced)
    }

    /// Removes the record that `compare` ([`search`]) calls equal, and returns it.
    pub fn remove<E: From<Malformed>>(
        &mut self,
        mut read: impl FnMut(Addr, u64) -> std::result::Result<Vec<u8>, E>,
        mut compare: impl FnMut(&R) -> std::result::Result<Ordering, E>,
    ) -> std::result::Result<Option<R>, E> {
        let Some(mut root) = self.root.take() else { return Ok(None) };
        self.failed = true;
        let removed = self.remove_below(&mut root, self.depth, &mut read, &mut compare)?;
        self.root = match root {
            Link::Loaded(mut branch) if branch.records.is_empty() => {
                self.superseded.extend(branch.origin.map(|origin| origin.addr));
                self.depth = self.depth.saturating_sub(1);
                branch.links.pop()
            }
            root => Some(root),
        };
        self.total = self.total.saturating_sub(u64::from(removed.is_some()));
        self.failed = false;
        Ok(removed)
    }

    /// The new nodes, at addresses from `allocate`, which yields room for as many bytes as it is asked for.
    ///
    /// # Panics
    /// After [`Editor::put`] or [`Editor::remove`] returned an error.
    #[must_use]
    pub fn finish(self, mut allocate: impl FnMut(u64) -> Addr) -> Edited {
        assert!(!self.failed, "an edit that failed half way must not be finished");
        let Self { tree, root, depth, total, superseded, .. } = self;
        let size = u64::from(tree.header.node_size);
        let mut edited = Edited {
            header: tree.header,
            nodes: Vec::new(),
            superseded: superseded.into_iter().map(|addr| (addr, size)).collect(),
        };
        let root = root.map(|root| store(root, depth, &tree, &mut edited, &mut allocate));
        edited.header.depth = if root.is_some() { depth } else { 0 };
        edited.header.root = root.map(|root| root.addr);
        edited.header.root_records = root.map_or(0, |root| root.records);
        edited.header.total_records = total;
        edited
    }

    fn put_below<E: From<Malformed>>(
        &mut self,
        link: &mut Link<R>,
        depth: u16,
        record: R,
        read: &mut impl FnMut(Addr, u64) -> std::result::Result<Vec<u8>, E>,
        compare: &mut impl FnMut(&R) -> std::result::Result<Ordering, E>,
    ) -> std::result::Result<Option<R>, E> {
        let branch = self.load(link, depth, read)?;
        match search(&branch.records, &mut *compare)? {
            Ok(found) => {
                branch.changed = true;
                Ok(branch.records.get_mut(found).map(|old| std::mem::replace(old, record)))
            }
            Err(before) => match branch.links.get_mut(before) {
                None => {
                    branch.changed = true;
                    branch.records.insert(before, record);
                    Ok(None)
                }
                Some(child) => {
                    let replaced = self.put_below(child, depth - 1, record, read, compare)?;
                    if child.records() > editable_level(&self.tree.layout, depth - 1)?.split_records {
                        self.relieve(branch, before, depth, read)?;
                    }
                    Ok(replaced)
                }
            },
        }
    }

    /// Child `number` of `branch` has one record too many: gives some to a neighbour with room, or splits it.
    fn relieve<E: From<Malformed>>(
        &mut self,
        branch: &mut Branch<R>,
        number: usize,
        depth: u16,
        read: &mut impl FnMut(Addr, u64) -> std::result::Result<Vec<u8>, E>,
    ) -> std::result::Result<(), E> {
        let limit = editable_level(&self.tree.layout, depth - 1)?.split_records;
        let has_room = |link: Option<&Link<R>>| link.is_some_and(|link| link.records() < limit);
        if let Some(left) = number.checked_sub(1).filter(|left| has_room(branch.links.get(*left))) {
            // Filling the left one up leaves full nodes behind when records come in order.
            return self.share(branch, left, depth, read, |total| limit.min(total - limit / 2));
        }
        if has_room(branch.links.get(number + 1)) {
            return self.share(branch, number, depth, read, |total| total / 2);
        }
        let Some(link) = branch.links.get_mut(number) else { return Ok(()) };
        let child = self.load(link, depth - 1, read)?;
        let half = (limit / 2) as usize;
        let records = child.records.split_off(half + 1);
        let links = if depth > 1 { child.links.split_off(half + 1) } else { Vec::new() };
        child.changed = true;
        let middle = child.records.pop();
        branch.records.splice(number..number, middle);
        branch.links.insert(number + 1, Link::Loaded(Branch { origin: None, changed: true, records, links }));
        branch.changed = true;
        Ok(())
    }

    fn remove_below<E: From<Malformed>>(
        &mut self,
        link: &mut Link<R>,
        depth: u16,
        read: &mut impl FnMut(Addr, u64) -> std::result::Result<Vec<u8>, E>,
        compare: &mut impl FnMut(&R) -> std::result::Result<Ordering, E>,
    ) -> std::result::Result<Option<R>, E> {
        let branch = self.load(link, depth, read)?;
        match search(&branch.records, &mut *compare)? {
            Ok(found) if depth == 0 => {
                branch.changed = true;
                Ok(Some(branch.records.remove(found)))
            }
            Ok(found) => {
                // The last record before it takes its place.
                let Some(child) = branch.links.get_mut(found) else { return Ok(None) };
                let Some(before) = self.pop_last(child, depth - 1, read)? else { return Ok(None) };
                branch.changed = true;
                let removed = branch.records.get_mut(found).map(|record| std::mem::replace(record, before));
                self.refill(branch, found, depth, read)?;
                Ok(removed)
            }
            Err(before) => {
                let Some(child) = branch.links.get_mut(before) else { return Ok(None) };
                let removed = self.remove_below(child, depth - 1, read, compare)?;
                if removed.is_some() {
                    self.refill(branch, before, depth, read)?;
                }
                Ok(removed)
            }
        }
    }

    fn pop_last<E: From<Malformed>>(
        &mut self,
        link: &mut Link<R>,
        depth: u16,
        read: &mut impl FnMut(Addr, u64) -> std::result::Result<Vec<u8>, E>,
    ) -> std::result::Result<Option<R>, E> {
        let branch = self.load(link, depth, read)?;
        let last = branch.links.len().checked_sub(1);
        match last.and_then(|last| branch.links.get_mut(last).map(|child| (last, child))) {
            None => {
                branch.changed = true;
                Ok(branch.records.pop())
            }
            Some((last, child)) => {
                let popped = self.pop_last(child, depth - 1, read)?;
                self.refill(branch, last, depth, read)?;
                Ok(popped)
            }
        }
    }

    /// Child `number` of `branch` may have too few records: takes some from a neighbour, or merges with it.
    fn refill<E: From<Malformed>>(
        &mut self,
        branch: &mut Branch<R>,
        number: usize,
        depth: u16,
        read: &mut impl FnMut(Addr, u64) -> std::result::Result<Vec<u8>, E>,
    ) -> std::result::Result<(), E> {
        let level = *editable_level(&self.tree.layout, depth - 1)?;
        let records = |number: usize| branch.links.get(number).map_or(0, Link::records);
        if records(number) >= level.merge_records.max(1) {
            return Ok(());
        }
        let left = if number + 1 < branch.links.len() { number } else { number.saturating_sub(1) };
        if records(left) + records(left + 1) < level.split_records {
            self.merge(branch, left, depth, read)
        } else {
            self.share(branch, left, depth, read, |total| total / 2)
        }
    }

    /// Spreads the records of children `left` and `left + 1` anew; `choose` says how many of how many the left one gets.
    fn share<E: From<Malformed>>(
        &mut self,
        branch: &mut Branch<R>,
        left: usize,
        depth: u16,
        read: &mut impl FnMut(Addr, u64) -> std::result::Result<Vec<u8>, E>,
        choose: impl FnOnce(u64) -> u64,
    ) -> std::result::Result<(), E> {
        let mut pair = branch.links.iter_mut().skip(left);
        let (Some(first), Some(second), Some(middle)) = (pair.next(), pair.next(), branch.records.get_mut(left)) else {
            return Ok(());
        };
        let first = self.load(first, depth - 1, read)?;
        let second = self.load(second, depth - 1, read)?;
        let count = choose((first.records.len() + second.records.len()) as u64) as usize;
        let mut records = std::mem::take(&mut first.records);
        records.push(middle.clone());
        records.append(&mut second.records);
        second.records = records.split_off((count + 1).min(records.len()));
        if let Some(record) = records.pop() {
            *middle = record;
        }
        first.records = records;
        if depth > 1 {
            first.links.append(&mut second.links);
            second.links = first.links.split_off((count + 1).min(first.links.len()));
        }
        (first.changed, second.changed, branch.changed) = (true, true, true);
        Ok(())
    }

    fn merge<E: From<Malformed>>(
        &mut self,
        branch: &mut Branch<R>,
        left: usize,
        depth: u16,
        read: &mut impl FnMut(Addr, u64) -> std::result::Result<Vec<u8>, E>,
    ) -> std::result::Result<(), E> {
        let mut pair = branch.links.iter_mut().skip(left);
        let (Some(first), Some(second), true) = (pair.next(), pair.next(), left < branch.records.len()) else {
            return Ok(());
        };
        let first = self.load(first, depth - 1, read)?;
        let second = self.load(second, depth - 1, read)?;
        first.records.push(branch.records.remove(left));
        first.records.append(&mut second.records);
        first.links.append(&mut second.links);
        (first.changed, branch.changed) = (true, true);
        let gone = second.origin;
        self.superseded.extend(gone.map(|origin| origin.addr));
        branch.links.remove(left + 1);
        Ok(())
    }

    fn load<'l, E: From<Malformed>>(
        &self,
        link: &'l mut Link<R>,
        depth: u16,
        read: &mut impl FnMut(Addr, u64) -> std::result::Result<Vec<u8>, E>,
    ) -> std::result::Result<&'l mut Branch<R>, E> {
        if let Link::Stored(child) = link {
            let node = self.tree.node(child, depth, read)?;
            *link = Link::Loaded(Branch {
                origin: Some(*child),
                changed: false,
                records: node.records,
                links: node.children.into_iter().map(Link::Stored).collect(),
            });
        }
        match link {
            Link::Loaded(branch) => Ok(branch),
            Link::Stored(child) => Err(self.tree.malformed("child node address", child.addr.0, "was not read").into()),
        }
    }
}

impl<R> Link<R> {
    fn records(&self) -> u64 {
        match self {
            Self::Stored(child) => child.records.into(),
            Self::Loaded(branch) => branch.records.len() as u64,
        }
    }

    fn changed(&self) -> bool {
        match self {
            Self::Stored(_) => false,
            Self::Loaded(branch) => branch.changed || branch.links.iter().any(Self::changed),
        }
    }
}

/// A level whose nodes can be split: it takes three records to make two nodes and one between them.
fn editable_level(layout: &Layout, depth: u16) -> Result<&Level> {
    layout.level(depth).filter(|level| (2..=u64::from(u16::MAX)).contains(&level.split_records)).ok_or(Malformed {
        what: Header::WHAT,
        at: 0,
        why: Why::Unsupported("changing a tree of nodes so small, so large or so many"),
    })
}

fn store<R: Record>(
    link: Link<R>,
    depth: u16,
    tree: &Tree<R>,
    edited: &mut Edited,
    allocate: &mut impl FnMut(u64) -> Addr,
) -> Child {
    let changed = link.changed();
    match link {
        Link::Stored(child) => child,
        Link::Loaded(Branch { origin: Some(origin), .. }) if !changed => origin,
        Link::Loaded(Branch { origin, records, links, .. }) => {
            let children =
                links.into_iter().map(|link| store(link, depth.saturating_sub(1), tree, edited, allocate)).collect();
            let node = Node { records, children };
            let addr = allocate(tree.header.node_size.into());
            edited.nodes.push((addr, node.encode(depth, &tree.layout, tree.form)));
            edited.superseded.extend(origin.map(|origin| (origin.addr, u64::from(tree.header.node_size))));
            Child { addr, records: node.records.len() as u16, total: node.total() }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    use super::super::ChunkRecord;
    use super::super::testing::{FORM, Nodes, compare, record, tree};

    /// Holds a tree against what should be in it, and against what libhdf5 relies on: no node but the root has fewer
    /// records than the merge limit or more than the split limit, and parents know how many their children hold.
    fn check(nodes: &Nodes, header: Header, expected: &BTreeMap<u64, u64>) {
        let tree = tree(header);
        let mut found = Vec::new();
        tree.for_each(nodes.read(), |record: ChunkRecord| {
            found.push((record.scaled[0] * 7 + record.scaled[1], record.chunk.addr.0));
            Ok::<_, Malformed>(())
        })
        .unwrap();
        assert_eq!(found, expected.iter().map(|(key, value)| (*key, *value)).collect::<Vec<_>>());
        assert_eq!(header.total_records, expected.len() as u64);
        for key in expected.keys().step_by(17) {
            let found = tree.find(nodes.read(), compare(*key)).unwrap().unwrap();
            assert_eq!(found.chunk.addr.0, expected[key]);
        }
        let reached = tree.nodes(nodes.read()).unwrap();
        assert_eq!(reached.len(), nodes.bytes.len(), "no node is lost, none is left over");
        let Some(root) = tree.root() else {
            assert_eq!((header.depth, header.root), (0, None));
            return;
        };
        let mut todo = vec![(root, header.depth)];
        while let Some((child, depth)) = todo.pop() {
            let node = tree.node::<Malformed>(&child, depth, &mut nodes.read()).unwrap();
            let level = tree.layout().level(depth).unwrap();
            let count = node.records.len() as u64;
            assert_eq!(node.total(), child.total);
            assert!(count <= level.split_records);
            assert!(child == root || count >= level.merge_records, "{count} at {depth} of {level:?}");
            todo.extend(node.children.iter().map(|child| (*child, depth.wrapping_sub(1))));
        }
    }

    #[test]
    fn built_trees_hold_what_was_given_at_every_size() {
        for node_size in [128, 256, 2048] {
            for count in (0..300).chain([1000, 5000]) {
                let mut nodes = Nodes::default();
                let expected: BTreeMap<u64, u64> = (0..count).map(|key| (key, key + 1)).collect();
                let records = expected.iter().map(|(key, value)| record(*key, *value)).collect();
                let empty = Header::empty::<ChunkRecord>(FORM, node_size);
                let edited = build(&empty, Widths::EIGHT, FORM, records, nodes.allocate()).unwrap();
                let header = nodes.apply(edited);
                check(&nodes, header, &expected);
            }
        }
    }

    #[test]
    fn edited_trees_hold_what_was_put_and_not_removed() {
        for node_size in [128, 200, 512] {
            let mut nodes = Nodes::default();
            let mut header = Header::empty::<ChunkRecord>(FORM, node_size);
            let mut expected = BTreeMap::new();
            let mut random = 0x9e37_79b9_7f4a_7c15u64;
            let mut next = move || {
                random ^= random << 13;
                random ^= random >> 7;
                random ^= random << 17;
                random
            };
            for round in 0..160 {
                let mut editor = Editor::new(tree(header));
                for _ in 0..next() % 60 {
                    let (key, value) = (next() % 1500, next() >> 1);
                    // Grows for the first half and shrinks, to nothing, in the second.
                    if next() % 10 < if round < 80 { 7 } else { 2 } {
                        let old = editor.put(record(key, value), nodes.read(), compare(key)).unwrap();
                        assert_eq!(old.map(|old| old.chunk.addr.0), expected.insert(key, value));
                    } else {
                        let key = expected.range(key..).next().map_or(key, |(key, _)| *key);
                        let old = editor.remove(nodes.read(), compare(key)).unwrap();
                        assert_eq!(old.map(|old| old.chunk.addr.0), expected.remove(&key));
                    }
                }
                if round == 159 {
                    for key in std::mem::take(&mut expected).into_keys() {
                        assert!(editor.remove(nodes.read(), compare(key)).unwrap().is_some());
                    }
                }
                let edited = editor.finish(nodes.allocate());
                header = nodes.apply(edited);
                check(&nodes, header, &expected);
            }
        }
    }

    #[test]
    fn records_put_in_order_leave_full_nodes() {
        let mut nodes = Nodes::default();
        let mut header = Header::empty::<ChunkRecord>(FORM, 2048);
        let mut expected = BTreeMap::new();
        for batch in 0..200u64 {
            let mut editor = Editor::new(tree(header));
            for key in batch * 100..(batch + 1) * 100 {
                expected.insert(key, key + 1);
                assert_eq!(editor.put(record(key, key + 1), nodes.read(), compare(key)).unwrap(), None);
            }
            let edited = editor.finish(nodes.allocate());
            assert!(edited.nodes.len() < 8, "{}", edited.nodes.len());
            header = nodes.apply(edited);
        }
        check(&nodes, header, &expected);
        let full = tree(header).layout().level(0).unwrap().max_records;
        assert!((nodes.bytes.len() as u64) < 20_000 / full * 11 / 10);
    }

    #[test]
    fn nothing_changed_is_nothing_written() {
        let mut nodes = Nodes::default();
        let empty = Header::empty::<ChunkRecord>(FORM, 512);
        let records = (0..500).map(|key| record(key, 1)).collect();
        let edited = build(&empty, Widths::EIGHT, FORM, records, nodes.allocate()).unwrap();
        let header = nodes.apply(edited);
        let mut editor = Editor::new(tree(header));
        assert_eq!(editor.remove(nodes.read(), compare(1000)).unwrap(), None);
        let edited = editor.finish(nodes.allocate());
        assert_eq!((edited.header, edited.nodes.len(), edited.superseded.len()), (header, 0, 0));
    }
}
