/* Preloaded, it makes the system fail as a disk, a full file system or an interrupt would: the n-th call of one kind on a
   file below one folder. Armed from the environment, or by a call, so that one process can live through many faults. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static char call_[32], under_[PATH_MAX];
static long at_, seen_, hits_, room_ = -1;
static int error_, always_, nameless_ = 1;

#define REAL(name) \
  static __typeof__(name)* real; \
  if (real == NULL) real = (__typeof__(real))dlsym(RTLD_NEXT, #name)

/* The `at`-th call fails with `error`, with `always` every later one too; error 0: it does a part of its work. */
void fail_arm(const char* call, const char* under, long at, int error, int always) {
  snprintf(call_, sizeof call_, "%s", call);
  snprintf(under_, sizeof under_, "%s", under);
  at_ = at;
  error_ = error;
  always_ = always;
  seen_ = hits_ = 0;
  room_ = -1;
}
/* So many bytes can still be written below the folder. */
void fail_room(const char* under, long room) {
  fail_arm("", under, 0, 0, 0);
  room_ = room;
}
/* Whether there are files without a name. */
void fail_nameless(int there) { nameless_ = there; }
long fail_hits(void) { return hits_; }

__attribute__((constructor)) static void arm_from_environment(void) {
  const char *call = getenv("FAIL_CALL"), *under = getenv("FAIL_UNDER"), *room = getenv("FAIL_ROOM");
  if (under == NULL) return;
  if (room != NULL) fail_room(under, atol(room));
  if (call == NULL) return;
  fail_arm(call, under, atol(getenv("FAIL_AT")), atoi(getenv("FAIL_ERROR")), getenv("FAIL_ALWAYS") != NULL);
}

static int is_below(const char* path) { return under_[0] != 0 && path != NULL && strstr(path, under_) != NULL; }

static int is_open_below(int file) {
  char link[64], path[PATH_MAX];
  if (under_[0] == 0) return 0;
  snprintf(link, sizeof link, "/proc/self/fd/%d", file);
  const long length = syscall(SYS_readlink, link, path, sizeof path - 1);
  if (length <= 0) return 0;
  path[length] = 0;
  return is_below(path);
}

static int strikes(const char* call, int below) {
  if (!below || strcmp(call, call_) != 0) return 0;
  const long number = __atomic_add_fetch(&seen_, 1, __ATOMIC_RELAXED);
  if (number != at_ && !(always_ && number > at_)) return 0;
  __atomic_add_fetch(&hits_, 1, __ATOMIC_RELAXED);
  return 1;
}

#define FAIL_OR_SHORTEN(call, file, size) \
  if (strikes(call, is_open_below(file))) { \
    if (error_ != 0) return errno = error_, -1; \
    if (size > 1) size = size / 3 + 1; \
  }
#define FAIL(call, below) \
  if (strikes(call, below)) return errno = error_, -1

ssize_t write(int file, const void* data, size_t size) {
  REAL(write);
  FAIL_OR_SHORTEN("write", file, size)
  if (room_ >= 0 && is_open_below(file)) {
    if (room_ == 0) return ++hits_, errno = ENOSPC, -1;
    if ((long)size > room_) size = (size_t)room_;
    room_ -= (long)size;
  }
  return real(file, data, size);
}
#define READ(name, offset_type) \
  ssize_t name(int file, void* data, size_t size, offset_type offset) { \
    REAL(name); \
    FAIL_OR_SHORTEN("pread", file, size) \
    return real(file, data, size, offset); \
  }
READ(pread, off_t)
READ(pread64, off64_t)
ssize_t read(int file, void* data, size_t size) {
  REAL(read);
  FAIL_OR_SHORTEN("read", file, size)
  return real(file, data, size);
}
#define ALLOCATE(name, offset_type) \
  int name(int file, int mode, offset_type offset, offset_type size) { \
    REAL(name); \
    FAIL("fallocate", is_open_below(file)); \
    return real(file, mode, offset, size); \
  }
ALLOCATE(fallocate, off_t)
ALLOCATE(fallocate64, off64_t)
#define OPEN(name) \
  int name(const char* path, int flags, ...) { \
    REAL(name); \
    va_list more; \
    va_start(more, flags); \
    const mode_t mode = (flags & (O_CREAT | __O_TMPFILE)) != 0 ? va_arg(more, mode_t) : 0; \
    va_end(more); \
    FAIL("open", is_below(path)); \
    if (!nameless_ && (flags & O_TMPFILE) == O_TMPFILE) return errno = EOPNOTSUPP, -1; \
    return real(path, flags, mode); \
  }
OPEN(open)
OPEN(open64)
int fdatasync(int file) {
  REAL(fdatasync);
  FAIL("fdatasync", is_open_below(file));
  return real(file);
}
int fsync(int file) {
  REAL(fsync);
  FAIL("fsync", is_open_below(file));
  return real(file);
}
int fchmod(int file, mode_t mode) {
  REAL(fchmod);
  FAIL("fchmod", is_open_below(file));
  return real(file, mode);
}
int link(const char* from, const char* to) {
  REAL(link);
  FAIL("link", is_below(to));
  return real(from, to);
}
int linkat(int a, const char* from, int b, const char* to, int flags) {
  REAL(linkat);
  FAIL("link", is_below(to));
  return real(a, from, b, to, flags);
}
int rename(const char* from, const char* to) {
  REAL(rename);
  FAIL("rename", is_below(to));
  return real(from, to);
}
int unlink(const char* path) {
  REAL(unlink);
  FAIL("unlink", is_below(path));
  return real(path);
}
int pthread_create(pthread_t* thread, const pthread_attr_t* how, void* (*run)(void*), void* with) {
  REAL(pthread_create);
  if (strikes("pthread_create", 1)) return EAGAIN;
  return real(thread, how, run, with);
}
