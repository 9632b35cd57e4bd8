"""Filters: their numbers, and which there are."""

import ctypes

from . import _h5live

FILTER_ERROR, FILTER_NONE, FILTER_ALL = -1, 0, 0
FILTER_DEFLATE, FILTER_SHUFFLE, FILTER_FLETCHER32, FILTER_SZIP, FILTER_NBIT, FILTER_SCALEOFFSET = range(1, 7)
FILTER_LZF = 32000
FILTER_RESERVED, FILTER_MAX = 256, 65535
FILTER_NMAX = 32
FLAG_DEFMASK, FLAG_MANDATORY, FLAG_OPTIONAL = 0xFF, 0, 1
FLAG_INVMASK, FLAG_REVERSE, FLAG_SKIP_EDC = 0xFF00, 0x100, 0x200
FILTER_CONFIG_ENCODE_ENABLED, FILTER_CONFIG_DECODE_ENABLED = 1, 2
SO_FLOAT_DSCALE, SO_FLOAT_ESCALE, SO_INT, SO_INT_MINBITS_DEFAULT = 0, 1, 2, 0
SZIP_ALLOW_K13_OPTION_MASK, SZIP_CHIP_OPTION_MASK, SZIP_EC_OPTION_MASK = 1, 2, 4
SZIP_MAX_PIXELS_PER_BLOCK, SZIP_NN_OPTION_MASK = 32, 32
ENABLE_EDC, DISABLE_EDC, NO_EDC, ERROR_EDC = 1, 0, 2, -1
CLASS_T_VERS = 1

# Built-in filters that a program has asked to forget: they are no longer offered.
_forgotten = set()


def filter_avail(filter_code):
    """Whether chunks with this filter can be read."""
    return filter_code not in _forgotten and _h5live.filter_config(int(filter_code)) is not None


def get_filter_info(filter_code):
    """FILTER_CONFIG_ENCODE_ENABLED and FILTER_CONFIG_DECODE_ENABLED, as far as they hold."""
    config = _h5live.filter_config(int(filter_code))
    if config is None:
        raise RuntimeError(f"Unable to get filter info (required filter {filter_code} was not located)")
    return config


class _FilterClass(ctypes.Structure):
    """The beginning of libhdf5's description of a filter."""

    _fields_ = [("version", ctypes.c_int), ("id", ctypes.c_int)]


def register_filter(cls_pointer_address):
    """Offers a filter again that was unregistered. True if it is one of those that are built in.

    The code of libhdf5's plugins cannot be called from here; the usual ones are built in under the same numbers.
    """
    code = _FilterClass.from_address(cls_pointer_address).id
    _forgotten.discard(code)
    return filter_avail(code)


def unregister_filter(filter_code):
    """Offers a filter no longer. False, and nothing done, for those that are plugins of libhdf5 but built in here.

    Who unregisters one of these means to put a plugin in its place, which cannot be: chunks would then be unreadable.
    """
    if not filter_avail(filter_code):
        raise RuntimeError(f"Unable to unregister filter (filter {filter_code} is not registered)")
    if filter_code >= FILTER_RESERVED and filter_code != FILTER_LZF:
        return False
    _forgotten.add(filter_code)
    return True
