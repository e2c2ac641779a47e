"""`lf chat`: ask once, or talk."""

from typing import TYPE_CHECKING, Annotated

import typer

from cli.client.options import command

if TYPE_CHECKING:
    from cli.client.caller import Caller

Words = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[NAMESPACE/PROJECT] [TEXT]", show_default=False, help="The question; without one: an interactive chat."
    ),
]
File = Annotated[
    str | None,
    typer.Option("--file", "-f", show_default=False, help="Read the question, or what follows it; - is stdin."),
]
Model = Annotated[str | None, typer.Option("--model", "-m", show_default=False, help="Name of a model of the project.")]
Rag = Annotated[
    bool | None, typer.Option("--rag/--no-rag", help="Search the files or not; unset: as the project says.")
]
Database = Annotated[str | None, typer.Option("--database", show_default=False, help="Default: that of the project.")]
Strategy = Annotated[
    str | None, typer.Option("--retrieval-strategy", show_default=False, help="How to search the files.")
]
TopK = Annotated[
    int | None, typer.Option("--rag-top-k", min=1, show_default=False, help="How many chunks the model is shown.")
]
Threshold = Annotated[
    float | None, typer.Option("--rag-score-threshold", min=0, show_default=False, help="Leave out lower scores.")
]
DryRun = Annotated[bool, typer.Option("--dry-run", "--curl", help="Print the request as a curl line, send nothing.")]
Session = Annotated[
    str | None, typer.Option("--session", show_default=False, help="Go on with this session; unset: none is kept.")
]
New = Annotated[bool, typer.Option("--new", help="Interactive: begin a new session, not the folder's last one.")]


def register(app: typer.Typer) -> None:
    command(app, "chat")(chat)


def chat(
    lf: "Caller",
    words: Words = None,
    file: File = None,
    model: Model = None,
    rag: Rag = None,
    database: Database = None,
    retrieval_strategy: Strategy = None,
    rag_top_k: TopK = None,
    rag_score_threshold: Threshold = None,
    dry_run: DryRun = False,
    session: Session = None,
    new: New = False,
) -> None:
    """Ask a project. The answer goes to stdout, its sources to stderr.

    With a question, or one piped in, it is answered and the command ends. Without one a chat begins; /help lists
    what can be typed there. A folder's chats go on with the session of the last one.
    """
    from cli.client import one_shot
    from cli.client.chat_request import ChatOptions
    from cli.client.interactive import split_words, talk

    name, text = split_words(words or [])
    project = lf.project(name)
    options = ChatOptions(model, rag, database, retrieval_strategy, rag_top_k, rag_score_threshold or None)
    question = one_shot.read_question(text, file)
    if dry_run:
        one_shot.dry_run(lf, project, question or "…", options)
    elif question is not None:
        one_shot.ask(lf, project, question, options, session)
    else:
        talk(lf, project, options, is_new=new, session=session)
