"""Runs RWKV-4 models without a loop over time: transformers' attention with `wkv` in it, on CPU and GPU alike.

transformers has a CUDA kernel, which it fetches from the hub, and a loop over single tokens. `wkv` is neither: the
decay of a channel is the same at all times, so sums over 1, 2, 4, ... tokens follow from one another, and a text of n
tokens takes log2(n) passes over whole tensors, which autograd differentiates.

A step of one id takes the rows of a batch each by itself; transformers' own mixes them up (B x 1 x H meets B x H).

Padding on the right changes nothing before it. On the left it would, since these models ignore an attention mask.
"""

import torch
from transformers.models.rwkv.modeling_rwkv import RwkvFeedForward, RwkvSelfAttention

NOTHING = -1e38  # the exponent of a state that has read nothing

State = tuple[torch.Tensor, torch.Tensor, torch.Tensor]


class ParallelRwkvAttention(RwkvSelfAttention):
    """RWKV's attention by `wkv`: the same weights and state, the same numbers as transformers' own."""

    def forward(
        self, hidden: torch.Tensor, state: list[torch.Tensor] | None = None, use_cache: bool = False
    ) -> tuple[torch.Tensor, list[torch.Tensor] | None]:
        """batch x length x width in and out; the state, when there is one, is brought up to date."""
        key, value, receptance = self._mixed(hidden, None if state is None else state[1])
        before = None if state is None else tuple(kept[:, :, self.layer_id] for kept in state[2:])
        found, after = wkv(-self.time_decay.exp(), self.time_first, key, value, before)
        for kept, new in zip(state[2:] if state is not None else [], after):
            kept[:, :, self.layer_id] = new
        return self.output(receptance * found), state

    def _mixed(
        self, hidden: torch.Tensor, kept: torch.Tensor | None
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        mixes = (self.time_mix_key, self.time_mix_value, self.time_mix_receptance)
        key, value, receptance = _mixed(hidden, self.layer_id, kept, mixes)
        return self.key(key), self.value(value), torch.sigmoid(self.receptance(receptance))


class RowwiseRwkvFeedForward(RwkvFeedForward):
    """RWKV's other half of a layer, for several rows that continue from a state."""

    def forward(
        self, hidden: torch.Tensor, state: list[torch.Tensor] | None = None
    ) -> tuple[torch.Tensor, list[torch.Tensor] | None]:
        """batch x length x width in and out; the state, when there is one, is brought up to date."""
        mixes = (self.time_mix_key, self.time_mix_receptance)
        key, receptance = _mixed(hidden, self.layer_id, None if state is None else state[0], mixes)
        value = self.value(torch.relu(self.key(key)).square())
        return torch.sigmoid(self.receptance(receptance)) * value, state


def _mixed(
    hidden: torch.Tensor, layer: int, kept: torch.Tensor | None, mixes: tuple[torch.Tensor, ...]
) -> list[torch.Tensor]:
    """Each input with the one before it, in the shares of each of `mixes`. kept: batch x width x layers, the inputs
    before the first ones, which the last ones replace; zeros where there is none."""
    before = torch.nn.functional.pad(hidden, (0, 0, 1, -1))
    if kept is not None:
        before[:, 0] = kept[:, :, layer]
        kept[:, :, layer] = hidden[:, -1]
    return [hidden * mix + before * (1 - mix) for mix in mixes]


def mixes_rows(model: torch.nn.Module) -> bool:
    """Whether some layer of the model takes several rows that continue from a state for one another."""
    return any(type(module) in (RwkvSelfAttention, RwkvFeedForward) for module in model.modules())


def use_parallel_scan(model: torch.nn.Module) -> int:
    """Let every attention layer of an RWKV-4 model (of no other) run by `wkv`. Returns how many there are.

    Weights, their names, the state and saved files stay as they are. In evaluation transformers halves hidden states,
    and weights in place, every few layers, which float16 alone needs; other types are spared that, so that the weights
    of a model in evaluation can be saved.
    """
    layers = [module for module in model.modules() if type(module) is RwkvSelfAttention]
    for layer in layers:
        layer.__class__ = ParallelRwkvAttention  # survives copy.deepcopy
    for module in model.modules():
        if type(module) is RwkvFeedForward:
            module.__class__ = RowwiseRwkvFeedForward
    if layers and model.dtype != torch.float16:
        model.config.rescale_every = 0
    return len(layers)


def wkv(
    decay: torch.Tensor, bonus: torch.Tensor, key: torch.Tensor, value: torch.Tensor, state: State | None = None
) -> tuple[torch.Tensor, State]:
    """RWKV-4's weighted mean of all values so far (Peng et al. 2023, eq. 16), and the last state.

        y_t = (sum_{i<t} exp((t-1-i) decay + k_i) v_i + exp(bonus + k_t) v_t) / (the same sum without v)

    decay: D, negative, and bonus: D; key, value: batch x length x D; state: numerator, denominator and the exponent
    that both are to be multiplied by exp of, each batch x D. y: like value. Sums are at least in float32.
    Differentiable in all arguments but the exponents, which scale and change no result.
    """
    k, v = _at_least_float32(key), _at_least_float32(value)
    first = _nothing(k) if state is None else state
    exponent = torch.cat([first[2][:, None], k.detach()], 1)
    numerator = torch.cat([first[0][:, None], (k - k.detach()).exp() * v], 1)
    denominator = torch.cat([first[1][:, None], (k - k.detach()).exp()], 1)
    numerator, denominator, exponent = _summed(decay.to(k.dtype), numerator, denominator, exponent)
    y = _mean(numerator[:, :-1], denominator[:, :-1], exponent[:, :-1], bonus + k, v)
    return y.to(value.dtype), (numerator[:, -1], denominator[:, -1], exponent[:, -1])


def _nothing(k: torch.Tensor) -> State:
    zero = torch.zeros_like(k[:, 0])
    return zero, zero, zero + NOTHING


def _summed(decay: torch.Tensor, numerator: torch.Tensor, denominator: torch.Tensor, exponent: torch.Tensor) -> State:
    """Sums over all times up to each one, decayed: after s passes those over the last 2^s times."""
    reach = 1
    while reach < exponent.shape[1]:
        earlier = exponent[:, :-reach] + reach * decay.detach()
        top = torch.cat([exponent[:, :reach], torch.maximum(exponent[:, reach:], earlier)], 1)
        kept = (exponent - top).exp()
        moved = (exponent[:, :-reach] + reach * decay - top[:, reach:]).exp()
        numerator = _joined(numerator, kept, moved, reach)
        denominator = _joined(denominator, kept, moved, reach)
        exponent, reach = top, 2 * reach
    return numerator, denominator, exponent


def _joined(sums: torch.Tensor, kept: torch.Tensor, moved: torch.Tensor, reach: int) -> torch.Tensor:
    return sums * kept + torch.nn.functional.pad(sums[:, :-reach] * moved, (0, 0, reach, 0))


def _mean(
    numerator: torch.Tensor, denominator: torch.Tensor, exponent: torch.Tensor, own: torch.Tensor, v: torch.Tensor
) -> torch.Tensor:
    """The mean of the past, and of the token itself with exp(own) as its weight."""
    top = torch.maximum(exponent, own.detach())
    past, now = (exponent - top).exp(), (own - top).exp()
    return (past * numerator + now * v) / (past * denominator + now)


def _at_least_float32(values: torch.Tensor) -> torch.Tensor:
    return values.to(torch.promote_types(values.dtype, torch.float32))
