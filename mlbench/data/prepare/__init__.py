"""Datasets brought onto this machine: fetched or taken as they lie, checked, unpacked, then called prepared."""
