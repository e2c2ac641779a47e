"""What a client sees when nothing goes wrong: formats, skipping, changed options, snapshots."""

import copy
from pathlib import Path

import pytest

from rag.errors import NotFoundError
from state.tables import FileRow, TaskRow
from tests.fixtures import make_files
from tests.workers.world import PLACE, World, project_yaml

PARAGRAPHS = [f"Paragraph {index}. The valve number {index} is inspected every {index} weeks." for index in range(8)]


def test_files_of_several_formats_are_processed_and_found(world: World, tmp_path: Path) -> None:
    files = [
        make_files.pdf_file(tmp_path / "pump.pdf", ["The pump weighs 84 kilograms.", "The seal is called ZX-4471."]),
        make_files.docx_file(tmp_path / "menu.docx", [("h1", "Cafeteria"), "Lunch is served from noon."]),
        make_files.xlsx_file(tmp_path / "stock.xlsx", {"Stock": [["part", "count"], ["gasket", 7]]}),
        make_files.csv_file(tmp_path / "prices.csv", [["part", "price"], ["rotor", 12]]),
        make_files.html_file(tmp_path / "page.html", "<h1>Harbour</h1><p>The harbour master is Ingrid.</p>"),
        make_files.markdown_file(tmp_path / "notes.md", "# Notes\n\nThe lighthouse is painted red.\n"),
        make_files.json_file(tmp_path / "data.json", [{"colour": "turquoise"}]),
        make_files.text_file(tmp_path / "plain.txt", "A plain text about windmills."),
    ]
    for path in files:
        world.upload(path.name, path.read_bytes())
    body = world.process()
    assert body["state"] == "SUCCESS", body["result"]
    assert body["result"]["processed_files"] == len(files)
    assert body["result"]["stored_count"] == len(world.stored())
    for word in ("84 kilograms", "noon", "gasket", "rotor", "Ingrid", "lighthouse", "turquoise", "windmills"):
        assert any(word in text for text in world.search(word)), word


def test_a_second_run_skips_everything_and_changes_nothing(world: World) -> None:
    world.upload("a.txt", "\n\n".join(PARAGRAPHS))
    world.process()
    before, embedded = world.stored(), world.count_embedded()
    body = world.process()
    assert (body["state"], body["result"]["skipped_files"], body["result"]["stored_count"]) == ("SUCCESS", 1, 0)
    assert (world.stored(), embedded) == (before, [])


def test_a_changed_option_embeds_only_texts_that_are_new(world: World) -> None:
    world.upload("a.txt", "\n\n".join(PARAGRAPHS))
    world.configure(project_yaml(chunk_strategy="paragraphs", chunk_size=80))
    world.process()
    before = set(world.stored().values())
    embedded = world.count_embedded()
    world.configure(project_yaml(chunk_strategy="paragraphs", chunk_size=81))
    body = world.process()
    assert body["result"]["processed_files"] == 1
    assert set(embedded) == set(world.stored().values()) - before
    assert len(embedded) < len(before)


def test_the_former_generation_stays_until_the_task_has_ended(world: World) -> None:
    world.upload("a.txt", "\n\n".join(PARAGRAPHS))
    world.process()
    world.configure(project_yaml(chunk_size=90))
    world.start()
    world.run_until("finish")
    assert len(world.store().generations()) == 2
    world.settle()
    assert len(world.store().generations()) == 1


def test_a_database_of_its_own_for_a_dataset_that_moves(world: World) -> None:
    """The same options give the same generation; what lay in the former database goes all the same."""
    world.upload("a.txt", "\n\n".join(PARAGRAPHS))
    world.process()
    raw = project_yaml()
    raw["datasets"][0]["database"] = "other"
    world.configure(raw)
    assert world.process()["result"]["processed_files"] == 1
    assert world.store("main").stats().chunk_count == 0
    assert world.store("other").stats().chunk_count > 0


def test_a_task_keeps_its_configuration_when_the_file_changes(world: World) -> None:
    world.upload("a.txt", "\n\n".join(PARAGRAPHS))
    task_id = world.start()
    world.run_until("embed")
    world.configure(project_yaml(chunk_size=30))
    world.settle()
    assert world.states(task_id) == {"a.txt": "processed"}
    assert max(map(len, world.stored().values())) > 30
    assert world.process()["result"]["processed_files"] == 1
    assert max(map(len, world.stored().values())) <= 30


@pytest.mark.parametrize("what", ["data_processing_strategies", "databases"])
def test_what_was_taken_out_of_the_configuration_is_named(world: World, what: str) -> None:
    world.upload("a.txt", "text")
    raw = copy.deepcopy(project_yaml())
    raw["rag"][what] = raw["rag"][what][1:]
    world.configure(raw)
    with pytest.raises(NotFoundError, match=r"plain|main"):
        world.start()
    assert world.rows(TaskRow) == []


