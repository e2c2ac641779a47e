"""Thinking apart from answering: splitting inlined `<think>` blocks, and how many tokens both may take."""

from rag.llms.base import LLMRequest

OPEN_TAG = "<think>"
CLOSE_TAG = "</think>"

DEFAULT_THINKING_TOKENS = 1024
DEFAULT_ANSWER_TOKENS = 512


def generation_limit(request: LLMRequest) -> int | None:
    """Tokens a provider may generate: the answer's, plus the thinking budget when the request thinks.

    A limit that counts both would cut the answer of a model that thinks at length.
    """
    answer = request.sampling.max_tokens
    if not request.think:
        return answer
    budget = DEFAULT_THINKING_TOKENS if request.thinking_budget is None else request.thinking_budget
    return budget + (DEFAULT_ANSWER_TOKENS if answer is None else answer)


class ThinkSplitter:
    """Splits a streamed answer into content and thinking; a tag may be cut anywhere between two pieces.

    Only a block that opens the answer counts: further on, `<think>` is text that the answer talks about.
    """

    def __init__(self) -> None:
        self._state = "start"
        self._pending = ""

    def feed(self, text: str) -> tuple[str, str]:
        """Return (content, thinking) that `text` completes; what may still become a tag is held back."""
        if self._state == "answer":
            return text, ""
        self._pending += text
        thinking = ""
        if self._state == "start" and not self._opened():
            return (self._take(), "") if self._state == "answer" else ("", "")
        if self._state == "thinking":
            thinking = self._thought()
        content = self._after_thought() if self._state == "after" else ""
        return content, thinking

    def flush(self) -> tuple[str, str]:
        """Return what was held back; call it once, at the end."""
        rest = self._take()
        if self._state == "thinking":
            return "", rest
        return ("", "") if self._state == "after" else (rest, "")

    def _take(self) -> str:
        taken, self._pending = self._pending, ""
        return taken

    def _opened(self) -> bool:
        start = self._pending.lstrip()
        if start.startswith(OPEN_TAG):
            self._pending = start[len(OPEN_TAG) :]
            self._state = "thinking"
            return True
        if not OPEN_TAG.startswith(start):
            self._state = "answer"
        return False

    def _thought(self) -> str:
        head, tag, tail = self._pending.partition(CLOSE_TAG)
        if tag:
            self._pending = tail
            self._state = "after"
            return head
        keep = _partial_tag_length(head)
        self._pending = head[len(head) - keep :]
        return head[: len(head) - keep]

    def _after_thought(self) -> str:
        """The blank lines between a thought and its answer belong to neither."""
        self._pending = self._pending.lstrip()
        if not self._pending:
            return ""
        self._state = "answer"
        return self._take()


def _partial_tag_length(text: str) -> int:
    """Length of the longest end of `text` that is a beginning of the closing tag."""
    for length in range(min(len(text), len(CLOSE_TAG) - 1), 0, -1):
        if text.endswith(CLOSE_TAG[:length]):
            return length
    return 0
