/* Faults of the system below a process: LD_PRELOAD this, and the n-th file operation of a role fails.
 *
 * CAMPAIGN_COUNTS   a file of zeros, shared by all processes: how often each role has done each operation
 * CAMPAIGN_RULE     role:operation:action:first:last:path   the operations first..last of that role under `path`
 *                   action: an errno (28 is a full disk), `kill`, or `short` (half of what was asked for)
 * CAMPAIGN_SHIFT    role:seconds   that role's clock is so far off; the clock of the file system is not
 *
 * Code that processes import from snapshots/ does not count, what the launcher writes there does: Python itself reports what it cannot import.
 * A role is told by the command line, as in tests/campaign/processes.py. Without a rule operations are only counted.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

enum { CREATE, WRITE, SYNC, RENAME, READ, OPEN, OPERATIONS };
static const char *operations[] = {"create", "write", "sync", "rename", "read", "open"};
static const char *marks[][2] = {{"controller", "--controller="}, {"launcher", "launch.py"},
    {"job", "lib.running.job"}, {"runner", "lib.running.runner"},
    {"warm", "lib.running.warm_process"}, {"stage", "-m jobs "}, {"other", ""}};
enum { ROLES = 7, LAUNCHER = 1, WARM = 4, STAGE = 5, FIRED = ROLES * OPERATIONS };

static long *counts;
static int role = ROLES - 1, rule_role = -1, rule_operation = -1, rule_errno, shift_role = -1;
static long first, last, shift;
static char under[PATH_MAX], action[16];

static void become_stage(void) { if (role == WARM) role = STAGE; }

static int index_of_role(const char *name) {
    for (int i = 0; i < ROLES; i++) if (!strcmp(name, marks[i][0])) return i;
    return -1;
}

static void read_role(void) {
    char line[1 << 16];
    int handle = open("/proc/self/cmdline", O_RDONLY);
    if (handle < 0) return;
    long size = read(handle, line, sizeof line - 1);
    close(handle);
    if (size <= 0) return;
    for (long i = 0; i < size; i++) if (!line[i]) line[i] = ' ';
    line[size] = 0;
    for (role = 0; role < ROLES - 1; role++) if (strstr(line, marks[role][1])) return;
}

__attribute__((constructor)) static void begin(void) {
    const char *file = getenv("CAMPAIGN_COUNTS"), *rule = getenv("CAMPAIGN_RULE"), *off = getenv("CAMPAIGN_SHIFT");
    char who[32], what[32];
    read_role();
    pthread_atfork(NULL, NULL, become_stage);
    if (off && sscanf(off, "%31[^:]:%ld", who, &shift) == 2) shift_role = index_of_role(who);
    if (!file) return;
    int handle = open(file, O_RDWR);
    if (handle < 0) return;
    void *found = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, handle, 0);
    close(handle);
    if (rule && sscanf(rule, "%31[^:]:%31[^:]:%15[^:]:%ld:%ld:%4095s", who, what, action, &first, &last, under) == 6) {
        rule_role = index_of_role(who);
        for (int i = 0; i < OPERATIONS; i++) if (!strcmp(what, operations[i])) rule_operation = i;
        rule_errno = atoi(action);
    } else if (getenv("CAMPAIGN_UNDER")) {
        snprintf(under, sizeof under, "%s", getenv("CAMPAIGN_UNDER"));
    }
    if (found != MAP_FAILED) counts = found;
}

/* Whether this operation on `path` is to fail. */
static int hit(int operation, const char *path) {
    if (!counts || !path || !*under || strncmp(path, under, strlen(under))) return 0;
    if (role != LAUNCHER && strstr(path, "/snapshots/")) return 0;
    long n = 1 + __atomic_fetch_add(&counts[role * OPERATIONS + operation], 1, __ATOMIC_SEQ_CST);
    if (role != rule_role || operation != rule_operation || n < first || n > last) return 0;
    __atomic_fetch_add(&counts[FIRED], 1, __ATOMIC_SEQ_CST);
    if (!strcmp(action, "kill")) { kill(getpid(), SIGKILL); pause(); }
    errno = rule_errno;
    return 1;
}

