"""Files."""

import io
import os

from . import _h5live, h5g, h5p, h5t
from ._h5live import Doing

ACC_RDONLY, ACC_RDWR, ACC_TRUNC, ACC_EXCL, ACC_CREAT = 0, 1, 2, 4, 16
ACC_SWMR_WRITE, ACC_SWMR_READ = 0x20, 0x40
SCOPE_LOCAL, SCOPE_GLOBAL = 0, 1
CLOSE_DEFAULT, CLOSE_WEAK, CLOSE_SEMI, CLOSE_STRONG = range(4)
OBJ_FILE, OBJ_DATASET, OBJ_GROUP, OBJ_DATATYPE, OBJ_ATTR, OBJ_ALL, OBJ_LOCAL = 1, 2, 4, 8, 16, 31, 32
UNLIMITED = 2**64 - 1
LIBVER_EARLIEST, LIBVER_V18, LIBVER_V110, LIBVER_V112, LIBVER_V114, LIBVER_V200 = range(6)
LIBVER_LATEST = LIBVER_V200
FILE_SPACE_ALL_PERSIST, FILE_SPACE_ALL, FILE_SPACE_AGGR_VFD, FILE_SPACE_VFD = 1, 2, 3, 4
FSPACE_STRATEGY_FSM_AGGR, FSPACE_STRATEGY_PAGE, FSPACE_STRATEGY_AGGR, FSPACE_STRATEGY_NONE = range(4)


class FileID(h5g.GroupID):
    """An open file; also its root group."""

    def __init__(self, file, plist=None):
        self._file = file
        self._descriptor = None
        self._hits = 0.0
        super().__init__(file.root())

    @property
    def name(self):
        self._require(Doing.NameFile)
        return os.fsencode(self._file.path)

    def _name(self):
        return "/"

    def _asked(self, what):
        """What the file was opened with."""
        return (self._file.asked() or {}).get(what)

    def _is_valid(self):
        return not self._closed and self._file.is_open

    def close(self):
        """Closes this identifier. The file stays open for what came from it; `File.close` closes that as well."""
        super()._close()
        self._file.close_identifier()

    _close = close

    def __copy__(self):
        return FileID(self._core.file)

    def _names(self):
        # h5py opens the root group for this.
        self._require(Doing.OpenObject)
        return super()._names()

    def _close_open_objects(self, types):
        if types & OBJ_FILE:
            self._file.close()

    def reopen(self):
        self._require(Doing.Reopen)
        return FileID(self._core.file)

    def flush(self):
        self._file.publish()

    def get_filesize(self):
        self._require(Doing.LookIntoFile)
        return os.path.getsize(self._file.path)

    def get_create_plist(self):
        self._require(Doing.LookAtFile)
        plist = h5p.PropFCID()
        plist.set_userblock(self._file.userblock_size)
        if self._core.tracks_order:
            plist.set_link_creation_order(h5p.CRT_ORDER_TRACKED | h5p.CRT_ORDER_INDEXED)
            plist.set_attr_creation_order(h5p.CRT_ORDER_TRACKED | h5p.CRT_ORDER_INDEXED)
        return plist

    def get_access_plist(self):
        self._require(Doing.LookAtFile)
        plist = self._asked("fapl")
        return h5p.PropFAID() if plist is None else plist

    def get_intent(self):
        self._require(Doing.LookAtFile)
        return ACC_RDWR if self._file.writable else ACC_RDONLY

    def get_freespace(self):
        self._require(Doing.LookAtFile)
        return 0

    def get_vfd_handle(self, fapl=None):
        """A descriptor of the file, of this process's own."""
        self._require(Doing.LookAtFile)
        if self._file.is_elsewhere:
            return id(self._file)
        if self._descriptor is None:
            self._descriptor = os.open(self._file.path, os.O_RDWR if self._file.writable else os.O_RDONLY)
        return self._descriptor

    def __del__(self):
        if getattr(self, "_descriptor", None) is not None:
            os.close(self._descriptor)

    def get_file_image(self):
        return self._file.image()

    def start_swmr_write(self):
        self._file.go_live()

    # libhdf5's cache of metadata has no counterpart: these answer, and change nothing.

    def get_mdc_config(self):
        self._require(Doing.LookAtFile)
        return h5p.CacheConfig()

    def set_mdc_config(self, config):
        """Nothing to set."""

    def get_mdc_hit_rate(self):
        self._require(Doing.LookIntoFile)
        return self._hits

    def get_mdc_size(self):
        self._require(Doing.LookIntoFile)
        return (0, 0, 0, 0)

    def reset_mdc_hit_rate_stats(self):
        self._require(Doing.LookAtFile)
        self._hits = 0.0

    def get_page_buffering_stats(self):
        self._require(Doing.LookIntoFile)
        raise RuntimeError("page buffering is not enabled on this file")

    def reset_page_buffering_stats(self):
        self._require(Doing.LookIntoFile)
        raise RuntimeError("page buffering is not enabled on this file")


