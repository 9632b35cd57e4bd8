"""Versions: of h5live, and of what it stands in for."""

import sys
from collections import namedtuple

import numpy as np

from . import _h5live

h5live_version = _h5live.__version__

# Programs compare these with what h5py has, by position and by name.
version = "3.16.0"
version_tuple = namedtuple("Version", "major minor bugfix pre post dev")(3, 16, 0, None, None, None)
hdf5_version = "2.0.0"
hdf5_version_tuple = (2, 0, 0)
hdf5_built_version_tuple = (2, 0, 0)
api_version = "1.8"
api_version_tuple = (1, 8)

info = f"""\
Summary of the h5live configuration
-----------------------------------

h5live {h5live_version} (no libhdf5; behaves as h5py {version} with HDF5 {hdf5_version})
Python {sys.version}
sys.platform {sys.platform}
numpy {np.__version__}
"""
