"""Ways of cutting that need more than one part of the system: real workers, the real model, the real store."""

from typing import Any

from tests.e2e.system import ProjectClient, System

SUBJECTS = {
    "bread": [
        "The dough rests under a damp cloth for an hour.",
        "Rye flour takes more water than wheat flour does.",
        "The oven is heated with wood before the loaves go in.",
        "A crust forms when steam meets the hot loaf.",
        "The baker salts the dough after the first rise.",
        "Sourdough starters are fed with flour and water.",
        "Loaves cool on a rack so that the crumb sets.",
        "Yeast makes the dough rise in a warm kitchen.",
    ],
    "tides": [
        "The moon pulls the sea and makes the tide rise.",
        "Spring tides come when sun and moon pull together.",
        "Boats leave the harbour at high water.",
        "At low tide the sandbanks dry out.",
        "The tide table names the hours of high water.",
        "Currents in the strait turn with the tide.",
        "A neap tide has the smallest range of the month.",
        "Sailors anchor in deep water before the ebb.",
    ],
}


def cut_by(project: ProjectClient, retrieval: dict[str, Any], **chunking: Any) -> None:
    config = project.client.get(project.path).json()["project"]["config"]
    (strategy, *_) = config["rag"]["data_processing_strategies"]
    strategy["parsers"] = [{"type": "UniversalParser", "config": chunking}]
    strategy["extractors"] = []
    config["rag"]["databases"][0]["retrieval_strategies"] = [
        {"name": "near", "type": "BasicSimilarityStrategy", "config": retrieval, "default": True}
    ]
    response = project.client.put(project.path, json={"config": config})
    assert response.status_code == 200, response.text


def test_a_text_without_headings_is_cut_where_its_subject_changes(system: System) -> None:
    project = system.project("acme", "subjects")
    cut_by(project, {}, chunk_strategy="semantic", min_chunk_size=150)
    project.create_dataset("talks")
    text = " ".join(sentence for sentences in SUBJECTS.values() for sentence in sentences)
    project.upload("talks", "talk.txt", text.encode())
    assert project.process("talks")["state"] == "SUCCESS"
    (file,) = project.files("talks")
    assert file["hash"]
    hits = project.query("When do boats leave?", top_k=5)
    assert len(hits) == 2
    assert hits[0]["content"] == " ".join(SUBJECTS["tides"])
    assert hits[1]["content"] == " ".join(SUBJECTS["bread"])


def test_a_small_chunk_is_found_and_its_section_returned(system: System) -> None:
    project = system.project("acme", "sections")
    cut_by(project, {"expand": {"type": "parent"}}, chunk_strategy="parent_child", chunk_size=60, parent_size=600)
    project.create_dataset("books")
    text = "\n\n".join(f"# {title}\n\n{' '.join(sentences)}" for title, sentences in SUBJECTS.items())
    project.upload("books", "book.md", text.encode())
    assert project.process("books")["state"] == "SUCCESS"
    best = project.query("a neap tide has the smallest range", top_k=3)[0]
    assert best["content"] == f"# tides\n\n{' '.join(SUBJECTS['tides'])}"
    place = best["metadata"]
    assert text[place["char_start"] : place["char_end"]] == best["content"]
    assert text[place["match_start"] : place["match_end"]] == SUBJECTS["tides"][6]
    assert place["expanded"] is True


def test_rows_in_the_middle_of_a_table_are_found_under_the_names_of_their_columns(system: System) -> None:
    project = system.project("acme", "tables")
    cut_by(project, {}, chunk_strategy="paragraphs", chunk_size=300, chunk_overlap=0)
    project.create_dataset("tables")
    header = "| station | wind speed | visibility |\n|---------|------------|------------|"
    rows = "\n".join(f"| S-{n} | {n} knots | {n + 1} miles |" for n in range(60))
    project.upload("tables", "weather.md", f"# Weather\n\n{header}\n{rows}\n".encode())
    assert project.process("tables")["state"] == "SUCCESS"
    (hit, *_) = project.query("visibility at station S-47", top_k=1, retrieval_strategy="keyword")
    assert "| S-47 |" in hit["content"]
    assert hit["metadata"]["table_header"] == header
    answer = project.client.post(
        f"{project.path}/chat/completions",
        json={
            "messages": [{"role": "user", "content": "What is the visibility at station S-47?"}],
            "rag_enabled": True,
        },
    )
    assert answer.status_code == 200, answer.text
