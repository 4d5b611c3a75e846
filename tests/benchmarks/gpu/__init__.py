"""What the executor reaches on a GPU, beside what that GPU reaches at best.

General layout: ``__main__`` is the command. ``parent`` runs each measurement of
``measurements`` in a process of its own, ``child`` is that process; ``log`` is the file
in which both write. One measurement a file; ``bench``, ``timing`` and ``paged`` are
what they share, ``sizes`` what they measure, ``report`` and ``machine`` what is shown.
"""
