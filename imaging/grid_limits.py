"""What a scan's grid may be: sizes, spacings and distances beyond which no scan lies.

Every reader of files and everything that takes images in memory asks here.
"""

MIN_SLICES = 4
MAX_GAP_MM = 15.0
SPACING_RANGE_MM = (0.1, 10.0)
THICK_MM = 5.001
"""Slices that are thicker than 5 mm, or further apart, move a volume by several per cent; headers
round, so a thousandth more is none."""
MAX_EDGE = 4096
MAX_EXTENT_MM = 1500.0
MAX_VOXELS = 1_200_000_000
