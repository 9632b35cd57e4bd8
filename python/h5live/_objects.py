"""What low-level objects have in common."""

import threading
from collections import OrderedDict, deque

from ._h5live import Doing

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


# What the Rust side calls an object that was opened by its address rather than by a path.
_BY_ADDRESS = "<object at "
_MOST_FILES = 32
# Paths by address, of the files whose objects were asked for theirs: number of the file to a dictionary.
_paths = OrderedDict()


def path_of(core):
    """The path of an object; for one that was found by a reference, a path that leads to it: None if there is none."""
    path = core.path
    if not path.startswith(_BY_ADDRESS):
        return path
    root, address = core.file.root(), core.address
    known = _paths.get(core.file.number, {}).get(address)
    if known is not None and known in root and root.open(known).address == address:
        return known
    found = _paths[core.file.number] = _walk(root)
    _paths.move_to_end(core.file.number)
    while len(_paths) > _MOST_FILES:
        _paths.popitem(last=False)
    return found.get(address)


def _walk(root):
    """The shortest path to every object, by address."""
    found = {root.address: "/"}
    groups = deque([(root, "/")])
    while groups:
        group, prefix = groups.popleft()
        for name, target, _ in group.links():
            if target[0] != "hard" or target[1] in found:
                continue
            found[target[1]] = prefix + name
            member = group.open(name)
            if type(member).__name__ == "Group":
                groups.append((member, prefix + name + "/"))
    return found


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
        return int(self._is_valid())

    @property
    def locked(self):
        return False

    @property
    def fileno(self):
        """A number that all objects of one open file have in common."""
        self._require(Doing.Look)
        return self._core.file.number

    def _is_valid(self):
        if self._closed or self._core is None:
            return False
        return isinstance(self._core, int) or self._core.is_open

    def _require(self, doing):
        """Refuses, as h5py does, what is closed. Where the Rust side is asked anyway, it refuses by itself."""
        if not self._is_valid():
            raise doing.closed()

    def _close(self):
        self._closed = True
        if not (self._core is None or isinstance(self._core, int)):
            self._core.close()

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
            raise TypeError(f"Objects of class {type(self).__name__} cannot be hashed")
        return hash(mine)

    def __copy__(self):
        # Closed by itself, as the one it was copied from.
        return type(self)(self._core if isinstance(self._core, int) else self._core.file.root().open_at(self._core.address))

    def __reduce__(self):
        raise TypeError("h5py objects cannot be pickled")

    def __repr__(self):
        state = hex(self.id) if self._is_valid() else "closed"
        return f"<{type(self).__name__} [{state}]>"
