"""Drawn streets: driving clips with exact labels, for demos, tests and training without data.

A street is a loop of things (houses, trees, cars, people …) laid out once from a seed. A frame
places them around the camera and paints them far to near on one (H, W, 4) canvas whose channels
are B, G, R and the class id, so that a pixel and its label are always written together.
World axes, in metres: x to the right of the road's middle, y up, z ahead of the camera.

    view.py      the camera: metres to pixels      textures.py  facades, leaves, sky, ground …
    things.py    houses, cars, people …, painted   street.py    what stands and moves where
    scene.py     Scene: the frames of a drive
"""

from rtseg.synthetic.scene import Scene, labelled_frames

__all__ = ["Scene", "labelled_frames"]
