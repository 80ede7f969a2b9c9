"""Frames on a GPU that is there: decoded, segmented, painted and encoded without leaving it."""

from __future__ import annotations

import os
import sys
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from av.video.frame import PictureType

from rtseg.device import dlpack, driver
from rtseg.device.memory import Form, Memory, Ring, Surface
from rtseg.device.transfer import put, take, to_host
from rtseg.frame import DevicePicture, Frame, Yuv420, empty_like
from rtseg.overlay import Overlay
from rtseg.pipeline import Pipeline, in_flight, painter
from rtseg.segmenter import Segmenter
from rtseg.synthetic import Scene
from rtseg.video import nvenc
from rtseg.video.base import SourceInfo
from rtseg.video.sinks import NullSink, VideoSink
from rtseg.video.sources import open_source

sys.path.insert(0, str(Path(__file__).parent / "video"))
from clips import FINE, decode, noise, write_clip

pytestmark = pytest.mark.gpu

WIDTH, HEIGHT = 320, 240


def stop(reason: str) -> None:
    """Skip, or fail where a GPU must be there."""
    (pytest.fail if os.environ.get("RTSEG_REQUIRE_GPU") == "1" else pytest.skip)(reason)


@pytest.fixture(scope="module", autouse=True)
def gpu():
    reason = driver.missing()
    if reason is not None:
        stop(reason)


@pytest.fixture
def clip(tmp_path):
    frames = (noise(i) for i in range(40))
    return write_clip(tmp_path / "clip.mp4", frames, options=FINE, colorspace=1, color_range=1)


@pytest.fixture
def segmenter(model):
    with Segmenter(model, size=(WIDTH, HEIGHT), streams=2) as made:
        made.engine(WIDTH, HEIGHT)
        if not made.on_device:
            stop("no engine for the GPU is installed (torch with CUDA, or TensorRT)")
        yield made


def on_nvdec(path, **options):
    """A source on the GPU; stops where FFmpeg cannot load NVDEC, and says why."""
    source = open_source(path, decoder="auto", **options)
    if not source.on_device:
        source.close()
        stop(source.notes[0])
    return source


def street(index: int = 10) -> np.ndarray:
    return Scene(WIDTH, HEIGHT, seed=3).render(index)[0]


def same(one: Yuv420, two: Yuv420, most: int = 0) -> bool:
    pairs = ((getattr(one, name), getattr(two, name)) for name in "yuv")
    return all(np.abs(a.astype(int) - b).max() <= most for a, b in pairs)


# Memory


@pytest.mark.parametrize("size", [(64, 48), (63, 47), (1920, 1080)])
def test_a_picture_comes_back_as_it_went(size) -> None:
    memory = Memory()
    form = Form("nv12", *size)
    host, device = Surface.on_host(form, memory), Surface.on_device(form, memory)
    host.flat[:] = np.random.default_rng(0).integers(0, 256, form.nbytes, np.uint8)
    device.flat.copy_to_device(host.flat)
    picture = device.picture("bt601", True)
    assert same(to_host(picture), take(host.planes, empty_like(picture)))


def test_planes_on_the_gpu_pass_through_dlpack() -> None:
    form = Form("nv12", 70, 48)
    surface = Surface.on_device(form, Memory())
    surface.flat.copy_to_device(np.arange(form.nbytes, dtype=np.uint8))
    for plane in surface.planes:
        back = dlpack.borrow(dlpack.lend(plane, surface))
        assert back.shape == plane.shape and back.strides == plane.strides
        np.testing.assert_array_equal(back.copy_to_host(), plane.copy_to_host())


# Decoding


def test_nvdec_gives_the_pictures_of_the_processor(clip) -> None:
    with open_source(clip) as source:
        want = list(source)
    with on_nvdec(clip, in_flight=len(want) + 2) as source:
        frames = list(source)
    assert [f.pts for f in frames] == [f.pts for f in want]
    for frame, expected in zip(frames, want, strict=True):
        assert isinstance(frame.image, DevicePicture)
        got = to_host(frame.image)
        assert (got.matrix, got.full_range) == ("bt709", False)
        assert same(got, expected.image)  # H.264 decoders agree bit by bit


