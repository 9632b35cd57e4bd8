//! `h5live repack`: the same contents in a new file, in the form that can be written while readers look.
//!
//! First the structure is made, which tells the new address of every object; then elements and attributes follow, in which
//! references are replaced by those to the new addresses.

mod carried;

use std::collections::{BTreeSet, HashMap};
use std::fs::{self, Permissions};
use std::io::IsTerminal;
use std::os::unix::fs::{FileExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use h5live::{
    AttributeValue, ChunkInfo, Dataset, DatasetBuilder, ErrorKind, File, FillTime, Group, Layout, Object, Slab, Target,
    WriterState,
};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use self::carried::{Carried, CarriedAttribute, Losses, is_portable, refuse_foreign_widths};
use crate::failure::Failure;
use crate::output;
use crate::place::Place;

/// What a block of elements aims at, in bytes.
const BLOCK_BYTES: u64 = 4 << 20;
/// Bytes written before they are published, which lets go of what is kept for them in memory.
const PUBLISH_BYTES: u64 = 64 << 20;
/// What the library puts into an object header at most, in bytes.
const MOST_COMPACT_BYTES: u64 = 65_000;

/// Write everything in a file to a new one, in the form that can be written while readers look
///
/// Old files become ones that h5live can append to, and space that nothing uses any more is reclaimed. Chunks are copied as
/// they are stored. A file that is being written can be copied too: as it is now.
#[derive(Debug, clap::Args)]
pub(crate) struct Repack {
    /// The file to copy
    from: PathBuf,
    /// The new file: it is there once it is complete
    to: PathBuf,
    /// Replace the new file if there is one of that name
    #[arg(long)]
    overwrite: bool,
    /// Tell only what goes wrong or could not be kept
    #[arg(short, long)]
    quiet: bool,
}

impl Repack {
    pub(crate) fn run(self) -> Result<(), Failure> {
        let place = Place::new(&self.from, None);
        if place.is_explicit {
            return Err(Failure::Usage(format!("{}: name a file, not an object in it", self.from.display())));
        }
        let from = place.open()?;
        self.refuse_taken()?;
        let directory = self.to.parent().filter(|parent| *parent != Path::new("")).unwrap_or(Path::new("."));
        let partial = tempfile::Builder::new()
            .prefix(".h5live-repack-")
            .suffix(".partial")
            .permissions(Permissions::from_mode(0o666))
            .tempfile_in(directory)
            .map_err(|error| cannot_write(&self.to, &error))?;

        let objects = copy(&from, &self.from, partial.path(), self.quiet)?;

        let copied = fs::File::open(partial.path());
        copied.and_then(|file| file.sync_all()).map_err(|error| cannot_write(&self.to, &error))?;
        if self.overwrite {
            partial.persist(&self.to).map_err(|error| cannot_write(&self.to, &error.error))?;
        } else {
            partial.persist_noclobber(&self.to).map_err(|error| cannot_write(&self.to, &error.error))?;
        }
        if !self.quiet {
            output::note(&format!(
                "{} ({}) -> {} ({}), {} {}",
                self.from.display(),
                size(&self.from),
                self.to.display(),
                size(&self.to),
                output::thousands(objects),
                if objects == 1 { "object" } else { "objects" }
            ));
        }
        Ok(())
    }

    fn refuse_taken(&self) -> Result<(), Failure> {
        let Ok(to) = fs::metadata(&self.to) else {
            // A symbolic link that leads nowhere is a name too.
            return match self.to.symlink_metadata() {
                Ok(_) if !self.overwrite => Err(self.exists()),
                _ => Ok(()),
            };
        };
        let same = fs::metadata(&self.from).is_ok_and(|from| (from.dev(), from.ino()) == (to.dev(), to.ino()));
        if same {
            let (from, to) = (self.from.display(), self.to.display());
            return Err(Failure::Usage(format!("{from} and {to} are the same file; name another to write to")));
        }
        if to.is_dir() {
            return Err(Failure::Other(format!("{}: is a directory; name a file in it", self.to.display())));
        }
        if self.overwrite { Ok(()) } else { Err(self.exists()) }
    }

    fn exists(&self) -> Failure {
        Failure::Other(format!("{}: exists already; --overwrite replaces it", self.to.display()))
    }
}

fn cannot_write(path: &Path, error: &std::io::Error) -> Failure {
    Failure::Other(format!("{}: cannot write it: {error}", path.display()))
}

fn size(path: &Path) -> String {
    fs::metadata(path).map_or_else(|_| "?".to_owned(), |found| output::bytes(found.len()))
}

/// Copies a file to a new one at `to`, and tells how many objects that are.
fn copy(from: &File, from_path: &Path, to: &Path, quiet: bool) -> Result<u64, Failure> {
    let builder = match from.root().tracks_creation_order()? {
        true => File::builder().track_order(),
        false => File::builder(),
    };
    let chunks = match from.writer_state()? {
        // What is stored cannot change any more.
        WriterState::Closed | WriterState::Died(_) => {
            let opened = fs::File::open(from_path);
            Some(opened.map_err(|error| Failure::Other(format!("{}: {error}", from_path.display())))?)
        }
        _ => None,
    };
    let to = builder.create(to)?;
    let mut copier = Copier {
        from: from.clone(),
        to: to.clone(),
        chunks,
        objects: Vec::new(),
        addresses: HashMap::new(),
        told: BTreeSet::new(),
        losses: Losses::default(),
        bar: ProgressBar::hidden(),
        unpublished: 0,
        interrupted: Arc::default(),
    };
    let flag = copier.interrupted.clone();
    ctrlc::set_handler(move || flag.store(true, Ordering::Relaxed))
        .map_err(|error| Failure::Other(format!("cannot wait for Ctrl-C: {error}")))?;
    if from.userblock_size() > 0 {
        let bytes = output::thousands(from.userblock_size());
        copier.tell(format!("the user block of {bytes} bytes before the HDF5 data is not copied"));
    }
    copier.structure()?;
    copier.contents(quiet)?;
    let objects = copier.objects.len() as u64;
    drop(copier);
    to.close()?;
    Ok(objects)
}

/// A copy under way.
struct Copier {
    from: File,
    to: File,
    /// The bytes of the file, from which chunks are copied as they are; none while somebody may change them.
    chunks: Option<fs::File>,
    /// Every object and its copy.
    objects: Vec<(Object, Object)>,
    /// The address of every object's copy.
    addresses: HashMap<u64, u64>,
    /// What was told already: nothing is told twice.
    told: BTreeSet<String>,
    losses: Losses,
    bar: ProgressBar,
    unpublished: u64,
    /// Set by Ctrl-C: what was written until then is removed.
    interrupted: Arc<AtomicBool>,
}

impl Copier {
    /// Tells, once, that something is not in the new file as it was.
    fn tell(&mut self, message: String) {
        if !self.told.contains(&message) {
            self.bar.suspend(|| output::note(&message));
            self.told.insert(message);
        }
    }

    /// Creates all groups, datasets, committed datatypes and links.
    fn structure(&mut self) -> Result<(), Failure> {
        let (from, to) = (self.from.root(), self.to.root());
        self.enter(Object::Group(from.clone()), Object::Group(to.clone()));
        let mut groups = vec![(from, to)];
        while let Some((from, to)) = groups.pop() {
            let mut links = from.links()?;
            links.sort_by_key(|link| link.creation_order);
            for link in links {
                match link.target {
                    Target::Hard(address) => {
                        if let Some(copy) = self.addresses.get(&address) {
                            to.link_object(&link.name, &self.to.object_at(*copy)?)?;
                            continue;
                        }
                        // By its path if it can be found so: errors then tell it.
                        let object = from.get(&link.name).or_else(|_| self.from.object_at(address))?;
                        let copy = self.create(&object, &to, &link.name)?;
                        if let (Object::Group(from), Object::Group(to)) = (&object, &copy) {
                            groups.push((from.clone(), to.clone()));
                        }
                        self.enter(object, copy);
                    }
                    Target::Soft(path) => to.link_soft(&link.name, &path)?,
                    Target::External { file, path } => to.link_external(&link.name, &file, &path)?,
                    Target::UserDefined { class, data } => to.link_user_defined(&link.name, class, &data)?,
                }
            }
        }
        Ok(())
    }

    fn enter(&mut self, object: Object, copy: Object) {
        self.addresses.insert(object.address(), copy.address());
        self.objects.push((object, copy));
    }

    /// Creates the copy of an object, without contents.
    fn create(&mut self, object: &Object, to: &Group, name: &str) -> Result<Object, Failure> {
        Ok(match object {
            Object::Group(group) => {
                let builder = to.new_group(name);
                let builder = if group.tracks_creation_order()? { builder.track_order() } else { builder };
                Object::Group(builder.create()?)
            }
            Object::Datatype(datatype) => Object::Datatype(to.commit_datatype(name, datatype.datatype())?),
            Object::Dataset(dataset) => {
                refuse_foreign_widths(dataset.datatype()).map_err(|error| located(error, dataset.path()))?;
                if dataset.committed_datatype().is_some() {
                    self.tell(format!(
                        "datasets of a committed datatype ({} is one) have a datatype of their own in the copy",
                        dataset.path()
                    ));
                }
                let builder = to.new_dataset_of(name, dataset.datatype().clone());
                let builder = self.filled(builder, dataset);
                Object::Dataset(self.stored(builder, dataset)?.create()?)
            }
        })
    }

    /// Gives a new dataset the fill value of `dataset`.
    fn filled(&mut self, builder: DatasetBuilder, dataset: &Dataset) -> DatasetBuilder {
        let uses_heap = dataset.datatype().uses_global_heap();
        let builder = match dataset.fill_bytes() {
            Some(bytes) if !is_portable(dataset.datatype()) => {
                if bytes.iter().any(|byte| *byte != 0) {
                    let path = dataset.path();
                    self.tell(format!("{path}: its fill value of variable length, or a reference, is not copied"));
                }
                builder
            }
            Some(bytes) => builder.fill_bytes(bytes),
            None if dataset.has_fill_value().is_none() && dataset.fill_time().is_some() && !uses_heap => {
                builder.no_fill_value()
            }
            None => builder,
        };
        match dataset.fill_time() {
            // Space for heap data is never left as it was found.
            Some(FillTime::Never) if uses_heap => builder,
            Some(time) => builder.fill_time(time),
            None => builder,
        }
    }

    /// Gives a new dataset the extent, the storage and the filters of `dataset`, and the order of its attributes.
    fn stored(&mut self, builder: DatasetBuilder, dataset: &Dataset) -> Result<DatasetBuilder, Failure> {
        let tracks_order = dataset.attributes()?.iter().any(|attribute| attribute.creation_order().is_some());
        let builder = if tracks_order { builder.track_attribute_order() } else { builder };
        if dataset.is_null() {
            return Ok(builder.null());
        }
        let (shape, max) = (dataset.shape(), dataset.max_shape());
        let bytes = dataset.len().saturating_mul(dataset.datatype().size().into());
        let grows = shape.iter().zip(max).any(|(dim, max)| Some(*dim) != *max);
        let builder = builder.shape(shape);
        let builder = if grows { builder.resizable(max.iter().copied()) } else { builder };
        Ok(match dataset.layout() {
            Layout::Compact if bytes <= MOST_COMPACT_BYTES && !grows => builder.compact(),
            Layout::Chunked => {
                let filters = dataset.filters();
                // An axis without elements has chunks longer than itself in some files.
                let room = max.iter().map(|max| max.map_or(u64::MAX, |max| max.max(1)));
                let chunk = dataset.chunk_shape().unwrap_or_default().iter().zip(room);
                let chunk: Vec<u64> = chunk.map(|(len, room)| (*len).min(room)).collect();
                if is_allocated_early(dataset) && filters.is_empty() && !grows {
                    builder.chunks_allocated_early(chunk)
                } else {
                    builder.chunks(chunk).filters(&filters)
                }
            }
            layout @ (Layout::External | Layout::Virtual) => {
                let what = if layout == Layout::External { "external files" } else { "other datasets" };
                self.tell(format!("{}: its elements, kept in {what}, are in the copy itself", dataset.path()));
                builder
            }
            Layout::Compact | Layout::Contiguous => builder,
        })
    }

    /// Copies elements and attributes.
    fn contents(&mut self, quiet: bool) -> Result<(), Failure> {
        let objects = std::mem::take(&mut self.objects);
        let total = objects.iter().map(|(object, _)| match object {
            Object::Dataset(dataset) => bytes(dataset),
            _ => 0,
        });
        self.bar = if quiet { ProgressBar::hidden() } else { progress(total.fold(0, u64::saturating_add)) };
        for (object, copy) in &objects {
            if let (Object::Dataset(from), Object::Dataset(to)) = (object, copy) {
                self.bar.set_message(from.path().to_owned());
                self.elements(from, to)?;
            }
            self.attributes(object, copy)?;
        }
        self.bar.finish_and_clear();
        self.objects = objects;
        for message in self.losses.messages() {
            self.tell(message);
        }
        Ok(())
    }

    fn attributes(&mut self, object: &Object, copy: &Object) -> Result<(), Failure> {
        for attribute in object.attributes()? {
            let (name, datatype) = (attribute.name(), attribute.datatype());
            if attribute.is_null() || is_portable(datatype) {
                let shape = (!attribute.is_null()).then_some(attribute.shape());
                let raw = if attribute.is_null() { &[] } else { attribute.raw() };
                match copy {
                    Object::Group(group) => group.set_attribute_raw(name, datatype, shape, raw)?,
                    Object::Dataset(dataset) => dataset.set_attribute_raw(name, datatype, shape, raw)?,
                    Object::Datatype(committed) => committed.set_attribute_raw(name, datatype, shape, raw)?,
                }
                continue;
            }
            refuse_foreign_widths(datatype).map_err(|error| located(error, &format!("{}@{name}", object.path())))?;
            let mut elements: Vec<Carried> = attribute.read_vec()?;
            elements.iter_mut().for_each(|element| element.redirect(&self.addresses, &mut self.losses));
            let value = CarriedAttribute { datatype: datatype.clone(), shape: attribute.shape().to_vec(), elements };
            set_attribute(copy, name, value)?;
        }
        Ok(())
    }

    fn elements(&mut self, from: &Dataset, to: &Dataset) -> Result<(), Failure> {
        if from.is_null() || from.is_empty() {
            return Ok(());
        }
        if from.layout() != Layout::Chunked {
            let nothing_stored = from.layout() == Layout::Contiguous && from.storage_size()? == 0;
            if !nothing_stored {
                for block in blocks(&from.shape(), from.datatype().size().into()) {
                    self.block(from, to, block)?;
                }
            }
            return Ok(());
        }
        let shape = from.shape();
        let chunk_shape = from.chunk_shape().unwrap_or_default().to_vec();
        let same_form = to.chunk_shape() == Some(&chunk_shape) && !is_allocated_early(to);
        let as_stored = same_form && is_portable(from.datatype());
        // Chunks that nobody wrote are none in the copy either.
        for chunk in from.chunks()? {
            let ends = chunk.offset.iter().zip(&chunk_shape).map(|(start, len)| start.saturating_add(*len));
            let is_edge = ends.clone().zip(&shape).any(|(end, dim)| end > *dim);
            let has_own_form = is_edge && from.has_plain_edge_chunks();
            if as_stored && !has_own_form && self.chunk(to, &chunk)? {
                continue;
            }
            let block = chunk.offset.iter().zip(ends).zip(&shape);
            self.block(from, to, block.map(|((start, end), dim)| Slab::range(*start..end.min(*dim))).collect())?;
        }
        Ok(())
    }

    /// Copies a chunk as it is stored, if it cannot change meanwhile.
    fn chunk(&mut self, to: &Dataset, chunk: &ChunkInfo) -> Result<bool, Failure> {
        let Some(file) = &self.chunks else { return Ok(false) };
        let wrong = |what: &str| Failure::Other(format!("{}: the chunk at {:?} {what}", to.path(), chunk.offset));
        let end = chunk.file_offset.checked_add(chunk.size);
        let length = file.metadata().map_err(|error| wrong(&format!("cannot be read: {error}")))?.len();
        if end.is_none_or(|end| end > length) {
            return Err(wrong("reaches over the end of the file"));
        }
        let mut bytes = vec![0; chunk.size as usize];
        file.read_exact_at(&mut bytes, chunk.file_offset)
            .map_err(|error| wrong(&format!("cannot be read: {error}")))?;
        to.write_chunk(&chunk.offset, chunk.filter_mask, &bytes)?;
        self.done(chunk.size)?;
        Ok(true)
    }

    /// Copies elements.
    fn block(&mut self, from: &Dataset, to: &Dataset, block: Vec<Slab>) -> Result<(), Failure> {
        let count = block.iter().fold(1u64, |count, slab| count.saturating_mul(slab.len()));
        if is_portable(from.datatype()) {
            let bytes = match block.is_empty() {
                true => from.read_raw(..)?,
                false => from.read_raw(block.clone())?,
            };
            match block.is_empty() {
                true => to.write_raw(.., &bytes)?,
                false => to.write_raw(block, &bytes)?,
            }
        } else {
            let mut elements: Vec<Carried> = match block.is_empty() {
                true => from.read_vec(..)?,
                false => from.read_vec(block.clone())?,
            };
            elements.iter_mut().for_each(|element| element.redirect(&self.addresses, &mut self.losses));
            match block.is_empty() {
                true => to.write(.., &elements)?,
                false => to.write(block, &elements)?,
            }
        }
        self.done(count.saturating_mul(from.datatype().size().into()))
    }

    /// Counts bytes as copied.
    fn done(&mut self, bytes: u64) -> Result<(), Failure> {
        if self.interrupted.load(Ordering::Relaxed) {
            return Err(Failure::Interrupted("interrupted; there is no new file".to_owned()));
        }
        self.bar.inc(bytes);
        self.unpublished = self.unpublished.saturating_add(bytes);
        if self.unpublished >= PUBLISH_BYTES {
            self.to.publish()?;
            self.unpublished = 0;
        }
        Ok(())
    }
}

/// Bytes to be copied of a dataset, about: without what is compressed.
fn bytes(dataset: &Dataset) -> u64 {
    match dataset.layout() {
        Layout::Virtual => dataset.len().saturating_mul(dataset.datatype().size().into()),
        // A damaged index is found, and told, when the chunks are copied.
        _ => dataset.storage_size().unwrap_or(0),
    }
}

fn is_allocated_early(dataset: &Dataset) -> bool {
    dataset.chunk_index() == Some("implicit")
}

fn set_attribute(object: &Object, name: &str, value: impl AttributeValue) -> h5live::Result<()> {
    match object {
        Object::Group(group) => group.set_attribute(name, value),
        Object::Dataset(dataset) => dataset.set_attribute(name, value),
        Object::Datatype(committed) => committed.set_attribute(name, value),
    }
}

fn located(kind: ErrorKind, path: &str) -> Failure {
    Failure::Other(format!("{path}: {}", h5live::Error::from(kind)))
}

/// Cuts an extent into blocks of about [`BLOCK_BYTES`], in row-major order: whole along the last axes. No slabs are the only
/// element of a scalar.
fn blocks(shape: &[u64], element_size: u64) -> impl Iterator<Item = Vec<Slab>> {
    // The axis that is cut: all after it are whole, and all before it are gone through one by one.
    let mut row = element_size.max(1);
    let mut axis = shape.len();
    while axis > 0 {
        axis -= 1;
        match row.checked_mul(shape[axis]) {
            Some(more) if more <= BLOCK_BYTES && axis > 0 => row = more,
            _ => break,
        }
    }
    let step = (BLOCK_BYTES / row.max(1)).max(1);
    let shape = shape.to_vec();
    let mut next = (!shape.contains(&0)).then(|| vec![0u64; shape.len()]);
    std::iter::from_fn(move || {
        let start = next.take()?;
        let length = |at: usize| match at.cmp(&axis) {
            std::cmp::Ordering::Less => 1,
            std::cmp::Ordering::Equal => step,
            std::cmp::Ordering::Greater => shape[at],
        };
        let slab = |at: usize| Slab::range(start[at]..start[at].saturating_add(length(at)).min(shape[at]));
        let block: Vec<Slab> = (0..shape.len()).map(slab).collect();
        let mut following = start.clone();
        for at in (0..shape.len().min(axis + 1)).rev() {
            following[at] = following[at].saturating_add(length(at));
            if following[at] < shape[at] {
                next = Some(following);
                break;
            }
            following[at] = 0;
        }
        Some(block)
    })
}

/// Progress through `total` bytes, on a terminal.
fn progress(total: u64) -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::with_draw_target(Some(total), ProgressDrawTarget::stderr_with_hz(10));
    let template = "{msg} {wide_bar} {binary_bytes}/{binary_total_bytes}, {eta} left";
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
    bar
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_cover_every_element_once_in_order() {
        for (shape, element_size) in [
            (vec![], 8),
            (vec![0], 8),
            (vec![7], 8),
            (vec![3, 0, 2], 1),
            (vec![3, 4, 5], 1 << 20),
            (vec![3, 4, 5], 3 << 20),
            (vec![2, 3], 9 << 20),
            (vec![5, 2, 3], 700_000),
        ] {
            let mut seen = Vec::new();
            for block in blocks(&shape, element_size) {
                let count: u64 = block.iter().map(Slab::len).product();
                assert!(count == 1 || count * element_size <= BLOCK_BYTES, "{shape:?}: {block:?}");
                let mut positions = vec![Vec::new()];
                for slab in &block {
                    let along =
                        |before: Vec<u64>| (0..slab.len()).map(move |at| [&before[..], &[slab.start + at]].concat());
                    positions = positions.into_iter().flat_map(along).collect();
                }
                seen.extend(positions);
            }
            assert_eq!(seen.len() as u64, shape.iter().product::<u64>(), "{shape:?}");
            assert!(seen.is_sorted() && seen.windows(2).all(|pair| pair[0] != pair[1]), "{shape:?}: {seen:?}");
        }
    }
}
