"""Files."""

import errno
import os
import warnings

from .. import _h5live, _pickle, h5, h5f, h5fd, h5p
from .._h5live import Doing
from ..h5py_warnings import H5pyDeprecationWarning  # noqa: F401
from .base import phil, with_phil  # noqa: F401
from .compat import filename_decode
from .group import Group

mpi = False
ros3 = False
direct_vfd = False
hdf5_version = (2, 0, 0)

libver_dict = {
    "earliest": h5f.LIBVER_EARLIEST,
    "v108": h5f.LIBVER_V18,
    "v110": h5f.LIBVER_V110,
    "v112": h5f.LIBVER_V112,
    "v114": h5f.LIBVER_V114,
    "v200": h5f.LIBVER_V200,
    "latest": h5f.LIBVER_LATEST,
}
libver_dict_r = {number: name for name, number in libver_dict.items() if name != "latest"}


def _set_fapl_mpio(plist, **kwargs):
    raise RuntimeError("h5live reads and writes files without MPI")


def _set_fapl_fileobj(plist, **kwargs):
    plist.set_fileobj_driver(h5fd.fileobj_driver, kwargs.get("fileobj"))


_drivers = {
    "sec2": lambda plist, **kwargs: plist.set_fapl_sec2(**kwargs),
    "stdio": lambda plist, **kwargs: plist.set_fapl_stdio(**kwargs),
    "core": lambda plist, **kwargs: plist.set_fapl_core(**kwargs),
    "family": lambda plist, **kwargs: plist.set_fapl_family(memb_fapl=plist.copy(), **kwargs),
    "fileobj": _set_fapl_fileobj,
    "split": lambda plist, **kwargs: plist.set_fapl_split(**kwargs),
}


def register_driver(name, set_fapl):
    """Makes `driver=name` call `set_fapl(plist, **kwds)`."""
    _drivers[name] = set_fapl


def unregister_driver(name):
    """Takes back a registered driver."""
    del _drivers[name]


def registered_drivers():
    """The names that `driver=` takes."""
    return frozenset(_drivers)


def make_fapl(
    driver,
    libver=None,
    rdcc_nslots=None,
    rdcc_nbytes=None,
    rdcc_w0=None,
    locking=None,
    page_buf_size=None,
    min_meta_keep=0,
    min_raw_keep=0,
    alignment_threshold=1,
    alignment_interval=1,
    meta_block_size=None,
    **kwds,
):
    """The property list of the access to a file."""
    plist = h5p.create(h5p.FILE_ACCESS)
    if libver is not None:
        if libver in libver_dict:
            low, high = libver_dict[libver], h5f.LIBVER_LATEST
        else:
            low, high = (libver_dict[bound] for bound in libver)
        plist.set_libver_bounds(low, high)
    cache = list(plist.get_cache())
    for at, value in ((1, rdcc_nslots), (2, rdcc_nbytes), (3, rdcc_w0)):
        if value is not None:
            cache[at] = value
    plist.set_cache(*cache)
    plist.set_alignment(alignment_threshold, alignment_interval)
    if page_buf_size:
        plist.set_page_buffer_size(int(page_buf_size), int(min_meta_keep), int(min_raw_keep))
    if meta_block_size is not None:
        plist.set_meta_block_size(int(meta_block_size))
    if locking is not None:
        if locking in ("false", False):
            plist.set_file_locking(False, False)
        elif locking in ("true", True):
            plist.set_file_locking(True, False)
        elif locking == "best-effort":
            plist.set_file_locking(True, True)
        else:
            raise ValueError(f"Unsupported locking value: {locking}")
    if driver is None or (driver == "windows" and os.name == "nt"):
        if kwds:
            raise TypeError(f"'{next(iter(kwds))}' is an invalid keyword argument for this function")
        return plist
    try:
        set_fapl = _drivers[driver]
    except KeyError:
        raise ValueError(f"Unknown driver type {driver!r}") from None
    set_fapl(plist, **kwds)
    return plist


def make_fcpl(track_order=False, track_times=False, fs_strategy=None, fs_persist=False, fs_threshold=1, fs_page_size=None):
    """The property list of the creation of a file."""
    strategies = {"fsm": 0, "page": 1, "aggregate": 2, "none": 3}
    plist = h5p.create(h5p.FILE_CREATE)
    if track_order:
        order = h5p.CRT_ORDER_TRACKED | h5p.CRT_ORDER_INDEXED
        plist.set_link_creation_order(order)
        plist.set_attr_creation_order(order)
    if fs_strategy is not None:
        if fs_strategy not in strategies:
            raise ValueError("Invalid file space strategy type")
        plist.set_file_space_strategy(strategies[fs_strategy], fs_persist, fs_threshold)
        if fs_page_size and fs_strategy == "page":
            plist.set_file_space_page_size(int(fs_page_size))
    return plist


