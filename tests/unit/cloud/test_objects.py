import threading
from typing import Any

import pytest

from rag.errors import ConflictError, InvalidInputError, NotFoundError
from state.cloud.members import Collection, Member, Members
from state.cloud.objects import CloudObjects, Wanted
from state.cloud.paging import make_token
from state.database import StateDatabase
from tests.unit.cloud.conftest import Clock

INDEX = Collection("idx-1", "index", "p1")

pytestmark = pytest.mark.state("sqlite", "postgresql")


@pytest.fixture
def objects(database: StateDatabase, clock: Clock) -> CloudObjects:
    return CloudObjects(database, clock=clock)


def test_an_object_is_found_in_its_project_alone(objects: CloudObjects) -> None:
    objects.insert("directory", "d", project_id="p1", body={"x": 1}, name="n")
    assert objects.get("directory", "d", "p1").body == {"x": 1}
    for kind, visible in (("directory", "p2"), ("index", None)):
        with pytest.raises(NotFoundError, match="'d' not found"):
            objects.get(kind, "d", visible)


def test_a_unique_key_is_free_again_when_its_object_is_deleted(objects: CloudObjects) -> None:
    objects.insert("pipeline", "a", project_id="p1", body={}, unique_key="p1/name")
    with pytest.raises(ConflictError, match="'name' exists already"):
        objects.insert("pipeline", "b", project_id="p1", body={}, unique_key="p1/name")
    objects.mark_deleted("pipeline", "a")
    objects.insert("pipeline", "b", project_id="p1", body={}, unique_key="p1/name")
    found = objects.find("pipeline", "p1/name")
    assert found is not None
    assert found.id == "b"


def test_what_was_deleted_is_shown_only_where_it_is_asked_for(objects: CloudObjects) -> None:
    objects.insert("file", "a", project_id="p1", body={})
    objects.mark_deleted("file", "a")
    assert objects.all("file") == []
    assert [each.id for each in objects.all("file", Wanted(with_deleted=True))] == ["a"]
    with pytest.raises(NotFoundError):
        objects.get("file", "a")
    assert objects.get("file", "a", with_deleted=True).deleted_at is not None


def test_an_edit_that_changes_nothing_leaves_the_time(objects: CloudObjects, clock: Clock) -> None:
    made = objects.insert("file", "a", project_id="p1", body={"x": 1}, name="n")
    clock.now += 5
    assert objects.edit_body("file", "a", x=1) == made
    assert objects.change("file", "a", lambda _: {"name": "n"}) == made
    assert objects.get("file", "a") == made
    objects.edit_body("file", "a", x=True)
    found = objects.get("file", "a")
    assert found.body["x"] is True
    assert found.updated_at >= made.updated_at + 5


def test_two_edits_at_once_are_both_kept(objects: CloudObjects) -> None:
    objects.insert("index", "a", project_id="p1", body={})
    edits = [threading.Thread(target=objects.edit_body, args=("index", "a"), kwargs={f"k{at}": at}) for at in range(8)]
    for each in edits:
        each.start()
    for each in edits:
        each.join()
    assert objects.get("index", "a").body == {f"k{at}": at for at in range(8)}


def test_pages_lose_and_repeat_nothing_and_tokens_belong_to_their_query(objects: CloudObjects) -> None:
    for at in range(5):
        objects.insert("file", f"f{at}", project_id="p1", body={})
    first = objects.page("file", Wanted(project_id="p1"), None, 2)
    assert (first.total_size, [each.id for each in first.items]) == (5, ["f0", "f1"])
    objects.insert("file", "late", project_id="p1", body={})
    objects.mark_deleted("file", "f1")
    second = objects.page("file", Wanted(project_id="p1"), first.next_page_token, 1000)
    assert [each.id for each in second.items] == ["f2", "f3", "f4", "late"]
    assert second.next_page_token is None
    for token in (first.next_page_token, "x", "e30", "W10", "é", "A" * 9000):
        with pytest.raises(InvalidInputError, match="page_token"):
            objects.page("file", Wanted(project_id="p2"), token, 2)


@pytest.mark.parametrize("position", [[1, 2], ["x", "y"], [None, "y"], [{}, []], [True, "y"], [2**62, "y"], [1, "\0"]])
def test_what_looks_like_a_token_and_holds_something_else_is_refused(
    objects: CloudObjects, position: list[Any]
) -> None:
    wanted = Wanted(project_id="p1")
    token = make_token(position, {**wanted.stamp("file"), "order": "created_at"})
    with pytest.raises(InvalidInputError, match="page_token"):
        objects.page("file", wanted, token, 2)


def test_a_page_of_no_size_is_refused_and_a_huge_one_made_smaller(objects: CloudObjects) -> None:
    with pytest.raises(InvalidInputError, match="page_size = 0"):
        objects.page("file", Wanted(), None, 0)
    assert objects.page("file", Wanted(), None, 10**9).items == []


def make_index(objects: CloudObjects, collection: Collection) -> None:
    objects.insert(collection.kind, collection.id, project_id=collection.project_id, body={})


def test_a_collection_that_was_deleted_takes_no_members(objects: CloudObjects) -> None:
    make_index(objects, INDEX)
    members = Members(objects)
    members.update(INDEX, [Member("m1", "h1", "a.txt")])
    objects.mark_deleted("index", INDEX.id)
    with pytest.raises(NotFoundError, match=INDEX.id):
        members.update(INDEX, [Member("m2", "h2", "b.txt")], remove=["m1"])
    assert [each.id for each in members.all(INDEX)] == ["m1"]


def test_members_keep_their_order_and_their_time_when_they_are_replaced(objects: CloudObjects) -> None:
    members = Members(objects)
    make_index(objects, INDEX)
    members.update(INDEX, [Member(f"m{at}", f"h{at % 2}", f"n{at}", metadata={"at": at}) for at in range(4)])
    before = members.all(INDEX)
    members.update(INDEX, [Member("m1", "h9", "new name")], remove=["m3"])
    after = members.all(INDEX)
    assert [each.id for each in after] == ["m0", "m1", "m2"]
    assert after[1].created_at == before[1].created_at
    assert (after[1].name, after[1].file_hash, after[1].metadata) == ("new name", "h9", {})


def test_members_of_one_file_in_two_collections_do_not_meet(objects: CloudObjects) -> None:
    members, other = Members(objects), Collection("idx-2", "index", "p1")
    for each in (INDEX, other):
        make_index(objects, each)
        members.update(each, [Member("dfl-1", "h", "a.pdf", file_id="file-1")])
    members.forget(other)
    found = members.find(INDEX, "file-1")
    assert found is not None
    assert found.id == "dfl-1"
    assert members.find(other, "dfl-1") is None
