/* A job that does not want to end: `hostile SHAPE`. Whatever it starts carries the environment of the job. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

static void deaf(void) {
    for (int number = 1; number < 65; number++)
        signal(number, SIG_IGN);
}

static void stay(void) {
    for (;;)
        pause();
}

static void breed(int number) {
    (void)number;
    for (int child = 0; child < 8; child++)
        if (fork() == 0) {
            setsid();
            stay();
        }
}

static void bomb(void) {
    deaf();
    signal(SIGCHLD, SIG_DFL);
    for (;;) {
        if (fork() == 0)
            setsid();
        while (waitpid(-1, NULL, WNOHANG) > 0)
            ;
    }
}

int main(int argc, char **argv) {
    const char *shape = argc > 1 ? argv[1] : "";
    /* A bomb that is let off on a machine of somebody's own: never more than this, and never as root. */
    struct rlimit most = {150, 150};

    if (!strcmp(shape, "deaf")) {
        deaf();
    } else if (!strcmp(shape, "daemon")) {
        if (fork() == 0) {
            setsid();
            deaf();
            if (fork() == 0)
                stay();
            _exit(0);
        }
        wait(NULL);
    } else if (!strcmp(shape, "closed")) {
        deaf();
        close(0), close(1), close(2);
    } else if (!strcmp(shape, "pipe")) {
        if (fork() == 0) {
            setsid();
            deaf();
            stay();
        }
        return 0;
    } else if (!strcmp(shape, "breeding")) {
        signal(SIGTERM, breed);
    } else if (!strcmp(shape, "stopped")) {
        raise(SIGSTOP);
    } else if (!strcmp(shape, "renamed")) {
        deaf();
        prctl(PR_SET_NAME, "kworker/0:1) R 1");
        memset(argv[0], 0, strlen(argv[0]));
        if (fork() == 0)
            setsid();
    } else if (!strcmp(shape, "vfork")) {
        deaf();
        if (vfork() == 0) {
            execl("/proc/self/exe", "hostile", "deaf", NULL);
            _exit(1);
        }
    } else if (!strcmp(shape, "waiting for vfork")) {
        deaf();
        if (vfork() == 0)
            stay();
    } else if (!strcmp(shape, "unprotected")) {
        prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
        prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
        deaf();
        if (fork() == 0) {
            setsid();
            if (fork() == 0)
                stay();
            _exit(0);
        }
    } else if (!strcmp(shape, "chain")) {
        /* Each process is gone a moment after the next one is there: no walk sees the same one twice. */
        deaf();
        signal(SIGCHLD, SIG_IGN);
        for (;;) {
            if (fork() != 0)
                _exit(0);
            setsid();
            usleep(2000);
        }
    } else if (!strcmp(shape, "bomb")) {
        if (setrlimit(RLIMIT_NPROC, &most) || setresgid(61234, 61234, 61234) || setresuid(61234, 61234, 61234) ||
            getuid() == 0)
            return 3;
        bomb();
    }
    stay();
}
