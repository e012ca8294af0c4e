/* Lets a test set the wall clock of the processes this is preloaded into, and of nobody else.

   The file that $JOBD_TEST_CLOCK names holds two 64-bit numbers of nanoseconds. The first is added to what the wall
   clock says, the second to CLOCK_BOOTTIME: a clock that is set changes the first alone, a host that slept both.
   CLOCK_MONOTONIC, and with it every timer, is the kernel's own. A timer that waits for the wall clock to be set
   (timerfd on CLOCK_REALTIME) is the read end of the pipe $JOBD_TEST_CLOCK.set, into which the test writes. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <time.h>

#define SECOND 1000000000LL

static const volatile int64_t *shifts;
static int pipe_of_sets = -1;
static int (*kernel_clock)(clockid_t, struct timespec *);

__attribute__((constructor)) static void attach(void)
{
    kernel_clock = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
    const char *path = getenv("JOBD_TEST_CLOCK");
    int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    if (fd < 0)
        return;
    void *page = mmap(NULL, 2 * sizeof(int64_t), PROT_READ, MAP_SHARED, fd, 0);
    if (page != MAP_FAILED)
        shifts = page;
}

static void shift(struct timespec *at, int64_t by)
{
    int64_t nanoseconds = at->tv_nsec + by % SECOND;
    at->tv_sec += by / SECOND;
    if (nanoseconds < 0 || nanoseconds >= SECOND) {
        int64_t carry = nanoseconds < 0 ? -1 : 1;
        at->tv_sec += carry;
        nanoseconds -= carry * SECOND;
    }
    at->tv_nsec = nanoseconds;
}

int clock_gettime(clockid_t clock, struct timespec *at)
{
    if (!kernel_clock)
        attach();
    int failed = kernel_clock(clock, at);
    if (failed || !shifts)
        return failed;
    if (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)
        shift(at, shifts[0]);
    else if (clock == CLOCK_BOOTTIME)
        shift(at, shifts[1]);
    return 0;
}

int gettimeofday(struct timeval *restrict at, void *restrict zone)
{
    struct timespec now;
    (void)zone;
    clock_gettime(CLOCK_REALTIME, &now);
    at->tv_sec = now.tv_sec;
    at->tv_usec = now.tv_nsec / 1000;
    return 0;
}

time_t time(time_t *kept)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (kept)
        *kept = now.tv_sec;
    return now.tv_sec;
}

int timerfd_create(int clock, int flags)
{
    int (*create)(int, int) = (int (*)(int, int))dlsym(RTLD_NEXT, "timerfd_create");
    const char *path = getenv("JOBD_TEST_CLOCK");
    char name[4096];
    if (clock != CLOCK_REALTIME || !path)
        return create(clock, flags);
    snprintf(name, sizeof name, "%s.set", path);
    return pipe_of_sets = open(name, O_RDWR | O_NONBLOCK | O_CLOEXEC);
}

int timerfd_settime(int fd, int flags, const struct itimerspec *new, struct itimerspec *old)
{
    int (*settime)(int, int, const struct itimerspec *, struct itimerspec *) =
        (int (*)(int, int, const struct itimerspec *, struct itimerspec *))dlsym(RTLD_NEXT, "timerfd_settime");
    return fd == pipe_of_sets ? 0 : settime(fd, flags, new, old);
}
