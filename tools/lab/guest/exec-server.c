// exec-server ADDRESS PORT TOKEN-FILE — the first process of a lab node. Every connection runs one shell command.
//
// A connection begins with the 32 bytes of the token; frames follow: kind (1 byte), length (4 bytes, big endian), payload.
//   to the node:   'c' the command, 'i' bytes for its standard input, 'e' end of its standard input
//   from the node: 'h' come in (only now is the command sent: until here a client may safely try again), 'o' standard output, 'r' standard error, 'x' exit code (4 bytes, big endian; 128 + n for signal n)
// A client that goes away takes its command's process group with it.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { TOKEN_BYTES = 32, FRAME_BYTES = 65536, COMMAND_LIMIT_BYTES = 1 << 20 };

static int read_all(int fd, void *to, size_t n) {
  for (size_t done = 0; done < n;) {
    ssize_t got = read(fd, (char *)to + done, n - done);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return -1;
    done += (size_t)got;
  }
  return 0;
}

static int write_all(int fd, const void *from, size_t n) {
  for (size_t done = 0; done < n;) {
    ssize_t put = write(fd, (const char *)from + done, n - done);
    if (put < 0 && errno == EINTR) continue;
    if (put <= 0) return -1;
    done += (size_t)put;
  }
  return 0;
}

static int send_frame(int fd, char kind, const void *payload, uint32_t n) {
  static unsigned char frame[5 + FRAME_BYTES];
  uint32_t length = htonl(n);
  frame[0] = (unsigned char)kind;
  memcpy(frame + 1, &length, 4);
  memcpy(frame + 5, payload, n);
  return write_all(fd, frame, 5 + n);
}

static int read_header(int fd, char *kind, uint32_t *n) {
  unsigned char header[5];
  if (read_all(fd, header, 5)) return -1;
  *kind = (char)header[0];
  memcpy(n, header + 1, 4);
  *n = ntohl(*n);
  return 0;
}

// One non-blocking read passed on as a frame: 1 something came, 0 nothing now, -1 end of the pipe, -2 the client is gone.
static int pass_on(int from, int client, char kind) {
  static char buffer[FRAME_BYTES];
  ssize_t got = read(from, buffer, sizeof buffer);
  if (got < 0) return errno == EAGAIN || errno == EINTR ? 0 : -1;
  if (got == 0) return -1;
  return send_frame(client, kind, buffer, (uint32_t)got) ? -2 : 1;
}

static void give_up(pid_t child) {
  kill(-child, SIGKILL);
  _exit(1);
}

static void serve(int client, const char *token) {
  char sent[TOKEN_BYTES], kind;
  uint32_t length;
  if (read_all(client, sent, TOKEN_BYTES) || memcmp(sent, token, TOKEN_BYTES)) _exit(1);
  if (send_frame(client, 'h', "", 0)) _exit(1);
  if (read_header(client, &kind, &length) || kind != 'c' || length > COMMAND_LIMIT_BYTES) _exit(1);
  char *command = calloc(1, length + 1);
  if (!command || read_all(client, command, length)) _exit(1);

  int in[2], out[2], err[2];
  if (pipe2(in, O_CLOEXEC) || pipe2(out, O_CLOEXEC) || pipe2(err, O_CLOEXEC)) _exit(1);
  signal(SIGCHLD, SIG_DFL);
  pid_t child = fork();
  if (child < 0) _exit(1);
  if (child == 0) {
    setsid();
    signal(SIGPIPE, SIG_DFL);
    dup2(in[0], 0);
    dup2(out[1], 1);
    dup2(err[1], 2);
    execl("/bin/sh", "sh", "-c", command, (char *)0);
    _exit(127);
  }
  close(in[0]);
  close(out[1]);
  close(err[1]);
  fcntl(in[1], F_SETFL, O_NONBLOCK);
  fcntl(out[0], F_SETFL, O_NONBLOCK);
  fcntl(err[0], F_SETFL, O_NONBLOCK);
  int exited = (int)syscall(SYS_pidfd_open, child, 0);

  static char pending[FRAME_BYTES];
  size_t pending_bytes = 0, pending_at = 0;
  enum { CLIENT, IN, OUT, ERR, EXITED };
  for (;;) {
    struct pollfd p[] = {{client, (short)(pending_bytes ? POLLRDHUP : POLLIN | POLLRDHUP), 0},
                         {pending_bytes ? in[1] : -1, POLLOUT, 0},
                         {out[0], POLLIN, 0},
                         {err[0], POLLIN, 0},
                         {exited, POLLIN, 0}};
    if (poll(p, 5, -1) < 0 && errno != EINTR) give_up(child);
    if (p[CLIENT].revents & (POLLRDHUP | POLLHUP | POLLERR)) give_up(child);
    if (p[CLIENT].revents & POLLIN) {
      if (read_header(client, &kind, &length) || length > FRAME_BYTES || read_all(client, pending, length)) give_up(child);
      if (kind == 'i' && in[1] >= 0) {
        pending_bytes = length;
        pending_at = 0;
      } else if (kind == 'e' && in[1] >= 0) {
        close(in[1]);
        in[1] = -1;
      }
    }
    if (p[IN].revents) {
      ssize_t put = write(in[1], pending + pending_at, pending_bytes - pending_at);
      if (put > 0) pending_at += (size_t)put;
      if (put < 0 && errno != EAGAIN && errno != EINTR) {  // the command closed its input: the rest has no reader
        close(in[1]);
        in[1] = -1;
        pending_bytes = 0;
      }
      if (pending_at == pending_bytes) pending_bytes = 0;
    }
    for (int i = OUT; i <= ERR; i++) {
      int *fd = i == OUT ? &out[0] : &err[0];
      if (!p[i].revents) continue;
      int passed = pass_on(*fd, client, i == OUT ? 'o' : 'r');
      if (passed == -2) give_up(child);
      if (passed == -1) {
        close(*fd);
        *fd = -1;
      }
    }
    if (p[EXITED].revents) {
      // What the command wrote is in the pipes by now. A background child may keep them open: it is not waited for.
      int status = 0, passed = 1;
      while (out[0] >= 0 && (passed = pass_on(out[0], client, 'o')) > 0) {}
      while (passed != -2 && err[0] >= 0 && (passed = pass_on(err[0], client, 'r')) > 0) {}
      waitpid(child, &status, 0);
      uint32_t code = htonl((uint32_t)(WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status)));
      send_frame(client, 'x', &code, 4);
      _exit(0);
    }
  }
}

int main(int argc, char **argv) {
  if (argc != 4) return 2;
  char token[TOKEN_BYTES];
  int token_fd = open(argv[3], O_RDONLY | O_CLOEXEC);
  if (token_fd < 0 || read_all(token_fd, token, TOKEN_BYTES)) return 1;
  close(token_fd);
  signal(SIGCHLD, SIG_IGN);  // as the first process of the node it inherits orphans: nobody else would reap them
  signal(SIGPIPE, SIG_IGN);
  struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(argv[2]))};
  int one = 1, listening = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  setsockopt(listening, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
  if (inet_pton(AF_INET, argv[1], &at.sin_addr) != 1 || bind(listening, (struct sockaddr *)&at, sizeof at) ||
      listen(listening, 128)) {
    perror("exec-server: listen");
    return 1;
  }
  printf("lab: ready\n");
  fflush(stdout);
  for (;;) {
    int client = accept4(listening, 0, 0, SOCK_CLOEXEC);
    if (client < 0) continue;
    setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (fork() == 0) serve(client, token);
    close(client);
  }
}
