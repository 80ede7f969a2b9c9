"""The work done on every pixel of every frame, each function with one signature everywhere.

    preprocess(image, out, mean, std)       picture → (3, h, w) float32 network input
    postprocess(logits, labels) -> bool     (C, h, w) float32 → (H, W) uint8 class ids; with
                                            confidence=, the probability of each, too
    blend(image, labels, table, out)        class colours over a picture, in its own colour space
    to_bgr(image) -> bgr                    any picture → (H, W, 3) uint8 BGR
    from_bgr(bgr, out)                      BGR → `Yuv420` planes
    count(labels) -> (256,) int64           pixels by class id

`reference` is plain numpy, written to be read: the tests hold the others to it. `cpu` compiles the
same functions with numba; a call runs on one thread and releases the GIL, so that pipeline threads
run side by side. `tables` makes what all look up: resize tables, colour matrices, blend tables.

`cuda` has preprocess, postprocess and blend for `DevicePicture` and arrays in an NVIDIA GPU's
memory, and `lay` for sprites; they take a stream, put their work on it and wait for nothing:

    preprocess(image, out, mean, std, *, stream)
    postprocess(logits, labels, *, stream, valid, confidence=None)    valid: (1,) int32, 1 or 0
    blend(image, labels, table, out, *, stream)
    lay(out, layers, x, y, *, stream)

Without a GPU its compiled code can be read (`numba.cuda.compile_ptx`), and NUMBA_ENABLE_CUDASIM=1
runs it on the CPU, slowly, for tests.

Nothing is imported here: `from rtseg.kernels import cpu` pays for numba, `cuda` for numba-cuda,
`reference` for neither.

Compiled code is kept in `__pycache__` beside the sources, or in the user's cache folder where an
installation is read-only; NUMBA_CACHE_DIR puts it elsewhere.
"""
