"""Real dashcam video, where it is at hand."""

import os
from pathlib import Path

import av
import numpy as np
import pytest
from clips import damage, plane, transcode

from rtseg.video.sources import open_source

ROOT = Path(__file__).resolve().parents[2]
DATA = Path(os.environ.get("RTSEG_DATA", ROOT.parent / "shared" / "data"))
CLIP = DATA / "video" / "highway_960x540.mp4"

pytestmark = [
    pytest.mark.data,
    pytest.mark.skipif(not CLIP.exists(), reason=f"no {CLIP}; set RTSEG_DATA"),
]


def test_a_drive_passes_through_with_its_times(tmp_path):
    sink = transcode(CLIP, tmp_path / "o.mp4")
    assert (sink.written, sink.notes) == (221, [])
    with av.open(str(CLIP)) as before, av.open(str(sink.path)) as after:
        pairs = zip(before.decode(video=0), after.decode(video=0), strict=True)
        for index, (theirs, ours) in enumerate(pairs):
            assert ours.pts * ours.time_base == theirs.pts * theirs.time_base
            if index % 20 == 0:
                assert np.abs(plane(ours).astype(int) - plane(theirs)).mean() < 3


def test_16_kb_of_zeros_cost_a_few_frames(tmp_path):
    hurt = damage(CLIP, tmp_path / "hurt.mp4", zero=(0.5, 16384))
    with open_source(hurt) as source:
        decoded = len(list(source))
    assert decoded >= 215
    assert decoded + source.failed == 221
    assert source.failed
