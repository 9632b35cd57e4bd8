"""The classes that programs use, in h5py's places."""
