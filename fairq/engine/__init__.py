"""The engine: drives a kernel with a backend, in async code.

It decides nothing. One task, the driver, asks the kernel for a plan, gives it to the
backend, commits the answer and hands the tokens to the streams. It runs on asyncio and
on trio.

* The next step is dispatched before the tokens of the last one are handed out, so
  that readers are woken while the backend works.
* A step that has begun is always answered: neither a deadline nor leaving the engine
  interrupts it.
* A request that the backend can never run is refused before the kernel knows of it.
* A reader never delays anybody else. Tokens wait in a buffer for it; when that is
  full the request is cancelled and the reader told (``ReaderTooSlow``).
* A step that fails costs time and nothing else: its requests run again, until
  ``Policy.max_failures`` is reached and they end with ``BackendError``.
* Every stream ends exactly once, in whatever way the engine does.

All methods belong to the event loop's thread.
"""

from fairq.engine._engine import Engine, open_engine
from fairq.engine._preflight import request_check
from fairq.engine._statistics import Statistics
from fairq.engine._stream import TokenStream

__all__ = ["Engine", "Statistics", "TokenStream", "open_engine", "request_check"]
