"""From logits on the GPU to labels at the frame's size, in one pass over the labels.

The cell skip of `_postprocess`, on tiles: a block of threads labels 128x16 pixels. First it finds
the largest class of each sample of the logits under them (at stride 8 that is 4 % as many samples
as pixels) and keeps it in shared memory. Then a thread labels four neighbouring pixels and stores
them as one word; where the samples around agree, without looking at the logits again. The rest
takes all classes: lists of contenders, which pay on a CPU, would be as many branches in a warp.

A warp covers 32x4 pixels, not 128x1: compact, so that few warps meet a boundary between classes,
and each row of it is one sector of 32 bytes. The logits are not staged in shared memory: threads
of a warp read the same few samples, which the first-level cache hands to all of them at once.

Where the logits are as large as the frame, there are as many samples under a tile as pixels, and
nothing is skipped.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from rtseg.kernels._cuda_jit import I32, U, cuda, kernel, part, product, total

THREADS = 256
TILE_WIDTH, TILE_HEIGHT = 128, 16  # pixels
_BAND = 8  # rows of a tile that the threads label at a time
_SAMPLES = 2048  # of a tile, at most, in shared memory
_ONE, _LEAST, _MOST = np.float32(1), np.float32(-np.inf), np.finfo(np.float32).max
_EVERY = np.uint32(0x01010101)


@kernel(
    "void(float32[::1], int64, int64, int64, float32[::1], float32[::1], "
    "uint8[::1], uint32[::1], int64, int64, int64, int64, uint32[::1], int32[::1])"
)
def labels_kernel(
    logits: Any, classes: int, height: int, width: int, rows: Any, columns: Any,
    labels: Any, words: Any, step: int, aligned: int, out_height: int, out_width: int,
    state: Any, valid: Any,
) -> None:  # fmt: skip
    winners = cuda.shared.array(_SAMPLES, np.uint8)
    ends = cuda.local.array(3, np.int32)  # columns of logits under the thread's four pixels
    near, far = cuda.local.array(4, np.float32), cuda.local.array(4, np.float32)
    low = cuda.local.array(4, np.int32)
    thread = cuda.threadIdx.x
    block = cuda.blockIdx.y * cuda.gridDim.x + cuda.blockIdx.x
    blocks = cuda.gridDim.x * cuda.gridDim.y
    first = block * THREADS + thread
    wrong = _any_wrong(logits, first, classes * height * width, blocks * THREADS)
    tile_x, tile_y = cuda.blockIdx.x * TILE_WIDTH, cuda.blockIdx.y * TILE_HEIGHT
    last_x = min(tile_x + TILE_WIDTH, out_width) - 1
    last_y = min(tile_y + TILE_HEIGHT, out_height) - 1
    left, top = I32(columns[U(2 * tile_x)]), I32(rows[U(2 * tile_y)])
    span = min(I32(columns[U(2 * last_x)]) + 1, width - 1) - left + 1
    lines = min(I32(rows[U(2 * last_y)]) + 1, height - 1) - top + 1
    skip = span * lines <= _SAMPLES
    if skip:
        _find_winners(
            logits, winners, thread, span, span * lines, top * width + left, width, classes,
            height * width,
        )  # fmt: skip
    cuda.syncthreads()
    lane, warp = thread & 31, thread >> 5
    x = tile_x + 32 * (warp & 3) + 4 * (lane & 7)
    _columns_of_four(columns, x, last_x, width, low, near, far, ends)
    for band in range(TILE_HEIGHT // _BAND):
        row = tile_y + _BAND * band + 4 * (warp >> 2) + (lane >> 3)
        if x <= last_x and row <= last_y:
            y, far_y = I32(rows[U(2 * row)]), rows[U(2 * row + 1)]
            under = min(y + 1, height - 1)
            word = np.uint32(255)
            if skip:
                above, below = (y - top) * span - left, (under - top) * span - left
                word = _agreed(winners, above, below, ends, low[3])
            if word != np.uint32(255):
                word = np.uint32(word * _EVERY)
            elif low[3] - low[0] < 2:
                word = _four(
                    logits, classes, height * width, y * width, under * width,
                    _ONE - far_y, far_y, low, near, far, ends,
                )  # fmt: skip
            else:
                word = _each(
                    logits, classes, height * width, y * width, under * width, width - 1,
                    _ONE - far_y, far_y, low, near, far,
                )  # fmt: skip
            _store(labels, words, row * step + x, aligned, word, last_x + 1 - x)
    if _last_and_wrong(state, valid, wrong, thread, blocks):
        _fill(labels, step, out_height, out_width, thread)


@part
def _find_winners(
    logits: Any, winners: Any, thread: Any, span: Any, count: Any, first: Any, width: Any,
    classes: Any, plane_size: Any,
) -> None:  # fmt: skip
    """The largest class of each sample under a tile: `count` of them, `span` in a row."""
    for i in range(thread, count, THREADS):
        sample = first + i // span * width + i % span
        winners[U(i)] = _largest_at(logits, sample, classes, plane_size)


@part
def _largest_at(logits: Any, sample: Any, classes: Any, plane_size: Any) -> Any:
    """The class of the largest logit of one sample, the lowest of equals."""
    best, label = logits[U(sample)], np.uint8(0)
    for c in range(1, classes):
        sample += plane_size
        value = logits[U(sample)]
        label = np.uint8(c) if value > best else label
        best = value if value > best else best
    return label


@part
def _columns_of_four(
    columns: Any, x: Any, last_x: Any, width: Any, low: Any, near: Any, far: Any, ends: Any
) -> None:
    """Cells and weights of four pixels from `x` on; those beyond the tile are as its last.

    Four pixels lie in one cell or in two neighbouring ones, unless the logits are almost as large
    as the frame: `ends` are the two or three columns of samples around them.
    """
    for i in range(4):
        at = min(x + i, last_x)
        low[i], far[i] = I32(columns[U(2 * at)]), columns[U(2 * at + 1)]
        near[i] = _ONE - far[i]
    ends[0], ends[1] = low[0], min(low[0] + 1, width - 1)
    ends[2] = min(low[0] + 2, width - 1) if low[3] > low[0] else ends[1]


@part
def _agreed(winners: Any, above: Any, below: Any, ends: Any, last: Any) -> Any:
    """The class that is largest at all samples around four pixels; 255 if there is none."""
    label = winners[U(above + ends[0])]
    same = last - ends[0] < 2
    for i in range(3):
        same = same and winners[U(above + ends[i])] == label
        same = same and winners[U(below + ends[i])] == label
    return np.uint32(label) if same else np.uint32(255)


@part
def _mix(logits: Any, above: Any, below: Any, near: Any, far: Any) -> Any:
    """Between two samples, each product and the sum rounded as the reference rounds them."""
    return total(product(logits[U(above)], near), product(logits[U(below)], far))


@part
def _four(
    logits: Any, classes: Any, plane_size: Any, above: Any, below: Any,
    near_y: Any, far_y: Any, low: Any, near: Any, far: Any, ends: Any,
) -> Any:  # fmt: skip
    """Labels of four pixels of a row in one or two cells, one in each byte. above, below: where the
    rows of samples around it begin."""
    best, label = cuda.local.array(4, np.float32), cuda.local.array(4, np.uint32)
    for i in range(4):
        best[i], label[i] = _LEAST, np.uint32(0)
    for c in range(classes):
        first = _mix(logits, above + ends[0], below + ends[0], near_y, far_y)
        second = _mix(logits, above + ends[1], below + ends[1], near_y, far_y)
        third = _mix(logits, above + ends[2], below + ends[2], near_y, far_y)
        for i in range(4):
            one, two = (second, third) if low[i] > low[0] else (first, second)
            value = total(product(one, near[i]), product(two, far[i]))
            label[i] = np.uint32(c) if value > best[i] else label[i]
            best[i] = value if value > best[i] else best[i]
        above, below = above + plane_size, below + plane_size
    word = label[0] | (label[1] << np.uint32(8))
    return np.uint32(word | (label[2] << np.uint32(16)) | (label[3] << np.uint32(24)))


@part
def _each(
    logits: Any, classes: Any, plane_size: Any, above: Any, below: Any, last: Any,
    near_y: Any, far_y: Any, low: Any, near: Any, far: Any,
) -> Any:  # fmt: skip
    """As `_four`, one pixel after the other: they lie further apart. last: the last column."""
    word = np.uint32(0)
    for i in range(4):
        left, right = low[i], min(low[i] + 1, last)
        best, label = _LEAST, np.uint32(0)
        for c in range(classes):
            a, b = above + c * plane_size, below + c * plane_size
            one = _mix(logits, a + left, b + left, near_y, far_y)
            two = _mix(logits, a + right, b + right, near_y, far_y)
            value = total(product(one, near[i]), product(two, far[i]))
            label = np.uint32(c) if value > best else label
            best = value if value > best else best
        word = np.uint32(word | (label << np.uint32(8 * i)))
    return word


@part
def _store(labels: Any, words: Any, at: Any, aligned: Any, word: Any, count: Any) -> None:
    """Four labels, or the `count` that still lie in the picture."""
    if aligned and count >= 4:
        words[U(at >> 2)] = word
    else:
        for i in range(min(count, 4)):
            labels[U(at + i)] = np.uint8((word >> np.uint32(8 * i)) & np.uint32(255))


@part
def _any_wrong(logits: Any, first: Any, size: Any, step: Any) -> Any:
    """Whether one of a thread's share of all logits is NaN or infinite. Neighbouring threads read
    neighbouring ones; they are in the second-level cache, where the network has just put them."""
    wrong, i = I32(0), first
    while i < size:  # a range with such a step would be counted by a division
        wrong = wrong if abs(logits[U(i)]) <= _MOST else I32(1)
        i += step
    return wrong


@part
def _last_and_wrong(state: Any, valid: Any, wrong: Any, thread: Any, blocks: Any) -> Any:
    """Whether this is the block that ends last, and some block met a wrong logit.

    The last one writes `valid`, and puts its label over those of all blocks, which are in memory
    by then: they were fenced before their block was counted.
    https://docs.nvidia.com/cuda/cuda-c-programming-guide/#memory-fence-functions
    """
    void = cuda.shared.array(1, np.int32)
    cuda.threadfence()
    wrong = cuda.syncthreads_or(wrong)
    if thread == 0:
        void[0] = 0
        if wrong:
            cuda.atomic.or_(state, 1, np.uint32(1))
        cuda.threadfence()
        if cuda.atomic.inc(state, 0, np.uint32(blocks - 1)) == np.uint32(blocks - 1):
            void[0] = I32(cuda.atomic.exch(state, 1, np.uint32(0)))
            valid[0] = 1 - void[0]
    cuda.syncthreads()
    return void[0] != 0


@part
def _fill(labels: Any, step: Any, height: Any, width: Any, thread: Any) -> None:
    """Label every pixel 255, by one block: slow, and it happens to broken networks alone."""
    for row in range(height):
        for x in range(thread, width, THREADS):
            labels[U(row * step + x)] = np.uint8(255)
