from typing import Any

from server.services.chat_history import NOT_ANSWERED, answered, new_messages, said_before


def user(text: str) -> dict[str, Any]:
    return {"role": "user", "content": text}


def said(text: str | None, *call_ids: str) -> dict[str, Any]:
    calls = [{"id": each, "type": "function", "function": {"name": "f", "arguments": "{}"}} for each in call_ids]
    return {"role": "assistant", "content": text} | ({"tool_calls": calls} if calls else {})


def result(call_id: str, text: str = "42") -> dict[str, Any]:
    return {"role": "tool", "tool_call_id": call_id, "content": text}


STORED = [user("one"), said("Let me see.", "a"), result("a"), said("It is 42.")]


def test_a_client_that_never_saw_the_tools_continues_the_conversation() -> None:
    shown = [user("one"), said("Let me see.\n\nIt is 42."), user("two")]
    assert new_messages(STORED, shown) == [user("two")]


def test_so_does_one_that_saw_the_calls_in_the_stream() -> None:
    shown = [user("one"), said("Let me see.\n\nIt is 42.", "a"), user("two")]
    assert new_messages(STORED, shown) == [user("two")]


def test_so_does_one_that_has_all_of_it() -> None:
    assert new_messages(STORED, [*STORED, user("two")]) == [user("two")]


def test_only_new_messages_are_all_new() -> None:
    assert new_messages(STORED, [user("two")]) == [user("two")]
    assert new_messages(STORED, [result("b")]) == [result("b")]


def test_another_conversation_is_all_new() -> None:
    other = [user("one"), said("Something else."), user("two")]
    assert new_messages(STORED, other) == other


def test_calls_that_nobody_answered_get_a_word() -> None:
    messages = [user("one"), said(None, "a", "b"), result("b"), user("never mind")]
    assert answered(messages) == [*messages[:3], result("a", NOT_ANSWERED), messages[3]]


def test_answered_and_open_calls_stay_as_they_are() -> None:
    for messages in (STORED, [user("one"), said(None, "a")], [result("a"), user("two")]):
        assert answered(messages) == messages


def test_what_was_said_before_the_last_question_is_told_without_tools_and_rules() -> None:
    rules = {"role": "system", "content": "Be brief."}
    question = {"role": "user", "content": [{"type": "text", "text": "two"}]}
    expected = (("user", "one"), ("assistant", "Let me see."), ("assistant", "It is 42."))
    assert said_before([rules, *STORED, question]) == expected
    assert said_before([*STORED, question, said("Let me see.", "b"), result("b")]) == expected
    assert said_before([question]) == said_before([]) == ()
