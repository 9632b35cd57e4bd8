"""What h5py never had: commits, following, knowing the writer."""

import asyncio
import os
import time
from collections import namedtuple


from ._h5live import WriterDied  # noqa: F401

class Commit:
    """Publishes what a `with` block changes as one."""

    def __init__(self, file, durable):
        self._file, self._durable = file, durable

    def __enter__(self):
        self._file.begin_commit()
        return self

    def __exit__(self, kind, error, trace):
        # What an error left half done is published with the next commit, or at closing.
        self._file.end_commit(kind is None, self._durable)


class Writer(namedtuple("Writer", ["state", "host", "pid", "since"])):
    """Who writes a file.

    state: 'live'; 'died'; 'closed' (nobody writes); 'foreign' (a libhdf5 SWMR writer, of whom nothing more is known); 'unknown' (the
    filesystem cannot tell whether it lives).
    host, pid: where it is; None when not known. since: when it let readers in, in seconds since 1970.
    """

    __slots__ = ()

    @property
    def age(self):
        """Seconds since it let readers in; None when not known."""
        return None if self.since is None else max(time.time() - self.since, 0.0)

    @property
    def is_live(self):
        return self.state == "live"


class Follow:
    """New rows of a dataset as they are published: an iterator, and an asynchronous one."""

    def __init__(self, dataset, start, timeout, axis):
        self.dataset = dataset
        self._axis = axis
        self._core = dataset._core.follow(start, timeout, axis)
        self.commit = None
        self.published = None
        self.rows = None

    @property
    def ended(self):
        """Why it ended: 'closed', 'died', 'timeout' or 'stopped'; None while it has not."""
        return self._core.ended

    def stop(self):
        """Ends a wait in another thread."""
        self._core.stop()

    def _take(self):
        found = self._core.wait()
        if found is None:
            return None
        start, stop, _, self.commit, self.published = found
        self.rows = range(start, stop)
        return self.dataset[(slice(None),) * self._axis + (slice(start, stop),)]

    def __iter__(self):
        return self

    def __next__(self):
        rows = self._take()
        if rows is None:
            raise StopIteration
        return rows

    def __aiter__(self):
        return self

    async def __anext__(self):
        loop = asyncio.get_running_loop()
        waiting = loop.run_in_executor(None, self._take)
        try:
            rows = await asyncio.shield(waiting)
        except asyncio.CancelledError:
            self.stop()
            await asyncio.gather(waiting, return_exceptions=True)
            raise
        if rows is None:
            raise StopAsyncIteration
        return rows

    def __enter__(self):
        return self

    def __exit__(self, *args):
        self.stop()


def follow(path, timeout=None):
    """Opens a file for reading in whatever state it is, even before its writer lets readers in.

    A dataset of it can be iterated over as it grows: `for rows in h5live.follow(path)["entry/signal"]`. timeout: seconds to wait for
    the file to appear.
    """
    from ._hl.files import File

    until = None if timeout is None else time.monotonic() + timeout
    while True:
        try:
            return Followed(File(os.fspath(path), "r", swmr=True).id)
        except (FileNotFoundError, OSError) as error:
            young = isinstance(error, FileNotFoundError) or "file signature not found" in str(error)
            if not young or until is None or time.monotonic() >= until:
                raise
            time.sleep(0.02)


def _followed_class():
    from ._hl.dataset import Dataset
    from ._hl.files import File

    class FollowedDataset(Dataset):
        """A dataset of a followed file: iterating gives rows as they are published, from the first on."""

        def __iter__(self):
            return self.follow(start=0)

        def __aiter__(self):
            return self.follow(start=0)

    class FollowedFile(File):
        """A followed file."""

        def __getitem__(self, name):
            found = super().__getitem__(name)
            return FollowedDataset(found.id) if type(found) is Dataset else found

    return FollowedFile


def Followed(fid):
    """The file of an identifier, as followers see it."""
    global _Followed
    if _Followed is None:
        _Followed = _followed_class()
    return _Followed(fid)


_Followed = None
