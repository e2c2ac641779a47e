from pathlib import Path

from cli.logs import follow, rotate, tail


def test_a_log_that_is_too_large_is_set_aside_and_still_written(tmp_path: Path) -> None:
    log = tmp_path / "api.log"
    with log.open("a") as writer:
        for content in ("first", "second", "third", "fourth"):
            writer.write(content)
            writer.flush()
            rotate(log, max_bytes=3, kept=2)
        writer.write("last")
    assert log.read_text() == "last"
    assert (tmp_path / "api.log.1").read_text() == "fourth"
    assert (tmp_path / "api.log.2").read_text() == "third"
    assert not (tmp_path / "api.log.3").exists()


def test_tail_of_a_short_and_of_an_absent_log(tmp_path: Path) -> None:
    log = tmp_path / "api.log"
    assert tail(log, 5) == []
    log.write_bytes(b"one\ntw\xffo\n")
    assert tail(log, 5) == ["one", "tw�o"]
    assert tail(log, 0) == []


def test_follow_gives_new_whole_lines_also_after_a_rotation(tmp_path: Path) -> None:
    log = tmp_path / "api.log"
    log.write_text("old\n")
    lines = follow([log])
    with log.open("a") as writer:
        writer.write("new\nunfinished")
        writer.flush()
        assert next(lines) == (log, "new")
        writer.write(" line\n")
        writer.flush()
        assert next(lines) == (log, "unfinished line")
        rotate(log, max_bytes=1, kept=1)
        writer.write("x\n")
        writer.flush()
        assert next(lines) == (log, "x")
