"""Names in figures and sentences: of model families, sizes and prompt lengths."""

import pandas as pd

from lib.studies.prefix.tables import ALL, MODEL, OWN

# architecture -> name, colour in figures
FAMILIES = {
    "gpt_neox": ("GPT-NeoX", "#0072B2"),
    "mamba": ("Mamba", "#D55E00"),
    "gpt_neo": ("GPT-Neo", "#009E73"),
    "rwkv": ("RWKV", "#CC79A7"),
    "llama": ("Llama", "#E69F00"),
}


def family_name(family: str) -> str:
    """The name of an architecture in figures and sentences."""
    return FAMILIES[family][0] if family in FAMILIES else family


def millions(n: float) -> str:
    """1,320,000 -> `1.32 M`."""
    return f"{n / 1e9:.3g} B" if n >= 1e9 else f"{n / 1e6:.3g} M"


def title_of(prompt_tokens: int) -> str:
    """The name of a prompt length in figures and sentences."""
    return f"prompts of {prompt_tokens:,} tokens"


def overall(table: pd.DataFrame) -> pd.DataFrame:
    """One row a setting: over all draws of prompts where there are several, else of the only one."""
    by = [name for name in (*MODEL[:-1], "other_model") if name in table]
    several = table.groupby(by)["draw"].transform("nunique") > 1
    return table[table["draw"].isna() | ~several]


def all_prompts(memorized: pd.DataFrame) -> pd.DataFrame:
    """The rows of all prompts together."""
    rows = overall(memorized)
    return rows[(rows["subset"] == ALL) & rows["repetitions"].isna()]


def own_distribution(extraction: pd.DataFrame) -> pd.DataFrame:
    """The rows of all prompts for samples of the model's own distribution, which is the same for every decoding."""
    rows = overall(extraction)
    rows = rows[(rows["subset"] == ALL) & (rows["sampling"] == OWN)]
    return rows.drop_duplicates(["model", "prompt_tokens", "draw", "p", "n"])


def named(rows: pd.DataFrame) -> pd.DataFrame:
    """`rows` and the columns `title` (of the prompts) and `who` (the model), with the decoding if there are several."""
    several = rows["decoding"].nunique() > 1
    titles, who = rows["prompt_tokens"].map(title_of), rows["model"]
    if several:
        titles, who = titles + " (" + rows["decoding"] + ")", who + " (" + rows["decoding"] + ")"
    return rows.assign(title=titles, who=who)
