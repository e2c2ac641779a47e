"""What only PostgreSQL does: it goes away and comes back, and refuses what SQLite takes."""

import contextlib
from collections.abc import Iterator

import pytest
from sqlalchemy import text

from rag.errors import ConfigError, InvalidInputError, NotFoundError, UpstreamError
from state.cloud.jobs import CloudJobs, JobFilter, NewJob
from state.cloud.objects import CloudObjects, Wanted
from state.database import StateDatabase
from tests.fixtures.postgres import PostgresProcess

pytestmark = pytest.mark.state("postgresql")

NUL = "a\x00b"


@pytest.fixture
def objects(state_database: StateDatabase) -> CloudObjects:
    return CloudObjects(state_database)


@pytest.fixture
def jobs(state_database: StateDatabase) -> CloudJobs:
    return CloudJobs(state_database, lease_s=10.0)


@contextlib.contextmanager
def away(postgres: PostgresProcess) -> Iterator[None]:
    postgres.stop()
    try:
        yield
    finally:
        postgres.start()


def test_a_restart_between_two_requests_is_not_noticed(objects: CloudObjects, postgres: PostgresProcess) -> None:
    objects.insert("file", "f", project_id="p", body={})
    with away(postgres):
        pass
    assert objects.get("file", "f").id == "f"
    objects.edit_body("file", "f", x=1)


def test_while_it_is_away_each_request_says_so_and_then_all_is_well(
    objects: CloudObjects, postgres: PostgresProcess
) -> None:
    objects.insert("file", "f", project_id="p", body={})
    with away(postgres):
        for _ in range(2):
            with pytest.raises(UpstreamError, match="the state database does not answer") as caught:
                objects.get("file", "f")
            assert "/" not in str(caught.value)
    assert objects.get("file", "f").id == "f"


def test_a_connection_that_is_cut_within_a_transaction_leaves_nothing_of_it(state_database: StateDatabase) -> None:
    def add_and_be_cut() -> None:
        columns = "(id, name, digest, hint, created_at)"
        with state_database.write() as session:
            session.execute(text(f"INSERT INTO api_key {columns} VALUES ('k', 'k', 'd', 'h', 0)"))
            session.execute(text("SELECT pg_terminate_backend(pg_backend_pid())"))

    with pytest.raises(UpstreamError):
        add_and_be_cut()
    with state_database.write() as session:
        assert session.scalar(text("SELECT count(*) FROM api_key")) == 0


def test_a_text_with_nul_is_kept_with_a_sign_in_its_place(objects: CloudObjects) -> None:
    body = {"k\x00": [NUL, "\x00\x00"], "written": ["\\u0000", "\\\x00", "\\\\u0000"]}
    made = objects.insert("file", "f", project_id="p", body=body, name=NUL, unique_key=f"p/{NUL}")
    found = objects.get("file", made.id)
    assert found.name == "a\ufffdb"
    assert found.body == {
        "k\ufffd": ["a\ufffdb", "\ufffd\ufffd"],
        "written": ["\\u0000", "\\\ufffd", "\\\\u0000"],
    }
    assert objects.find("file", f"p/{NUL}") == found
    assert objects.all("file", Wanted(name=NUL)) == [found]


def test_what_is_named_with_nul_is_not_found(objects: CloudObjects, jobs: CloudJobs) -> None:
    jobs.create(NewJob("j", "sheets", "p", {}, stage="parse"))
    for look in (lambda: objects.get("file", NUL), lambda: jobs.get("sheets", NUL)):
        with pytest.raises(NotFoundError):
            look()
    assert objects.by_ids("file", [NUL]) == {}
    assert objects.all("file", Wanted(NUL, NUL, NUL, NUL)) == []
    assert jobs.all("sheets", JobFilter(project_id=NUL)) == []
    assert jobs.cancel("sheets", NUL) is False
    jobs.delete(NUL)
    objects.delete("file", NUL)
    objects.delete_of("file", NUL, [NUL])
    objects.mark_deleted_of("file", NUL)
    assert [each.id for each in jobs.all("sheets", JobFilter())] == ["j"]


def test_a_value_that_has_no_room_is_refused_with_a_reason_and_not_tried_again(objects: CloudObjects) -> None:
    with pytest.raises(InvalidInputError, match="cannot be stored: value too long"):
        objects.insert("file", "x" * 101, project_id="p", body={})
    assert objects.all("file") == []


@pytest.mark.parametrize("url", ["postgres://localhost/x", "postgresql+psycopg_not://localhost/x", "nothing"])
def test_a_url_that_cannot_be_used_says_what_would_do(url: str) -> None:
    with pytest.raises(ConfigError, match=r"LF_DATABASE_URL cannot be used.*postgresql\+psycopg://"):
        StateDatabase(url)
