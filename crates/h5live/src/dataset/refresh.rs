//! Seeing what a dataset has become.

use std::sync::OnceLock;

use h5live_format::message::ChunkIndex;

use super::{Dataset, Shared, Storage, View};
use crate::error::Result;
use crate::file::{Inner, Role};
use crate::live::trailer::Trailer;

impl Dataset {
    /// Shows what has been published of this dataset since the last look, in all its handles. Tells whether its extent
    /// changed.
    ///
    /// # Errors
    /// The file is damaged, or was truncated.
    pub fn refresh(&self) -> Result<bool> {
        let inner = &self.file.inner;
        match &inner.role {
            Role::Writer(_) => Ok(false),
            Role::Reader(follower) => {
                let refresh = || self.shared.refresh(inner, follower.look()?.as_deref());
                refresh().map_err(|error| self.locate(error))
            }
        }
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
    /// Takes the dataset's extent from `trailer`, if that has it: then it belongs to one commit with all others. Else from
    /// the object header. Tells whether the extent changed.
    pub(crate) fn refresh(&self, file: &Inner, trailer: Option<&Trailer>) -> Result<bool> {
        let before = self.view();
        let entry = trailer.and_then(|trailer| trailer.extents.get(&self.addr.0));
        let structure = trailer.map(|trailer| (trailer.session, trailer.structure));
        let mut next = match (entry, &before.storage) {
            (Some(_), Storage::Chunked { layout, .. }) if structure.is_some() && structure == before.structure => {
                View {
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
        let changed = next.dims != before.dims;
        self.set_view(next);
        Ok(changed)
    }

    /// Shows what the writer of this process has made of the dataset.
    pub(crate) fn written(&self, dims: &[u64]) {
        let before = self.view();
        let storage = match &before.storage {
            Storage::Chunked { layout, .. } => Storage::Chunked { layout: layout.clone(), index: OnceLock::new() },
            // What lies elsewhere than in chunks is found where it was.
            _ => return,
        };
        self.set_view(View { dims: dims.to_vec(), storage, structure: before.structure });
    }

    /// Shows the dataset as its object header has it: for what the writer of this process has put there.
    pub(crate) fn look_again(&self, file: &Inner) -> Result<()> {
        let view = self.look(file)?;
        self.set_view(view);
        Ok(())
    }
}
