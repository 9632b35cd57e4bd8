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

/// Every third column and every second row of 500 MB of f32 in rows, unfiltered: contiguous, and in chunks of 1 MiB.
pub(crate) fn strided(contest: &Contest) -> Outcome {
    for (name, chunks) in
        [("contiguous", "None"), ("chunked", "(256, 1024)"), ("gzip", "(256, 1024), compression='gzip'")]
    {
        println!("  {name}");
        let path = contest.path(&format!("strided-{name}.h5"));
        let code = format!(
            "f = h5py.File(path, 'w')\n\
             d = f.create_dataset('data', (12000, 10240), 'f4', chunks={chunks})\n\
             d[...] = np.arange(12000 * 10240, dtype='i4').reshape(d.shape) % 4096; f.close(); seconds = 0"
        );
        h5py::run(&path, &code)?;
        let slabs = vec![h5live::Slab::step(0..12_000, 2), h5live::Slab::step(0..10_240, 3)];
        let count = slabs.iter().map(h5live::Slab::len).product::<u64>();
        let mut out = vec![1.0f32; count as usize];
        let ours = || {
            h5live::File::open(&path)?.dataset("data")?.read_into(slabs.clone(), &mut out)?;
            Ok(())
        };
        let theirs = "d = h5py.File(path, 'r')['data']\n\
             out = np.ones((6000, 3414), 'f4')\n\
             begun = time.perf_counter()\n\
             d.read_direct(out, np.s_[::2, ::3])\n\
             seconds = time.perf_counter() - begun";
        let contestants =
            vec![Contestant::new("h5live", ours), Contestant::measured("h5py", || h5py::run(&path, theirs))];
        contest.hold(2, &Work::Bytes(count * 4), contestants)?;
    }
    Ok(())
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
