/* Loaded into a member before the C library: lets syncs be slow, or fail, when a file says so, and
 * remembers what they made durable.
 *
 * The file that STEAD_TORTURE_SYNC names holds "slow MILLISECONDS", "fail", or nothing. A sync that
 * fails says EIO and writes nothing, as a broken disk does.
 *
 * The directory that STEAD_TORTURE_SHADOW names gets what a power loss would leave, at its
 * strictest: for each file that was synced its content as it was then, file-INODE, and for each
 * directory that was synced its names, dir-INODE, a line each: type, inode, name. A file system that
 * never gives an inode number twice is wanted. */
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
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

static int copy_content(int from, int to) {
    static char piece[1 << 20];
    off_t at = 0;
    for (;;) {
        ssize_t len = pread(from, piece, sizeof piece, at);
        if (len <= 0) return (int)len;
        if (pwrite(to, piece, (size_t)len, at) != len) return -1;
        at += len;
    }
}

static int copy_names(int from, int to) {
    char path[64];
    snprintf(path, sizeof path, "/proc/self/fd/%d", from);
    DIR *dir = opendir(path);
    if (!dir) return -1;
    struct dirent *entry;
    while ((entry = readdir(dir))) {
        struct stat found;
        if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, "..")) continue;
        if (fstatat(dirfd(dir), entry->d_name, &found, AT_SYMLINK_NOFOLLOW)) continue;
        dprintf(to, "%c %lu %s\n", S_ISDIR(found.st_mode) ? 'd' : 'f',
                (unsigned long)found.st_ino, entry->d_name);
    }
    return closedir(dir);
}

/* What was synced is remembered before anybody hears of it. */
static int remember(int file) {
    static pthread_mutex_t one_at_a_time = PTHREAD_MUTEX_INITIALIZER;
    const char *shadow = getenv("STEAD_TORTURE_SHADOW");
    struct stat found;
    char path[4096], temporary[4096 + 8];
    if (!shadow || fstat(file, &found)) return 0;
    int is_dir = S_ISDIR(found.st_mode);
    snprintf(path, sizeof path, "%s/%s-%lu", shadow, is_dir ? "dir" : "file",
             (unsigned long)found.st_ino);
    snprintf(temporary, sizeof temporary, "%s.tmp", path);
    pthread_mutex_lock(&one_at_a_time);
    int to = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    int result = to < 0 ? -1 : is_dir ? copy_names(file, to) : copy_content(file, to);
    if (to >= 0) close(to);
    if (!result) result = rename(temporary, path);
    pthread_mutex_unlock(&one_at_a_time);
    if (result) errno = EIO;
    return result;
}

int fdatasync(int file) {
    static int (*next)(int);
    if (!next) next = (int (*)(int))dlsym(RTLD_NEXT, "fdatasync");
    return told() || next(file) ? -1 : remember(file);
}

int fsync(int file) {
    static int (*next)(int);
    if (!next) next = (int (*)(int))dlsym(RTLD_NEXT, "fsync");
    return told() || next(file) ? -1 : remember(file);
}
