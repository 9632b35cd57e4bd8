//! Reading whole datasets.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;

use bytemuck::Pod;

use crate::buffer::Buffer;
use crate::contest::{Contest, Contestant, Outcome, Work};
use crate::h5py;

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
    let (mut ours, mut raw) = (Buffer::new(count)?, Buffer::new(count * 8)?);
    let bytes = count as u64 * 8;
    contest.hold(
        5,
        &Work::Bytes(bytes),
        vec![
            whole(path, ours.as_mut_slice()),
            bare(path, bytes, raw.as_mut_slice()),
            Contestant::measured("h5py", || theirs(path)),
        ],
    )
}

/// Rows and columns of [`stored`] and [`converted`]: 491 MB of 4 bytes an element.
const ROWS: u64 = 12_000;
const COLUMNS: u64 = 10_240;

/// Counts with some structure and some noise, as a detector gives them.
const COUNTS: &str = "import hdf5plugin\n\
    rng = np.random.default_rng(1)\n\
    counts = (np.arange(12000 * 10240, dtype='i4') // 64 % 4096 + rng.integers(0, 32, 12000 * 10240, 'i4')).reshape(12000, 10240)\n";

/// How the elements of [`stored`] are stored: a name, and arguments of h5py's `create_dataset`. Chunks are of 1 MiB.
const STORED: [(&str, &str); 6] = [
    ("contiguous", "chunks=None"),
    ("chunked", "chunks=(256, 1024)"),
    ("gzip-shuffle", "chunks=(256, 1024), compression='gzip', shuffle=True"),
    ("lz4", "chunks=(256, 1024), **hdf5plugin.LZ4()"),
    ("bitshuffle", "chunks=(256, 1024), **hdf5plugin.Bitshuffle(cname='none')"),
    ("bitshuffle-lz4", "chunks=(256, 1024), **hdf5plugin.Bitshuffle(cname='lz4')"),
];

/// 491 MB that h5py has stored in several ways: whole; then every third column of every second row.
pub(crate) fn stored(contest: &Contest) -> Outcome {
    for (name, how) in STORED {
        let path = contest.path(&format!("stored-{name}.h5"));
        let code = format!(
            "{COUNTS}f = h5py.File(path, 'w')\n\
             f.create_dataset('data', data=counts, {how}); f.close(); seconds = 0"
        );
        h5py::run(&path, &code)?;
        println!("  {name}, whole");
        let whole = vec![h5live::Slab::range(0..ROWS), h5live::Slab::range(0..COLUMNS)];
        selected::<i32>(contest, &path, &whole, "np.s_[:, :]", "i4")?;
        println!("  {name}, strided");
        let strided = vec![h5live::Slab::step(0..ROWS, 2), h5live::Slab::step(0..COLUMNS, 3)];
        selected::<i32>(contest, &path, &strided, "np.s_[::2, ::3]", "i4")?;
        std::fs::remove_file(&path)?;
    }
    Ok(())
}

/// 491 MB whose elements are of another type in the file than in memory: byte order, width, kind.
pub(crate) fn converted(contest: &Contest) -> Outcome {
    for (name, stored, how) in [
        ("big-endian", ">i4", "chunks=None"),
        ("chunked-big-endian", ">i4", "chunks=(256, 1024)"),
        ("gzip-big-endian", ">i4", "chunks=(256, 1024), compression='gzip', compression_opts=1, shuffle=True"),
        ("from-16-bits", "u2", "chunks=(256, 1024)"),
        ("from-double", "f8", "chunks=None"),
    ] {
        let path = contest.path(&format!("converted-{name}.h5"));
        let code = format!(
            "{COUNTS}f = h5py.File(path, 'w')\n\
             f.create_dataset('data', data=counts.astype('{stored}'), {how}); f.close(); seconds = 0"
        );
        h5py::run(&path, &code)?;
        println!("  {name}");
        let whole = vec![h5live::Slab::range(0..ROWS), h5live::Slab::range(0..COLUMNS)];
        selected::<i32>(contest, &path, &whole, "np.s_[:, :]", "i4")?;
        std::fs::remove_file(&path)?;
    }
    Ok(())
}

/// 98 MB in chunks of 4 KiB: one after the other, and side by side in several rows.
pub(crate) fn small_chunks(contest: &Contest) -> Outcome {
    for (name, how) in [
        ("rows", "chunks=(1, 1024)"),
        ("blocks", "chunks=(32, 32)"),
        ("rows-gzip", "chunks=(1, 1024), compression='gzip', compression_opts=1"),
        ("blocks-gzip", "chunks=(32, 32), compression='gzip', compression_opts=1"),
    ] {
        for format in ["earliest", "latest"] {
            let path = contest.path(&format!("small-chunks-{name}-{format}.h5"));
            let code = format!(
                "{COUNTS}f = h5py.File(path, 'w', libver='{format}')\n\
                 f.create_dataset('data', data=counts[:2400], {how}); f.close(); seconds = 0"
            );
            h5py::run(&path, &code)?;
            println!("  {name}, {format}");
            let whole = vec![h5live::Slab::range(0..2400), h5live::Slab::range(0..COLUMNS)];
            selected::<i32>(contest, &path, &whole, "np.s_[:, :]", "i4")?;
            std::fs::remove_file(&path)?;
        }
    }
    Ok(())
}

/// Opening a file and reading the selected elements of its dataset, into memory that is there.
fn selected<T: h5live::Element + Pod>(
    contest: &Contest,
    path: &Path,
    slabs: &[h5live::Slab],
    in_python: &str,
    numpy: &str,
) -> Outcome {
    let lens: Vec<u64> = slabs.iter().map(h5live::Slab::len).collect();
    let count = lens.iter().product::<u64>();
    let mut out = Buffer::<T>::new(count as usize)?;
    let slabs = slabs.to_vec();
    let ours = || {
        h5live::File::open(path)?.dataset("data")?.read_into(slabs.clone(), out.as_mut_slice())?;
        Ok(())
    };
    let theirs = format!(
        "import hdf5plugin\n\
         out = np.ones({lens:?}, '{numpy}')\n\
         begun = time.perf_counter()\n\
         h5py.File(path, 'r')['data'].read_direct(out, {in_python})\n\
         seconds = time.perf_counter() - begun"
    );
    let contestants = vec![Contestant::new("h5live", ours), Contestant::measured("h5py", || h5py::run(path, &theirs))];
    contest.hold(5, &Work::Bytes(count * size_of::<T>() as u64), contestants)
}
