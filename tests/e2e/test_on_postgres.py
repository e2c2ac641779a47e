"""The whole system with PostgreSQL as its state, which is restarted under it."""

from pathlib import Path

import pytest

from tests.e2e.system import outcomes, running_system, wait_for
from tests.fixtures.postgres import EMPTY, PostgresProcess

TIDES = b"The moon pulls the water of the sea, which rises and falls twice a day."
BREAD = b"Flour, water, salt and a sour dough make a loaf of bread."


@pytest.mark.postgres
def test_a_restart_of_the_database_is_told_while_it_lasts_and_loses_nothing(
    tmp_path: Path, postgres: PostgresProcess
) -> None:
    with (
        postgres.database(EMPTY) as url,
        running_system(tmp_path, LF_DATABASE_URL=url, LF_API_PROCESSES="2") as system,
    ):
        project = system.project("acme", "handbook")
        project.create_dataset("docs")
        project.upload("docs", "tides.txt", TIDES)
        project.process("docs")
        project.upload("docs", "bread.txt", BREAD)
        task_id = project.start("docs")
        postgres.stop()
        try:
            away = system.client.get(f"{project.path}/tasks")
            assert away.status_code == 503, away.text
            assert "the state database does not answer" in away.json()["detail"]
        finally:
            postgres.start()
        wait_for(lambda: system.client.get(f"{project.path}/tasks").status_code == 200, 30, "the state is back")
        files = outcomes(project.wait(task_id))
        assert {name: each["status"] for name, each in files.items()} == {
            "tides.txt": "skipped",
            "bread.txt": "processed",
        }
        assert TIDES.decode() in project.query("Why does the ocean go up and down?")[0]["content"]
        assert BREAD.decode() in project.query("sour dough")[0]["content"]
        system.wait_healthy()
