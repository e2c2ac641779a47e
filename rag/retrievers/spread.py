"""Behind the hits that a prompt holds, breadth: another file is worth more there than one more piece of the same."""

from collections.abc import Mapping

from rag.retrievers.fuse import Values


def spread(values: Mapping[str, float], file_of: Mapping[str, str], *, after: int) -> Values:
    """Give the hits behind the first `after` their values anew, so that more files come early.

    The n-th best piece of a file counts 1/n there. The first `after` hits, the pieces of one file among each other,
    and the values themselves stay as they are: they only change hands.

    Args:
        values: of each hit; higher is better.
        file_of: the file of each hit.
    """
    ranked = sorted(values, key=lambda each: (-values[each], each))
    seen: dict[str, int] = {}
    worth: Values = {}
    low = min(values.values(), default=0.0)
    for each in ranked:
        seen[file_of[each]] = count = seen.get(file_of[each], 0) + 1
        worth[each] = (values[each] - low) / count
    behind = sorted(ranked[after:], key=lambda each: -worth[each])
    return dict(zip([*ranked[:after], *behind], sorted(values.values(), reverse=True), strict=True))
