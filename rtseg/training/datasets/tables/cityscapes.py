"""Cityscapes: 34 label ids, 19 of which are train classes. KITTI uses the same ids.

Cordts et al. 2016, https://arxiv.org/abs/1604.01685; ids and colours of the official scripts,
https://github.com/mcordts/cityscapesScripts. The licence plate has the id -1, which no label map
contains.
"""

from __future__ import annotations

from rtseg.classes import Label, LabelSet

# fmt: off
CITYSCAPES = LabelSet("cityscapes-19", (
    #     id  name             colour (RGB)     group
    Label( 0, "road",          (128,  64, 128), "drivable"),
    Label( 1, "sidewalk",      (244,  35, 232), "walkable"),
    Label( 2, "building",      ( 70,  70,  70), "structure"),
    Label( 3, "wall",          (102, 102, 156), "structure"),
    Label( 4, "fence",         (190, 153, 153), "structure"),
    Label( 5, "pole",          (153, 153, 153), "object"),
    Label( 6, "traffic light", (250, 170,  30), "object"),
    Label( 7, "traffic sign",  (220, 220,   0), "object"),
    Label( 8, "vegetation",    (107, 142,  35), "nature"),
    Label( 9, "terrain",       (152, 251, 152), "nature"),
    Label(10, "sky",           ( 70, 130, 180), "sky"),
    Label(11, "person",        (220,  20,  60), "vulnerable"),
    Label(12, "rider",         (255,   0,   0), "vulnerable"),
    Label(13, "car",           (  0,   0, 142), "vehicle"),
    Label(14, "truck",         (  0,   0,  70), "vehicle"),
    Label(15, "bus",           (  0,  60, 100), "vehicle"),
    Label(16, "train",         (  0,  80, 100), "vehicle"),
    Label(17, "motorcycle",    (  0,   0, 230), "vehicle"),
    Label(18, "bicycle",       (119,  11,  32), "vehicle"),
))

IDS: tuple[tuple[int, str, str | None], ...] = (
    # label id, its name, the train class it belongs to
    ( 0, "unlabeled", None),
    ( 1, "ego vehicle", None),
    ( 2, "rectification border", None),
    ( 3, "out of roi", None),
    ( 4, "static", None),
    ( 5, "dynamic", None),
    ( 6, "ground", None),
    ( 7, "road", "road"),
    ( 8, "sidewalk", "sidewalk"),
    ( 9, "parking", None),
    (10, "rail track", None),
    (11, "building", "building"),
    (12, "wall", "wall"),
    (13, "fence", "fence"),
    (14, "guard rail", None),
    (15, "bridge", None),
    (16, "tunnel", None),
    (17, "pole", "pole"),
    (18, "polegroup", None),
    (19, "traffic light", "traffic light"),
    (20, "traffic sign", "traffic sign"),
    (21, "vegetation", "vegetation"),
    (22, "terrain", "terrain"),
    (23, "sky", "sky"),
    (24, "person", "person"),
    (25, "rider", "rider"),
    (26, "car", "car"),
    (27, "truck", "truck"),
    (28, "bus", "bus"),
    (29, "caravan", None),
    (30, "trailer", None),
    (31, "train", "train"),
    (32, "motorcycle", "motorcycle"),
    (33, "bicycle", "bicycle"),
)
# fmt: on
