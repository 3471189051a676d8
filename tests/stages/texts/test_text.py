import pytest

from jobs.texts import text
from lib.base import distributions, hdf5
from lib.base.errors import TesseraError
from lib.texts import package_docs

PACKAGES = ("tqdm", "packaging", "joblib")


def run(out, **changes):
    config = text.Config(**{"packages": PACKAGES, "n_books": 6, "book_characters": 1000, **changes})
    text.run(config, {}, out)
    return {name: hdf5.read_texts(out / "text.h5", name) for name in ("train", "train_names", "books", "books_names")}


def test_books_and_training_documents_share_no_paragraph(tmp_path):
    found = run(tmp_path)
    assert len(found["books"]) == len(found["books_names"]) == 6
    assert all(len(book) >= 1000 for book in found["books"])
    everything = package_docs.corpus(PACKAGES)
    named = zip(found["books_names"] + found["train_names"], found["books"] + found["train"])
    assert sorted(named) == sorted((document.name, document.text) for document in everything)
    normalised = [{" ".join(part.lower().split()) for part in book.split("\n\n")} for book in found["books"]]
    training = {" ".join(part.lower().split()) for document in found["train"] for part in document.split("\n\n")}
    assert training.isdisjoint(set.union(*normalised))
    versions = [f"{name}=={version}" for name, version in distributions.versions(PACKAGES).items()]
    assert hdf5.attributes(tmp_path / "text.h5")["packages"] == ", ".join(sorted(versions))


def test_another_seed_draws_other_books_and_the_same_seed_the_same_bytes(tmp_path):
    for name in ("a", "b", "c"):
        (tmp_path / name).mkdir()
    first, second = run(tmp_path / "a"), run(tmp_path / "b", seed=1)
    run(tmp_path / "c")
    assert first["books_names"] != second["books_names"]
    assert (tmp_path / "a" / "text.h5").read_bytes() == (tmp_path / "c" / "text.h5").read_bytes()


def test_too_few_long_documents_says_how_many_there_are(tmp_path):
    count = sum(len(document.text) >= 1000 for document in package_docs.corpus(PACKAGES))
    with pytest.raises(TesseraError, match=f"n_books is 5000, but only {count} documents .*book_characters"):
        run(tmp_path, n_books=5000)
    assert not list(tmp_path.iterdir())


def test_books_that_take_every_document_are_refused(tmp_path):
    total = len(package_docs.corpus(("tqdm",)))
    with pytest.raises(TesseraError, match="every document of tqdm is a book"):
        run(tmp_path, packages=("tqdm",), n_books=total, book_characters=1)
