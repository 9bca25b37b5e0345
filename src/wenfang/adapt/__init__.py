"""Fine-tuning of few weights: low-rank updates, and learned vectors before the input."""
