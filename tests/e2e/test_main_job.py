"""The main job as the published API prints it: template, dataset, upload, process, poll, query, chat, stream."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from openai import OpenAI

from tests.e2e.system import ProjectClient, System
from tests.fixtures.fake_ollama import FakeOllama
from tests.fixtures.make_files import docx_file, encrypted_pdf_file, mixed_pdf_file, pdf_file, truncated_pdf_file

MANUAL = [
    "Pump manual. The pump P-7 is delivered on a pallet and weighs 84 kilograms.",
    "Maintenance. Replace the shaft seal ZX-4471-Q every 4,000 operating hours. Drain the oil first.",
    "Warranty. The warranty ends 36 months after delivery.",
]


@pytest.fixture(scope="module")
def project(system: System, tmp_path_factory: pytest.TempPathFactory) -> ProjectClient:
    folder = tmp_path_factory.mktemp("files")
    project = system.project("acme", "pumps")
    project.create_dataset("manuals")
    project.upload("manuals", "pump.pdf", pdf_file(folder / "pump.pdf", MANUAL).read_bytes())
    blocks = [("h1", "Cafeteria"), "Lunch is served from 11:40 to 13:15 in building C."]
    project.upload("manuals", "cafeteria.docx", docx_file(folder / "c.docx", blocks).read_bytes())
    body = project.process("manuals")
    assert body["state"] == "SUCCESS", body
    return project


def curl(*arguments: str) -> str:
    return subprocess.run(["curl", "-sS", *arguments], capture_output=True, check=True, text=True).stdout


def test_the_curl_sequence_of_the_published_api(system: System, tmp_path: Path) -> None:
    base, json_header = f"{system.url}/v1/projects/my-org", ["-H", "Content-Type: application/json"]
    pdf = pdf_file(tmp_path / "paper1.pdf", MANUAL)
    created = json.loads(curl("-X", "POST", base, *json_header, "-d", '{"name": "chatbot", "config_template": "rag"}'))
    rag = created["project"]["config"]["rag"]
    dataset = {
        "name": "research_papers",
        "data_processing_strategy": rag["data_processing_strategies"][0]["name"],
        "database": rag["databases"][0]["name"],
    }
    made = json.loads(curl("-X", "POST", f"{base}/chatbot/datasets", *json_header, "-d", json.dumps(dataset)))
    assert made["dataset"]["files"] == []
    uploaded = json.loads(curl("-X", "POST", f"{base}/chatbot/datasets/research_papers/data", "-F", f"file=@{pdf}"))
    assert (uploaded["filename"], uploaded["processed"]) == ("paper1.pdf", False)
    action = json.loads(
        curl("-X", "POST", f"{base}/chatbot/datasets/research_papers/actions", *json_header,
             "-d", '{"action_type":"process"}')
    )  # fmt: skip
    assert action["message"] == "Accepted"
    assert action["task_uri"] == f"{base}/chatbot/tasks/{action['task_id']}"
    project = ProjectClient(system.client, "/v1/projects/my-org/chatbot")
    assert project.wait(action["task_id"])["state"] == "SUCCESS"
    question = {"query": "When is the shaft seal replaced?", "database": dataset["database"], "top_k": 5}
    answer = json.loads(curl("-X", "POST", f"{base}/chatbot/rag/query", *json_header, "-d", json.dumps(question)))
    assert "ZX-4471-Q" in answer["results"][0]["content"]
    assert answer["results"][0]["metadata"]["page_number"] == 2
    chat = {"messages": [{"role": "user", "content": "When is the shaft seal replaced?"}], "rag_enabled": True}
    reply = json.loads(curl("-X", "POST", f"{base}/chatbot/chat/completions", *json_header, "-d", json.dumps(chat)))
    assert "4,000 operating hours" in reply["choices"][0]["message"]["content"]
    stream = curl("-N", "-X", "POST", f"{base}/chatbot/chat/completions", *json_header,
                  "-d", json.dumps({**chat, "stream": True}))  # fmt: skip
    assert stream.startswith("data: {")
    assert stream.rstrip().endswith("data: [DONE]")


def test_hits_carry_file_page_and_a_span_into_the_text(project: ProjectClient) -> None:
    (hit, *_) = project.query("how long is the warranty", top_k=3)
    metadata = hit["metadata"]
    assert (metadata["filename"], metadata["page_start"]) == ("pump.pdf", 3)
    assert metadata["char_end"] - metadata["char_start"] == len(hit["content"])
    assert 0 < hit["score"] <= 1


def test_an_exact_identifier_is_found_first_by_the_hybrid_search(project: ProjectClient) -> None:
    (hit, *_) = project.query("ZX-4471-Q", retrieval_strategy="hybrid")
    assert "ZX-4471-Q" in hit["content"]


def test_the_openai_sdk_works_streamed_and_not(system: System, project: ProjectClient) -> None:
    client = OpenAI(base_url=f"{system.url}{project.path}", api_key="x")
    messages: list[Any] = [{"role": "user", "content": "When is lunch served?"}]
    reply = client.chat.completions.create(model="default", messages=messages)
    assert "11:40" in (reply.choices[0].message.content or "")
    chunks = list(client.chat.completions.create(model="default", messages=messages, stream=True))
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert "11:40" in text
    assert chunks[-1].choices[0].finish_reason == "stop"


def test_a_model_behind_ollama_gets_the_chunks_and_answers(project: ProjectClient, fake_ollama: FakeOllama) -> None:
    body = {"model": "ollama", "messages": [{"role": "user", "content": "How heavy is the pump?"}]}
    response = project.client.post(f"{project.path}/chat/completions", json={**body, "include_sources": True})
    assert response.status_code == 200, response.text
    assert response.json()["sources"][0]["metadata"]["filename"] == "pump.pdf"
    sent = json.dumps([each for each in fake_ollama.requests() if each["path"] == "/api/chat"][-1]["body"])
    assert "84 kilograms" in sent


def test_a_session_remembers(project: ProjectClient) -> None:
    path = f"{project.path}/chat/completions"
    headers = {"X-Session-ID": "e2e-session"}
    for question in ("How heavy is the pump?", "And the warranty?"):
        body = {"messages": [{"role": "user", "content": question}]}
        response = project.client.post(path, json=body, headers=headers)
        assert response.headers["X-Session-ID"] == "e2e-session"
    history = project.client.get(f"{project.path}/chat/sessions/e2e-session/history").json()["messages"]
    assert [message["role"] for message in history] == ["user", "assistant", "user", "assistant"]


def test_a_second_processing_skips_what_did_not_change(project: ProjectClient) -> None:
    body = project.process("manuals")
    assert body["state"] == "SUCCESS"
    assert (body["result"]["processed_files"], body["result"]["skipped_files"]) == (0, 2)


def test_bad_files_fail_by_name_and_good_ones_go_in(system: System, tmp_path: Path) -> None:
    project = system.project("acme", "mixed")
    project.create_dataset("inbox")
    good = pdf_file(tmp_path / "good.pdf", ["The harbour master is called Ingrid Solberg."])
    files = {
        "good.pdf": good.read_bytes(),
        "secret.pdf": encrypted_pdf_file(tmp_path / "secret.pdf", MANUAL).read_bytes(),
        "cut.pdf": truncated_pdf_file(tmp_path / "cut.pdf", MANUAL).read_bytes(),
        "empty.txt": b"",
        "binary.txt": bytes(range(256)) * 40,
        "header-only.csv": b"name,price\n",
        "unknown.xyz": b"\x00\x01\x02\x03" * 100,
    }
    for name, content in files.items():
        project.upload("inbox", name, content)
    body = project.process("inbox")
    details = {info["filename"]: info for _, info in body["result"]["details"]}
    assert (body["state"], details["good.pdf"]["status"]) == ("FAILURE", "processed")
    failed = {name: info["error"] for name, info in details.items() if info["status"] == "failed"}
    assert set(failed) == set(files) - {"good.pdf"}
    assert "password" in failed["secret.pdf"]
    assert all(name in error for name, error in failed.items()), failed
    assert "Ingrid Solberg" in project.query("Who is the harbour master?")[0]["content"]


def test_pages_without_a_text_layer_are_named_in_the_result(system: System, tmp_path: Path) -> None:
    project = system.project("acme", "scans")
    project.create_dataset("inbox")
    project.upload("inbox", "mixed.pdf", mixed_pdf_file(tmp_path / "m.pdf", ["Text on page one.", None]).read_bytes())
    ((is_good, info),) = project.process("inbox")["result"]["details"]
    assert (is_good, info["pages_without_text"]) == (True, [2])


def test_a_removed_file_is_not_found_any_more(system: System) -> None:
    project = system.project("acme", "removal")
    project.create_dataset("notes")
    file_hash = project.upload("notes", "a.txt", b"The password of the lighthouse is marmalade.")
    project.process("notes")
    assert project.query("lighthouse password")
    response = project.client.delete(f"{project.path}/datasets/notes/data/{file_hash}?remove_from_disk=true")
    assert response.json()["deleted_chunks"] == 1
    assert project.query("lighthouse password") == []
