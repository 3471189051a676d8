"""What does a model remember of these texts? Windows of any texts, scored by one pass each."""
