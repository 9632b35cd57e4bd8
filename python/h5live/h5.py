"""Settings of the package, and the order of indexes."""

INDEX_NAME, INDEX_CRT_ORDER = 0, 1
ITER_INC, ITER_DEC, ITER_NATIVE = 0, 1, 2


class H5PYConfig:
    """Settings of the whole package; `get_config()` gives the one there is."""

    def __init__(self):
        self._r_name, self._i_name = "r", "i"
        self._f_name, self._t_name = b"FALSE", b"TRUE"
        self.track_order = False
        self.default_file_mode = "r"

    @property
    def complex_names(self):
        """The names of a complex number's parts in the file."""
        return (self._r_name, self._i_name)

    @complex_names.setter
    def complex_names(self, names):
        try:
            real, imaginary = (name if isinstance(name, str) else name.decode("utf8") for name in names)
        except Exception:
            raise TypeError("complex_names must be a length-2 sequence of strings (real, img)") from None
        self._r_name, self._i_name = real, imaginary

    @property
    def bool_names(self):
        """The names of false and true in the file."""
        return (self._f_name, self._t_name)

    @bool_names.setter
    def bool_names(self, names):
        try:
            false, true = (name if isinstance(name, bytes) else name.encode("utf8") for name in names)
        except Exception:
            raise TypeError("bool_names must be a length-2 sequence of strings (false, true)") from None
        self._f_name, self._t_name = false, true

    @property
    def read_byte_strings(self):
        return None

    @property
    def mpi(self):
        return False

    @property
    def ros3(self):
        return False

    @property
    def direct_vfd(self):
        return False

    @property
    def has_native_complex(self):
        return False

    @property
    def swmr_min_hdf5_version(self):
        return (1, 9, 178)

    @property
    def vds_min_hdf5_version(self):
        return (1, 9, 233)

    API_16 = False
    API_18 = True


_config = H5PYConfig()


def get_config():
    """The settings of the package."""
    return _config


def get_libversion():
    """The version of HDF5 whose behaviour is offered."""
    from .version import hdf5_version_tuple

    return hdf5_version_tuple


def _open():
    """Nothing to open."""


def _close():
    """Nothing to close."""
