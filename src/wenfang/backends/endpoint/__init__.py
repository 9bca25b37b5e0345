"""Writers and voices behind a URL: any endpoint that speaks OpenAI's chat completions or speech.

Nothing here is imported before one is chosen by name; no other room sends anything.
"""
