"""What the launcher reads before it plans."""

from argparse import Namespace

from lib.base import places
from lib.launcher import sweep


def test_a_damaged_lock_of_the_hub_stops_no_command(tmp_path, capsys) -> None:
    places.hub_lock(tmp_path).write_text('{"model a/b at main": 1}')
    asked = {"sweep": "prefix_sizes", "profile": "smoke", "cluster": "local", "settings": []}
    assert sweep.load(Namespace(**asked, outputs=tmp_path)).plan.tasks
    assert "hub.lock.json: damaged" in capsys.readouterr().err
