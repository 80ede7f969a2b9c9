"""Outputs that must not be written, and outputs that break."""

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest
from clips import decode, flat, result_of, write_clip
from PIL import Image
from processes import program

from rtseg.errors import OutputError, SinkError
from rtseg.video.output import OutputFile, check_output
from rtseg.video.sinks import MaskSink
from rtseg.video.sources import open_source
from rtseg.video.writer import VideoSink


@pytest.fixture
def clip(tmp_path):
    return write_clip(tmp_path / "in.mp4", map(flat, range(5)))


def refuse(clip, out, match, spec=None, **options):
    before = clip.read_bytes()
    with open_source(spec or clip) as source, pytest.raises(OutputError, match=match):
        VideoSink(out, info=source.info, **options)
    assert clip.read_bytes() == before


def test_the_input_is_never_the_output(clip):
    refuse(clip, clip, "is the input itself", overwrite=True)


def test_nor_through_a_symbolic_link(tmp_path, clip):
    (tmp_path / "link.mp4").symlink_to(clip)
    refuse(clip, tmp_path / "link.mp4", "is the input itself", overwrite=True)


def test_nor_through_a_hard_link(tmp_path, clip):
    (tmp_path / "hard.mp4").hardlink_to(clip)
    refuse(clip, tmp_path / "hard.mp4", "is the input itself", overwrite=True)


def test_nor_through_another_spelling(tmp_path, clip, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "sub").mkdir()
    refuse(clip, "sub/../in.mp4", "is the input itself", overwrite=True)


def test_nor_the_file_the_sound_comes_from(tmp_path, clip):
    other = write_clip(tmp_path / "sound.mp4", map(flat, range(5)), sound=0)
    refuse(clip, other, "is the input itself", overwrite=True, audio_from=other)


def test_nor_one_of_many_images(tmp_path):
    for index in range(3):
        Image.new("RGB", (8, 6)).save(tmp_path / f"{index}.png")
    (tmp_path / "out.mp4").hardlink_to(tmp_path / "2.png")
    for spec in (tmp_path, tmp_path / "*.png"):
        refuse(tmp_path / "2.png", tmp_path / "out.mp4", "the input itself", spec, overwrite=True)


def test_thousands_of_inputs_are_compared_at_once(tmp_path):
    """Each is looked up once: 5000 in the time of 5000, not of 5000 for each output."""
    inputs = [tmp_path / f"{index}.png" for index in range(5000)]
    for path in inputs:
        path.touch()
    start = time.perf_counter()
    check_output(tmp_path / "o.mp4", inputs=inputs, overwrite=True)
    MaskSink(tmp_path, names=[f"m{index}" for index in range(5000)], inputs=inputs, overwrite=True)
    assert time.perf_counter() - start < 2
    for overwrite in (True, False, None):
        with pytest.raises(OutputError, match="is the input itself"):
            check_output(inputs[-1], inputs=inputs, overwrite=overwrite)


def test_an_existing_file_is_kept_unless_allowed(tmp_path, clip):
    out = tmp_path / "o.mp4"
    out.write_text("precious")
    refuse(clip, out, r"exists already; give another name.*--overwrite")
    assert out.read_text() == "precious"
    check_output(out, inputs=[clip], overwrite=None)
    with open_source(clip) as source:
        sink = VideoSink(out, info=source.info, overwrite=True)
        with sink:  # and no frame comes
            pass
    assert out.read_text() == "precious"


def test_a_sink_that_was_made_and_not_used_leaves_nothing(tmp_path, clip):
    with open_source(clip) as source:
        sink = VideoSink(tmp_path / "o.mp4", info=source.info)
        sink.close()
        with pytest.raises(ValueError, match="the sink is closed"):
            sink.write(result_of(next(source)))
    assert list(tmp_path.iterdir()) == [clip]


def test_a_file_that_appears_after_the_check_is_kept(tmp_path, clip):
    with open_source(clip) as source:
        sink = VideoSink(tmp_path / "o.mp4", info=source.info)
        sink.path.write_text("precious")
        with pytest.raises(OutputError, match="exists already"), sink:
            sink.write(result_of(next(source)))
    assert sink.path.read_text() == "precious"


def test_a_folder_is_no_output(tmp_path, clip):
    (tmp_path / "o.mp4").mkdir()
    refuse(clip, tmp_path / "o.mp4", "is a folder")


def test_a_missing_folder_is_named(tmp_path, clip):
    refuse(clip, tmp_path / "none" / "o.mp4", r"the folder .*none does not exist; create it")


def test_a_device_is_no_output(clip):
    with pytest.raises(OutputError, match="no regular file"):
        check_output(Path("/dev/null"), inputs=[clip], overwrite=True)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_may_not_be_written(tmp_path, clip):
    folder = tmp_path / "closed"
    folder.mkdir(mode=0o500)
    refuse(clip, folder / "o.mp4", "check its permissions")


