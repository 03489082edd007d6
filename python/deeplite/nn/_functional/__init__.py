"""The functions of deeplite.nn.functional, one file per family."""
