"""Property tests here judge results, never how long they take: the machine may be busy."""

from hypothesis import HealthCheck, settings

settings.register_profile("geometry", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("geometry")
