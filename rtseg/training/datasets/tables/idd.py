"""IDD, the Indian driving data set: 40 label ids, and the Cityscapes class of each.

Varma et al. 2019, https://arxiv.org/abs/1811.10200; ids and Cityscapes train ids of the official
scripts, https://github.com/AutoNUE/public-code (anue_labels.py). What has no Cityscapes class, the
autorickshaw among it, is ignored; "non-drivable fallback" is terrain there.
"""

from __future__ import annotations

# fmt: off
IDS: tuple[tuple[int, str, str | None], ...] = (
    ( 0, "road", "road"),
    ( 1, "parking", None),
    ( 2, "drivable fallback", None),
    ( 3, "sidewalk", "sidewalk"),
    ( 4, "rail track", None),
    ( 5, "non-drivable fallback", "terrain"),
    ( 6, "person", "person"),
    ( 7, "animal", None),
    ( 8, "rider", "rider"),
    ( 9, "motorcycle", "motorcycle"),
    (10, "bicycle", "bicycle"),
    (11, "autorickshaw", None),
    (12, "car", "car"),
    (13, "truck", "truck"),
    (14, "bus", "bus"),
    (15, "caravan", None),
    (16, "trailer", None),
    (17, "train", "train"),
    (18, "vehicle fallback", None),
    (19, "curb", None),
    (20, "wall", "wall"),
    (21, "fence", "fence"),
    (22, "guard rail", None),
    (23, "billboard", None),
    (24, "traffic sign", "traffic sign"),
    (25, "traffic light", "traffic light"),
    (26, "pole", "pole"),
    (27, "polegroup", None),
    (28, "obs-str-bar-fallback", None),
    (29, "building", "building"),
    (30, "bridge", None),
    (31, "tunnel", None),
    (32, "vegetation", "vegetation"),
    (33, "sky", "sky"),
    (34, "fallback background", None),
    (35, "unlabeled", None),
    (36, "ego vehicle", None),
    (37, "rectification border", None),
    (38, "out of roi", None),
    (39, "license plate", None),
)
# fmt: on
