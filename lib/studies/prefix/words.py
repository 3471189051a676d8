"""Names in figures and sentences: of model families, sizes and prompt lengths."""

import pandas as pd

from lib.studies.prefix.tables import ALL

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


def all_prompts(memorized: pd.DataFrame) -> pd.DataFrame:
    """The rows of all prompts together."""
    return memorized[(memorized["subset"] == ALL) & memorized["repetitions"].isna()]