def test_pictures_that_are_not_decoded_in_order_come_in_order(tmp_path) -> None:
    options = {"preset": "medium", "crf": "12", "bf": "3", "refs": "4", "b-adapt": "0"}
    path = write_clip(tmp_path / "b.mp4", (noise(i) for i in range(30)), options=options)
    assert sum(frame.pict_type == PictureType.B for frame in decode(path)) > 5
    with open_source(path) as source:
        want = list(source)
    with on_nvdec(path, in_flight=len(want) + 2) as source:
        frames = list(source)
    assert [f.pts for f in frames] == [f.pts for f in want]
    for frame, expected in zip(frames, want, strict=True):
        assert same(to_host(frame.image), expected.image)


def test_nvdec_opens_whoever_made_the_context(clip) -> None:
    """FFmpeg refuses the primary context where others made it with their flags, as numba here."""
    from numba import cuda

    cuda.current_context()
    with on_nvdec(clip) as source:
        assert isinstance(next(source).image, DevicePicture)


def test_ten_bits_are_rounded_to_eight(tmp_path) -> None:
    frames = (noise(i).reformat(format="yuv420p10le") for i in range(6))
    options = {"preset": "ultrafast", "x265-params": "log-level=none"}
    path = write_clip(
        tmp_path / "ten.mp4", frames, codec="libx265", pix_fmt="yuv420p10le", options=options
    )
    with open_source(path) as source:
        want = list(source)
    with on_nvdec(path) as source:
        for frame, expected in zip(source, want, strict=True):
            assert same(to_host(frame.image), expected.image, most=1)


# Segmenting and painting


def test_labels_are_those_of_the_processor(model, segmenter) -> None:
    image = street()
    with Segmenter(model, size=(WIDTH, HEIGHT), backend="openvino") as reference:
        want = reference(image).labels
    result = segmenter(image)
    assert result.valid
    assert (result.labels == want).mean() >= 0.995
    assert all(milliseconds >= 0 for milliseconds in result.timings.values())


def test_from_the_second_frame_on_a_frame_is_one_graph(segmenter) -> None:
    worker = segmenter.worker(WIDTH, HEIGHT)
    frames = [Frame(street(index), index) for index in (10, 60, 110)]
    launched = [worker.segment(frames[0]).labels]
    assert worker._inference.graph_refused is None
    worker._inference.graph_refused = "this test"  # from here on, launches one by one
    worker._inference.close()
    launched += [worker.segment(frame).labels for frame in frames[1:]]
    graphs = segmenter.worker(WIDTH, HEIGHT)
    graphs.segment(frames[1])
    for frame, want in zip(frames, launched, strict=True):
        found = graphs.segment(frame)
        np.testing.assert_array_equal(found.labels, want)
        assert found.timings["inference"] > 0
    assert len(graphs._inference._graphs) == 1
    assert graphs._inference.graph_refused is None


def test_a_frame_on_the_gpu_is_segmented_as_one_that_is_uploaded(segmenter) -> None:
    image = street()
    half = HEIGHT // 2, WIDTH // 2
    planes = Yuv420(np.empty((HEIGHT, WIDTH), np.uint8), *(np.empty(half, np.uint8) for _ in "uv"))
    from rtseg.kernels import cpu

    cpu.from_bgr(image, planes)
    form, memory = Form.of(planes), Memory()
    host, device = Surface.on_host(form, memory), Surface.on_device(form, memory)
    put(planes, host.planes)
    device.flat.copy_to_device(host.flat)
    there = Frame(device.picture(planes.matrix, planes.full_range))
    want = segmenter(Frame(planes)).labels
    np.testing.assert_array_equal(segmenter(there).labels, want)


def test_threads_may_take_turns(segmenter) -> None:
    """The second one, and the download, find no context of CUDA in their thread."""
    image = street()
    want = segmenter(image).labels.copy()
    surface = Surface.on_device(Form("bgr", WIDTH, HEIGHT), Memory())
    surface.flat.copy_to_device(image.reshape(-1))
    picture = surface.picture("bt709", True)
    with ThreadPoolExecutor(1) as pool:
        back = pool.submit(to_host, picture).result()
    with ThreadPoolExecutor(1) as pool:
        labels = pool.submit(lambda: segmenter(image).labels).result()
    np.testing.assert_array_equal(back, image)
    np.testing.assert_array_equal(labels, want)
    np.testing.assert_array_equal(segmenter(image).labels, want)


