"""The bridge: what CVAT says becomes V2 calls, and what they answer becomes shapes in CVAT."""
