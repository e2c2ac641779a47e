"""Files in directories."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from state.cloud.ids import DEFAULT_PROJECT_ID
from state.cloud.objects import CloudObjects
from state.cloud.tables import CloudObjectRow
from tests.cloud.conftest import CloudWorld


@pytest.fixture
def files(cloud: CloudWorld) -> str:
    """The path of a directory's files."""
    return new_directory(cloud)


def new_directory(cloud: CloudWorld, project_id: str = DEFAULT_PROJECT_ID) -> str:
    answer = cloud.http.post("/api/v1/beta/directories", json={"name": "d"}, params={"project_id": project_id})
    return f"/api/v1/beta/directories/{answer.json()['id']}/files"


def add(cloud: CloudWorld, files: str, name: str, content: str = "words", **body: Any) -> dict[str, Any]:
    answer = cloud.http.post(files, json={"file_id": cloud.upload(name, content), **body})
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json()
    return found


def upload(cloud: CloudWorld, files: str, content: str = "words", **fields: str) -> Any:
    return cloud.http.post(f"{files}/upload", files={"upload_file": ("up.txt", content.encode())}, data=fields)


def names(cloud: CloudWorld, files: str, **query: Any) -> list[str]:
    answer = cloud.http.get(files, params=query)
    assert answer.status_code == 200, answer.text
    return [each["display_name"] for each in answer.json()["items"]]


def test_a_file_is_added_under_its_own_name(cloud: CloudWorld, files: str) -> None:
    found = add(cloud, files, "a.txt", metadata={"year": 2026, "tags": ["x", "y"], "open": True, "none": None})
    assert found["id"].startswith("dfl-")
    assert (found["display_name"], found["unique_id"]) == ("a.txt", "a.txt")
    assert found["metadata"] == {"year": 2026, "tags": ["x", "y"], "open": True, "none": None}
    assert found["download_url"] is None
    shown = cloud.http.get(f"{files}/{found['id']}", params={"expand": ["download_url", "metadata"]}).json()
    assert cloud.http.get(shown["download_url"]["url"]).text == "words"
    assert cloud.http.get(f"{files}/{found['id']}", params={"expand": "other"}).status_code == 422
    assert cloud.http.get(f"{files}/a.txt").status_code == 404


def test_an_upload_takes_names_and_metadata_from_its_form(cloud: CloudWorld, files: str) -> None:
    answer = upload(cloud, files, display_name="Shown", external_file_id="ext", metadata='{"year": 2026}')
    assert answer.status_code == 201
    found = answer.json()
    assert (found["display_name"], found["unique_id"], found["metadata"]) == ("Shown", "ext", {"year": 2026})
    assert cloud.http.get(f"/api/v1/files/{found['file_id']}").json()["external_file_id"] == "ext"


@pytest.mark.parametrize("metadata", ["{", "[]", '"x"', '{"a": {"b": 1}}', '{"a": [1]}', "NaN", '{"a": "\\u0000"}'])
def test_malformed_metadata_in_a_form_is_422_and_stores_nothing(cloud: CloudWorld, files: str, metadata: str) -> None:
    assert upload(cloud, files, metadata=metadata).status_code == 422
    assert names(cloud, files) == []
    assert cloud.http.get("/api/v1/beta/files").json()["items"] == []


@pytest.mark.parametrize("metadata", [{"a": {"b": 1}}, {"a": [1]}, {"a": ["x", None]}, [], {"a": "x" * 65_000}])
def test_nested_metadata_is_422(cloud: CloudWorld, files: str, metadata: Any) -> None:
    body = {"file_id": cloud.upload("a.txt", "words"), "metadata": metadata}
    assert cloud.http.post(files, json=body).status_code == 422


def test_the_same_unique_id_replaces_the_content_behind_the_same_entry(cloud: CloudWorld, files: str) -> None:
    first = add(cloud, files, "a.txt", "old", unique_id="u", metadata={"keep": 1})
    second = add(cloud, files, "b.txt", "new", unique_id="u")
    assert second["id"] == first["id"]
    assert second["file_id"] != first["file_id"]
    assert second["metadata"] == {"keep": 1}
    third = upload(cloud, files, "newest", unique_id="u", metadata='{"keep": 2}').json()
    assert (third["id"], third["metadata"]) == (first["id"], {"keep": 2})
    url = cloud.http.get(f"{files}/{first['id']}?expand=download_url").json()["download_url"]["url"]
    assert cloud.http.get(url).text == "newest"
    assert len(names(cloud, files)) == 1