static int hit_handle(int operation, int handle) {
    char link[64], path[PATH_MAX];
    if (!counts || !*under) return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", handle);
    long size = readlink(link, path, sizeof path - 1);
    if (size <= 0) return 0;
    path[size] = 0;
    return hit(operation, path);
}

#define REAL(name) static __typeof__(name) *real; if (!real) real = (__typeof__(name) *)dlsym(RTLD_NEXT, #name)
#define TRANSFER(kind, name, type, ...) { REAL(name); \
    if (hit_handle(kind, handle)) { if (rule_errno) return -1; size -= size / 2; } \
    return real(handle, (type)data, size, ##__VA_ARGS__); }

ssize_t write(int handle, const void *data, size_t size) TRANSFER(WRITE, write, const void *)
ssize_t pwrite(int handle, const void *data, size_t size, off_t place) TRANSFER(WRITE, pwrite, const void *, place)
ssize_t pwrite64(int handle, const void *data, size_t size, off64_t place) TRANSFER(WRITE, pwrite64, const void *, place)
ssize_t read(int handle, void *data, size_t size) TRANSFER(READ, read, void *)
ssize_t pread(int handle, void *data, size_t size, off_t place) TRANSFER(READ, pread, void *, place)
ssize_t pread64(int handle, void *data, size_t size, off64_t place) TRANSFER(READ, pread64, void *, place)

#define COPY(name, ...) { REAL(name); if (hit_handle(WRITE, target)) return -1; return real(__VA_ARGS__); }
#include <sys/sendfile.h>
ssize_t sendfile(int target, int source, off_t *place, size_t size) COPY(sendfile, target, source, place, size)
ssize_t sendfile64(int target, int source, off64_t *place, size_t size) COPY(sendfile64, target, source, place, size)

int fsync(int handle) { REAL(fsync); return hit_handle(SYNC, handle) ? -1 : real(handle); }
int rename(const char *from, const char *to) { REAL(rename); return hit(RENAME, to) ? -1 : real(from, to); }
int link(const char *from, const char *to) { REAL(link); return hit(RENAME, to) ? -1 : real(from, to); }
int mkdir(const char *path, mode_t mode) { REAL(mkdir); return hit(CREATE, path) ? -1 : real(path, mode); }

#define MODE mode_t mode = 0; \
    if (flags & (O_CREAT | __O_TMPFILE)) { va_list rest; va_start(rest, flags); mode = va_arg(rest, mode_t); va_end(rest); }
#define KIND (flags & (O_WRONLY | O_RDWR | O_CREAT) ? CREATE : OPEN)
int open(const char *path, int flags, ...) { MODE; REAL(open); return hit(KIND, path) ? -1 : real(path, flags, mode); }
int open64(const char *path, int flags, ...) { MODE; REAL(open64); return hit(KIND, path) ? -1 : real(path, flags, mode); }
int openat(int folder, const char *path, int flags, ...) {
    MODE; REAL(openat); return hit(KIND, path) ? -1 : real(folder, path, flags, mode);
}
int openat64(int folder, const char *path, int flags, ...) {
    MODE; REAL(openat64); return hit(KIND, path) ? -1 : real(folder, path, flags, mode);
}

int clock_gettime(clockid_t clock, struct timespec *now) {
    REAL(clock_gettime);
    int code = real(clock, now);
    if (clock == CLOCK_REALTIME && role == shift_role) now->tv_sec += shift;
    return code;
}
time_t time(time_t *place) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (place) *place = now.tv_sec;
    return now.tv_sec;
}
int gettimeofday(struct timeval *restrict now, void *restrict zone) {
    struct timespec found;
    (void)zone;
    clock_gettime(CLOCK_REALTIME, &found);
    now->tv_sec = found.tv_sec, now->tv_usec = found.tv_nsec / 1000;
    return 0;
}
