"""What pickles call. These functions keep their names under `install_as_h5py`, which the process that unpickles may not have called."""


def open_file(path, mode, swmr):
    """The file of a pickle."""
    from ._hl.files import File

    return File(path, mode, swmr=swmr)


def open_object(file, name, shape=None):
    """The object of a pickle; a dataset as large as it was then, if it has grown since the file was opened here."""
    found = file[name]
    if shape is not None and any(now < then for now, then in zip(found.shape, shape)):
        found.refresh()
    return found
