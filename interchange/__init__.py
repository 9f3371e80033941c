"""Results in the layouts of other programs: 3D Slicer, ITK-SNAP, QuPath, BIDS, RO-Crate."""
