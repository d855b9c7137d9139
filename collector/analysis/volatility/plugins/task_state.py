"""The states of /proc/PID/status, from task_struct's two fields."""

_EXIT_ZOMBIE = 0x20
_TASK_IDLE = 0x402
# TASK_REPORT in include/linux/sched.h, highest bit first
_REPORTED = (
    (0x40, "parked"),
    (0x20, "zombie"),
    (0x10, "dead"),
    (0x08, "tracing stop"),
    (0x04, "stopped"),
    (0x02, "disk sleep"),
    (0x01, "sleeping"),
)


def task_state(state: int, exit_state: int, live_threads: int) -> str:
    """`live_threads` counts when the leader has exited: with none left it is a zombie, else only the leader is gone."""
    if exit_state:
        if live_threads:
            return "leader exited"
        return "zombie" if exit_state & _EXIT_ZOMBIE else "dead"
    if state & _TASK_IDLE == _TASK_IDLE:
        return "idle"
    if state & 0x80:
        return "dead"
    return next((name for bit, name in _REPORTED if state & bit), "running")