def _path(name):
    return os.fsdecode(name)


def open(name, flags=ACC_RDWR, fapl=None):
    """Opens a file."""
    mode = "r+" if flags & ACC_RDWR else "r"
    image = None if fapl is None else fapl.get_file_image()
    if image is not None:
        return FileID(_h5live.File.open_memory(mode, bytes(image), path=_path(name)))
    return FileID(_h5live.File.open(_path(name), mode, swmr=bool(flags & ACC_SWMR_READ)))


def open_file_image(image, flags=0):
    """A file in memory, of these bytes."""
    return FileID(_h5live.File.open_memory("r+" if flags & 1 else "r", bytes(image)))


def create(name, flags=ACC_TRUNC, fcpl=None, fapl=None):
    """Creates a file."""
    track = fcpl is not None and fcpl.get_link_creation_order() != 0
    return FileID(_h5live.File.open(_path(name), "x" if flags & ACC_EXCL else "w", track_order=track))


def is_hdf5(fname):
    """Whether a file looks like one of HDF5."""
    try:
        with io.open(_path(fname), "rb") as file:
            size = os.fstat(file.fileno()).st_size
            at = 0
            while at + 8 <= size:
                file.seek(at)
                if file.read(8) == b"\x89HDF\r\n\x1a\n":
                    return True
                at = 512 if at == 0 else at * 2
    except OSError:
        return False
    return False


def flush(obj, scope=SCOPE_LOCAL):
    obj._require(Doing.Flush)
    obj._core.file.publish()


def mount(loc, name, fid):
    raise NotImplementedError("files cannot be mounted")


def unmount(loc, name):
    raise NotImplementedError("files cannot be mounted")


def get_name(obj):
    obj._require(Doing.NameFile)
    return os.fsencode(obj._core.file.path)


def get_obj_count(where=OBJ_ALL, types=OBJ_ALL):
    return len(get_obj_ids(where, types))


def get_obj_ids(where=OBJ_ALL, types=OBJ_ALL):
    """The identifiers that are open, of one file or of all."""
    import gc

    from . import h5d

    if where != OBJ_ALL:
        where._require(Doing.LookIntoFile)
    wanted = []
    for cls, flag in ((FileID, OBJ_FILE), (h5d.DatasetID, OBJ_DATASET), (h5g.GroupID, OBJ_GROUP), (h5t.TypeID, OBJ_DATATYPE)):
        if types & flag:
            wanted.append(cls)
    found = []
    for obj in gc.get_objects():
        if isinstance(obj, tuple(wanted)) and obj.valid and getattr(obj, "_core", None) is not None:
            if isinstance(obj, FileID) and not types & OBJ_FILE:
                continue
            if where == OBJ_ALL or obj._core.file.number == where._core.file.number:
                found.append(obj)
    return found
