//! What a live file costs, row by row.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;

use crate::contest::{Contest, Contestant, Outcome, Work};
use crate::h5py;

const ROWS: u64 = 20_000;

/// One row of a chunked f64 dataset appended and published.
pub(crate) fn append_row(contest: &Contest) -> Outcome {
    let ours = contest.path("append.h5");
    let theirs = contest.path("append-h5py.h5");
    let bare = contest.path("append.raw");
    contest.hold(
        5,
        &Work::Operations(ROWS),
        vec![
            Contestant::measured("h5live", || append_rows(&ours, ROWS, h5live::File::publish)),
            Contestant::measured("three pwrite", || {
                let file = File::create(&bare)?;
                file.set_len(1 << 20)?;
                let begun = std::time::Instant::now();
                for row in 0..ROWS {
                    file.write_all_at(&row.to_le_bytes(), 8192 + row * 8)?;
                    file.write_all_at(&[1; 28], 512)?;
                    file.write_all_at(&[2; 160], 4096)?;
                }
                Ok(begun.elapsed().as_secs_f64())
            }),
            Contestant::measured("h5py (resize, write, flush)", || {
                let per_row = h5py::run(
                    &theirs,
                    "f = h5py.File(path, 'w', libver='v110')\n\
                     d = f.create_dataset('data', (0,), 'f8', maxshape=(None,), chunks=(1024,))\n\
                     f.swmr_mode = True\n\
                     begun = time.perf_counter()\n\
                     for row in range(4000):\n\
                     \x20   d.resize(row + 1, axis=0); d[row:] = float(row); d.flush()\n\
                     seconds = (time.perf_counter() - begun) / 4000",
                )?;
                Ok(per_row * ROWS as f64)
            }),
        ],
    )
}

/// Appends so many rows to a new file, publishing each, and tells the seconds that took.
fn append_rows(
    path: &Path,
    count: u64,
    publish: fn(&h5live::File) -> h5live::Result<()>,
) -> Result<f64, Box<dyn std::error::Error>> {
    let file = h5live::File::create(path)?;
    let rows = file.new_dataset::<f64>("data").shape([0]).unlimited().chunks([1024]).create()?;
    let live = file.go_live()?;
    let begun = std::time::Instant::now();
    for row in 0..count {
        rows.append(&[row as f64])?;
        publish(&live)?;
    }
    let seconds = begun.elapsed().as_secs_f64();
    live.close()?;
    Ok(seconds)
}

/// The price of a publication that survives a loss of power: a row appended and published, on the medium when the call returns.
pub(crate) fn append_row_durably(contest: &Contest) -> Outcome {
    const ROWS: u64 = 500;
    let ours = contest.path("durable.h5");
    let visible = contest.path("visible.h5");
    let theirs = contest.path("durable-h5py.h5");
    let bare = contest.path("durable.raw");
    contest.hold(
        5,
        &Work::Operations(ROWS),
        vec![
            Contestant::measured("h5live, durable", || append_rows(&ours, ROWS, h5live::File::publish_durably)),
            Contestant::measured("h5live, visible", || append_rows(&visible, ROWS, h5live::File::publish)),
            Contestant::measured("one pwrite, fdatasync", || {
                let file = File::create(&bare)?;
                file.set_len(1 << 20)?;
                let begun = std::time::Instant::now();
                for row in 0..ROWS {
                    file.write_all_at(&row.to_le_bytes(), 8192 + row * 8)?;
                    file.sync_data()?;
                }
                Ok(begun.elapsed().as_secs_f64())
            }),
            Contestant::measured("h5py (flush, fsync)", || {
                let all = h5py::run(
                    &theirs,
                    "f = h5py.File(path, 'w', libver='v110')\n\
                     d = f.create_dataset('data', (0,), 'f8', maxshape=(None,), chunks=(1024,))\n\
                     f.swmr_mode = True\n\
                     fd = f.id.get_vfd_handle()\n\
                     begun = time.perf_counter()\n\
                     for row in range(500):\n\
                     \x20   d.resize(row + 1, axis=0); d[row:] = float(row); d.flush(); os.fsync(fd)\n\
                     seconds = time.perf_counter() - begun",
                )?;
                Ok(all)
            }),
        ],
    )
}

/// Looking whether a dataset has grown, by the number of its chunks: the cost is the same.
pub(crate) fn refresh_by_chunks(contest: &Contest) -> Outcome {
    let mut files = Vec::new();
    let mut followed = Vec::new();
    for chunks in [10, 1_000, 1_000_000] {
        let path = contest.path(&format!("refresh-{chunks}.h5"));
        let file = h5live::File::create(&path)?;
        let rows = file.new_dataset::<u8>("data").shape([0]).unlimited().chunks([1]).create()?;
        let live = file.go_live()?;
        rows.append(&vec![1; chunks])?;
        live.publish()?;
        files.push(live);
        followed.push(h5live::File::follow(&path)?.dataset("data")?);
    }
    let contestants = ["10 chunks", "1,000 chunks", "1,000,000 chunks"].into_iter().zip(&followed);
    let contestants = contestants.map(|(name, dataset)| {
        Contestant::new(name, || {
            for _ in 0..ROWS {
                dataset.refresh()?;
            }
            Ok(())
        })
    });
    contest.hold(5, &Work::Operations(ROWS), contestants.collect())
}

/// Looking whether a dataset has grown.
pub(crate) fn refresh(contest: &Contest) -> Outcome {
    let path = contest.path("refresh.h5");
    let theirs = contest.path("refresh-h5py.h5");
    let file = h5live::File::create(&path)?;
    let rows = file.new_dataset::<f64>("data").shape([0]).unlimited().chunks([1024]).create()?;
    let live = file.go_live()?;
    rows.append(&vec![0.0; 5000])?;
    live.publish()?;
    let followed = h5live::File::follow(&path)?.dataset("data")?;
    let bare = File::open(&path)?;
    contest.hold(
        5,
        &Work::Operations(ROWS),
        vec![
            Contestant::new("h5live", || {
                for _ in 0..ROWS {
                    followed.refresh()?;
                }
                Ok(())
            }),
            Contestant::new("one pread of 512", || {
                let mut buffer = [0; 512];
                for _ in 0..ROWS {
                    bare.read_exact_at(&mut buffer, 4096)?;
                }
                Ok(())
            }),
            Contestant::measured("h5py (SWMR reader)", || {
                let once = h5py::run(
                    &theirs,
                    "w = h5py.File(path, 'w', libver='v110')\n\
                     w.create_dataset('data', (5000,), 'f8', maxshape=(None,), chunks=(1024,))\n\
                     w.close() # or the reader would share the writer's open file, and refresh nothing\n\
                     r = h5py.File(path, 'r', libver='latest', swmr=True)['data']\n\
                     begun = time.perf_counter()\n\
                     for _ in range(4000): r.refresh()\n\
                     seconds = (time.perf_counter() - begun) / 4000",
                )?;
                Ok(once * ROWS as f64)
            }),
        ],
    )
}
