//! Frames: appended and published one by one.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;

use crate::contest::{Contest, Contestant, Outcome, Work};
use crate::h5py;

const PIXELS: usize = 512 * 1024;
const FRAME_BYTES: u64 = PIXELS as u64 * 2;

/// A frame as a detector gives it: small counts, some structure, some noise.
fn frame(number: u64) -> Vec<u16> {
    let mut seed = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    (0..PIXELS)
        .map(|pixel| {
            seed ^= seed << 13;
            seed ^= seed >> 7;
            seed ^= seed << 17;
            ((pixel / 4096) as u16) + (seed & 0x1f) as u16
        })
        .collect()
}

const FRAMES_IN_PYTHON: &str = "rng = np.random.default_rng(1)\n\
    base = (np.arange(512 * 1024) // 4096).astype('u2')\n\
    frames = [(base + rng.integers(0, 32, 512 * 1024, dtype='u2')).reshape(512, 1024) for _ in range(8)]\n";

fn ours(path: &Path, frames: &[Vec<u16>], count: u64, gzip: bool) -> Result<f64, Box<dyn std::error::Error>> {
    let file = h5live::File::create(path)?;
    let mut builder = file.new_dataset::<u16>("frames").shape([0, 512, 1024]).unlimited().chunks([1, 512, 1024]);
    if gzip {
        builder = builder.shuffle().gzip(4);
    }
    let dataset = builder.create()?;
    let live = file.go_live()?;
    // A detector hands over as many frames at a time as there are cores to compress them.
    let together: u64 = if gzip { 4 } else { 1 };
    let batches: Vec<Vec<u16>> =
        frames.chunks(together as usize).map(|batch| batch.iter().flatten().copied().collect()).collect();
    let begun = std::time::Instant::now();
    for number in 0..count / together {
        dataset.append(&batches[number as usize % batches.len()])?;
        live.publish()?;
    }
    let seconds = begun.elapsed().as_secs_f64();
    live.close()?;
    Ok(seconds)
}

fn theirs(path: &Path, count: u64, options: &str) -> Result<f64, Box<dyn std::error::Error>> {
    h5py::run(
        path,
        &format!(
            "{FRAMES_IN_PYTHON}\
             f = h5py.File(path, 'w', libver='v110')\n\
             d = f.create_dataset('frames', (0, 512, 1024), 'u2', maxshape=(None, 512, 1024), chunks=(1, 512, 1024){options})\n\
             f.swmr_mode = True\n\
             begun = time.perf_counter()\n\
             for n in range({count}):\n\
             \x20   d.resize(n + 1, axis=0); d[n] = frames[n % 8]; d.flush()\n\
             seconds = time.perf_counter() - begun"
        ),
    )
}

/// Frames of 1 MiB without filters.
pub(crate) fn frames(contest: &Contest) -> Outcome {
    const COUNT: u64 = 400;
    let frames: Vec<Vec<u16>> = (0..8).map(frame).collect();
    let bytes: Vec<Vec<u8>> = frames.iter().map(|frame| frame.iter().flat_map(|v| v.to_le_bytes()).collect()).collect();
    let (path, other, bare) = (contest.path("frames.h5"), contest.path("frames-h5py.h5"), contest.path("frames.raw"));
    contest.hold(
        9,
        &Work::Bytes(COUNT * FRAME_BYTES),
        vec![
            Contestant::measured("h5live", || ours(&path, &frames, COUNT, false)),
            Contestant::measured("pwrite", || {
                let file = File::create(&bare)?;
                let begun = std::time::Instant::now();
                for number in 0..COUNT {
                    file.write_all_at(&bytes[number as usize % bytes.len()], number * FRAME_BYTES)?;
                }
                Ok(begun.elapsed().as_secs_f64())
            }),
            Contestant::measured("h5py", || theirs(&other, COUNT, "")),
        ],
    )
}

/// Frames of 1 MiB through shuffle and deflate at level 4.
pub(crate) fn frames_gzip(contest: &Contest) -> Outcome {
    const COUNT: u64 = 48;
    let frames: Vec<Vec<u16>> = (0..8).map(frame).collect();
    let (path, other) = (contest.path("gzip.h5"), contest.path("gzip-h5py.h5"));
    contest.hold(
        3,
        &Work::Bytes(COUNT * FRAME_BYTES),
        vec![
            Contestant::measured("h5live", || ours(&path, &frames, COUNT, true)),
            Contestant::measured("h5py", || {
                theirs(&other, COUNT, ", compression='gzip', compression_opts=4, shuffle=True")
            }),
        ],
    )
}