def _modes(mode):
    """The modes to try, in order."""
    return {
        "r": ("r",),
        "r+": ("r+",),
        "w": ("w",),
        "w-": ("x",),
        "x": ("x",),
        "a": ("r+", "x"),
    }[mode]


class File(Group):
    """An HDF5 file.

    name: its path, or a Python file object.
    mode: r (default), r+, w, w- or x, a.
    swmr: read a file while others write it. (Here, mode r reads it as well; swmr=True does not wait for the writer to let
        readers in.)
    strict: together with `swmr_mode = True`, raise libhdf5's own flags: its readers are then refused unless they ask for SWMR.
    driver, libver, userblock_size, rdcc_*, track_order, fs_*, page_buf_size, locking, alignment_*, meta_block_size: as h5py has
        them.
    """

    def __init__(
        self,
        name,
        mode="r",
        driver=None,
        libver=None,
        userblock_size=None,
        swmr=False,
        rdcc_nslots=None,
        rdcc_nbytes=None,
        rdcc_w0=None,
        track_order=None,
        fs_strategy=None,
        fs_persist=False,
        fs_threshold=1,
        fs_page_size=None,
        page_buf_size=None,
        min_meta_keep=0,
        min_raw_keep=0,
        locking=None,
        alignment_threshold=1,
        alignment_interval=1,
        meta_block_size=None,
        *,
        track_times=False,
        strict=False,
        **kwds,
    ):
        if isinstance(name, h5f.FileID):
            Group.__init__(self, name)
            return
        if mode is None:
            mode = h5.get_config().default_file_mode
        fileobj = None
        if hasattr(name, "read") and hasattr(name, "seek"):
            if driver not in (None, "fileobj"):
                raise ValueError("Driver must be 'fileobj' for file-like object if specified.")
            driver, fileobj = "fileobj", name
            if kwds.get("fileobj", name) != name:
                raise ValueError("Invalid value of 'fileobj' argument; must equal to file-like object if specified.")
            kwds.update(fileobj=name)
            name = repr(name)
        else:
            name = filename_decode(name)
        if track_order is None:
            track_order = h5.get_config().track_order
        if fs_strategy and mode not in ("w", "w-", "x"):
            raise ValueError("Unable to set file space strategy of an existing file")
        swmr = bool(swmr)
        if swmr and mode != "r":
            warnings.warn(
                "swmr=True only affects read ('r') mode. For swmr write mode, set f.swmr_mode = True after opening the file. "
                f"With h5live, open '{name}' without swmr=True, create what it is to hold, and set f.swmr_mode = True (or call "
                "f.go_live()) when readers may come.",
                stacklevel=2,
            )
        if mode not in ("r", "r+", "w", "w-", "x", "a"):
            raise ValueError("Invalid mode; must be one of r, r+, w, w-, x, a")
        if page_buf_size and mode in ("w", "w-", "x") and fs_strategy != "page":
            raise OSError("Unable to synchronously create file (page buffering needs fs_strategy='page')")
        if userblock_size is not None:
            _check_userblock(userblock_size, mode)
        fapl = make_fapl(
            driver,
            libver,
            rdcc_nslots,
            rdcc_nbytes,
            rdcc_w0,
            locking,
            page_buf_size,
            min_meta_keep,
            min_raw_keep,
            alignment_threshold,
            alignment_interval,
            meta_block_size,
            **kwds,
        )
        fcpl = make_fcpl(track_order, track_times, fs_strategy, fs_persist, fs_threshold, fs_page_size)
        opener = _opener(name, fapl, fileobj, swmr, track_order, userblock_size or 0, locking)
        created = mode in ("w", "w-", "x") or (mode == "a" and fileobj is None and not os.path.exists(name))
        core = _open(opener if fileobj is not None else _explained(opener, name), mode, userblock_size)
        # Whoever opened the object decides how long it lives.
        fapl._values["fileobj"] = None
        core.ask({"fapl": fapl, "fcpl": fcpl, "strict": strict, "swmr": swmr and mode == "r", "created": created})
        Group.__init__(self, h5f.FileID(core))
        said = core.warning()
        if said is not None:
            warnings.warn(f"{self.filename}: {said}", RuntimeWarning, stacklevel=2)

    @classmethod
    def in_memory(cls, file_image=None, **kwargs):
        """A file in memory: empty, or the one that the bytes are."""
        track_order = kwargs.pop("track_order", None)
        if track_order is None:
            track_order = h5.get_config().track_order
        fapl = make_fapl("core", backing_store=False, **{k: v for k, v in kwargs.items() if k in _FAPL_KEYWORDS})
        unknown = set(kwargs) - _FAPL_KEYWORDS - _FCPL_KEYWORDS
        if unknown:
            raise TypeError(f"in_memory() got unexpected keyword arguments {sorted(unknown)}")
        if file_image is None:
            core = _h5live.File.open_memory("w", None, track_order)
        else:
            core = _h5live.File.open_memory("r+", bytes(file_image))
        core.ask({"fapl": fapl})
        return cls(h5f.FileID(core))

    @classmethod
    def _of(cls, oid):
        """The file an object is in."""
        return cls(h5f.FileID(oid._core.file))

    # --- what it is ---

    @property
    def attrs(self):
        """The attributes of the root group."""
        from . import attrs

        # As h5py, which opens the root group for this.
        self._id._require(Doing.OpenObject)
        return attrs.AttributeManager(self)

    @property
    def filename(self):
        """Its path."""
        return filename_decode(self.id.name)

    @property
    def driver(self):
        """The name of its driver."""
        self.id._require(Doing.LookAtFile)
        names = {h5fd.SEC2: "sec2", h5fd.STDIO: "stdio", h5fd.CORE: "core", h5fd.FAMILY: "family", h5fd.MULTI: "split"}
        names[h5fd.fileobj_driver] = "fileobj"
        return names.get(self.id.get_access_plist().get_driver(), "unknown")

    @property
    def mode(self):
        """r or r+."""
        self.id._require(Doing.LookAtFile)
        return "r+" if self.id._file.writable else "r"

    @property
    def libver(self):
        """The bounds of the file's versions, as they were asked for."""
        self.id._require(Doing.LookAtFile)
        low, high = self.id.get_access_plist().get_libver_bounds()
        return (libver_dict_r[low], libver_dict_r[high])

    @property
    def userblock_size(self):
        """Bytes in front of the file, for whatever."""
        self.id._require(Doing.LookAtFile)
        return self.id._file.userblock_size

    @property
    def meta_block_size(self):
        self.id._require(Doing.LookAtFile)
        return self.id.get_access_plist().get_meta_block_size()

    # --- live ---

    @property
    def swmr_mode(self):
        """Whether the file is live, or was opened to be read as such; set to True to let readers in."""
        self.id._require(Doing.LookAtFile)
        file = self.id._file
        if file.is_live or not file.is_open or file.writable or file.is_elsewhere:
            return file.is_live
        # A reader that did not ask for it reads along all the same.
        return file.writer()[0] in ("live", "foreign")

    @swmr_mode.setter
    def swmr_mode(self, value):
        if not value:
            raise ValueError("It is not possible to forcibly switch SWMR mode off.")
        self.id._file.go_live(bool(self.id._asked("strict")))

    def go_live(self, strict=False):
        """Lets readers in, as `swmr_mode = True`. strict: libhdf5's readers only if they ask for SWMR, as with its own writers."""
        self.id._file.go_live(strict)

    def commit(self, durable=False):
        """Publishes everything changed in a `with` block as one: readers see all of it or nothing.

        durable: return only when it survives a loss of power. Flushing in between publishes nothing.
        """
        from .._live import Commit

        return Commit(self.id._file, durable)

    def refresh(self):
        """Shows what was published since the last look, in all datasets as of one commit. Tells whether anything changed."""
        return self.id._file.refresh()

    @property
    def writer(self):
        """Who writes the file: state, host, pid, age."""
        from .._live import Writer

        return Writer(*self.id._file.writer())

    @property
    def last_commit(self):
        """Number of the last commit; None unless the file is live."""
        return self.id._file.last_commit()

    def flush(self, durable=False):
        """Makes changes visible to readers. durable: and return only when they survive a loss of power."""
        self.id._file.publish(durable)

    def close(self):
        """Closes the file, and with it all its objects. Does nothing if that was done."""
        if self.id.valid:
            self.id._file.close()

    def __enter__(self):
        return self

    def __exit__(self, *args):
        if self.id:
            self.close()

    def __reduce__(self):
        """By path and mode: what is unpickled in another process is opened there. A live file is opened as a reader of it."""
        self.id._require(Doing.LookAtFile)
        if self.id._file.is_elsewhere:
            raise TypeError("a file in memory, or in a Python object, cannot be pickled: other processes could not open it")
        if self.swmr_mode:
            return _pickle.open_file, (self.filename, "r", True)
        if self.id._asked("created"):
            raise TypeError(
                f"'{self.filename}' is being created, and no other process could open it: h5py objects cannot be pickled before "
                "`swmr_mode = True` lets readers in, or the file is closed and opened again"
            )
        return _pickle.open_file, (self.filename, self.mode, bool(self.id._asked("swmr")))

    def __repr__(self):
        if not self.id:
            return "<Closed HDF5 file>"
        name = self.filename
        if isinstance(name, bytes):
            name = name.decode("utf8", "replace")
        return f'<HDF5 file "{os.path.basename(name)}" (mode {self.mode})>'


