"""The work done on every pixel of every frame, each function with one signature everywhere.

    preprocess(image, out, mean, std)       picture → (3, h, w) float32 network input
    postprocess(logits, labels) -> bool     (C, h, w) float32 → (H, W) uint8 class ids
    blend(image, labels, table, out)        class colours over a picture, in its own colour space
    to_bgr(image) -> bgr                    any picture → (H, W, 3) uint8 BGR
    from_bgr(bgr, out)                      BGR → `Yuv420` planes
    count(labels) -> (256,) int64           pixels by class id

`reference` is plain numpy, written to be read: the tests hold the others to it. `cpu` compiles the
same functions with numba; a call runs on one thread and releases the GIL, so that pipeline threads
run side by side. `tables` makes what both look up: resize tables, colour matrices, blend tables.

Nothing is imported here: `from rtseg.kernels import cpu` pays for numba, `reference` does not.

Compiled code is kept in `__pycache__` beside the sources, or in the user's cache folder where an
installation is read-only; NUMBA_CACHE_DIR puts it elsewhere.
"""
