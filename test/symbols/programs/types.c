#include "shared.h"

enum huge { SMALL = 1, HUGE_VALUE = 0x8000000000000000ull, ALL = ~0ull };
enum wide_negative { LOWEST = -0x7fffffffffffffffll - 1, HIGHEST = 0x7fffffffffffffffll };
enum later { NOW, THEN = 1000 };
enum { UNNAMED_A, UNNAMED_B = 'b' };
typedef enum { IN_TYPEDEF = 7 } typedef_enum;

struct bits {
  int first : 5;
  unsigned second : 6;
  unsigned long long third : 40;
  bool flag : 1;
  u8 last : 7;
  int : 0;
  short after;
};

struct array_then_bits {
  u8 name[4];
  unsigned flag : 1;
};

struct flexible {
  unsigned count;
  struct list items[];
};

struct zero_length {
  int head;
  int none[0];
  long tail;
  struct empty nothing[3];
  struct empty last[2];
};

typedef int matrix[2][3][4];
typedef matrix *matrix_pointer;
typedef const volatile int *const watched;
typedef struct list list_t;
typedef list_t list_tt;
typedef struct list *list_pointer;
typedef int (*handler)(int, char *const *, const void *, ...);
typedef handler handlers[4];

union nested {
  struct {
    struct {
      int deep[3];
      union {
        float f;
        double d;
        long double ld;
      } number;
    };
    struct bits bits;
  } a;
  struct {
    char c;
    signed char sc;
    unsigned char uc;
    short s;
    unsigned short us;
    long l;
    unsigned long ul;
    long long ll;
    __int128 wide;
    unsigned __int128 uwide;
  } b;
  _Complex float cf;
  _Complex double cd;
};

struct everything {
  matrix m;
  matrix_pointer mp;
  watched w;
  list_tt list;
  list_pointer lp;
  handlers h;
  union nested u;
  struct flexible *flexible;
  struct zero_length zero;
  struct array_then_bits atb;
  void (*plain)(void);
  void *nothing;
  char *restrict text;
  typedef_enum te;
  enum huge huge;
  enum wide_negative wide;
  struct everything *self;
  struct { int x; } one, *two, three[2];
  struct { int y; } __attribute__((aligned(64))) aligned;
} __attribute__((packed));

typedef struct everything everything_t;
typedef struct undefined *undefined_pointer;
typedef void nothing_t;

const char linux_banner[] = "Linux version 0.0.0-test (nobody@nowhere) #1\n";
struct shared shared_head;
struct everything all;
static everything_t *everything_pointer = &all;
static enum huge huge = ALL;
enum later later = THEN;
volatile const int constant = 3;
int modules;
static int counter;
undefined_pointer opaque;
nothing_t *nothing;
int a1, ab, abc;
static __thread int per_thread;

static int local_state(int x) {
  static struct list state;
  static int counter;
  struct bits bits = { .first = x };
  struct { int inside; } modules[2] = { { x }, { 1 } };
  enum local { LOCAL_A = -1, LOCAL_B } local = x ? LOCAL_A : LOCAL_B;
  counter += x + per_thread;
  state.next = &state;
  return bits.first + modules[counter & 1].inside + local + (state.next != 0);
}

int sum_of(int n) {
  int total = 0, vla[n > 0 ? n : 1];
  for (int i = 0; i < n; i++) {
    long shared_head = local_state(i);
    vla[i] = shared_head;
    total += vla[i];
  }
  return total + counter + (everything_pointer != 0) + (int)huge;
}

int main(void) { return sum(&shared_head) + sum_of(3) + modules + UNNAMED_B; }

void *memset(void *to, int value, unsigned long size) {
  for (unsigned long i = 0; i < size; i++) ((volatile char *)to)[i] = value;
  return to;
}
