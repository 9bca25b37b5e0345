"""Measures, by their mathematics: `text` (compression, diversity, copying), `kneser_ney`.

A metric is `metric(samples, references) -> {"name_unit": float}`. Nothing here imports torch.
"""
