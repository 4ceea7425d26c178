/* Loaded into a member before the C library: lets syncs be slow, or fail, when a file says so.
 *
 * The file that STEAD_TORTURE_SYNC names holds "slow MILLISECONDS", "fail", or nothing. A sync that
 * fails says EIO and writes nothing, as a broken disk does. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int told(void) {
    const char *path = getenv("STEAD_TORTURE_SYNC");
    char text[32] = {0};
    int file = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    if (file < 0) return 0;
    ssize_t len = read(file, text, sizeof text - 1);
    close(file);
    if (len < 4) return 0;
    if (!strncmp(text, "fail", 4)) { errno = EIO; return -1; }
    if (!strncmp(text, "slow", 4)) usleep(1000 * (useconds_t)atoi(text + 4));
    return 0;
}

int fdatasync(int file) {
    static int (*next)(int);
    if (!next) next = (int (*)(int))dlsym(RTLD_NEXT, "fdatasync");
    return told() ? -1 : next(file);
}

int fsync(int file) {
    static int (*next)(int);
    if (!next) next = (int (*)(int))dlsym(RTLD_NEXT, "fsync");
    return told() ? -1 : next(file);
}
