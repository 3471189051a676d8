import shutil

import pandas
import pyarrow.parquet
import pytest

from jobs.texts import books
from lib.artifacts.command import main
from lib.base import hdf5, places
from lib.base.errors import TesseraError, UsageError
from lib.canaries import books as canary_books
from lib.models import hub_fetch, loading
from tests.support.hub_server import contents

TITLES = [f"title {n}" for n in range(30)]
TEXTS = [f"Book {n} is about rivers and mountains. " * (n + 1) for n in range(30)]


@pytest.fixture(scope="module")
def text(tmp_path_factory):
    """A finished text artifact."""
    path = tmp_path_factory.mktemp("text")
    with hdf5.create(path / "text.h5") as file:
        hdf5.write_texts(file, "books", TEXTS)
        hdf5.write_texts(file, "books_names", TITLES)
    return path


@pytest.fixture(scope="module")
def data_set(tmp_path_factory):
    """The same books as a data set directory in the hub's layout, with the published column names."""
    path = tmp_path_factory.mktemp("gutenberg")
    table = pyarrow.table({"book_title": TITLES, "original_publication_year": [1900] * 30, "text": TEXTS})
    pyarrow.parquet.write_table(table, path / "train-00000-of-00001.parquet")
    return path


def run(out, inputs, **changes):
    out.mkdir(exist_ok=True)
    config = books.Config(**{"source": "text", "n_books": 5, "n_held_out": 2, **changes})
    books.run(config, inputs, out)
    assert [path.name for path in out.iterdir()] == ["books.h5"], "nothing is left behind"
    return {name: hdf5.read_texts(out / "books.h5", name) for name in ("books", "held_out")}


def test_books_and_held_out_documents_are_different_ones(text, tmp_path):
    found = run(tmp_path / "out", {"text": text}, n_books=20, n_held_out=10)
    assert sorted(found["books"] + found["held_out"]) == sorted(TEXTS)
    named = hdf5.read_texts(tmp_path / "out" / "books.h5", "books_names")
    assert named == [TITLES[TEXTS.index(book)] for book in found["books"]]


def test_the_number_of_books_moves_no_held_out_document(text, tmp_path):
    few, many = (run(tmp_path / str(n), {"text": text}, n_books=n) for n in (3, 9))
    assert few["held_out"] == many["held_out"]
    assert many["books"][:3] == few["books"]
    assert run(tmp_path / "seed", {"text": text}, seed=1)["held_out"] != few["held_out"]


def test_length_is_counted_and_cut_in_tokens_of_the_target(text, tiny_tokenizer, tmp_path):
    inputs = {"text": text, "tokenizer": tiny_tokenizer}
    found = run(tmp_path / "out", inputs, min_tokens=150, first_tokens=40)
    tokenizer = loading.load_tokenizer(tiny_tokenizer)
    for cut in found["books"] + found["held_out"]:
        original = next(book for book in TEXTS if book.startswith(cut.split(" is")[0] + " "))
        assert original.startswith(cut)
        assert len(tokenizer.encode(original, add_special_tokens=False)) >= 150
        assert tokenizer.decode(tokenizer.encode(original, add_special_tokens=False)[:40]) == cut


def test_too_few_long_documents_says_how_many_there_are(text, tiny_tokenizer, tmp_path):
    tokenizer = loading.load_tokenizer(tiny_tokenizer)
    long = sum(len(tokenizer.encode(book)) >= 400 for book in TEXTS)
    assert 0 < long < 7
    with pytest.raises(TesseraError, match=f"of 30 documents only {long} have 400 tokens or more; lower n_books"):
        run(tmp_path / "out", {"text": text, "tokenizer": tiny_tokenizer}, min_tokens=400)


