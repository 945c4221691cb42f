"""The demo itself: a CVAT, the bridge and `kelp up` as processes, one job annotated, and a page that shows it."""
