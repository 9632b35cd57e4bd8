"""Tells of each growth of a dataset as it happens, without looking over and over.

h5py's program of this kind needs pyinotify and asyncore, which today's Python has no more. Here, `dataset.follow` waits for the
system's notices by itself. Nor must the writer have let readers in before this starts: it is waited for.

Usage: swmr_inotify.py [FILENAME [DATASETNAME]]

    FILENAME:    the file to watch. Default: swmr.h5
    DATASETNAME: the dataset to watch in it. Default: data
"""

import logging
import sys

import h5live


def monitor(file_name, dataset_name):
    """Logs the shape of a dataset whenever it grows, until its writer closes the file."""
    logging.info("Opening file %s", file_name)
    with h5live.follow(file_name, timeout=10) as file:
        dataset = file[dataset_name]
        logging.info("Read data shape: %s", dataset.shape)
        following = dataset.follow(start=dataset.shape[0])
        for rows in following:
            stop = following.rows.stop
            logging.info("Read data shape: %s", (stop, *rows.shape[1:]))
            logging.info("Reading out dataset [%d]", stop)
        logging.info("File writer closed file")
        logging.info("Read data shape: %s", dataset.shape)


if __name__ == "__main__":
    logging.basicConfig(format="%(asctime)s  %(levelname)s\t%(message)s", level=logging.INFO)
    monitor(*(sys.argv[1:3] + ["swmr.h5", "data"][len(sys.argv) - 1 :]))
