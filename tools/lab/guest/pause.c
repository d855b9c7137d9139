// pause — the first process of a pod's sandbox: it holds the pod's namespaces and does nothing else.
#include <signal.h>
#include <unistd.h>

static void leave(int signal_number) { _exit(128 + signal_number); }

int main(void) {
  signal(SIGTERM, leave);
  signal(SIGINT, leave);
  for (;;) pause();
}
