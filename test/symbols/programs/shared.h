typedef unsigned char u8;
typedef unsigned long long u64;
typedef _Bool bool;

struct list {
  struct list *next, *prev;
};

struct undefined;
typedef struct undefined undefined_t;
enum later;

typedef struct {
  int counter;
} atomic_t;

typedef union {
  u64 whole;
  struct {
    unsigned low, high;
  };
  u8 bytes[8];
} split_t;

enum signedness { NEGATIVE = -5, ZERO = 0, LARGE = 0x7fffffff };

struct shared {
  struct list list;
  atomic_t references;
  split_t split;
  undefined_t *opaque;
  enum signedness sign;
  int (*compare)(const struct shared *, const struct shared *, ...);
  struct {
    union {
      u64 value;
      void *pointer;
    };
    struct {
      u8 kind : 3, : 2, flags : 3;
    } inner;
  };
};

struct empty {};

extern struct shared shared_head;
extern const char linux_banner[];
extern int never_defined;
int sum(const struct shared *head);
