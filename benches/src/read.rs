//! Reading whole datasets.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;

use crate::contest::{Contest, Contestant, Outcome, Work};
use crate::{h5py, write};

const LARGE: u64 = 500_000_000;

fn theirs(path: &Path) -> Result<f64, Box<dyn std::error::Error>> {
    h5py::run(
        path,
        "d = h5py.File(path, 'r')['data']\n\
         out = np.empty(d.shape, d.dtype); out[...] = 0\n\
         begun = time.perf_counter()\n\
         d.read_direct(out)\n\
         seconds = time.perf_counter() - begun",
    )
}

fn whole<'a>(path: &'a Path, out: &'a mut [f64]) -> Contestant<'a> {
    Contestant::new("h5live", move || {
        h5live::File::open(path)?.dataset("data")?.read_into(.., out)?;
        Ok(())
    })
}

/// `pread` of as many bytes as the dataset has, 16 MiB at a time.
fn bare<'a>(path: &'a Path, bytes: u64, out: &'a mut [u8]) -> Contestant<'a> {
    Contestant::new("pread", move || {
        let file = File::open(path)?;
        let first = file.metadata()?.len() - bytes;
        for (number, part) in out.chunks_mut(16 << 20).enumerate() {
            file.read_exact_at(part, first + ((number as u64) << 24))?;
        }
        Ok(())
    })
}

/// 500 MB of f64 in one piece.
pub(crate) fn contiguous(contest: &Contest) -> Outcome {
    let path = contest.path("contiguous.h5");
    let count = (LARGE / 8) as usize;
    let file = h5live::File::create(&path)?;
    file.new_dataset::<f64>("data").shape([count as u64]).create()?.write(.., &vec![1.5; count])?;
    file.close()?;
    read_all(contest, &path, count)
}

/// 500 MB of f64 in chunks of 1 MiB.
pub(crate) fn chunked(contest: &Contest) -> Outcome {
    let path = contest.path("chunked.h5");
    let count = (LARGE / 8) as usize / 1024 * 1024;
    let file = h5live::File::create(&path)?;
    let dataset = file.new_dataset::<f64>("data").shape([0, 1024]).unlimited().chunks([128, 1024]).create()?;
    for rows in vec![1.5; count].chunks(1024 * 1024) {
        dataset.append(rows)?;
    }
    file.close()?;
    read_all(contest, &path, count)
}

fn read_all(contest: &Contest, path: &Path, count: usize) -> Outcome {
    let (mut ours, mut raw) = (vec![0.0f64; count], vec![0u8; count * 8]);
    // Both buffers are touched, so that no contestant pays for its pages.
    ours.fill(1.0);
    raw.fill(1);
    let bytes = count as u64 * 8;
    contest.hold(
        5,
        &Work::Bytes(bytes),
        vec![whole(path, &mut ours), bare(path, bytes, &mut raw), Contestant::measured("h5py", || theirs(path))],
    )
}

/// 200 MB of u16 frames through shuffle and deflate at level 4.
pub(crate) fn gzip(contest: &Contest) -> Outcome {
    const FRAMES: u64 = 190;
    let path = contest.path("read-gzip.h5");
    let file = h5live::File::create(&path)?;
    let dataset = file
        .new_dataset::<u16>("data")
        .shape([0, 512, 1024])
        .unlimited()
        .chunks([1, 512, 1024])
        .shuffle()
        .gzip(4)
        .create()?;
    for number in 0..FRAMES / 10 {
        let frames: Vec<u16> = (0..10).flat_map(|offset| write::frame(number * 10 + offset)).collect();
        dataset.append(&frames)?;
    }
    file.close()?;
    let mut out = vec![1u16; (FRAMES * 512 * 1024) as usize];
    contest.hold(
        3,
        &Work::Bytes(FRAMES << 20),
        vec![
            Contestant::new("h5live", || {
                h5live::File::open(&path)?.dataset("data")?.read_into(.., &mut out)?;
                Ok(())
            }),
            Contestant::measured("h5py", || theirs(&path)),
        ],
    )
}
