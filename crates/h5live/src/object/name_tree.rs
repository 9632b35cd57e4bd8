//! Version 2 B-trees that find heap objects: links and attributes by name and creation order, huge objects by number.
//!
//! Nodes are never changed where readers may look: the path that changes is copied, and turning the header to the copy
//! publishes it. Nodes that no publication has reached yet are as good as free space, so a file that is being filled
//! does not leave a trail of old paths.

use h5live_format::Addr;
use h5live_format::btree_v2::{Edited, Editor, Header, Record, Tree, build};

use super::header_edit::overwrite;
use super::links::open_tree;
use crate::error::{Error, Result};
use crate::live::layer::LiveBlock;
use crate::live::space::Placement;
use crate::live::writer::Writer;
use crate::source::Source;

/// Bytes of a node: what libhdf5 takes for these trees.
const NODE_SIZE: u32 = 512;

/// A header that is turned after everything else of its publication: the tree loses records that nothing leads to.
pub(crate) const TIDIED: LiveBlock = LiveBlock::SupersededNames;

/// Plans a new tree of records that are in order, and returns the address of its header.
pub(crate) fn create<R: Record>(writer: &mut Writer, form: R::Form, records: Vec<R>) -> Result<Addr> {
    let widths = writer.widths();
    let empty = Header::empty::<R>(form, NODE_SIZE);
    let mut room = Room::new(writer, Vec::new());
    let edited = build(&empty, widths, form, records, |len| room.take(len))?;
    room.finish()?;
    for (addr, bytes) in edited.nodes {
        writer.fresh(addr, bytes)?;
    }
    writer.place(edited.header.encode(widths), Placement::InPage)
}

/// Plans a change of the tree whose header lies at `at`: whatever `plan` does with the editor. `kind` says when the
/// change becomes visible. `plan` may be asked more than once, and must do the same each time.
pub(crate) fn change<R: Record, T>(
    writer: &mut Writer,
    kind: LiveBlock,
    at: Addr,
    form: R::Form,
    plan: impl Fn(&mut Editor<R>, &Source) -> Result<T>,
) -> Result<T> {
    let source = writer.source();
    let widths = writer.widths();
    let tree: Tree<R> = open_tree(&source, at, form)?;
    let reusable = unpublished_nodes(writer, &source, &tree, &plan)?;
    let mut editor = Editor::new(tree);
    let value = plan(&mut editor, &source)?;
    let mut room = Room::new(writer, reusable.clone());
    let Edited { header, nodes, superseded } = editor.finish(|len| room.take(len));
    room.finish()?;
    for (addr, bytes) in nodes {
        writer.fresh(addr, bytes)?;
    }
    let gone = superseded.iter().filter(|(addr, _)| !reusable.contains(addr)).map(|(_, len)| len).sum();
    writer.supersede(gone);
    let image = header.encode(widths);
    writer.edit(kind, at, image.len(), |old| overwrite(old, &image[..image.len() - 4]))?;
    Ok(value)
}

/// The nodes that a change supersedes although nothing in the file has named them yet.
fn unpublished_nodes<R: Record, T>(
    writer: &Writer,
    source: &Source,
    tree: &Tree<R>,
    plan: &impl Fn(&mut Editor<R>, &Source) -> Result<T>,
) -> Result<Vec<Addr>> {
    // While live, the end-of-file runs ahead of what is published and tells nothing.
    if writer.is_live() {
        return Ok(Vec::new());
    }
    let published = writer.superblock().end_of_file.saturating_sub(writer.base());
    let mut trial = Editor::new(tree.clone());
    plan(&mut trial, source)?;
    let edited = trial.finish(|_| Addr(0));
    Ok(edited.superseded.into_iter().map(|(addr, _)| addr).filter(|addr| addr.0 >= published).collect())
}

/// Room for new nodes: reused first, then new. An error waits until the tree is done.
struct Room<'w> {
    writer: &'w mut Writer,
    reusable: Vec<Addr>,
    failed: Option<Error>,
}

impl<'w> Room<'w> {
    fn new(writer: &'w mut Writer, reusable: Vec<Addr>) -> Self {
        Self { writer, reusable, failed: None }
    }

    fn take(&mut self, len: u64) -> Addr {
        if let Some(addr) = self.reusable.pop() {
            return addr;
        }
        self.writer.reserve(len, Placement::Anywhere).unwrap_or_else(|error| {
            self.failed.get_or_insert(error);
            Addr(0)
        })
    }

    fn finish(self) -> Result<()> {
        self.failed.map_or(Ok(()), Err)
    }
}
