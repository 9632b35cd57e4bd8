"""References of HDF5 1.12's kinds, which h5py does not make: through the libhdf5 that it brings along.

make PATH: a file with one to an object, a region, an attribute, a group, an object of another file, and none.
show PATH: what libhdf5 says of each.
"""
import ctypes, glob, os, sys
import h5py, numpy as np

COUNT, SIZE = 6, 64  # of references, and bytes of one in memory

def library():
    folder = os.path.join(os.path.dirname(os.path.dirname(h5py.__file__)), 'h5py.libs')
    return ctypes.CDLL(glob.glob(os.path.join(folder, 'libhdf5-*'))[0])

h = library()
h.H5Rcreate_object.argtypes = [ctypes.c_int64, ctypes.c_char_p, ctypes.c_int64, ctypes.c_void_p]
h.H5Rcreate_region.argtypes = [ctypes.c_int64, ctypes.c_char_p, ctypes.c_int64, ctypes.c_int64, ctypes.c_void_p]
h.H5Rcreate_attr.argtypes = [ctypes.c_int64, ctypes.c_char_p, ctypes.c_char_p, ctypes.c_int64, ctypes.c_void_p]
h.H5Dwrite.argtypes = h.H5Dread.argtypes = [ctypes.c_int64] * 5 + [ctypes.c_void_p]
h.H5Dcreate2.restype = ctypes.c_int64
h.H5Dcreate2.argtypes = [ctypes.c_int64, ctypes.c_char_p] + [ctypes.c_int64] * 5
h.H5Rget_type.argtypes = [ctypes.c_void_p]
h.H5Rget_obj_name.restype = ctypes.c_ssize_t
h.H5Rget_obj_name.argtypes = [ctypes.c_void_p, ctypes.c_int64, ctypes.c_char_p, ctypes.c_size_t]
for f in (h.H5Rget_attr_name, h.H5Rget_file_name):
    f.restype = ctypes.c_ssize_t; f.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_size_t]
h.H5Ropen_region.restype = ctypes.c_int64; h.H5Ropen_region.argtypes = [ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64]
h.H5Sget_select_npoints.restype = ctypes.c_int64; h.H5Sget_select_npoints.argtypes = [ctypes.c_int64]
h.H5Sget_select_bounds.argtypes = [ctypes.c_int64, ctypes.c_void_p, ctypes.c_void_p]
REF = ctypes.c_int64.in_dll(h, 'H5T_STD_REF_g').value

def make(path):
    other = path + '.other'
    with h5py.File(other, 'w', libver=('v112', 'v112')) as f:
        f['far'] = [1, 2]
    with h5py.File(path, 'w', libver=('v112', 'v112')) as f, h5py.File(other) as g:
        f['before'] = np.zeros(500)
        d = f.create_dataset('g/d', data=np.arange(20).reshape(4, 5)); d.attrs['unit'] = 'mm'
        refs = ctypes.create_string_buffer(SIZE * COUNT)
        at = lambda n: ctypes.addressof(refs) + SIZE * n
        assert h.H5Rcreate_object(f.id.id, b'/g/d', 0, at(0)) >= 0
        s = h5py.h5s.create_simple((4, 5)); s.select_hyperslab((1, 0), (2, 3))
        assert h.H5Rcreate_region(f.id.id, b'/g/d', s.id, 0, at(1)) >= 0
        assert h.H5Rcreate_attr(f.id.id, b'/g/d', b'unit', 0, at(2)) >= 0
        assert h.H5Rcreate_object(f.id.id, b'/g', 0, at(3)) >= 0
        assert h.H5Rcreate_object(g.id.id, b'/far', 0, at(4)) >= 0
        space = h5py.h5s.create_simple((COUNT,))
        ds = h.H5Dcreate2(f.id.id, b'refs', REF, space.id, 0, 0, 0)
        assert ds >= 0 and h.H5Dwrite(ds, REF, 0, 0, 0, refs) >= 0
        h.H5Dclose(ds)

def show(path):
    with h5py.File(path) as f:
        ds = h5py.h5o.open(f.id, b'refs')
        refs = ctypes.create_string_buffer(SIZE * COUNT)
        assert h.H5Dread(ds.id, REF, 0, 0, 0, refs) >= 0
        for n in range(COUNT):
            at = ctypes.addressof(refs) + SIZE * n
            kind = h.H5Rget_type(at)
            if kind < 0 or bytes(refs[SIZE * n:SIZE * n + SIZE]) == bytes(SIZE):
                print('null'); continue
            name = ctypes.create_string_buffer(100); file = ctypes.create_string_buffer(300)
            h.H5Rget_file_name(at, file, 300)
            is_far = file.value.decode().endswith('.other')
            if not is_far: h.H5Rget_obj_name(at, 0, name, 100)
            said = [kind, name.value.decode() if not is_far else 'other file']
            if kind == 3:
                s = h.H5Ropen_region(at, 0, 0); lo = (ctypes.c_uint64 * 2)(); hi = (ctypes.c_uint64 * 2)()
                h.H5Sget_select_bounds(s, lo, hi); said += [h.H5Sget_select_npoints(s), list(lo), list(hi)]
            if kind == 4:
                a = ctypes.create_string_buffer(100); h.H5Rget_attr_name(at, a, 100); said.append(a.value.decode())
            print(*said)

globals()[sys.argv[1]](sys.argv[2])
