// lab-net — gives a lab node a fast network of its own, in which this machine is 10.0.2.2.
//
//   lab-net run PROGRAM…      becomes PROGRAM with a tap device as descriptor 3. The device lies in a new network namespace,
//                             which a child of the program keeps open; nothing changes in the network of this machine.
//   lab-net join PID BRIDGE PROGRAM…
//                             becomes PROGRAM with a tap device as descriptor 3 that is a port of BRIDGE, in the network of
//                             the process PID. The program stays in the network that it is started in. Needs root.
//   lab-net forward PID PORT  makes 127.0.0.1:PORT of this machine reachable as 10.0.2.2:PORT for the node whose program is
//                             PID, until that ends. Says "forwarding" once it listens.
//
// Without root it takes a user namespace too, where the machine lets it.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PUMP_BYTES = 1 << 18 };
static const char *host_address = "10.0.2.2";

static void fail(const char *what) {
  fprintf(stderr, "lab-net: %s: %s\n", what, strerror(errno));
  exit(1);
}

static void send_fd(int over, int fd) {
  char byte = 0, control[CMSG_SPACE(sizeof fd)] = {0};
  struct iovec io = {&byte, 1};
  struct msghdr message = {.msg_iov = &io, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
  struct cmsghdr *header = CMSG_FIRSTHDR(&message);
  header->cmsg_level = SOL_SOCKET;
  header->cmsg_type = SCM_RIGHTS;
  header->cmsg_len = CMSG_LEN(sizeof fd);
  memcpy(CMSG_DATA(header), &fd, sizeof fd);
  if (sendmsg(over, &message, 0) != 1) fail("pass a descriptor on");
}

static int receive_fd(int over) {
  char byte, control[CMSG_SPACE(sizeof(int))];
  struct iovec io = {&byte, 1};
  struct msghdr message = {.msg_iov = &io, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
  if (recvmsg(over, &message, 0) != 1 || !CMSG_FIRSTHDR(&message)) exit(1);  // the other side has said why
  int fd;
  memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof fd);
  return fd;
}

static struct sockaddr_in address_of(const char *address, int port) {
  struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons((unsigned short)port)};
  inet_pton(AF_INET, address, &at.sin_addr);
  return at;
}

static void bring_up(const char *name, const char *address, const char *mask) {
  int control = socket(AF_INET, SOCK_DGRAM, 0);
  struct ifreq request = {0};
  memcpy(request.ifr_name, name, IFNAMSIZ);
  struct sockaddr_in at = address_of(address, 0), of = address_of(mask, 0);
  memcpy(&request.ifr_addr, &at, sizeof at);
  if (ioctl(control, SIOCSIFADDR, &request)) fail("give the tap device its address");
  memcpy(&request.ifr_netmask, &of, sizeof of);
  if (ioctl(control, SIOCSIFNETMASK, &request)) fail("give the tap device its netmask");
  request.ifr_flags = IFF_UP | IFF_RUNNING;
  if (ioctl(control, SIOCSIFFLAGS, &request)) fail("bring the tap device up");
  close(control);
}

static int make_tap(struct ifreq *request) {
  int tap = open("/dev/net/tun", O_RDWR);
  if (tap < 0) fail("open /dev/net/tun");
  request->ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR;
  if (ioctl(tap, TUNSETIFF, request)) fail("make a tap device");
  return tap;
}

static void become(int tap, char **program) {
  if (tap != 3) {
    dup2(tap, 3);
    close(tap);
  }
  fcntl(3, F_SETFD, 0);
  execv(program[0], program);
  fail(program[0]);
}

static void run(char **program) {
  int pair[2];
  if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair)) fail("socketpair");
  pid_t self = getpid();
  pid_t keeper = fork();
  if (keeper < 0) fail("fork");
  if (keeper == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != self) _exit(1);
    if (unshare(geteuid() == 0 ? CLONE_NEWNET : CLONE_NEWUSER | CLONE_NEWNET)) fail("make a network namespace");
    // a change of user namespace takes the death signal away
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    struct ifreq request = {0};
    int tap = make_tap(&request);
    bring_up(request.ifr_name, host_address, "255.255.255.0");
    send_fd(pair[1], tap);
    close(tap);
    close(pair[0]);
    close(pair[1]);
    for (int fd = 0; fd < 3; fd++) close(fd);
    prctl(PR_SET_NAME, "lab-net");
    for (;;) pause();
  }
  close(pair[1]);
  int tap = receive_fd(pair[0]);
  close(pair[0]);
  become(tap, program);
}

