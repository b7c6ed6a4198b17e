"""libnftables, by ctypes: text goes in, and is done as one transaction (libnftables(3))."""

from __future__ import annotations

import ctypes
import threading
from functools import cache

from seatrial.engine.errors import EngineError, Unsupported

#: What our tables are called.
TABLE = "seatrial"
_LIBRARY = "libnftables.so.1"
#: The library's parser keeps nothing between calls, but nobody promises that for two at once.
_lock = threading.Lock()


@cache
def _library() -> ctypes.CDLL:
    try:
        library = ctypes.CDLL(_LIBRARY)
    except OSError:
        raise Unsupported(
            f"networks need {_LIBRARY}, which is not here (hint: Debian's package libnftables1)"
        ) from None
    library.nft_ctx_new.restype = ctypes.c_void_p
    for name in ("nft_ctx_free", "nft_ctx_buffer_output", "nft_ctx_buffer_error"):
        getattr(library, name).argtypes = [ctypes.c_void_p]
    library.nft_ctx_get_error_buffer.argtypes = [ctypes.c_void_p]
    library.nft_ctx_get_error_buffer.restype = ctypes.c_char_p
    library.nft_run_cmd_from_buffer.argtypes = [ctypes.c_void_p, ctypes.c_char_p]
    return library


class Tables:
    """The packet filter of the namespace that the thread is in which makes this."""

    def __init__(self) -> None:
        self._library = _library()
        self._context = self._library.nft_ctx_new(0)
        self._library.nft_ctx_buffer_output(self._context)
        self._library.nft_ctx_buffer_error(self._context)

    def run(self, commands: str) -> None:
        """Do what is said, all of it or nothing; raises EngineError with what nft complains of."""
        with _lock:
            failed = self._library.nft_run_cmd_from_buffer(self._context, commands.encode())
            said = self._library.nft_ctx_get_error_buffer(self._context)
        if failed:
            raise EngineError(
                f"nftables refused the rules: {said.decode(errors='replace').strip()}"
            )

    def close(self) -> None:
        """Let go of the connection; the rules stay."""
        self._library.nft_ctx_free(self._context)
