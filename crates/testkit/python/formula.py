"""The values test data is made of, the same in Rust (`formula.rs`) and here.

Element `index` of dataset number `dataset` has one value for each numeric type, made from 64 well-mixed bits. No value is ever
zero, so that a fill value of zero can never pass for data.
"""

import numpy as np

INDEX_STEP = 0x9E3779B97F4A7C15
DATASET_STEP = 0xD1B54A32D192ED03
MIX_1 = 0xBF58476D1CE4E5B9
MIX_2 = 0x94D049BB133111EB


def bits(dataset, start, count):
    """The 64 bits behind elements `start .. start + count` of a dataset, as an array of uint64."""
    with np.errstate(over="ignore"):
        index = np.arange(count, dtype=np.uint64) + np.uint64(start)
        offset = np.uint64((DATASET_STEP * (dataset + 1) + INDEX_STEP) & 0xFFFFFFFFFFFFFFFF)
        z = index * np.uint64(INDEX_STEP) + offset
        z = (z ^ (z >> np.uint64(30))) * np.uint64(MIX_1)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(MIX_2)
        return z ^ (z >> np.uint64(31))


def values(dataset, start, count, dtype):
    """Elements `start .. start + count` of a dataset as an array of `dtype`: any integer type, or a float of 4 or 8 bytes.

    Integers take the uppermost bits and are odd; floats lie in [1, 2).
    """
    dtype = np.dtype(dtype)
    source = bits(dataset, start, count)
    if dtype.kind in "iu":
        width = 8 * dtype.itemsize
        upper = (source >> np.uint64(64 - width)) | np.uint64(1)
        return upper.astype(f"u{dtype.itemsize}").view(dtype.newbyteorder("=")).astype(dtype)
    if dtype.kind == "f" and dtype.itemsize in (4, 8):
        digits = 23 if dtype.itemsize == 4 else 52
        fraction = (source >> np.uint64(64 - digits)).astype(np.float64) * 2.0**-digits
        return (1.0 + fraction).astype(dtype)
    raise TypeError(f"there is no formula for {dtype}")


def rows(dataset, start, count, row_shape, dtype):
    """Rows `start .. start + count`, each of shape `row_shape`, counting elements in row-major order."""
    length = int(np.prod(row_shape, dtype=np.int64))
    return values(dataset, start * length, count * length, dtype).reshape((count, *row_shape))