def test_a_strategy_taken_out_while_its_task_runs_is_still_followed(world: World) -> None:
    world.upload("a.txt", "text")
    task_id = world.start()
    raw = project_yaml()
    raw["rag"]["data_processing_strategies"] = []
    world.configure(raw)
    world.settle()
    assert world.states(task_id) == {"a.txt": "processed"}


def test_two_datasets_with_the_same_bytes_do_not_touch_each_other(world: World) -> None:
    first = world.upload("a.txt", "the same bytes", "docs")
    assert world.upload("b.txt", "the same bytes", "more") == first
    world.process("docs")
    world.process("more")
    assert world.remove_file(first, "docs") == 1
    assert [key for key, _ in world.store().generations()] == [f"more/{first}"]


def test_two_tasks_on_one_dataset_take_turns(world: World) -> None:
    world.upload("a.txt", "first text")
    world.upload("b.txt", "second text")
    tasks = [world.start(), world.start()]
    world.settle()
    for task_id in tasks:
        assert set(world.states(task_id).values()) <= {"processed", "skipped"}
    assert world.status(tasks[1])["state"] == "SUCCESS"


def test_a_dataset_without_files_is_done_at_once(world: World) -> None:
    task_id = world.start()
    assert world.status(task_id)["state"] == "SUCCESS"
    assert not world.queue.messages


def test_the_result_names_options_that_had_no_effect(world: World) -> None:
    raw = project_yaml(chunk_strategy="shreds", colour="red")
    raw["rag"]["data_processing_strategies"][0]["extractors"] = [{"type": "NoSuchExtractor"}]
    raw["rag"]["databases"][0]["embedding_strategies"][0]["config"]["flavour"] = "sweet"
    world.configure(raw)
    world.upload("a.txt", "some text")
    ((_, details),) = world.process()["result"]["details"]
    told = " ".join(details["warnings"])
    for word in ("colour", "shreds", "NoSuchExtractor", "flavour"):
        assert word in told


@pytest.mark.parametrize("fails", ["when built", "at a chunk"])
def test_an_extractor_that_cannot_work_does_not_cost_the_file(world: World, fails: str) -> None:
    raw = project_yaml()
    config = {"max_keywords": 0} if fails == "when built" else {}
    raw["rag"]["data_processing_strategies"][0]["extractors"] = [{"type": "KeywordExtractor", "config": config}]
    world.configure(raw)
    if fails == "at a chunk":

        def broken(*_: object) -> None:
            raise ZeroDivisionError("no words")

        world.patches.setattr("rag.extractors.keywords.KeywordExtractor.extract", broken)
    world.upload("a.txt", "some text")
    ((is_done, details),) = world.process()["result"]["details"]
    assert is_done
    assert details["chunks"] == 1
    (warning,) = details["warnings"]
    assert "extractor 'KeywordExtractor'" in warning
    assert "left out" in warning


def test_an_extractor_sees_the_name_of_the_upload_and_no_path_of_the_host(world: World) -> None:
    raw = project_yaml()
    raw["rag"]["data_processing_strategies"][0]["extractors"] = [{"type": "PathExtractor"}]
    world.configure(raw)
    world.upload("report.final.txt", "some text")
    world.process()
    ((file_key, generation),) = world.store().generations()
    (record,) = world.store().records(file_key, generation)
    assert (record.metadata["file_name"], record.metadata["file_extension"]) == ("report.final.txt", ".txt")
    assert not any(str(world.settings.data_dir) in str(value) for value in record.metadata.values())


def test_a_task_of_another_project_is_not_found(world: World) -> None:
    world.upload("a.txt", "text")
    task_id = world.start()
    with pytest.raises(NotFoundError):
        world.dispatcher.task_status(PLACE[0], "other", task_id)
    with pytest.raises(NotFoundError):
        world.dispatcher.cancel(PLACE[0], "other", task_id)


def test_two_requests_that_both_find_a_row_missing_make_it_once(world: World) -> None:
    file_hash = world.upload("a.txt", "text")
    world.patches.setattr(world.generations, "of_dataset", lambda *_: {})  # both looked before either wrote
    world.generations.ensure(*PLACE, "docs", {file_hash: "a.txt"})
    assert len(world.rows(FileRow)) == 1


def test_another_collection_is_filled_and_not_taken_for_processed(world: World) -> None:
    """An empty database after a task that says SUCCESS helps nobody."""
    world.upload("a.txt", "\n\n".join(PARAGRAPHS))
    world.process()
    former = world.store()
    moved = project_yaml()
    moved["rag"]["databases"][0]["config"] = {"collection_name": "elsewhere"}
    world.configure(moved)
    body = world.process()
    assert (body["result"]["processed_files"], body["result"]["skipped_files"]) == (1, 0)
    former.drop()  # nothing does so by itself: the name may be changed back