def test_a_broken_link_to_nowhere_is_written_through(tmp_path, clip):
    (tmp_path / "link.mp4").symlink_to(tmp_path / "target.mp4")
    check_output(tmp_path / "link.mp4", inputs=[clip], overwrite=False)
    with open_source(clip) as source, VideoSink(tmp_path / "link.mp4", info=source.info) as sink:
        sink.write(result_of(next(source)))
    assert decode(tmp_path / "target.mp4")
    assert (tmp_path / "link.mp4").is_symlink()


def test_nothing_is_written_after_an_error(tmp_path):
    out = OutputFile(Path("/dev/full"), overwrite=True)
    with pytest.raises(OSError, match="No space left"):
        out.write(b"abc")
    assert out.error is not None
    out.close()
    out = OutputFile(tmp_path / "o", overwrite=False)
    out.error = OSError("earlier")
    with pytest.raises(OSError, match="earlier"):
        out.write(b"abc")
    out.close()
    assert (tmp_path / "o").read_bytes() == b""


def test_frames_that_got_lost_are_missed(tmp_path, clip):
    """What stands under the name at the end is counted, whatever the encoder believes."""
    other = write_clip(tmp_path / "other.mp4", map(flat, range(3)))
    with open_source(clip) as source:
        sink = VideoSink(tmp_path / "o.mp4", info=source.info)
        for frame in source:
            sink.write(result_of(frame))
    other.rename(sink.path)
    with pytest.raises(SinkError, match=r"o\.mp4 holds 3 of 5 frames that were written"):
        sink.close()


# Outputs that break, in a process of their own


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv"])
@pytest.mark.parametrize("preset", ["ultrafast", "superfast", "veryfast"])
def test_a_killed_process_leaves_a_video_that_plays_to_the_last_second(tmp_path, preset, suffix):
    body = """
        sink = VideoSink(sys.argv[1], info=info, preset=sys.argv[2])
        for result in results():
            sink.write(result)
            if sink.written == 60:
                print("written", flush=True)
                signal.pause()
    """
    out = tmp_path / f"o{suffix}"
    with subprocess.Popen(program(body, out, preset), stdout=subprocess.PIPE, text=True) as run:
        assert run.stdout.readline() == "written\n"
        run.kill()
    assert run.returncode == -signal.SIGKILL
    frames = decode(out)
    assert 60 - 25 <= len(frames) <= 60
    assert [round(frame.pts * frame.time_base * 25) for frame in frames] == list(range(len(frames)))
    with open_source(out) as source:
        assert len(list(source)) == len(frames)


def test_a_full_disk_is_reported_and_the_written_part_plays(tmp_path):
    body = """
        import resource
        resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, 400_000))
        sink = VideoSink(sys.argv[1], info=info, crf=10)
        try:
            with sink:
                for result in results():
                    sink.write(result)
        except SinkError as error:
            print(sink.written, error, sep="\\n")
    """
    out = tmp_path / "o.mp4"
    run = subprocess.run(program(body, out), capture_output=True, text=True, timeout=60, check=True)
    written, message = run.stdout.splitlines()
    assert f"writing {out} failed after {written} frames: File too large" in message
    assert run.stderr == ""
    assert out.stat().st_size == 400_000
    with open_source(out) as source:
        assert int(written) - 25 <= len(list(source)) <= int(written)
        assert "cut short" in source.notes[0]


def test_a_disk_that_is_full_at_the_start_leaves_no_empty_file(tmp_path):
    body = """
        import resource
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
        try:
            with VideoSink(sys.argv[1], info=info) as sink:
                sink.write(next(results()))
        except SinkError as error:
            print(error)
    """
    out = tmp_path / "o.mkv"
    run = subprocess.run(program(body, out), capture_output=True, text=True, timeout=60, check=True)
    assert "failed after 0 frames: File too large; nothing is left of it" in run.stdout
    assert run.stderr == ""
    assert list(tmp_path.iterdir()) == []


def test_a_disk_that_fills_up_at_the_very_end_is_reported(tmp_path):
    """The index that makes a regular file of the fragments does not fit any more."""
    body = """
        import os, resource
        sink = VideoSink(sys.argv[1], info=info, crf=10)
        for result in results():
            sink.write(result)
            if sink.written == 60:
                break
        limit = os.path.getsize(sys.argv[1]) + 100
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
        try:
            sink.close()
        except SinkError as error:
            print(error)
        sink.close()
    """
    out = tmp_path / "o.mp4"
    run = subprocess.run(program(body, out), capture_output=True, text=True, timeout=60, check=True)
    assert "failed after 60 frames: File too large" in run.stdout
    assert run.stderr == ""
    assert len(decode(out)) >= 35
