// oddities — two processes that tools like to miss: a zombie whose parent never waits, and a process that goes on living
// after its leader thread has exited.
#include <pthread.h>
#include <sys/prctl.h>
#include <unistd.h>

static void *stay(void *nothing) {
  for (;;) pause();
  return nothing;
}

int main(void) {
  if (fork() == 0) {
    prctl(PR_SET_NAME, "lab-zombie");
    _exit(0);
  }
  if (fork() == 0) {
    prctl(PR_SET_NAME, "lab-leaderless");
    pthread_t thread;
    if (pthread_create(&thread, 0, stay, 0)) _exit(1);
    pthread_exit(0);
  }
  for (;;) pause();
}
