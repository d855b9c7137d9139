"""Which names a plugin asks of the kernel's symbols in vain. Volatility catches many of those errors and shows less."""

from typing import Any

from volatility3.framework import contexts, exceptions, symbols

# Volatility tries these beside names that are there (check_afinfo: tcp4_seq_ops); no kernel from 6.1 on has them.
TRIED_IN_VAIN = frozenset({"tcp_seq_ops"})


class RememberingSpace(symbols.SymbolSpace):
    """Volatility's symbol space. `missing` holds the names that were not found; whoever reads it empties it first."""

    def __init__(self) -> None:
        super().__init__()
        self.missing: set[str] = set()

    # Each attribute access comes through here, so there is no shared helper to call.
    def get_type(self, type_name: str) -> Any:
        try:
            return super().get_type(type_name)
        except exceptions.SymbolError as error:
            self.missing.add(error.symbol_name or type_name)
            raise

    def get_symbol(self, symbol_name: str) -> Any:
        try:
            return super().get_symbol(symbol_name)
        except exceptions.SymbolError as error:
            self.missing.add(error.symbol_name or symbol_name)
            raise

    def get_enumeration(self, enum_name: str) -> Any:
        try:
            return super().get_enumeration(enum_name)
        except exceptions.SymbolError as error:
            self.missing.add(error.symbol_name or enum_name)
            raise


class RememberingContext(contexts.Context):
    """`broken` holds the lists that do not lead back to their heads; whoever reads it empties it first."""

    def __init__(self) -> None:
        super().__init__()
        self._symbol_space = RememberingSpace()
        self.broken: set[str] = set()

    @property
    def missing(self) -> set[str]:
        return self._symbol_space.missing
