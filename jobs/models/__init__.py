"""Models and tokenizers: fetched, converted, trained."""
