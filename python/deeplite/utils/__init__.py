"""Helpers around the library; `deeplite.utils.data` is `deeplite.data` under torch's name."""
