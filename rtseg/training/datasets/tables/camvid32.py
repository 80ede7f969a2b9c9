"""CamVid's original 32 colours, and SegNet's class of each.

Brostow et al. 2008, https://doi.org/10.1016/j.patrec.2008.04.005 (label_colors.txt); the classes
are those of Badrinarayanan et al. 2015, https://arxiv.org/abs/1511.00561.
"""

from __future__ import annotations

# fmt: off
COLOURS: tuple[tuple[tuple[int, int, int], str, str | None], ...] = (
    # colour (RGB), name, class
    (( 64, 128,  64), "Animal", "pedestrian"),
    ((192,   0, 128), "Archway", "building"),
    ((  0, 128, 192), "Bicyclist", "bicyclist"),
    ((  0, 128,  64), "Bridge", "building"),
    ((128,   0,   0), "Building", "building"),
    (( 64,   0, 128), "Car", "car"),
    (( 64,   0, 192), "CartLuggagePram", "pedestrian"),
    ((192, 128,  64), "Child", "pedestrian"),
    ((192, 192, 128), "Column_Pole", "pole"),
    (( 64,  64, 128), "Fence", "fence"),
    ((128,   0, 192), "LaneMkgsDriv", "road"),
    ((192,   0,  64), "LaneMkgsNonDriv", "road"),
    ((128, 128,  64), "Misc_Text", "sign"),
    ((192,   0, 192), "MotorcycleScooter", "bicyclist"),
    ((128,  64,  64), "OtherMoving", "car"),
    (( 64, 192, 128), "ParkingBlock", "pavement"),
    (( 64,  64,   0), "Pedestrian", "pedestrian"),
    ((128,  64, 128), "Road", "road"),
    ((128, 128, 192), "RoadShoulder", "pavement"),
    ((  0,   0, 192), "Sidewalk", "pavement"),
    ((192, 128, 128), "SignSymbol", "sign"),
    ((128, 128, 128), "Sky", "sky"),
    (( 64, 128, 192), "SUVPickupTruck", "car"),
    ((  0,   0,  64), "TrafficCone", "pole"),
    ((  0,  64,  64), "TrafficLight", "sign"),
    ((192,  64, 128), "Train", "car"),
    ((128, 128,   0), "Tree", "tree"),
    ((192, 128, 192), "Truck_Bus", "car"),
    (( 64,   0,  64), "Tunnel", "building"),
    ((192, 192,   0), "VegetationMisc", "tree"),
    ((  0,   0,   0), "Void", None),
    (( 64, 192,   0), "Wall", "building"),
)
# fmt: on