_FAPL_KEYWORDS = {
    "libver", "rdcc_nslots", "rdcc_nbytes", "rdcc_w0", "locking", "page_buf_size", "min_meta_keep", "min_raw_keep",
    "alignment_threshold", "alignment_interval", "meta_block_size", "block_size",
}  # fmt: skip
_FCPL_KEYWORDS = {"track_times", "fs_strategy", "fs_persist", "fs_threshold", "fs_page_size"}


def _check_userblock(size, mode):
    if mode in ("r", "r+"):
        raise ValueError("User block may only be specified when creating a file")
    try:
        size = int(size)
    except (TypeError, ValueError):
        raise ValueError("User block size must be an integer") from None
    if size != 0 and (size < 512 or size & (size - 1)):
        raise ValueError("User block size must be a power of 2 and at least 512")


def _opener(name, fapl, fileobj, swmr, track_order, userblock, locking):
    """A function that opens the file in one mode, for the driver."""
    driver = fapl.get_driver()
    if driver == h5fd.fileobj_driver:
        fileobj = fapl._values["fileobj"] if fileobj is None else fileobj
        if not hasattr(fileobj, "seek"):
            raise ValueError("the driver 'fileobj' needs a file-like object")
        return lambda mode: _h5live.File.open_object(mode, fileobj, track_order, name)
    if driver == h5fd.CORE:
        _, store = fapl.get_fapl_core()
        return lambda mode: _open_core(name, mode, store, track_order, fapl._values["image"])
    if driver in (h5fd.FAMILY, h5fd.MULTI):
        raise NotImplementedError("files in several parts cannot be opened; write them into one with h5repack")
    locking_as = None if locking is None else str(locking).lower()
    lock = locking not in (False, "false") and os.environ.get("HDF5_USE_FILE_LOCKING", "").upper() not in ("FALSE", "0")
    return lambda mode: _h5live.File.open(
        name, mode, swmr=swmr, track_order=track_order, locking=lock, userblock=userblock, locking_as=locking_as
    )