def test_the_painted_picture_is_that_of_the_processor(model, segmenter) -> None:
    from rtseg.overlay.painter import OverlayPainter

    frame = Frame(street())
    paint = OverlayPainter(Overlay(model.classes), lambda f: empty_like(f.image), lambda _: "9 fps")
    worker = segmenter.worker(WIDTH, HEIGHT)
    for _ in range(3):
        segmentation, picture = worker.render(frame, paint)
        np.testing.assert_array_equal(picture, paint(frame, segmentation))


# The whole path


def test_a_video_goes_through_on_the_gpu(model, segmenter, clip, tmp_path) -> None:
    count = in_flight(segmenter.streams)
    with on_nvdec(clip, memory=segmenter.memory, in_flight=count) as source:
        sink = VideoSink(tmp_path / "out.mp4", info=source.info, encoder="auto")
        sink.stay_on_gpu(segmenter.memory, count)
        paint = painter(Overlay(model.classes), sink.picture_for)
        with sink:
            summary = Pipeline(source, segmenter, [sink], painter=paint).run()
    assert (summary.written, summary.dropped, summary.failed) == (40, 0, 0)
    times = [frame.pts * frame.time_base for frame in decode(tmp_path / "out.mp4")]
    assert times == [Fraction(i, 25) for i in range(40)]


def test_memory_on_the_gpu_stays_flat(segmenter, tmp_path) -> None:
    from numba import cuda

    class Watch(NullSink):
        free: tuple[int, ...] = ()

        def write(self, result) -> None:
            super().write(result)
            if self.written in (30, 290):
                self.free += (cuda.current_context().get_memory_info().free,)

    path = write_clip(tmp_path / "long.mp4", (noise(i % 20) for i in range(300)), options=FINE)
    with on_nvdec(path, memory=segmenter.memory) as source:
        assert source.on_device
        watch = Watch()
        Pipeline(source, segmenter, [watch]).run()
    before, after = watch.free
    assert before - after < 2**20


def test_nvenc_writes_what_is_on_the_gpu(tmp_path) -> None:
    reason = nvenc.missing(WIDTH, HEIGHT)
    if reason is not None:
        pytest.skip(reason)  # data centre cards have none
    ring = Ring(Form("nv12", WIDTH, HEIGHT), 12, Memory())
    info = SourceInfo("test", "video", WIDTH, HEIGHT, Fraction(25), time_base=Fraction(1, 25))
    frames = tmp_path / "out.mp4"
    with VideoSink(frames, info=info, encoder="nvenc", crf=10) as sink:
        sink.stay_on_gpu(Memory(), 12)
        for index in range(20):
            picture = ring.lend("bt709", False)
            host = np.full(ring.form.nbytes, 128, np.uint8)
            ring.form.planes(host)[0][:] = 40 + 5 * index
            surface = np.ascontiguousarray(host)
            _fill(picture, ring.form, surface)
            sink.write(_result(picture, index))
    levels = [float(np.frombuffer(f.planes[0], np.uint8).mean()) for f in decode(frames)]
    assert levels == pytest.approx([40 + 5 * i for i in range(20)], abs=3)
    with av.open(str(frames)) as container:
        assert container.streams.video[0].codec_context.name == "h264"


def _fill(picture: DevicePicture, form: Form, flat: np.ndarray) -> None:
    for plane, source in zip(picture.planes, form.planes(flat), strict=True):
        plane[:] = np.ascontiguousarray(source)


def _result(picture: DevicePicture, index: int):
    from rtseg.classes import CAMVID
    from rtseg.segmentation import Result, Segmentation

    frame = Frame(picture, index, index, Fraction(1, 25))
    labels = np.zeros((HEIGHT, WIDTH), np.uint8)
    return Result(frame, Segmentation(labels, CAMVID, index=index), picture, {})
