"""The Python script of the test pod: listens on TCP 8000, answers every caller, and says now and then that it lives."""
import socket
import threading
import time


def answer(listener: socket.socket) -> None:
    while True:
        caller, _ = listener.accept()
        with caller:
            caller.sendall(b"beacon\n")


listener = socket.socket()
listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
listener.bind(("0.0.0.0", 8000))
listener.listen()
threading.Thread(target=answer, args=(listener,), daemon=True).start()
while True:
    print("beacon", flush=True)
    time.sleep(30)