def _open_core(name, mode, store, track_order, image):
    """A file in memory, written to its path when it is closed if `store` says so."""
    exists = os.path.exists(name)
    if mode == "x" and exists:
        raise FileExistsError(17, f"Unable to synchronously create file (unable to open file: File exists): '{name}'")
    if mode in ("r", "r+") and image is None:
        with open(name, "rb") as file:
            image = file.read()
    if mode == "r+" and not image:
        # As with libhdf5: what has no bytes yet is a file all the same, for this driver.
        mode = "w"
    if mode in ("w", "x"):
        image = None
    return _h5live.File.open_memory(mode, image, track_order, name, store and mode != "r")


def _explained(opener, name):
    """An opener whose errors are of the subclasses of OSError that the operating system's would be."""

    def explained(mode):
        doing = "open" if mode in ("r", "r+") else "create"
        phrase = f"Unable to synchronously {doing} file (unable to open file: name = '{name}', errno = %d, error message = '%s')"
        try:
            return opener(mode)
        except OSError as error:
            if error.errno is not None:
                raise
            if mode == "x" and os.path.exists(name):
                text = ": mode 'w' would replace it, mode 'a' add to it"
                raise FileExistsError(errno.EEXIST, phrase % (errno.EEXIST, "File exists") + text) from None
            if os.path.isdir(name):
                raise IsADirectoryError(errno.EISDIR, phrase % (errno.EISDIR, "Is a directory")) from None
            raise

    return explained


def _open(opener, mode, userblock):
    """The file in the first mode that goes."""
    if mode == "a":
        try:
            core = opener("r+")
        except FileNotFoundError:
            return opener("x")
        if userblock is not None and core.userblock_size != userblock:
            core.close()
            raise ValueError(f"Requested userblock size ({userblock}) does not match that of existing file")
        return core
    return opener(_modes(mode)[0])
