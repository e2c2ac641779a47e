from server.llamacloud.services.filtering import Leaf
from server.llamacloud.services.members import MemberList
from state.cloud.members import Member

MEMBERS = [
    Member("m0", "h0", "a", file_id="file-0", metadata={"flag": True, "year": 2000}),
    Member("m1", "h1", "b", file_id="file-1", metadata={"flag": 1, "year": 2001}),
    Member("m2", "h0", "c", metadata={"flag": 1.5, "year": 2002}),
    Member("m3", "h1", "d", file_id="file-0", metadata={"year": 2003}),
]


def names(found: MemberList, leaf: Leaf) -> list[str]:
    selection = found.selection(leaf)
    return [each.name for each in found.members if selection.member(each.file_hash, {}) is each]


def test_a_content_belongs_to_the_oldest_member_that_has_it() -> None:
    found = MemberList("s", MEMBERS)
    assert {key: each.id for key, each in found.of_hash.items()} == {"h0": "m0", "h1": "m1"}


def test_members_are_found_by_their_own_id_or_that_of_their_file() -> None:
    found = MemberList("s", [*MEMBERS, Member("file-1", "h9", "e")])
    assert [getattr(found.find(each), "name", None) for each in ("m2", "file-0", "file-1", "h0", "")] == [
        "c", "a", "e", None, None,
    ]  # fmt: skip


def test_a_filter_that_was_asked_before_gives_the_same_and_a_like_one_its_own() -> None:
    found = MemberList("s", MEMBERS)
    for _ in range(2):
        assert names(found, Leaf("flag", "eq", True)) == ["a"]
        assert names(found, Leaf("flag", "eq", 1)) == ["b"]
        assert names(found, Leaf("flag", "eq", 1.0)) == ["b"]
        assert names(found, Leaf("flag", "eq", "1")) == []
    assert found.selection(Leaf("flag", "eq", 1)) is found.selection(Leaf("flag", "eq", 1))


def test_few_filters_are_kept() -> None:
    found = MemberList("s", MEMBERS)
    first = found.selection(Leaf("year", "gte", 1900))
    for year in range(20):
        found.selection(Leaf("year", "gte", 2000 + year))
    assert found.selection(Leaf("year", "gte", 1900)) is not first