def test_adding_one_unique_id_at_once_makes_one_entry(cloud: CloudWorld, files: str) -> None:
    with ThreadPoolExecutor(6) as pool:
        found = list(pool.map(lambda number: upload(cloud, files, f"{number}", unique_id="u"), range(12)))
    assert {each.status_code for each in found} == {201}
    assert len({each.json()["id"] for each in found}) == 1


def test_long_unique_ids_are_told_apart(cloud: CloudWorld, files: str) -> None:
    ids = ["ü" * 900 + end for end in ("a", "b")]
    for each in ids:
        add(cloud, files, "a.txt", unique_id=each)
    for each in ids:
        (found,) = cloud.http.get(files, params={"unique_id": each}).json()["items"]
        assert found["unique_id"] == each


def test_an_update_renames_and_replaces_what_users_said(cloud: CloudWorld, files: str) -> None:
    found = add(cloud, files, "a.txt", metadata={"a": 1, "b": 2})
    body = {"display_name": "B", "unique_id": "ub", "metadata": {"b": 3}}
    changed = cloud.http.patch(f"{files}/{found['id']}", json=body).json()
    assert (changed["display_name"], changed["unique_id"], changed["metadata"]) == ("B", "ub", {"b": 3})
    assert changed["updated_at"] > found["updated_at"]
    same = cloud.http.patch(f"{files}/{found['id']}", json={"display_name": None}).json()
    assert (same["display_name"], same["metadata"]) == ("B", {"b": 3})


def test_a_clash_of_unique_ids_is_400(cloud: CloudWorld, files: str) -> None:
    add(cloud, files, "a.txt")
    found = add(cloud, files, "b.txt")
    assert cloud.http.patch(f"{files}/{found['id']}", json={"unique_id": "a.txt"}).status_code == 400
    assert names(cloud, files, unique_id="b.txt") == ["b.txt"]


@pytest.mark.parametrize("key", ["directory_id", "target_directory_id"])
def test_a_file_is_moved_under_either_name(cloud: CloudWorld, files: str, key: str) -> None:
    found, target = add(cloud, files, "a.txt"), new_directory(cloud)
    moved = cloud.http.patch(f"{files}/{found['id']}", json={key: target.split("/")[5]}).json()
    assert (moved["id"], moved["directory_id"]) == (found["id"], target.split("/")[5])
    assert names(cloud, files) == []
    assert names(cloud, target) == ["a.txt"]
    assert cloud.http.get(f"{files}/{found['id']}").status_code == 404


def test_a_move_into_a_clash_or_to_nowhere_changes_nothing(cloud: CloudWorld, files: str) -> None:
    found, target, elsewhere = add(cloud, files, "a.txt"), new_directory(cloud), new_directory(cloud, "p2")
    add(cloud, target, "a.txt")
    for place, status in ((target.split("/")[5], 400), (elsewhere.split("/")[5], 404), ("dir-none", 404)):
        assert cloud.http.patch(f"{files}/{found['id']}", json={"directory_id": place}).status_code == status
    assert names(cloud, files) == ["a.txt"]


def test_a_deleted_entry_is_hidden_and_gives_its_unique_id_free(cloud: CloudWorld, files: str) -> None:
    first = add(cloud, files, "a.txt", unique_id="u")
    answer = cloud.http.delete(f"{files}/{first['id']}")
    assert (answer.status_code, answer.content) == (204, b"")
    assert cloud.http.get(f"{files}/{first['id']}").status_code == 404
    assert names(cloud, files) == []
    (shown,) = cloud.http.get(files, params={"include_deleted": True, "unique_id": "u"}).json()["items"]
    assert shown["deleted_at"] is not None
    assert add(cloud, files, "a.txt", unique_id="u")["id"] != first["id"]


def test_several_are_deleted_at_once_or_none(cloud: CloudWorld, files: str) -> None:
    ids = [add(cloud, files, f"{number}.txt")["id"] for number in range(3)]
    other = add(cloud, new_directory(cloud), "x.txt")["id"]
    path = f"{files}/bulk-delete"
    assert cloud.http.post(path, json={"directory_file_ids": [ids[0], other]}).status_code == 404
    assert len(names(cloud, files)) == 3
    assert cloud.http.post(path, json={"directory_file_ids": ids[:2]}).status_code == 204
    assert names(cloud, files) == ["2.txt"]
    assert cloud.http.post(path, json={"directory_file_ids": ["x"] * 101}).status_code == 422


