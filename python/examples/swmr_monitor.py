"""Prints the shape of a growing dataset, over and over, as h5py's snippet does, with only the import changed.

Usage: swmr_monitor.py [FILENAME [SPELLING]]

    FILENAME: the file to read. Default: swmr.h5
    SPELLING: high for `dset.refresh()`, low for `dset.id.refresh()`: they do the same. Default: high
"""

import sys

import h5live as h5py

f = h5py.File(sys.argv[1] if len(sys.argv) > 1 else "swmr.h5", "r", libver="latest", swmr=True)
dset = f["data"]
refresh = dset.id.refresh if sys.argv[2:] == ["low"] else dset.refresh
while True:
    refresh()
    print(dset.shape, flush=True)
