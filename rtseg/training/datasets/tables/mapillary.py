"""Mapillary Vistas: the Cityscapes class of each label, by its name.

Neuhold et al. 2017, https://doi.org/10.1109/ICCV.2017.534. v1.2 has 66 labels, in the order below;
v2.0 has 124, whose order is read from the data set's own config_v2.0.json. A name that is not here
belongs to the longest name before a "--" that is (object--vehicle--car--taxi to
object--vehicle--car), or else is ignored. Which label is which class is our reading of the names:
curbs, bridges, banners and the like are no Cityscapes class.
"""

from __future__ import annotations

# fmt: off
V1_2: tuple[tuple[str, str | None], ...] = (
    ("animal--bird", None),
    ("animal--ground-animal", None),
    ("construction--barrier--curb", None),
    ("construction--barrier--fence", "fence"),
    ("construction--barrier--guard-rail", None),
    ("construction--barrier--other-barrier", None),
    ("construction--barrier--wall", "wall"),
    ("construction--flat--bike-lane", "road"),
    ("construction--flat--crosswalk-plain", "road"),
    ("construction--flat--curb-cut", "sidewalk"),
    ("construction--flat--parking", None),
    ("construction--flat--pedestrian-area", "sidewalk"),
    ("construction--flat--rail-track", None),
    ("construction--flat--road", "road"),
    ("construction--flat--service-lane", "road"),
    ("construction--flat--sidewalk", "sidewalk"),
    ("construction--structure--bridge", None),
    ("construction--structure--building", "building"),
    ("construction--structure--tunnel", None),
    ("human--person", "person"),
    ("human--rider--bicyclist", "rider"),
    ("human--rider--motorcyclist", "rider"),
    ("human--rider--other-rider", "rider"),
    ("marking--crosswalk-zebra", "road"),
    ("marking--general", "road"),
    ("nature--mountain", None),
    ("nature--sand", "terrain"),
    ("nature--sky", "sky"),
    ("nature--snow", None),
    ("nature--terrain", "terrain"),
    ("nature--vegetation", "vegetation"),
    ("nature--water", None),
    ("object--banner", None),
    ("object--bench", None),
    ("object--bike-rack", None),
    ("object--billboard", None),
    ("object--catch-basin", "road"),
    ("object--cctv-camera", None),
    ("object--fire-hydrant", None),
    ("object--junction-box", None),
    ("object--mailbox", None),
    ("object--manhole", "road"),
    ("object--phone-booth", None),
    ("object--pothole", "road"),
    ("object--street-light", "pole"),
    ("object--support--pole", "pole"),
    ("object--support--traffic-sign-frame", None),
    ("object--support--utility-pole", "pole"),
    ("object--traffic-light", "traffic light"),
    ("object--traffic-sign--back", None),
    ("object--traffic-sign--front", "traffic sign"),
    ("object--trash-can", None),
    ("object--vehicle--bicycle", "bicycle"),
    ("object--vehicle--boat", None),
    ("object--vehicle--bus", "bus"),
    ("object--vehicle--car", "car"),
    ("object--vehicle--caravan", None),
    ("object--vehicle--motorcycle", "motorcycle"),
    ("object--vehicle--on-rails", "train"),
    ("object--vehicle--other-vehicle", None),
    ("object--vehicle--trailer", None),
    ("object--vehicle--truck", "truck"),
    ("object--vehicle--wheeled-slow", None),
    ("void--car-mount", None),
    ("void--ego-vehicle", None),
    ("void--unlabeled", None),
)

V2_0_ALSO: tuple[tuple[str, str | None], ...] = (
    # names of v2.0 that v1.2 lacks and that are a class
    ("construction--flat--road-shoulder", "road"),
    ("construction--flat--driveway", "road"),
    ("human--person--individual", "person"),
    ("human--person--person-group", "person"),
    ("marking", "road"),
    ("marking-only", "road"),
    ("object--sign", None),
    ("object--traffic-sign", "traffic sign"),
    ("object--traffic-sign--ambiguous", None),
    ("object--traffic-sign--direction-back", None),
    ("object--traffic-sign--information-parking", "traffic sign"),
    ("object--traffic-sign--temporary-back", None),
)
# fmt: on
