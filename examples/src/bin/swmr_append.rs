//! Appends to a dataset while others may read it.
//!
//! Usage: `swmr_append [FILENAME [DATASETNAME]]`, by default `swmr.h5` and `data`.
//!
//! The dataset begins with four integers, in chunks of two; then it is set to 4, 8, 12, 16 and 20 elements, and each time
//! the last four are written and published. Readers see the new extent and the new elements at once, or neither.

use h5live::File;
use h5live_examples::{Arguments, Outcome, info, shape};

fn main() -> Outcome {
    let Arguments { file, dataset } = Arguments::from_env("swmr.h5");
    let values = [1i64, 2, 3, 4];
    let len = values.len() as u64;

    info(format_args!("Creating file {}", file.display()));
    let file = File::create(file)?;
    let data = file.new_dataset::<i64>(&dataset).shape([len]).unlimited().chunks([2]).create()?;
    data.write(.., &values)?;
    info("SWMR mode");
    // From now on readers may open the file.
    let live = file.go_live()?;
    for step in 0..5 {
        let dims = [(step + 1) * len];
        info(format_args!("Resizing dset shape: {}", shape(&dims)));
        data.resize(dims)?;
        data.write(step * len.., &values)?;
        live.publish()?;
    }
    Ok(live.close()?)
}
