import pytest

from rag.errors import BadRequestError
from rag.model_download import Progress
from rag.model_hub import HubFile, quantizations, split_name
from server.services.sizes import human_size


@pytest.mark.parametrize(
    ("file", "name"),
    [
        ("model-Q4_K_M.gguf", "Q4_K_M"),
        ("qwen2.5-1.5b-instruct-q4_k_m.gguf", "Q4_K_M"),
        ("Model.IQ3_XXS.gguf", "IQ3_XXS"),
        ("Model-UD-Q4_K_XL.gguf", "Q4_K_XL"),
        ("BF16/model-BF16-00001-of-00002.gguf", "BF16"),
        ("model.f16.gguf", "F16"),
        ("gpt-oss-20b-mxfp4.gguf", "MXFP4"),
        ("TQ1_0/model-TQ1_0.gguf", "TQ1_0"),
        ("folder/plain.gguf", "plain"),
        ("Q2-robot-Q8_0.gguf", "Q8_0"),
    ],
)
def test_quantization_is_read_from_the_name(file: str, name: str) -> None:
    (found,) = quantizations((HubFile(file, 1),))
    assert found.name == name


def test_parts_are_one_variant_in_their_order() -> None:
    files = tuple(HubFile(f"m-Q8_0-0000{part}-of-00003.gguf", part) for part in (3, 1, 2))
    (found,) = quantizations((*files, HubFile("README.md", 5), HubFile("mmproj-F16.gguf", 7)))
    assert [file.size_bytes for file in found.files] == [1, 2, 3]
    assert found.size_bytes == 6


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("org/model", ("org/model", None)),
        (" org/model:Q4_K_M ", ("org/model", "Q4_K_M")),
        ("gpt2", ("gpt2", None)),
    ],
)
def test_name_is_parted_from_its_quantization(name: str, parts: tuple[str, str | None]) -> None:
    assert split_name(name) == parts


@pytest.mark.parametrize(
    "name", ["", ":", ":Q4", "a/b:", "a/b:../x", "a/b:Q4:x", "../x", "a/b/c", "/a", "a/", "a--b", "a\0b", "x" * 500]
)
def test_name_that_no_model_can_have_is_refused(name: str) -> None:
    with pytest.raises(BadRequestError, match="not the name of a model"):
        split_name(name)


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0B"),
        (1023, "1023B"),
        (1024, "1.0KB"),
        (2 * 1024**2, "2.0MB"),
        (1_500_000_000, "1.4GB"),
        (10**16, "9094.9TB"),
    ],
)
def test_size_is_told_for_people(size: int, text: str) -> None:
    assert human_size(size) == text


def test_progress_is_told_now_and_then_in_whole_numbers() -> None:
    now = [100.0]
    events: list[dict[str, object]] = []
    progress = Progress(events.append, "file", 1_000, clock=lambda: now[0])
    progress.add(100)
    assert events == []
    now[0] = 101.0
    progress.add(150)
    assert events == [
        {
            "event": "progress",
            "file": "file",
            "downloaded": 250,
            "total": 1_000,
            "percent": 25,
            "bytes_per_sec": 250,
            "eta_seconds": 3,
        }
    ]
    progress.add(750)
    assert len(events) == 1
