/* Loaded into a member before the C library: lets syncs be slow, or fail, when a file says so, and
 * remembers what they made durable.
 *
 * The file that STEAD_TORTURE_SYNC names holds "slow MILLISECONDS", "fail", or nothing. A sync that
 * fails says EIO and writes nothing, as a broken disk does.
 *
 * The directory that STEAD_TORTURE_SHADOW names gets what a power loss would leave, at its
 * strictest: for each file that was synced its content as it was then, file-ID, and for each
 * directory that was synced its names, dir-ID, a line each: type, ID, name. An ID is the number of
 * an inode and when it was made. Written files are expected to be written by pwrite, or once. */
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

static pthread_mutex_t one_at_a_time = PTHREAD_MUTEX_INITIALIZER;

/* What was written to a file since its last sync. */
struct range { unsigned long inode; off_t from, to; };
static struct range ranges[64];
static int is_overrun;

/* Files that this process has synced. What others wrote to one before is not in the ranges. */
static unsigned long seen[4096];
static unsigned seen_count;

static int is_new(unsigned long inode) {
    for (unsigned at = 0; at < seen_count; at++)
        if (seen[at] == inode) return 0;
    if (seen_count < 4096) seen[seen_count++] = inode;
    return 1;
}

static void note(int file, off_t from, off_t to) {
    struct stat found;
    if (fstat(file, &found)) return;
    pthread_mutex_lock(&one_at_a_time);
    struct range *own = NULL, *unused = NULL;
    for (struct range *one = ranges; one < ranges + 64; one++) {
        if (one->to && one->inode == found.st_ino) own = one;
        if (!one->to) unused = one;
    }
    if (own) {
        if (from < own->from) own->from = from;
        if (to > own->to) own->to = to;
    } else if (unused) {
        *unused = (struct range){found.st_ino, from, to};
    } else {
        is_overrun = 1;
    }
    pthread_mutex_unlock(&one_at_a_time);
}

static void name_of(char *to, size_t size, const struct statx *found) {
    int has_birth = (found->stx_mask & STATX_BTIME) != 0;
    snprintf(to, size, "%llu-%lld-%u", (unsigned long long)found->stx_ino,
             has_birth ? (long long)found->stx_btime.tv_sec : 0LL,
             has_birth ? found->stx_btime.tv_nsec : 0);
}

static ssize_t (*next_pwrite)(int, const void *, size_t, off_t);

static int copy_content(int file, const char *path, const struct statx *found) {
    static char piece[1 << 20];
    char own[64];
    /* The file may be open for writing alone. */
    snprintf(own, sizeof own, "/proc/self/fd/%d", file);
    int from = open(own, O_RDONLY | O_CLOEXEC);
    if (from < 0) return -1;
    off_t at = 0, end = (off_t)found->stx_size;
    int is_first = is_new(found->stx_ino);
    int to = open(path, O_WRONLY | O_CLOEXEC);
    if (to < 0) {
        to = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    } else if (!is_first && !is_overrun) {
        end = 0;
        for (struct range *one = ranges; one < ranges + 64; one++)
            if (one->to && one->inode == found->stx_ino) {
                at = one->from;
                end = one->to;
            }
    }
    int result = to < 0 ? -1 : ftruncate(to, (off_t)found->stx_size);
    while (!result && at < end) {
        size_t left = (size_t)(end - at);
        ssize_t len = pread(from, piece, left < sizeof piece ? left : sizeof piece, at);
        if (len <= 0) { result = (int)len; break; }
        if (next_pwrite(to, piece, (size_t)len, at) != len) result = -1;
        at += len;
    }
    for (struct range *one = ranges; one < ranges + 64; one++)
        if (one->inode == found->stx_ino) one->to = 0;
    if (to >= 0) close(to);
    close(from);
    return result;
}

static int copy_names(int from, const char *path) {
    char temporary[4096 + 8], own[64], id[64];
    snprintf(temporary, sizeof temporary, "%s.tmp", path);
    snprintf(own, sizeof own, "/proc/self/fd/%d", from);
    FILE *to = fopen(temporary, "we");
    DIR *dir = opendir(own);
    struct dirent *entry;
    while (to && dir && (entry = readdir(dir))) {
        struct statx found;
        if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, "..")) continue;
        if (statx(dirfd(dir), entry->d_name, AT_SYMLINK_NOFOLLOW, STATX_BASIC_STATS | STATX_BTIME,
                  &found)) continue;
        name_of(id, sizeof id, &found);
        fprintf(to, "%c %s %s\n", S_ISDIR(found.stx_mode) ? 'd' : 'f', id, entry->d_name);
    }
    int result = to && dir ? 0 : -1;
    if (dir) closedir(dir);
    if (to && fclose(to)) result = -1;
    return result ? result : rename(temporary, path);
}

/* What was synced is remembered before anybody hears of it. */
static int remember(int file) {
    const char *shadow = getenv("STEAD_TORTURE_SHADOW");
    struct statx found;
    char path[4096], id[64];
    int result = 0;
    if (!shadow) return 0;
    pthread_mutex_lock(&one_at_a_time);
    if (!statx(file, "", AT_EMPTY_PATH, STATX_BASIC_STATS | STATX_BTIME, &found)) {
        int is_dir = S_ISDIR(found.stx_mode);
        name_of(id, sizeof id, &found);
        snprintf(path, sizeof path, "%s/%s-%s", shadow, is_dir ? "dir" : "file", id);
        result = is_dir ? copy_names(file, path) : copy_content(file, path, &found);
    }
    pthread_mutex_unlock(&one_at_a_time);
    if (result) errno = EIO;
    return result;
}

ssize_t pwrite64(int file, const void *bytes, size_t len, off_t at) {
    ssize_t done = next_pwrite(file, bytes, len, at);
    if (done > 0 && getenv("STEAD_TORTURE_SHADOW")) note(file, at, at + done);
    return done;
}

__attribute__((constructor)) static void begin(void) {
    next_pwrite = (ssize_t (*)(int, const void *, size_t, off_t))dlsym(RTLD_NEXT, "pwrite64");
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
