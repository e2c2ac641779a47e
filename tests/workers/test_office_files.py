"""Office files and books through the whole ingest: found by their words, with what is to be said about them."""

from pathlib import Path

from tests.contracts.office_vectors import OFFICE_VECTORS
from tests.fixtures import make_files as make
from tests.workers.world import World

FILES = {vector.filename: vector for vector in OFFICE_VECTORS if not vector.options}


def test_every_office_format_is_processed_and_found(world: World, tmp_path: Path) -> None:
    for name, vector in FILES.items():
        world.upload(name, vector.write(tmp_path / name).read_bytes())
    body = world.process()
    assert body["state"] == "SUCCESS", body["result"]
    assert body["result"]["processed_files"] == len(FILES)
    texts = list(world.stored().values())
    for vector in FILES.values():
        words = vector.contains[-1].splitlines()[0]
        assert any(words in text for text in texts), (vector.filename, words)


def test_what_a_file_sets_aside_is_told_in_the_task(world: World, tmp_path: Path) -> None:
    for name in ("plans.pptx", "staff.xls"):
        world.upload(name, FILES[name].write(tmp_path / name).read_bytes())
    told = str(world.process())
    assert "Hidden in the show, and read all the same: slide 3." in told
    assert "Sheet 'Sites' is hidden in the file" in told


def test_a_damaged_office_file_fails_by_name_and_the_others_are_stored(world: World, tmp_path: Path) -> None:
    world.upload("lease.odt", FILES["lease.odt"].write(tmp_path / "a").read_bytes())
    world.upload("plans.pptx", make.truncate(FILES["plans.pptx"].write(tmp_path / "b"), 0.5).read_bytes())
    body = world.process()
    assert (body["state"], body["result"]["processed_files"]) == ("FAILURE", 1)
    assert "'plans.pptx' is damaged: " in str(body)
