//! Opening a file of many datasets.

use crate::contest::{Contest, Contestant, Outcome, Work};
use crate::h5py;

/// Opening a file of 3,100 datasets in 31 groups, and telling the shape and type of each.
pub(crate) fn open_and_list(contest: &Contest) -> Outcome {
    let path = contest.path("many.h5");
    let file = h5live::File::create(&path)?;
    for group in 0..31 {
        let group = file.create_group(&format!("group{group:02}"))?;
        for dataset in 0..100 {
            let dataset =
                group.new_dataset::<f64>(&format!("dataset{dataset:02}")).shape([0, 4]).unlimited().create()?;
            dataset.set_attribute("number", 1i64)?;
        }
    }
    file.close()?;
    contest.hold(
        5,
        &Work::Operations(3100),
        vec![
            Contestant::new("h5live", || {
                let file = h5live::File::open(&path)?;
                let mut seen = 0;
                for member in file.members()? {
                    let group = file.group(&member.name)?;
                    for link in group.links()? {
                        let dataset = group.dataset(&link.name)?;
                        assert_eq!(dataset.shape(), [0, 4]);
                        assert_eq!(dataset.datatype().size(), 8);
                        seen += 1;
                    }
                }
                assert_eq!(seen, 3100);
                Ok(())
            }),
            Contestant::measured("h5py", || {
                h5py::run(
                    &path,
                    "begun = time.perf_counter()\n\
                     f = h5py.File(path, 'r'); seen = 0\n\
                     for group in f.values():\n\
                     \x20   for dataset in group.values():\n\
                     \x20       assert dataset.shape == (0, 4) and dataset.dtype.itemsize == 8; seen += 1\n\
                     assert seen == 3100\n\
                     seconds = time.perf_counter() - begun",
                )
            }),
        ],
    )
}
