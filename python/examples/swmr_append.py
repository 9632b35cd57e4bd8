"""Appends to a dataset that others read meanwhile: h5py's snippet, with only the import changed.

Usage: swmr_append.py [FILENAME]

    FILENAME: the file to create. Default: swmr.h5
"""

import sys

import numpy as np

import h5live as h5py

f = h5py.File(sys.argv[1] if len(sys.argv) > 1 else "swmr.h5", "w", libver="latest")
arr = np.array([1, 2, 3, 4])
dset = f.create_dataset("data", chunks=(2,), maxshape=(None,), data=arr)
f.swmr_mode = True
# From here on, readers may open the file.
for i in range(5):
    dset.resize(((i + 1) * len(arr),))
    dset[i * len(arr) :] = arr
    dset.flush()
    # And here they see the new rows.
    print(dset.shape, flush=True)
f.close()
