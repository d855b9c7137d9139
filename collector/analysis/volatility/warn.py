"""What a plugin could not read: told in its end line, so that a gap never looks like an absence."""

_NAMED = 5


class Warnings:
    """Collects sentences; those about single processes are counted and name the first few pids."""

    def __init__(self) -> None:
        self._sentences: list[str] = []
        self._pids: dict[str, list[int]] = {}

    def add(self, sentence: str) -> None:
        if sentence not in self._sentences:
            self._sentences.append(sentence)

    def add_process(self, what: str, pid: int) -> None:
        """`what` is a clause such as "command line is not in the image"."""
        self._pids.setdefault(what, []).append(pid)

    def sentences(self) -> list[str]:
        return self._sentences + [self._summary(what, pids) for what, pids in self._pids.items()]

    @staticmethod
    def _summary(what: str, pids: list[int]) -> str:
        distinct = sorted(set(pids))
        named = ", ".join(str(pid) for pid in distinct[:_NAMED])
        more = ", …" if len(distinct) > _NAMED else ""
        noun = "process" if len(distinct) == 1 else "processes"
        return f"{what}: {len(distinct)} {noun} (pid {named}{more})"
