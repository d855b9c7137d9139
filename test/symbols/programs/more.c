#include "shared.h"

struct only_here {
  struct {
    int counter;
  } same_as_atomic;
  struct shared *shared;
  struct list lists[3];
};

typedef struct only_here only_here_t;
static only_here_t here[2];
static int counter = 5;
static double modules = 1.5;

int sum(const struct shared *head) {
  static int counter;
  int n = 0;
  for (const struct list *at = head->list.next; at && at != &head->list; at = at->next) n++;
  counter += n;
  return n + counter + here[0].same_as_atomic.counter + (int)modules;
}

int unused(void) { return counter; }
