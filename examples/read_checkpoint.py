#!/usr/bin/python3
"""Shows what is in a checkpoint of ftmpi: read_checkpoint.py JOBDIR/checkpoint-<csn>/checkpoint.h5

Needs h5py (Debian: python3-h5py). For compressed checkpoints set HDF5_PLUGIN_PATH to ftmpi's directory ftmpi/hdf5."""
import sys

import h5py

with h5py.File(sys.argv[1], "r") as checkpoint:
    attributes = checkpoint.attrs
    print(f"checkpoint {attributes['csn']} of job {attributes['job']}: {attributes['np']} ranks, {attributes['status']}")
    for rank in checkpoint["files"]["rank"]:
        own = checkpoint[f"rank-{rank}"]  # an external link: the file of the rank
        print(f"rank {rank} on {own.attrs['node']}: state interval {own.attrs['state_interval']}, {own.attrs['state']}")
        for name, region in own.get("registered", {}).items():
            print(f"  registered {name}: {region.shape[0]} x {region.dtype}, begins {region[:3]}")
        for section in own.get("image", {}).values():
            runs = section["runs"][:]
            pages = runs["pages"][runs["zero"] == 0].sum()
            print(f"  {section.attrs['name']} at {section.attrs['address']:#x}: {section.attrs['length']} bytes, {pages} pages stored, "
                  f"sum of all bytes {int(section['data'][:].sum(dtype='u8'))}")
