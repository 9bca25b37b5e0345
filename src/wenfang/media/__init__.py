"""What a file is, its units and its range: bytes in, bytes out, and the drawing of text."""
