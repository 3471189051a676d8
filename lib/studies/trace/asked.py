"""The command `trace`: one text, a file of texts, or a page that answers."""

from argparse import Namespace
from pathlib import Path

from rich.console import Console

from lib.base.errors import UsageError
from lib.studies import collect
from lib.studies.trace import answers, indexed, words
from lib.studies.trace.answers import Settings


def run(arguments: Namespace, console: Console) -> int:
    """Do what is asked for. Raises UsageError unless it is one thing."""
    if sum(map(bool, (arguments.text is not None, arguments.texts, arguments.serve))) != 1:
        raise UsageError("give a text (--text; TEXT= of make), a file of texts (--texts; TEXTS=) or --serve (SERVE=1)")
    settings = Settings(arguments.min_run, arguments.window, arguments.edits)
    corpus = indexed.open_run(arguments.outputs.resolve(), arguments.corpus)
    console.print(words.searched(corpus), highlight=False, markup=False)
    if arguments.serve:
        _serve(corpus, arguments.port, settings, console)
    elif arguments.texts:
        _print_many(corpus, arguments.texts, settings, console)
    else:
        _print_one(corpus, arguments.text, settings, console)
    return 0


def _print_one(corpus: indexed.Indexed, text: str, settings: Settings, console: Console) -> None:
    for line in words.lines(answers.of_text(corpus, text, settings)):
        console.print(line, highlight=False, markup=False)


def _print_many(corpus: indexed.Indexed, file: Path, settings: Settings, console: Console) -> None:
    from lib.studies.trace import queries

    rows, share = words.of_many(corpus, queries.read(file, corpus.tokenizer), settings)
    collect.print_table(console, f"the longest runs of the texts in {file}", words.HEADER, rows)
    console.print(share, highlight=False, markup=False)


def _serve(corpus: indexed.Indexed, port: int, settings: Settings, console: Console) -> None:
    """Serve until it is interrupted."""
    from lib.studies.trace import server

    with server.Server(lambda text: answers.of_text(corpus, text, settings), words.searched(corpus), port) as serving:
        console.print(f"open {serving.url} in a browser; Ctrl-C ends it", highlight=False)
        serving.serve_forever()