def test_every_filter_narrows(cloud: CloudWorld, files: str) -> None:
    first = add(cloud, files, "Annual Report.pdf", unique_id="one")
    second = add(cloud, files, "50%_off.txt")
    assert names(cloud, files, display_name="50%_off.txt") == ["50%_off.txt"]
    assert names(cloud, files, display_name_contains="REPORT") == ["Annual Report.pdf"]
    assert names(cloud, files, display_name_contains="%_") == ["50%_off.txt"]
    assert names(cloud, files, display_name_contains="0_off") == []
    assert names(cloud, files, file_id=first["file_id"]) == ["Annual Report.pdf"]
    assert names(cloud, files, unique_id="one") == ["Annual Report.pdf"]
    assert names(cloud, files, updated_at_on_or_after=second["updated_at"]) == ["50%_off.txt"]
    assert names(cloud, files, updated_at_on_or_before=first["updated_at"]) == ["Annual Report.pdf"]
    assert cloud.http.get(files, params={"updated_at_on_or_after": "never"}).status_code == 422
    assert cloud.http.get(files, params={"unique_id": "a\x00"}).status_code == 422
    token = cloud.http.get(files, params={"page_size": 1}).json()["next_page_token"]
    assert cloud.http.get(files, params={"page_token": token, "unique_id": "one"}).status_code == 422
    assert cloud.http.get(new_directory(cloud), params={"page_token": token}).status_code == 422


def test_files_and_directories_of_other_projects_are_not_found(cloud: CloudWorld, files: str) -> None:
    theirs = cloud.upload("theirs.txt", "words", "p2")
    assert cloud.http.post(files, json={"file_id": theirs}).status_code == 404
    assert cloud.http.post(files, json={"file_id": "none"}).status_code == 404
    found = add(cloud, files, "a.txt")
    for method, path in (("GET", files), ("GET", f"{files}/{found['id']}"), ("DELETE", f"{files}/{found['id']}")):
        assert cloud.http.request(method, path, params={"project_id": "p2"}).status_code == 404
    assert upload(cloud, files.replace("dir-", "dir-x")).status_code == 404


def test_a_file_without_content_is_not_added(cloud: CloudWorld, files: str) -> None:
    slot = cloud.http.put("/api/v1/files", json={"name": "later.txt"}).json()
    assert cloud.http.post(files, json={"file_id": slot["file_id"]}).status_code == 400


def test_ten_thousand_files_are_walked_while_others_come(cloud: CloudWorld, files: str) -> None:
    """No file is lost or told twice, whatever is put in between."""
    directory = files.split("/")[5]

    def insert(numbers: range) -> None:
        rows = [
            CloudObjectRow(
                id=f"dfl-{number:06}",
                kind="directory_file",
                project_id=DEFAULT_PROJECT_ID,
                parent_id=directory,
                name=f"{number}.txt",
                ref="f",
                unique_key=f"{directory}/{number}",
                created_at=now + number // 7 * 1e-3,  # several at one moment
                updated_at=now,
                body={"unique_id": str(number), "file_hash": "0", "metadata": {}},
            )
            for number in numbers
        ]
        objects.write(lambda session: session.add_all(rows))

    objects = CloudObjects(cloud.database)
    now = objects.now()
    insert(range(10_000))
    found: list[str] = []
    token, step = "", 0
    while token is not None:
        page = cloud.http.get(files, params={"page_size": 5_000, "page_token": token}).json()
        assert len(page["items"]) <= 1_000
        found += [each["id"] for each in page["items"]]
        token = page["next_page_token"]
        if step < 3:
            insert(range(10_000 + step * 10, 10_010 + step * 10))
        step += 1
    assert len(found) == len(set(found)) == 10_030
    assert found == sorted(found)


def test_metadata_of_an_upload_is_refused_in_words(cloud: CloudWorld, files: str) -> None:
    data = {"metadata": '{"a": {"b": 1}}'}
    answer = cloud.http.post(f"{files}/upload", files={"upload_file": ("a.txt", b"x")}, data=data)
    assert answer.status_code == 422
    (problem,) = answer.json()["detail"]
    assert problem["loc"] == ["body", "metadata", "a"]
    assert problem["msg"] == "expected true or false, a number, a text or a list, got an object"
