"""A recurrent model of transformers beside one with a scan of our own: the same weights, the same ids."""

import copy
from collections.abc import Callable

import torch

LENGTH = 21


def stock_and_fast(stock: torch.nn.Module, use_scan: Callable[[torch.nn.Module], int], layers: int):
    """`stock`, its weights changed a little (biases start at zero, where errors in them do not show), and a copy of it
    whose `layers` layers run by the scan."""
    with torch.no_grad():
        for parameter in stock.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    fast = copy.deepcopy(stock)
    assert use_scan(fast) == layers
    return stock, fast


def ids(rows=3, length=LENGTH):
    """Token ids from 1 to 49, rows x length."""
    return torch.randint(1, 50, (rows, length), generator=torch.Generator().manual_seed(1))
