//! Seeing what a dataset has become.

use std::sync::{Arc, OnceLock};

use h5live_format::message::ChunkIndex;

use super::{Dataset, Shared, Storage, View};
use crate::error::Result;
use crate::file::{Inner, Role};
use crate::live::follower::Follower;
use crate::live::trailer::Trailer;
use crate::source::Look;

impl Dataset {
    /// Shows what has been published of this dataset since the last look, in all its handles. Tells whether its extent
    /// changed.
    ///
    /// # Errors
    /// The file is damaged, or was truncated.
    pub fn refresh(&self) -> Result<bool> {
        let inner = &self.file.inner;
        match &inner.role {
            Role::Writer(_) if matches!(self.shared.view().storage, Storage::Virtual(_)) => {
                // What it shows may be of this file, and have grown.
                let before = self.shape();
                let look = || {
                    self.file.complete_for_reading()?;
                    self.shared.look_again(inner)
                };
                look().map_err(|error| self.locate(error))?;
                Ok(self.shape() != before)
            }
            Role::Writer(_) => Ok(false),
            Role::Reader(follower) => {
                let shared = std::slice::from_ref(&self.shared);
                refresh_together(inner, follower, shared).map_err(|error| self.locate(error))
            }
        }
    }
}

/// Shows what has been published of these datasets, all as of one commit where a writer of ours makes commits. Tells whether
/// an extent changed.
pub(crate) fn refresh_together(file: &Inner, follower: &Follower, datasets: &[Arc<Shared>]) -> Result<bool> {
    file.forget();
    let mut trailer = follower.look()?;
    loop {
        let views =
            datasets.iter().map(|shared| shared.next(file, trailer.as_deref())).collect::<Result<Vec<View>>>()?;
        let changed = views.iter().zip(datasets).any(|(view, shared)| view.dims != shared.view().dims);
        // An extent that only the object header has is of this commit if nobody has announced since that it will change.
        let from_headers = |shared: &Shared| !shared.is_in(trailer.as_deref());
        if datasets.iter().any(|shared| from_headers(shared)) && (changed || trailer.is_some()) {
            let again = follower.look()?;
            if datasets.iter().any(|shared| from_headers(shared) && shared.is_in(again.as_deref())) {
                trailer = again;
                continue;
            }
        }
        for (view, shared) in views.into_iter().zip(datasets) {
            shared.set_view(view);
        }
        return Ok(changed);
    }
}

impl View {
    /// Whether the object header itself holds the elements, or names the only chunk.
    pub(super) fn is_in_header(&self) -> bool {
        match &self.storage {
            Storage::Compact(_) => true,
            Storage::Chunked { layout, .. } => matches!(layout.index, ChunkIndex::Single { .. }),
            _ => false,
        }
    }
}

impl Shared {
    /// Whether the trailer has the dataset's extent.
    fn is_in(&self, trailer: Option<&Trailer>) -> bool {
        trailer.is_some_and(|trailer| trailer.extents.contains_key(&self.addr.0))
    }

    /// For a dataset that was just read: takes its extent from the last look at the file, as other datasets have theirs. If
    /// it was not to be found there and is now, what was read may be ahead of its publication: then from now.
    pub(crate) fn join(&self, file: &Inner, follower: &Follower) -> Result<()> {
        let Some(mut trailer) = follower.last() else { return Ok(()) };
        if !self.is_in(Some(&trailer)) {
            trailer = match follower.look()? {
                Some(now) => now,
                None => return Ok(()),
            };
        }
        self.set_view(self.next(file, Some(&trailer))?);
        Ok(())
    }

    /// The dataset with its extent from `trailer`, if that has it: then it belongs to one commit with all others. Else from
    /// the object header.
    fn next(&self, file: &Inner, trailer: Option<&Trailer>) -> Result<View> {
        let before = self.view();
        // A rank never changes: an extent of another is damage, and the object header tells better.
        let is_ours = |dims: &[u64]| dims.len() == before.dims.len();
        let entry = trailer.and_then(|trailer| trailer.extents.get(&self.addr.0)).filter(|entry| is_ours(&entry.dims));
        let structure = trailer.map(|trailer| (trailer.session, trailer.structure));
        let mut next = match (entry, &before.storage) {
            (Some(_), Storage::Chunked { layout, .. }) if structure.is_some() && structure == before.structure => {
                View {
                    look: Look::new(),
                    dims: before.dims.clone(),
                    storage: Storage::Chunked { layout: layout.clone(), index: OnceLock::new() },
                    structure,
                }
            }
            _ => View { structure, ..self.look(file)? },
        };
        if let Some(entry) = entry {
            next.dims.clone_from(&entry.dims);
        }
        Ok(next)
    }

    /// Shows what the writer of this process has made of the dataset.
    pub(crate) fn written(&self, dims: &[u64]) {
        let before = self.view();
        let storage = match &before.storage {
            Storage::Chunked { layout, .. } => Storage::Chunked { layout: layout.clone(), index: OnceLock::new() },
            // What lies elsewhere than in chunks is found where it was.
            _ => return,
        };
        self.set_view(View { look: Look::new(), dims: dims.to_vec(), storage, structure: before.structure });
    }

    /// Shows the dataset as its object header has it: for what the writer of this process has put there.
    pub(crate) fn look_again(&self, file: &Inner) -> Result<()> {
        let view = self.look(file)?;
        self.set_view(view);
        Ok(())
    }
}
