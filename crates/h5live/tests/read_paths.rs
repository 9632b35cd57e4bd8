//! How elements come from the file to memory: few calls for many small chunks, conversion in pieces, nodes of indexes kept.

use std::sync::Arc;

use h5live::{Element, File, Selection, Slab};
use h5live_storage::{Memory, Metered};
use h5live_testkit::{python, scratch};

/// A file in memory with one dataset, and what reads of it count.
fn metered(make: impl FnOnce(&File)) -> (File, Arc<Metered<Arc<Memory>>>) {
    let memory = Arc::new(Memory::new());
    let file = File::create_with(memory.clone()).unwrap();
    make(&file);
    file.close().unwrap();
    let metered = Arc::new(Metered::new(memory));
    (File::open_with(metered.clone()).unwrap(), metered)
}

#[test]
fn small_chunks_that_lie_side_by_side_are_read_together() {
    for filtered in [false, true] {
        for rows in [1, 4] {
            let values: Vec<u16> = (0..rows * 8192).map(|at| (at * 7 % 1000) as u16).collect();
            let (file, meter) = metered(|file| {
                let builder = file.new_dataset::<u16>("data").shape([rows, 8192]).chunks([1, 16]);
                let builder = if filtered { builder.shuffle().gzip(1) } else { builder };
                builder.create().unwrap().write(.., &values).unwrap();
            });
            let dataset = file.dataset("data").unwrap();
            let chunks = dataset.chunks().unwrap().len() as u64;
            meter.take();
            assert_eq!(dataset.read_vec::<u16>(..).unwrap(), values);
            let reads = meter.take().reads;
            assert!(reads * 20 < chunks, "{reads} reads for {chunks} chunks, filtered: {filtered}");
            // A few elements cost a few bytes.
            let points = Selection::Points((0..rows).map(|row| vec![row, row * 2000 + 5]).collect());
            let expected: Vec<u16> = (0..rows).map(|row| values[(row * 8192 + row * 2000 + 5) as usize]).collect();
            assert_eq!(dataset.read_vec::<u16>(points).unwrap(), expected);
            let count = meter.take();
            assert!(count.reads <= rows && count.bytes_read < rows * 200, "{count:?}");
        }
    }
}

#[test]
fn chunks_are_found_in_whatever_order_they_lie_and_where_some_are_missing() {
    for filtered in [false, true] {
        let (file, _) = metered(|file| {
            let builder = file.new_dataset::<i32>("data").shape([64, 64]).chunks([4, 8]).fill_value(&-5).unwrap();
            let builder = if filtered { builder.lzf() } else { builder };
            let dataset = builder.create().unwrap();
            // Backwards, and not all.
            for number in (0..128u64).rev().filter(|number| number % 5 != 2) {
                let (row, column) = (number / 8 * 4, number % 8 * 8);
                let values: Vec<i32> = (0..32).map(|at| number as i32 * 100 + at).collect();
                dataset.write([row..row + 4, column..column + 8], &values).unwrap();
            }
        });
        let dataset = file.dataset("data").unwrap();
        let expected = |row: u64, column: u64| {
            let number = row / 4 * 8 + column / 8;
            let at = row % 4 * 8 + column % 8;
            if number % 5 == 2 { -5 } else { (number * 100 + at) as i32 }
        };
        for (rows, columns) in [
            (Slab::range(0..64), Slab::range(0..64)),
            (Slab::range(3..5), Slab::range(0..64)),
            (Slab::step(0..64, 3), Slab::step(1..64, 5)),
            (Slab { start: 1, stride: 9, count: 7, block: 6 }, Slab { start: 0, stride: 12, count: 5, block: 7 }),
        ] {
            let elements = |slab: Slab| {
                (0..slab.count)
                    .flat_map(move |block| (0..slab.block).map(move |at| slab.start + block * slab.stride + at))
            };
            let expected: Vec<i32> =
                elements(rows).flat_map(|row| elements(columns).map(move |column| expected(row, column))).collect();
            let selection = vec![rows, columns];
            assert_eq!(dataset.read_vec::<i32>(selection.clone()).unwrap(), expected, "{rows:?} {columns:?}");
            let wide: Vec<f64> = expected.iter().map(|value| f64::from(*value)).collect();
            assert_eq!(dataset.read_vec::<f64>(selection).unwrap(), wide, "{rows:?} {columns:?}");
        }
    }
}

