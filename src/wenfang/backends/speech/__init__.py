"""Who reads aloud: espeak-ng on this machine, a service, or a program; one interface."""
