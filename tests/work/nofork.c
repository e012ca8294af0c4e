/* Preloaded into a program: a machine without room for another process, for as long as the file $NOFORK is there.
   Its first letter says what is missing: E for processes (EAGAIN), M for memory (ENOMEM). */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static char flag[4096];

/* The program under test clears its environment, so the name is kept from before. */
__attribute__((constructor)) static void note(void) {
    const char *path = getenv("NOFORK");
    if (path)
        snprintf(flag, sizeof flag, "%s", path);
}

static int refuses(void) {
    char letter = 0;
    int file = flag[0] ? open(flag, O_RDONLY | O_CLOEXEC) : -1;
    if (file < 0)
        return 0;
    if (read(file, &letter, 1) < 0)
        letter = 0;
    close(file);
    errno = letter == 'M' ? ENOMEM : EAGAIN;
    return 1;
}

pid_t fork(void) {
    pid_t (*real)(void) = (pid_t(*)(void))dlsym(RTLD_NEXT, "fork");
    return refuses() ? -1 : real();
}

/* What vfork shares with its child a wrapper cannot give back: a fork does as well. */
pid_t vfork(void) {
    return fork();
}
