//! Frames: appended and published one by one.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::Instant;

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

/// Appends so many of `frames`, from the first again after the last, publishing each, and tells the seconds that took.
fn ours<T: h5live::Element + Copy>(
    file: &h5live::File,
    dataset: &h5live::Dataset,
    frames: &[Vec<T>],
    count: u64,
) -> Result<f64, Box<dyn std::error::Error>> {
    let live = file.go_live()?;
    let begun = Instant::now();
    for frame in frames.iter().cycle().take(count as usize) {
        dataset.append(frame)?;
        live.publish()?;
    }
    let seconds = begun.elapsed().as_secs_f64();
    live.close()?;
    Ok(seconds)
}

fn theirs(path: &Path, count: u64, frames: &str, create: &str) -> Result<f64, Box<dyn std::error::Error>> {
    h5py::run(
        path,
        &format!(
            "{frames}\
             f = h5py.File(path, 'w', libver='v110')\n\
             d = f.create_dataset('frames', {create})\n\
             f.swmr_mode = True\n\
             begun = time.perf_counter()\n\
             for n in range({count}):\n\
             \x20   d.resize(n + 1, axis=0); d[n] = frames[n % 8]; d.flush()\n\
             seconds = time.perf_counter() - begun"
        ),
    )
}

/// Frames of 1 MiB without filters. h5live and `pwrite` take them from the same memory: how fast bytes are copied depends on
/// where they lie.
pub(crate) fn frames(contest: &Contest) -> Outcome {
    const COUNT: u64 = 400;
    const IN_PYTHON: &str = "rng = np.random.default_rng(1)\n\
        frames = [rng.integers(0, 32, (1024, 1024), dtype='u1') for _ in range(8)]\n";
    const CREATE: &str = "(0, 1024, 1024), 'u1', maxshape=(None, 1024, 1024), chunks=(1, 1024, 1024)";
    let frames: Vec<Vec<u8>> =
        (0..8).map(|number| frame(number).iter().flat_map(|v| v.to_le_bytes()).collect()).collect();
    let (path, other, bare) = (contest.path("frames.h5"), contest.path("frames-h5py.h5"), contest.path("frames.raw"));
    let ours = || {
        let file = h5live::File::create(&path)?;
        let builder = file.new_dataset::<u8>("frames").shape([0, 1024, 1024]).unlimited().chunks([1, 1024, 1024]);
        ours(&file, &builder.create()?, &frames, COUNT)
    };
    let written = || {
        let file = File::create(&bare)?;
        let begun = Instant::now();
        for (number, frame) in frames.iter().cycle().take(COUNT as usize).enumerate() {
            file.write_all_at(frame, number as u64 * FRAME_BYTES)?;
        }
        Ok(begun.elapsed().as_secs_f64())
    };
    contest.hold(
        9,
        &Work::Bytes(COUNT * FRAME_BYTES),
        vec![
            Contestant::measured("h5live", ours),
            Contestant::measured("pwrite", written),
            Contestant::measured("h5py", || theirs(&other, COUNT, IN_PYTHON, CREATE)),
        ],
    )
}

/// Frames of 1 MiB through shuffle and deflate at level 4.
pub(crate) fn frames_gzip(contest: &Contest) -> Outcome {
    const COUNT: u64 = 48;
    // A detector hands over as many frames at a time as there are cores to compress them.
    const TOGETHER: u64 = 4;
    const IN_PYTHON: &str = "rng = np.random.default_rng(1)\n\
        base = (np.arange(512 * 1024) // 4096).astype('u2')\n\
        frames = [(base + rng.integers(0, 32, 512 * 1024, dtype='u2')).reshape(512, 1024) for _ in range(8)]\n";
    const CREATE: &str = "(0, 512, 1024), 'u2', maxshape=(None, 512, 1024), chunks=(1, 512, 1024), \
        compression='gzip', compression_opts=4, shuffle=True";
    let batches: Vec<Vec<u16>> =
        (0..8 / TOGETHER).map(|batch| (batch * TOGETHER..(batch + 1) * TOGETHER).flat_map(frame).collect()).collect();
    let (path, other) = (contest.path("gzip.h5"), contest.path("gzip-h5py.h5"));
    let ours = || {
        let file = h5live::File::create(&path)?;
        let builder = file.new_dataset::<u16>("frames").shape([0, 512, 1024]).unlimited().chunks([1, 512, 1024]);
        ours(&file, &builder.shuffle().gzip(4).create()?, &batches, COUNT / TOGETHER)
    };
    contest.hold(
        3,
        &Work::Bytes(COUNT * FRAME_BYTES),
        vec![
            Contestant::measured("h5live", ours),
            Contestant::measured("h5py", || theirs(&other, COUNT, IN_PYTHON, CREATE)),
        ],
    )
}
