"""The NVIDIA GPU as rtseg sees it: whether there is one, and memory on it.

`driver` asks the driver itself, so that a library is only loaded where it can work. Arrays on the
device are numba's (`numba.cuda`), which any library can read through `__cuda_array_interface__`.
"""
