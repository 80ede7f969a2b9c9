"""A source that is stopped by another thread ends at once, whatever it is doing."""

import threading
import time

import pytest
from clips import damage, flat, noise, write_clip

from rtseg.video import files
from rtseg.video.base import BaseSource
from rtseg.video.sources import open_source

FOREVER = 10**9
"""A stride that takes minutes from one frame to the next."""


class Endless:
    """A container whose packets start again at the end."""

    def __init__(self, container):
        self._container = container

    def demux(self, stream):
        while True:
            yield from (packet for packet in self._container.demux(stream) if packet.size)
            self._container.seek(0)

    def __getattr__(self, name):
        return getattr(self._container, name)


def video(tmp_path, monkeypatch):
    once = files._open

    def endless(*arguments):
        container, stream = once(*arguments)
        return Endless(container), stream

    clip = write_clip(tmp_path / "in.mp4", map(noise, range(50)))
    monkeypatch.setattr(files, "_open", endless)
    return open_source(clip, vid_stride=FOREVER)


def scene(tmp_path, monkeypatch):
    return open_source("synthetic:64x64", vid_stride=FOREVER, max_frames=3)


@pytest.fixture(params=[video, scene])
def slow(request, tmp_path, monkeypatch):
    """A source whose second frame never comes, and the list of its releases."""
    source = request.param(tmp_path, monkeypatch)
    releases = []
    release = source._release

    def count():
        releases.append(threading.current_thread())
        release()

    source._release = count
    yield source, releases
    source.close()


def waiting_reader(source):
    """A thread that took the first frame and waits for the second, and what it got."""
    got = []

    def read():
        try:
            got.extend(source)
            got.append("end")
        except BaseException as exc:
            got.append(exc)

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    deadline = time.monotonic() + 10
    while not got and time.monotonic() < deadline:
        time.sleep(0.01)
    time.sleep(0.1)
    assert len(got) == 1
    return reader, got


def test_an_interruption_ends_the_iteration_as_the_end_does(slow):
    source, releases = slow
    reader, got = waiting_reader(source)
    source.interrupt()
    reader.join(1)
    assert not reader.is_alive()
    assert got[0].index == 0
    assert got[1:] == ["end"]
    assert (list(source), source.failed, source.notes, releases) == ([], 0, [], [])
    source.close()
    assert releases == [threading.current_thread()]


def test_closing_while_another_thread_reads_leaves_the_release_to_it(slow):
    source, releases = slow
    reader, got = waiting_reader(source)
    source.close()
    reader.join(1)
    assert not reader.is_alive()
    assert got[1:] == ["end"]
    source.close()
    assert releases == [reader]


def test_many_threads_close_a_source_once(slow):
    source, releases = slow
    reader, _ = waiting_reader(source)
    closers = [threading.Thread(target=source.close) for _ in range(8)]
    for thread in closers:
        thread.start()
    for thread in (*closers, reader):
        thread.join(1)
        assert not thread.is_alive()
    assert len(releases) == 1


def test_an_interruption_between_two_frames_adds_no_note_of_damage(tmp_path):
    clip = write_clip(tmp_path / "in.mp4", map(flat, range(50)), muxer={"movflags": "faststart"})
    with open_source(damage(clip, tmp_path / "cut.mp4", keep=0.7)) as source:
        assert isinstance(source, BaseSource)
        next(source)
        source.interrupt()
        assert (list(source), source.notes) == ([], [])
    assert source.failed == 0