// Copies until the end and then tells the other side so; an error on either side ends both.
static void pump(int from, int to) {
  static char buffer[PUMP_BYTES];
  for (;;) {
    ssize_t got = read(from, buffer, sizeof buffer);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) break;
    if (got == 0) {
      shutdown(to, SHUT_WR);
      return;
    }
    for (ssize_t done = 0; done < got;) {
      ssize_t put = write(to, buffer + done, (size_t)(got - done));
      if (put < 0 && errno == EINTR) continue;
      if (put <= 0) {
        shutdown(from, SHUT_RDWR);
        return;
      }
      done += put;
    }
  }
  shutdown(to, SHUT_RDWR);
}

static void serve(int caller, int port) {
  int one = 1, target = socket(AF_INET, SOCK_STREAM, 0);
  struct sockaddr_in at = address_of("127.0.0.1", port);
  if (connect(target, (struct sockaddr *)&at, sizeof at)) {
    // closed with a reset, as a port is on which nobody listens
    struct linger now = {1, 0};
    setsockopt(caller, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    _exit(0);
  }
  setsockopt(caller, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  setsockopt(target, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  if (fork() == 0) pump(target, caller);
  else pump(caller, target);
  _exit(0);
}

static int enter(pid_t keeper, const char *kind, int flag) {
  char path[64];
  snprintf(path, sizeof path, "/proc/%d/ns/%s", keeper, kind);
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  int result = fd < 0 ? -1 : setns(fd, flag);
  close(fd);
  return result;
}

static void join(pid_t process, const char *bridge, char **program) {
  int home = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
  if (home < 0 || enter(process, "net", CLONE_NEWNET)) fail("enter the network of the process");
  struct ifreq tap_request = {0}, request = {0};
  int tap = make_tap(&tap_request), control = socket(AF_INET, SOCK_DGRAM, 0);
  memcpy(request.ifr_name, tap_request.ifr_name, IFNAMSIZ);
  request.ifr_flags = IFF_UP | IFF_RUNNING;
  if (ioctl(control, SIOCSIFFLAGS, &request)) fail("bring the tap device up");
  request.ifr_ifindex = (int)if_nametoindex(tap_request.ifr_name);
  strncpy(request.ifr_name, bridge, IFNAMSIZ - 1);
  if (ioctl(control, SIOCBRADDIF, &request)) fail("make the tap device a port of the bridge");
  close(control);
  if (setns(home, CLONE_NEWNET)) fail("go back to the network of this machine");
  become(tap, program);
}

static void forward(pid_t program, int port) {
  setpgid(0, 0);
  char path[64];
  int keeper = 0;
  snprintf(path, sizeof path, "/proc/%d/task/%d/children", program, program);
  FILE *children = fopen(path, "r");
  if (!children || fscanf(children, "%d", &keeper) != 1) fail("find the node's network");
  fclose(children);
  int pair[2];
  if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair)) fail("socketpair");
  if (fork() == 0) {
    if (geteuid() != 0 && enter(keeper, "user", CLONE_NEWUSER)) fail("enter the node's user namespace");
    if (enter(keeper, "net", CLONE_NEWNET)) fail("enter the node's network namespace");
    int one = 1, listening = socket(AF_INET, SOCK_STREAM, 0);
    setsockopt(listening, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    struct sockaddr_in at = address_of(host_address, port);
    if (bind(listening, (struct sockaddr *)&at, sizeof at)) {
      if (errno == EADDRINUSE) printf("forwarding\n");  // by another of us
      fflush(stdout);
      if (errno != EADDRINUSE) fail("listen");
      _exit(1);
    }
    if (listen(listening, 128)) fail("listen");
    send_fd(pair[1], listening);
    _exit(0);
  }
  close(pair[1]);
  int listening = receive_fd(pair[0]);
  int ended = (int)syscall(SYS_pidfd_open, program, 0);
  if (ended < 0) fail("watch the node");
  signal(SIGCHLD, SIG_IGN);
  signal(SIGPIPE, SIG_IGN);
  printf("forwarding\n");
  fflush(stdout);
  fclose(stdout);
  for (;;) {
    struct pollfd p[] = {{listening, POLLIN, 0}, {ended, POLLIN, 0}};
    if (poll(p, 2, -1) < 0) continue;
    // the connections have no other end any more, and would wait for it for ever
    if (p[1].revents) kill(0, SIGKILL);
    int caller = accept(listening, 0, 0);
    if (caller < 0) continue;
    if (fork() == 0) {
      close(listening);
      serve(caller, port);
    }
    close(caller);
  }
}

int main(int argc, char **argv) {
  if (argc > 2 && !strcmp(argv[1], "run")) run(argv + 2);
  if (argc > 4 && !strcmp(argv[1], "join")) join(atoi(argv[2]), argv[3], argv + 4);
  if (argc == 4 && !strcmp(argv[1], "forward")) forward(atoi(argv[2]), atoi(argv[3]));
  fprintf(stderr, "usage: lab-net run PROGRAM… | lab-net join PID BRIDGE PROGRAM… | lab-net forward PID PORT\n");
  return 2;
}
