"""What the launcher reads before it plans."""

from argparse import Namespace

import pytest

from lib.base import places
from lib.base.errors import TesseraError
from lib.launcher import sweep


@pytest.mark.parametrize("text", ["", "{nope", "[]", '{"model a/b at main": 1}'])
def test_a_damaged_lock_of_the_hub_is_named(tmp_path, text) -> None:
    places.hub_lock(tmp_path).write_text(text)
    asked = {"sweep": "prefix_sizes", "profile": "smoke", "cluster": "local", "settings": []}
    with pytest.raises(TesseraError, match=r"hub\.lock\.json: not a list of commits .*; delete it"):
        sweep.load(Namespace(**asked, outputs=tmp_path))
