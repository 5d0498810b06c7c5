"""Datasets brought onto this machine: fetched or taken as they lie, checked, unpacked, and only then called prepared."""
