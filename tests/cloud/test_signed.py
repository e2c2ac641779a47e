"""Links that carry their own permission."""

import json
from typing import Any

import pytest

from server.llamacloud.signing import Signer
from state.cloud.blobs import CloudFiles
from state.cloud.ids import DEFAULT_PROJECT_ID
from state.cloud.projects import CloudProjects
from tests.cloud.conftest import CloudWorld


def token_of(cloud: CloudWorld, claim: dict[str, Any], seconds: int | None = None) -> str:
    return f"/api/v1/signed/{Signer.of(cloud.settings).sign(claim, seconds)[0]}"


def result(**changes: Any) -> dict[str, Any]:
    claim = {
        "kind": "result",
        "project_id": DEFAULT_PROJECT_ID,
        "job_id": "job-1",
        "name": "t.parquet",
        "media_type": "application/vnd.apache.parquet",
        "filename": "table.parquet",
    }
    return {**claim, **changes}


@pytest.fixture
def job(cloud: CloudWorld) -> CloudWorld:
    CloudProjects(cloud.projects).ensure(DEFAULT_PROJECT_ID)
    folder = CloudFiles.of(cloud.settings, DEFAULT_PROJECT_ID).folder("jobs", "job-1")
    (folder / "t.parquet").write_bytes(b"PAR1 rows")
    (folder / "link").symlink_to("/etc/hostname")
    return cloud


def test_a_link_gives_the_bytes_without_a_key_and_by_ranges(cloud: CloudWorld) -> None:
    file_id = cloud.upload("héllo.txt", "hello")
    link = cloud.http.get(f"/api/v1/beta/files/{file_id}/content", params={"expires_at_seconds": 60}).json()
    assert link["url"].startswith("http://testserver/api/v1/signed/")
    answer = cloud.http.get(link["url"])
    assert answer.text == "hello"
    assert answer.headers["content-type"].startswith("text/plain")
    assert answer.headers["content-length"] == "5"
    assert answer.headers["content-disposition"].startswith("attachment")
    assert answer.headers["x-content-type-options"] == "nosniff"
    part = cloud.http.get(link["url"], headers={"Range": "bytes=1-2"})
    assert (part.status_code, part.text) == (206, "el")


@pytest.mark.parametrize("seconds", [0, -1, 604_801])
def test_a_link_lasts_at_most_seven_days(cloud: CloudWorld, seconds: int) -> None:
    file_id = cloud.upload("a.txt", "hello")
    query = {"expires_at_seconds": seconds}
    assert cloud.http.get(f"/api/v1/beta/files/{file_id}/content", params=query).status_code == 422


def test_forged_and_expired_links_are_403(cloud: CloudWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    file_id = cloud.upload("a.txt", "hello")
    url = cloud.http.get(f"/api/v1/beta/files/{file_id}/content").json()["url"]
    token = url.rpartition("/")[2]
    other = Signer(b"another secret").sign({"kind": "file", "project_id": DEFAULT_PROJECT_ID, "file_id": file_id})[0]
    for forged in (token[:-1], "A" + token[1:], token[:-4] + "AAAA", other, "x", "é", "A" * 5_000):
        assert cloud.http.get(f"/api/v1/signed/{forged}").status_code == 403
        assert cloud.http.put(f"/api/v1/signed/{forged}", content=b"x").status_code == 403
    expired = Signer.of(cloud.settings)
    expired._clock = lambda: 1_000.0
    old = expired.sign({"kind": "file", "project_id": DEFAULT_PROJECT_ID, "file_id": file_id})[0]
    assert cloud.http.get(f"/api/v1/signed/{old}").status_code == 403
    assert cloud.http.get(url).status_code == 200


def test_a_link_to_what_is_gone_is_404(cloud: CloudWorld) -> None:
    file_id = cloud.upload("a.txt", "hello")
    url = cloud.http.get(f"/api/v1/beta/files/{file_id}/content").json()["url"]
    cloud.http.delete(f"/api/v1/beta/files/{file_id}")
    assert cloud.http.get(url).status_code == 404


def test_results_of_jobs_are_given_out(job: CloudWorld) -> None:
    answer = job.http.get(token_of(job, result()))
    assert answer.content == b"PAR1 rows"
    assert answer.headers["content-type"] == "application/vnd.apache.parquet"
    assert 'filename="table.parquet"' in answer.headers["content-disposition"]


@pytest.mark.parametrize(
    "changes",
    [
        {"name": "other"},
        {"name": "../../files/x"},
        {"name": "/etc/hostname"},
        {"name": "link"},
        {"name": ""},
        {"job_id": ".."},
        {"job_id": "", "name": "job-1/t.parquet"},
        {"project_id": "p2"},
    ],
    ids=json.dumps,
)
def test_nothing_outside_the_folder_of_a_job_is_given_out(job: CloudWorld, changes: dict[str, str]) -> None:
    assert job.http.get(token_of(job, result(**changes))).status_code == 404


def test_a_link_is_good_for_its_own_purpose_alone(job: CloudWorld) -> None:
    assert job.http.put(token_of(job, result()), content=b"x").status_code == 403
    upload = {"kind": "upload", "project_id": DEFAULT_PROJECT_ID, "file_id": "f"}
    assert job.http.get(token_of(job, upload)).status_code == 403
    assert job.http.put(token_of(job, upload), content=b"x").status_code == 404


def test_a_link_tells_its_length_without_its_bytes(cloud: CloudWorld) -> None:
    file_id = cloud.upload("a.txt", "hello")
    url = cloud.http.get(f"/api/v1/beta/files/{file_id}/content").json()["url"]
    answer = cloud.http.head(url)
    assert (answer.status_code, answer.content, answer.headers["content-length"]) == (200, b"", "5")
    assert cloud.http.head("/api/v1/signed/forged").status_code == 403


def test_a_link_used_the_wrong_way_round_says_which_way_it_goes(cloud: CloudWorld) -> None:
    file_id = cloud.upload("a.txt", "hello")
    url = cloud.http.get(f"/api/v1/beta/files/{file_id}/content").json()["url"]
    answer = cloud.http.put(url, content=b"x")
    assert answer.status_code == 403
    assert "gives bytes (GET)" in answer.json()["message"]
