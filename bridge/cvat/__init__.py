"""CVAT as the bridge needs it: a thin client for exactly the endpoints a run touches."""
