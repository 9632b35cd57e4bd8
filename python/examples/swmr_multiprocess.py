"""Writes a dataset in one process and reads it in another, which a `multiprocessing.Event` wakes: h5py's program of this kind.

Usage: swmr_multiprocess.py [FILENAME [DATASETNAME]]

    FILENAME:    the file to write and read. Default: swmrmp.h5
    DATASETNAME: the dataset in it. Default: data
"""

import logging
import sys
from multiprocessing import Event, Process

import numpy as np

import h5live as h5py

TIMEOUT = 10.0
ROWS, APPENDS = 4, 5


def set_up_logging():
    # Processes that are spawned rather than forked begin with none.
    logging.basicConfig(format="%(levelname)10s  %(asctime)s  %(name)10s  %(message)s", level=logging.INFO)


class SwmrReader(Process):
    """Reads the shape at each event, until none comes any more."""

    def __init__(self, event, fname, dsetname, timeout=TIMEOUT):
        super().__init__()
        self._event, self._fname, self._dsetname, self._timeout = event, fname, dsetname, timeout

    def run(self):
        set_up_logging()
        log = logging.getLogger("reader")
        log.info("Waiting for initial event")
        assert self._event.wait(self._timeout)
        self._event.clear()

        log.info("Opening file %s", self._fname)
        with h5py.File(self._fname, "r", libver="latest", swmr=True) as f:
            assert f.swmr_mode
            dset = f[self._dsetname]
            log.info("Read dset shape: %s", dset.shape)
            # Once what is written last is seen, there is nothing to wait for.
            while dset.shape != (ROWS * APPENDS,) and self._event.wait(self._timeout):
                self._event.clear()
                log.debug("Refreshing dataset")
                dset.refresh()
                log.info("Read dset shape: %s", dset.shape)


class SwmrWriter(Process):
    """Appends five times, and sets the event each time."""

    def __init__(self, event, fname, dsetname):
        super().__init__()
        self._event, self._fname, self._dsetname = event, fname, dsetname

    def run(self):
        set_up_logging()
        log = logging.getLogger("writer")
        log.info("Creating file %s", self._fname)
        with h5py.File(self._fname, "w", libver="latest") as f:
            arr = np.arange(1, ROWS + 1)
            dset = f.create_dataset(self._dsetname, chunks=(2,), maxshape=(None,), data=arr)
            assert not f.swmr_mode

            log.info("SWMR mode")
            f.swmr_mode = True
            assert f.swmr_mode
            log.debug("Sending initial event")
            self._event.set()

            for i in range(APPENDS):
                new_shape = ((i + 1) * len(arr),)
                log.info("Resizing dset shape: %s", new_shape)
                dset.resize(new_shape)
                log.debug("Writing data")
                dset[i * len(arr) :] = arr
                log.debug("Flushing data")
                dset.flush()
                log.info("Sending event")
                self._event.set()


if __name__ == "__main__":
    set_up_logging()
    fname, dsetname = sys.argv[1:3] + ["swmrmp.h5", "data"][len(sys.argv) - 1 :]
    event = Event()
    reader = SwmrReader(event, fname, dsetname)
    writer = SwmrWriter(event, fname, dsetname)
    logging.info("Starting reader")
    reader.start()
    logging.info("Starting writer")
    writer.start()
    logging.info("Waiting for writer to finish")
    writer.join()
    logging.info("Waiting for reader to finish")
    reader.join()
    sys.exit(writer.exitcode or reader.exitcode)
