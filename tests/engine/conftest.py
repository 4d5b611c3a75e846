"""Every engine test that asks for ``make`` runs with both kinds of backend."""

import pytest

from tests.engine.fakes import AsyncEcho, Make, SyncEcho


@pytest.fixture(params=[AsyncEcho, SyncEcho], ids=["coroutine", "thread"])
def make(request: pytest.FixtureRequest) -> Make:
    kind: Make = request.param
    return kind
