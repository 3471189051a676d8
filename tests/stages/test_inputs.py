"""An input that a configuration needs, or does not read, is named before the stage runs: planned or by hand."""

import json
from pathlib import Path
from typing import Any

import pytest

from lib.artifacts import execution, stage
from lib.base.errors import UsageError

REPLACE = {"kind": "replace", "replaced_tokens": 1}
SAYS = {
    "candidates": [
        ({"strategy": "mlm"}, ["causal_lm"], "strategy mlm needs the input masked_lm"),
        ({"strategy": "mlm_random"}, [], "strategy mlm_random needs the input masked_lm"),
        ({"strategy": "clm_random"}, ["masked_lm"], "strategy clm_random needs the input causal_lm"),
        ({"strategy": "random"}, [], None),
        ({"strategy": "clm"}, ["causal_lm"], None),
    ],
    "duplicates": [
        ({**REPLACE, "strategy": "mlm"}, [], "strategy mlm needs the input masked_lm"),
        (
            {**REPLACE, "strategy": "clm"},
            ["masked_lm"],
            "strategy clm needs the input candidates",
        ),
        ({**REPLACE, "strategy": "clm"}, ["candidates"], None),
        ({**REPLACE, "strategy": "random"}, [], None),
        ({"kind": "paraphrase"}, [], "kind paraphrase needs the input paraphrases"),
        ({"kind": "near_duplicates", "nearest": 1, "farthest": 3}, ["corpus"], "needs the input near_duplicates"),
    ],
    "paraphrases": [
        ({"source": "model"}, [], "source model needs the input model"),
        ({"source": "endpoint", "url": "http://x", "model_name": "m"}, ["model"], "does not read it"),
    ],
    "prompts": [({"source": "files"}, [], "reads the input `corpus`"), ({"source": "files"}, ["corpus"], None)],
    "books": [
        ({"source": "text"}, [], "give the input `text`"),
        ({"source": "text", "first_tokens": 10}, ["text"], "give the input `tokenizer`"),
    ],
    "audit_texts": [
        ({}, [], "give the texts in one place"),
        ({"path": "/x"}, ["documents"], "give the texts in one place"),
        ({"repo": "owner/name"}, [], None),
        ({}, ["documents"], None),
    ],
    "audit": [
        ({}, ["fuzzy"], "give the inputs fuzzy .* and fuzzy_texts"),
        ({}, ["fuzzy_reference"], "give fuzzy and fuzzy_texts as well"),
        ({}, ["fuzzy", "fuzzy_texts", "reference"], None),
    ],
    "fuzzy_windows": [
        ({"strategy": "clm"}, [], "strategy clm needs the input causal_lm"),
        ({"strategy": "random"}, ["causal_lm"], "does not read the input causal_lm"),
        ({"strategy": "random"}, [], None),
    ],
    "inject": [({"scatter_ngram": 5}, ["duplicates"], "leave out the input duplicates")],
    "count": [({"method": "suffix_array"}, [], "name the input 'suffix_arrays'"), ({"method": "scan"}, [], None)],
}
CASES = [(name, *case) for name, cases in SAYS.items() for case in cases]


@pytest.mark.parametrize(("name", "config", "given", "message"), CASES)
def test_an_input_that_is_needed_is_named(
    name: str, config: dict[str, Any], given: list[str], message: str | None, tmp_path: Path
) -> None:
    found = stage.load(name)
    inputs = dict.fromkeys((*found.inputs, *given), str(tmp_path))
    file = tmp_path / "config.json"
    file.write_text(json.dumps({**config, "inputs": inputs}))
    if message is None:
        assert execution.read_config(found, file)[1].keys() == inputs.keys()
        return
    with pytest.raises(UsageError, match=message):
        execution.read_config(found, file)


def test_every_stage_whose_configuration_decides_is_tried() -> None:
    assert {name for name in stage.studies() if hasattr(stage.load(name).module, "check_inputs")} == set(SAYS)
