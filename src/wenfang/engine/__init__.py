"""The verbs. Command line, server and studio ask these and hold no logic of their own.

Each takes a frozen request or plain values and reports through one `on_event`. `keeping` holds
those that need no model, so that asking them does not load one.
"""
