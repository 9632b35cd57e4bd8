"""HDF5 files that anyone can read while you write them: h5py's interface, live.

    import h5live as h5py

runs programs written for h5py. Beyond h5py: `follow`, `Dataset.append`, `Dataset.follow`, `File.commit`, `File.refresh`,
`File.writer`.
"""

from . import _errors, _objects, _selector, h5, h5a, h5d, h5ds, h5f, h5fd, h5g, h5i, h5l, h5o, h5p, h5pl, h5r, h5s, h5t, h5z, version
from . import h5py_warnings
from ._hl import filters
from ._hl.attrs import AttributeManager
from ._hl.base import Empty, HLObject, is_hdf5
from ._hl.dataset import Dataset
from ._hl.datatype import Datatype
from ._hl.files import File, register_driver, registered_drivers, unregister_driver
from ._hl.group import ExternalLink, Group, HardLink, SoftLink
from ._hl.vds import VirtualLayout, VirtualSource
from ._install import install_as_h5py
from ._live import WriterDied, follow
from ._multiblock import MultiBlockSlice
from .h5 import get_config
from .h5r import Reference, RegionReference
from .h5s import UNLIMITED
from .h5t import (
    check_complex_dtype,
    check_dtype,
    check_enum_dtype,
    check_opaque_dtype,
    check_ref_dtype,
    check_string_dtype,
    check_vlen_dtype,
    complex_compat_dtype,
    enum_dtype,
    opaque_dtype,
    ref_dtype,
    regionref_dtype,
    special_dtype,
    string_dtype,
    vlen_dtype,
)

__version__ = version.version


def run_tests(args=""):
    """Runs h5py's own tests on h5live, from an installed h5py."""
    raise NotImplementedError("h5live's tests are run from its repository: cargo xtask python")


def enable_ipython_completer():
    """IPython completes keys by itself."""


def get_enum(dt):
    """The names and numbers of an enumeration; deprecated for check_enum_dtype."""
    return check_enum_dtype(dt)
