"""What low-level objects have in common."""

import threading

# h5py serialises all calls by one lock, which programs sometimes take. Here nothing waits for it.
phil = threading.RLock()


def with_phil(func):
    """As it is: calls need no lock here."""
    return func


def _after_fork():
    phil._at_fork_reinit()


try:
    import os

    os.register_at_fork(before=phil.acquire, after_in_parent=phil.release, after_in_child=_after_fork)
except AttributeError:
    pass


class ObjectID:
    """An identifier of h5py's low-level interface, around an object of the Rust side (or a number, for tests of equality)."""

    __slots__ = ("_core", "_closed", "__dict__", "__weakref__")

    def __init__(self, core=None):
        self._core = core
        self._closed = False

    @property
    def id(self):
        """A number that no other object of the process has at the same time; 0 when closed."""
        if isinstance(self._core, int):
            return self._core
        return id(self) if self._is_valid() else 0

    @property
    def valid(self):
        return self._is_valid()

    @property
    def locked(self):
        return False

    @property
    def fileno(self):
        """A number that all objects of one open file have in common."""
        return self._core.file.number

    def _is_valid(self):
        if self._closed or self._core is None:
            return False
        return isinstance(self._core, int) or self._core.file.is_open

    def _close(self):
        self._closed = True

    close = _close

    def __bool__(self):
        return self._is_valid()

    def _identity(self):
        """What tells whether two identifiers are of the same thing."""
        if isinstance(self._core, int) or self._core is None:
            return self._core
        if not self._is_valid():
            return None
        return (self._core.file.number, self._core.address)

    def __eq__(self, other):
        if self is other:
            return True
        if not isinstance(other, ObjectID):
            return NotImplemented
        mine = self._identity()
        return mine is not None and mine == other._identity()

    def __ne__(self, other):
        equal = self.__eq__(other)
        return equal if equal is NotImplemented else not equal

    def __hash__(self):
        mine = self._identity()
        if not isinstance(mine, tuple):
            raise TypeError("Objects of class ObjectID cannot be hashed")
        return hash(mine)

    def __copy__(self):
        return type(self)(self._core)

    def __reduce__(self):
        raise TypeError("h5py objects cannot be pickled")

    def __repr__(self):
        state = hex(self.id) if self._is_valid() else "closed"
        return f"<{type(self).__name__} [{state}]>"
