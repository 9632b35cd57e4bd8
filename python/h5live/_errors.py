"""libhdf5 prints its errors unless it is told not to; so does this, if it is told to."""

import sys
from contextlib import contextmanager

_loud = False


def silence_errors():
    """Prints nothing: as it is at first."""
    global _loud
    _loud = False


def unsilence_errors():
    """Prints an error on stderr when it is raised."""
    global _loud
    _loud = True


def tell(error):
    """Prints an error, if that is wanted."""
    if _loud:
        print(f"h5live: {error}", file=sys.stderr)


@contextmanager
def silent():
    """Prints nothing in a `with` block."""
    global _loud
    before, _loud = _loud, False
    try:
        yield
    finally:
        _loud = before
