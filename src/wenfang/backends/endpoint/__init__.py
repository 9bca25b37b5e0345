"""Writers behind a URL: any endpoint that speaks OpenAI's chat completions.

Nothing here is imported before such a writer is chosen by name; no other room sends anything.
"""
