"""Models of other programs: Hugging Face folders read and written, GGUF files written."""