def test_a_data_set_folder_gives_the_books_of_the_same_draw(text, data_set, tmp_path):
    from_text = run(tmp_path / "text", {"text": text})
    from_folder = run(tmp_path / "hub", {}, source="hub", repo=str(data_set))
    assert from_folder == from_text
    assert books.hub(books.Config(source="hub", repo=str(data_set))) == []


def test_a_repository_is_read_from_the_hub_cache(data_set, tmp_path, hub_server):
    """Only the files of the split are fetched and read."""
    commit = "c" * 40
    config = {"source": "hub", "repo": "lab/books", "revision": commit}
    with pytest.raises(TesseraError, match=f"dataset lab/books at {commit} is not .* the hub cache"):
        run(tmp_path / "none", {}, **config)
    rest = {"README.md": b"---\nconfigs: [{config_name: all, data_files: gone/*}]\n---\n", "data/test-0.parquet": b"no"}
    hub_server.add("dataset", "lab/books", contents(data_set) | rest)
    (item,) = books.hub(books.Config(**config))
    hub_fetch.fetch([item])
    assert hub_server.sent() == {("lab/books", "train-00000-of-00001.parquet")}
    hub_server.requests.clear()
    assert run(tmp_path / "out", {}, **config) == run(tmp_path / "folder", {}, source="hub", repo=str(data_set))
    assert not hub_server.requests


def test_files_of_another_name_than_the_split_are_given_by_pattern(data_set, tmp_path, hub_server):
    (content,) = contents(data_set).values()
    hub_server.add("dataset", "lab/books", {"all [1].parquet": content, "some.parquet": b"no"})
    config = {"source": "hub", "repo": "lab/books", "revision": "c" * 40}
    with pytest.raises(TesseraError, match=r"no file matches train.*it has all \[1\]\.parquet, some\.parquet"):
        hub_fetch.fetch(books.hub(books.Config(**config)))
    hub_fetch.fetch(books.hub(books.Config(**config, data_files=("all*",))))
    found = run(tmp_path / "out", {}, **config, data_files=("all*",))
    assert found == run(tmp_path / "folder", {}, source="hub", repo=str(data_set))


def test_wrong_columns_are_named(data_set, tmp_path):
    with pytest.raises(TesseraError, match="no column 'body'; it has book_title, original_publication_year, text"):
        run(tmp_path / "out", {}, source="hub", repo=str(data_set), text_column="body")


def test_by_hand(text, tmp_path, capsys):
    (tmp_path / "books.yaml").write_text(f"source: text\nn_books: 4\nn_held_out: 1\ninputs: {{text: {text}}}\n")
    arguments = ["--config", str(tmp_path / "books.yaml"), "--out", str(tmp_path / "out")]
    assert main("books", arguments) == 0
    first = (tmp_path / "out" / "books.h5").read_bytes()
    (tmp_path / "out" / "DONE.json").unlink()
    assert main("books", arguments) == 0
    assert (tmp_path / "out" / "books.h5").read_bytes() == first


