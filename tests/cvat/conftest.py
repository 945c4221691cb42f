from tests.support.cvat import cvat, cvat_server

__all__ = ["cvat", "cvat_server"]
