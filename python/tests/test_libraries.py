"""Libraries that import h5py, with h5live in its place; those that are not installed are left out.

Each program runs in a process of its own: only the first import of h5py can be replaced.
"""

import importlib.util
import subprocess
import sys

import pytest

import h5live
import numpy as np

INSTALL = "import h5live; h5live.install_as_h5py()\nimport h5py\nimport numpy as np\n"


def run(code, folder, *needed):
    for name in needed:
        if importlib.util.find_spec(name) is None:
            pytest.skip(f"{name} is not installed")
    done = subprocess.run([sys.executable, "-c", INSTALL + code], cwd=folder, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr


def test_modules_and_classes_say_h5py(tmp_path):
    run(
        "assert h5py.__name__ == 'h5py' and h5py.File.__module__ == 'h5py._hl.files'\n"
        "import h5py._hl.dataset as d; assert d.__package__ == 'h5py._hl' and d.Dataset is h5py.Dataset is h5live.Dataset",
        tmp_path,
    )


# Objects of hdf5plugin, and the numbers of their filters.
HDF5PLUGIN = [
    ("Bitshuffle()", 32008),
    ("Bitshuffle(cname='zstd')", 32008),
    ("Blosc()", 32001),
    ("Blosc(cname='zstd', clevel=9, shuffle=2)", 32001),
    ("Blosc2()", 32026),
    ("BZip2()", 307),
    ("LZ4()", 32004),
    ("Zfp(reversible=True)", 32013),
    ("Zstd()", 32015),
]


@pytest.mark.parametrize("options, code", HDF5PLUGIN)
def test_hdf5plugin(tmp_path, options, code):
    """What is written with an object of hdf5plugin or with its keywords is read here, and by h5py with libhdf5's plugin."""
    run(
        "import hdf5plugin\n"
        "data = np.repeat(np.arange(100, dtype='f4'), 100).reshape(100, 100)\n"
        "with h5py.File('a.h5', 'w') as f:\n"
        f"    f.create_dataset('object', data=data, chunks=(50, 100), compression=hdf5plugin.{options})\n"
        f"    f.create_dataset('keywords', data=data, chunks=(50, 100), **hdf5plugin.{options})\n"
        "for dataset in h5py.File('a.h5').values():\n"
        f"    assert dataset.id.get_create_plist().get_filter(0)[0] == {code} and (dataset[:] == data).all()\n"
        "    assert dataset.id.get_storage_size() < data.nbytes\n",
        tmp_path,
        "hdf5plugin",
    )
    h5py = pytest.importorskip("h5py")
    pytest.importorskip("hdf5plugin")
    with h5py.File(tmp_path / "a.h5") as f:
        for dataset in f.values():
            assert (dataset[:] == np.arange(100, dtype="f4")[:, None]).all()
            assert dataset.id.get_create_plist().get_filter(0)[0] == code


@pytest.mark.parametrize("dtype", ["u1", "f8", "S300", ("i4", (2,))], ids=str)
@pytest.mark.parametrize("shape", [(100,), (20, 30)], ids=str)
def test_blosc2_of_elements_of_any_size(tmp_path, dtype, shape):
    dtype = np.dtype(dtype)
    written = np.arange(np.prod(shape + dtype.shape)).astype(dtype.base).reshape(shape + dtype.shape)
    with h5live.File(tmp_path / "a.h5", "w") as f:
        f.create_dataset("x", shape, dtype, chunks=shape[:-1] + (10,), compression=32026)[...] = written
        assert (f["x"][...] == written).all()
    h5py = pytest.importorskip("h5py")
    pytest.importorskip("hdf5plugin")
    with h5py.File(tmp_path / "a.h5") as f:
        assert (f["x"][...] == written).all()


def test_blosc2_reads_frames_in_a_file_itself(tmp_path):
    """As b2h5py does: also where nothing was to be compressed."""
    blosc2 = pytest.importorskip("blosc2")
    data = np.arange(24, dtype="i8").reshape(4, 6)
    with h5live.File(tmp_path / "a.h5", "w") as f:
        x = f.create_dataset("x", data=data, chunks=(2, 3), compression=32026)
        places = [x.id.get_chunk_info_by_coord(at).byte_offset for at in [(0, 0), (2, 3)]]
    for place, chunk in zip(places, (data[:2, :3], data[2:, 3:])):
        found = blosc2.open(str(tmp_path / "a.h5"), mode="r", offset=place)
        assert found.shape == (2, 3) and (found[...].view("i8") == chunk).all()


@pytest.mark.parametrize("code, options", [(32001, (0, 0, 0, 0, 5, 1, 5)), (32008, (0, 2)), (32004, ()), (32015, (3,)), (307, (9,))])
def test_filters_by_number(tmp_path, code, options):
    data = np.arange(1000)
    with h5live.File(tmp_path / "a.h5", "w") as f:
        f.create_dataset("x", data=data, compression=code, compression_opts=options)
    with h5live.File(tmp_path / "a.h5") as f:
        assert f["x"].filter_ids == (code,) and (f["x"][:] == data).all()


def test_registering_plugins_takes_no_filter_away(tmp_path):
    run(
        "import hdf5plugin\n"
        "hdf5plugin.register()\n"
        "with h5py.File('a.h5', 'w') as f:\n"
        "    f.create_dataset('x', data=np.arange(100), compression=hdf5plugin.Zstd())\n",
        tmp_path,
        "hdf5plugin",
    )


def test_h5netcdf_and_xarray(tmp_path):
    run(
        "import xarray\n"
        "values = np.random.rand(4, 3)\n"
        "made = xarray.Dataset({'t': (('time', 'x'), values)}, coords={'time': np.arange(4.0), 'x': list('abc')})\n"
        "made.to_netcdf('a.nc', engine='h5netcdf', encoding={'t': {'zlib': True}})\n"
        "xarray.testing.assert_equal(made, xarray.open_dataset('a.nc', engine='h5netcdf').load())\n",
        tmp_path,
        "xarray",
        "h5netcdf",
    )


def test_anndata(tmp_path):
    run(
        "import anndata, pandas, scipy.sparse\n"
        "made = anndata.AnnData(scipy.sparse.random(50, 20, 0.3, format='csr', dtype='f4'),\n"
        "    obs=pandas.DataFrame({'c': pandas.Categorical(list('ab') * 25)}, index=[f'c{i}' for i in range(50)]))\n"
        "made.uns['k'] = {'a': 1, 'b': 'text'}\n"
        "made.write_h5ad('a.h5ad', compression='gzip')\n"
        "read = anndata.read_h5ad('a.h5ad')\n"
        "assert (read.X != made.X).nnz == 0 and read.obs['c'].dtype == 'category' and read.uns['k']['b'] == 'text'\n"
        "assert anndata.read_h5ad('a.h5ad', backed='r')[:10].to_memory().shape == (10, 20)\n",
        tmp_path,
        "anndata",
        "scipy",
    )


def test_dask_in_other_processes(tmp_path):
    run(
        "import dask.array\n"
        "with h5py.File('a.h5', 'w') as f:\n"
        "    f.create_dataset('x', data=np.arange(10000).reshape(100, 100), chunks=(10, 100))\n"
        "if __name__ == '__main__':\n"
        "    x = dask.array.from_array(h5py.File('a.h5')['x'], chunks=(20, 100))\n"
        "    assert x.sum().compute() == x.sum().compute(scheduler='processes') == 49995000\n",
        tmp_path,
        "dask",
    )


def test_silx(tmp_path):
    run(
        "from silx.io.dictdump import dicttonx, nxtodict\n"
        "import silx.io\n"
        "dicttonx({'entry': {'@NX_class': 'NXentry', 'd': np.arange(4)}}, 'a.h5')\n"
        "assert nxtodict('a.h5')['entry']['d'][3] == 3\n"
        "with silx.io.open('a.h5') as f: assert f['entry/d'][1] == 1\n",
        tmp_path,
        "silx",
    )


def test_pynwb(tmp_path):
    run(
        "from datetime import datetime, timezone\n"
        "from pynwb import H5DataIO, NWBFile, NWBHDF5IO, TimeSeries\n"
        "made = NWBFile(session_description='x', identifier='y', session_start_time=datetime.now(timezone.utc))\n"
        "made.add_acquisition(TimeSeries(name='ts', data=H5DataIO(np.arange(1000.0), compression='gzip', maxshape=(None,)),\n"
        "    unit='V', rate=10.0))\n"
        "made.add_unit(spike_times=[1.0, 2.0]); made.add_unit(spike_times=[1.0, 2.0, 3.0])\n"
        "with NWBHDF5IO('a.nwb', 'w') as io: io.write(made)\n"
        "with NWBHDF5IO('a.nwb', 'r') as io:\n"
        "    read = io.read()\n"
        "    assert read.acquisition['ts'].data[999] == 999 and list(read.units['spike_times'][1]) == [1, 2, 3]\n",
        tmp_path,
        "pynwb",
    )


def test_nexusformat(tmp_path):
    run(
        "from nexusformat.nexus import NXdata, NXentry, NXfield, NXroot, NXvirtualfield, nxload\n"
        "signal = NXfield(np.arange(12.0).reshape(3, 4), name='signal', units='counts')\n"
        "NXroot(NXentry(NXdata(signal))).save('a.nxs', 'w')\n"
        "with nxload('a.nxs', 'rw') as root:\n"
        "    root['entry/data/signal'].attrs['gain'] = 2.5\n"
        "    root['entry/title'] = 'a run'\n"
        "root = nxload('a.nxs')\n"
        "assert root['entry/data'].nxsignal.nxvalue.sum() == 66 and root['entry/title'].nxvalue == 'a run'\n"
        "assert root['entry/data/signal'].attrs['gain'] == 2.5\n"
        "both = NXvirtualfield('entry/data/signal', ['a.nxs', 'a.nxs'], shape=(3, 4), dtype='f8')\n"
        "assert both.shape == (2, 3, 4) and both.sum() == 132\n",
        tmp_path,
        "nexusformat",
    )


def test_h5io(tmp_path):
    run(
        "import h5io\n"
        "made = {'a': np.arange(3), 'b': ['text', 1.5, None], 'empty': np.zeros((0, 2)), 'c': {'d': 1}}\n"
        "h5io.write_hdf5('a.h5', made, title='t')\n"
        "read = h5io.read_hdf5('a.h5', title='t')\n"
        "assert h5io.object_diff(made, read) == ''\n",
        tmp_path,
        "h5io",
    )
