"""The studio: the engine's verbs for people who write no code, drawn with Gradio.

It is mounted in the server and asks what the server's routes ask; it holds no logic of its own.
"""

from wenfang.studio.mount import mount_studio

__all__ = ["mount_studio"]
