"""One CVAT, one model and one bridge a database for all tests here; each test has a job of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.support.cvat import CvatServer, cvat_server
from tests.support.loop import Found, Loop
from tests.support.postgres import Postgres, postgres
from tests.support.predictor import Predictor, numpy_card

__all__ = ["cvat_server", "postgres"]

Expect = Callable[..., Found]


@pytest.fixture(scope="session")
def predictor(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Predictor]:
    card = numpy_card(settings={"delay_s": 0.0})  # so that a webhook can ask for it
    with Predictor(tmp_path_factory.mktemp("predictor"), card) as running:
        yield running


@pytest.fixture(scope="session")
def loops(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    cvat_server: CvatServer,
    predictor: Predictor,
) -> Iterator[Callable[[str], Loop]]:
    """The loop on `sqlite` or `postgres`."""
    made: dict[str, Loop] = {}

    def get(database: str) -> Loop:
        if database not in made:
            url = ""
            if database == "postgres":
                cluster: Postgres = request.getfixturevalue("postgres")
                url = cluster.database()
            loop = Loop(tmp_path_factory.mktemp(database), cvat_server, predictor.url, database=url)
            made[database] = loop.__enter__()
        return made[database]

    yield get
    for loop in made.values():
        loop.__exit__(None, None, None)


@pytest.fixture
def loop(request: pytest.FixtureRequest, loops: Callable[[str], Loop]) -> Iterator[Loop]:
    """A loop whose bridge runs, with no fault and no hold left from another test; on SQLite unless a test says so."""
    found = loops(getattr(request, "param", "sqlite"))
    found.make_ready()
    yield found
    found.clear()


@pytest.fixture(scope="session")
def expect(loops: Callable[[str], Loop]) -> Expect:
    """What a run that nobody disturbs finds in the usual job, by its parameters."""
    known: dict[str, Found] = {}

    def get(**parameters: float) -> Found:
        key = repr(sorted(parameters.items()))
        if key not in known:
            loop = loops("sqlite")
            loop.make_ready()
            with loop.job(webhook=False) as job:
                loop.annotate(job, **parameters)
                known[key] = job.found()
        return known[key]

    return get
