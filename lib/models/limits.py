"""What a model can read and predict: how many token ids, how many positions."""

import torch


def vocabulary(model: torch.nn.Module) -> int:
    """How many ids the model has an embedding for."""
    return model.get_input_embeddings().weight.shape[0]


def n_logits(model: torch.nn.Module) -> int:
    """How many ids the model gives a logit for; some models have more than the tokenizer has ids."""
    return model.get_output_embeddings().weight.shape[0]


def positions(model: torch.nn.Module) -> int | None:
    """The longest sequence the model can take: its table of learned positions; None for one without such a table.

    Rotary and recurrent models also run beyond the length they were trained for; `score_tokens` then warns.
    """
    learned = [
        module
        for module in model.modules()
        if isinstance(module, torch.nn.Embedding) and module is not model.get_input_embeddings()
    ]
    return trained_length(model) if learned else None


def trained_length(model: torch.nn.Module) -> int | None:
    """The length of text that the model was trained for; None if its configuration does not say."""
    return getattr(model.config.get_text_config(), "max_position_embeddings", None)