def test_books_by_title_come_in_the_order_of_the_file_and_others_are_held_out(data_set, tmp_path):
    """Of two documents with one title it is the first; a title with odd bytes is matched as it stands."""
    wanted = ["title 7", 'Thirty years\u00e2\u0080\u0099 history, "told"', "title 3"]
    titles, texts = [*TITLES, wanted[1], wanted[1], "title 3"], [*TEXTS, "odd", "odd again", "later"]
    folder = tmp_path / "gutenberg"
    folder.mkdir()
    pyarrow.parquet.write_table(pyarrow.table({"book_title": titles, "text": texts}), folder / "train-0.parquet")
    file = tmp_path / "titles.csv"
    pandas.DataFrame({"book_title": wanted}).to_csv(file, index=False)
    config = {"source": "hub", "repo": str(folder), "titles": str(file)}
    found = run(tmp_path / "out", {}, **config, n_books=3, n_held_out=28)
    assert found["books"] == [TEXTS[7], "odd", TEXTS[3]]
    assert sorted(found["held_out"]) == sorted(set(TEXTS) - {TEXTS[7], TEXTS[3]})  # no second copy of a listed book
    fewer = run(tmp_path / "fewer", {}, **config, n_books=1, n_held_out=28)
    assert fewer == {"books": found["books"][:1], "held_out": found["held_out"]}
    with pytest.raises(TesseraError, match=r"n_held_out \(.*\) is 29, but of 28 documents only 28"):
        run(tmp_path / "more", {}, **config, n_books=3, n_held_out=29)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("book_title\nno such book\ntitle 1\n", "1 of 2 titles are of no document, the first is 'no such book'"),
        ("book_title\ntitle 1\n", "1 titles, but n_books is 2"),
        ("title\ntitle 1\n", "no CSV file with a column book_title"),
        ("book_title\ntitle 1\ntitle 2\ntitle 1\n", "the title 'title 1' stands there twice"),
    ],
)
def test_titles_that_cannot_be_found_are_errors_that_name_the_file(content, message, data_set, tmp_path):
    file = tmp_path / "titles.csv"
    file.write_text(content)
    with pytest.raises(TesseraError, match=message) as error:
        run(tmp_path / "out", {}, source="hub", repo=str(data_set), titles=str(file), n_books=2)
    assert str(file) in str(error.value)


def test_titles_that_change_are_another_task_and_stop_a_planned_one(data_set, tmp_path):
    file = tmp_path / "titles.csv"
    file.write_text("book_title\ntitle 1\ntitle 2\n")
    planned = books.pin(books.Config("hub", 2, repo=str(data_set), titles=str(file)))
    file.write_text("book_title\ntitle 2\ntitle 1\n")
    assert books.pin(planned).titles_sha256 != planned.titles_sha256
    with pytest.raises(TesseraError, match="the file changed since this run was planned"):
        books.run(planned, {}, tmp_path)


def test_a_local_folder_that_changes_is_another_task_and_stops_a_planned_one(data_set, tmp_path):
    folder = shutil.copytree(data_set, tmp_path / "in")
    planned = books.pin(books.Config("hub", 2, repo=str(folder)))
    assert books.pin(planned) == planned
    (folder / "train-00001-of-00002.parquet").write_bytes(next(folder.iterdir()).read_bytes())
    assert books.pin(planned) != planned
    with pytest.raises(TesseraError, match="the files changed since this run was planned"):
        books.run(planned, {}, tmp_path)


def test_a_book_without_text_is_named_with_its_row(tmp_path):
    table = pyarrow.table({"book_title": ["a", "b"], "text": ["river", None]})
    pyarrow.parquet.write_table(table, tmp_path / "train.parquet")
    with pytest.raises(TesseraError, match="split 'train', row 1: 'text' is null"):
        run(tmp_path / "out", {}, source="hub", repo=str(tmp_path), n_books=1, n_held_out=1)


def test_titles_that_tasks_would_not_see_are_refused_when_a_sweep_is_planned():
    """A task runs a copy of the code, and of sweeps/, but of nothing else in the checkout."""
    with pytest.raises(UsageError, match=r"titles: README\.md: .* put it below sweeps/, or give an absolute path"):
        books.pin(books.Config("hub", titles="README.md"))
    assert books.pin(books.Config("hub", titles="sweeps/published/books.csv")).titles_sha256


@pytest.mark.parametrize("key", ["n_books", "n_held_out", "min_tokens", "first_tokens"])
def test_counts_below_nothing_are_refused(key):
    with pytest.raises(ValueError, match=f"{key} is -1"):
        books.Config("text", **{key: -1})


def test_the_published_titles_are_100_and_keep_their_odd_bytes():
    found = canary_books.read_titles(places.PUBLISHED / "books.csv")
    assert len(found) == 100
    assert sum(not title.isascii() for title in found) == 1
    assert found[0] == "A Letter to John Wilkes, Esq."