/// Many reads of one element each find their chunks in nodes that are decoded already: what is read is the elements.
#[test]
fn nodes_of_indexes_are_decoded_once_for_a_view() {
    const CHUNKS: u64 = 5000;
    type Max = Vec<Option<u64>>;
    for max in [vec![Some(CHUNKS), Some(1)], vec![None, Some(1)], vec![None, None]] as [Max; 3] {
        let path = scratch();
        let path = path.path().join("nodes.h5");
        let file = File::create(&path).unwrap();
        let dataset =
            file.new_dataset::<u64>("data").shape([CHUNKS, 1]).resizable(max).chunks([1, 1]).create().unwrap();
        dataset.write(.., &(0..CHUNKS).collect::<Vec<u64>>()).unwrap();
        let live = file.go_live().unwrap();
        // A file that is being written: nothing of its bytes is kept.
        let storage = Arc::new(Metered::new(h5live_storage::File::open(&path).unwrap()));
        let followed = File::open_with(storage.clone()).unwrap();
        let dataset = followed.dataset("data").unwrap();
        let all = |dataset: &h5live::Dataset| {
            for at in 0..CHUNKS {
                let at = at * 7 % CHUNKS;
                assert_eq!(dataset.read_vec::<u64>([at..at + 1, 0..1]).unwrap(), [at]);
            }
        };
        all(&dataset);
        storage.take();
        all(&dataset);
        let count = storage.take();
        assert_eq!((count.reads, count.bytes_read), (CHUNKS, CHUNKS * 8));
        // A new view looks again, and sees what has been added.
        if dataset.max_shape()[0].is_none() {
            let writing = live.dataset("data").unwrap();
            writing.resize([CHUNKS + 10, 1]).unwrap();
            writing.write([CHUNKS..CHUNKS + 10, 0..1], &[9; 10]).unwrap();
            live.publish().unwrap();
            assert!(dataset.refresh().unwrap());
            assert_eq!(dataset.read_vec::<u64>([CHUNKS - 1..CHUNKS + 10, 0..1]).unwrap()[1..], [9; 10]);
        }
        live.close().unwrap();
    }
}

/// Elements of more than one piece: 12 MB that h5py has written in other types than are asked for.
#[test]
fn what_is_converted_in_pieces_is_what_h5py_wrote() {
    let python = python().unwrap();
    let directory = scratch();
    let path = directory.path().join("converted.h5");
    let script = "import sys, h5py, numpy as np\n\
        a = np.arange(1500 * 2000, dtype='i8').reshape(1500, 2000) % 30011\n\
        with h5py.File(sys.argv[1], 'w') as f:\n\
        \x20   f.create_dataset('contiguous', data=a.astype('>f4'))\n\
        \x20   f.create_dataset('tall', data=a.astype('>i4'), chunks=(1500, 30), compression='gzip', compression_opts=1)\n\
        \x20   f.create_dataset('wide', data=a.astype('<u2'), chunks=(7, 1999))\n\
        \x20   f.create_dataset('blocks', data=a.astype('<f8'), chunks=(64, 64), compression='lzf', shuffle=True)\n\
        \x20   f.create_dataset('text', data=np.array([b'%d' % v for v in a[:400].ravel()], 'S8').reshape(400, 2000))\n";
    let done = std::process::Command::new(python).args(["-c", script]).arg(&path).output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let file = File::open(&path).unwrap();
    let value = |row: u64, column: u64| (row * 2000 + column) % 30011;
    let selections = [
        vec![Slab::range(0..1500), Slab::range(0..2000)],
        vec![Slab::range(100..1450), Slab::range(3..1990)],
        vec![Slab::step(1..1500, 2), Slab::step(0..2000, 1)],
        vec![Slab { start: 0, stride: 100, count: 15, block: 99 }, Slab { start: 5, stride: 40, count: 49, block: 39 }],
    ];
    for name in ["contiguous", "tall", "wide", "blocks"] {
        let dataset = file.dataset(name).unwrap();
        for selection in &selections {
            let expected: Vec<u64> = each(selection).map(|(row, column)| value(row, column)).collect();
            check::<i64>(&dataset, selection, expected.iter().map(|value| *value as i64), name);
            check::<f32>(&dataset, selection, expected.iter().map(|value| *value as f32), name);
        }
        // Points of all chunks in no order, some of them twice.
        let points: Vec<Vec<u64>> =
            (0..700_000u64).map(|at| at * 7_919 % 3_000_000).map(|at| vec![at / 2000, at % 2000]).collect();
        let expected: Vec<i64> = points.iter().map(|point| value(point[0], point[1]) as i64).collect();
        assert!(dataset.read_vec::<i64>(Selection::Points(points)).unwrap() == expected, "{name}");
    }
    let expected: Vec<String> = (0..400 * 2000u64).map(|at| (at % 30011).to_string()).collect();
    assert!(file.dataset("text").unwrap().read_vec::<String>(..).unwrap() == expected);
}

fn each(slabs: &[Slab]) -> impl Iterator<Item = (u64, u64)> {
    let elements = |slab: Slab| {
        (0..slab.count).flat_map(move |block| (0..slab.block).map(move |at| slab.start + block * slab.stride + at))
    };
    let (rows, columns) = (slabs[0], slabs[1]);
    elements(rows).flat_map(move |row| elements(columns).map(move |column| (row, column)))
}

fn check<T: Element + PartialEq>(
    dataset: &h5live::Dataset,
    slabs: &[Slab],
    expected: impl Iterator<Item = T>,
    name: &str,
) {
    let read = dataset.read_vec::<T>(slabs.to_vec()).unwrap();
    assert!(read.into_iter().eq(expected), "{name} {slabs:?}");
}
