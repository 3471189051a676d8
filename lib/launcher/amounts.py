"""Amounts in what is printed of a plan: a plain figure with its unit. What is not known, or nothing, is empty."""

from lib.base import progress

SCALES = ((1e12, "trillion"), (1e9, "billion"), (1e6, "million"))


def duration(hours: float) -> str:
    """Hours in their two largest units: `3 h 7 min`, `34 s`, `under 1 s`."""
    if not hours:
        return ""
    seconds = 3600 * hours
    return progress.spelled(seconds) if seconds >= 1 else "under 1 s"


def size(gb: float) -> str:
    """GB as `3,449 GB`, `2.3 GB`, `45 MB`."""
    if gb >= 1000:
        return f"{gb:,.0f} GB"
    if 0 < gb < 0.001:
        return "under 1 MB"
    return f"{gb:.1f} GB" if gb >= 0.1 else f"{1000 * gb:.0f} MB"


def count(number: float) -> str:
    """`627 billion`, `31.4 billion`, `11,100`."""
    for scale, name in SCALES:
        if number >= 0.9995 * scale:
            return f"{float(f'{number / scale:.3g}'):g} {name}"
    return f"{number:,.0f}"
