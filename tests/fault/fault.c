/* SPDX-License-Identifier: Apache-2.0 */
/* Which call fails, what is alive, and the wrappers of host memory and files; those of OpenCL are in fault_opencl.c. */
#include "fault.h"

#include <cjson/cJSON.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static struct {
    bool armed;
    int number;
    fault_extent extent;
} plan;

static fault_report report;
static fault_balance balance;

void fault_arm(int number, fault_extent extent)
{
    plan.armed = true;
    plan.number = number;
    plan.extent = extent;
    report = (fault_report){.num_calls = 0};
}

const fault_report *fault_disarm(void)
{
    plan.armed = false;
    return &report;
}

bool fault_strikes(fault_kind kind, const char *function, clattn_status status)
{
    if (!plan.armed)
        return false;
    const int number = report.num_calls++;
    const bool strikes =
        number == plan.number || (number > plan.number && plan.extent == FAULT_LASTING && kind != FAULT_RELEASE);
    if (strikes && report.num_failed < FAULT_MAX_EVENTS)
        report.failed[report.num_failed++] = (fault_event){kind, function, status};
    return strikes;
}

void fault_note_kernel(void)
{
    report.num_kernels++;
}

void fault_count(fault_object object, int change)
{
    balance.alive[object] += change;
}

fault_balance fault_take_balance(void)
{
    return balance;
}

void fault_expect_balance(const fault_balance *expected)
{
    static const char *const names[FAULT_NUM_OBJECTS] = {
        "blocks of host memory",
        "open files",
        "devices",
        "contexts",
        "queues",
        "buffers",
        "programs",
        "kernels",
        "events",
    };
    for (int i = 0; i < FAULT_NUM_OBJECTS; i++) {
        if (balance.alive[i] != expected->alive[i])
            fail_msg("%s alive: %d, expected %d", names[i], balance.alive[i], expected->alive[i]);
    }
}

void *__real_malloc(size_t num_bytes);
void *__wrap_malloc(size_t num_bytes);
void *__real_calloc(size_t count, size_t num_bytes);
void *__wrap_calloc(size_t count, size_t num_bytes);
void *__real_realloc(void *memory, size_t num_bytes);
void *__wrap_realloc(void *memory, size_t num_bytes);
char *__real_strdup(const char *text);
char *__wrap_strdup(const char *text);
void __real_free(void *memory);
void __wrap_free(void *memory);

static bool no_memory(const char *function)
{
    return fault_strikes(FAULT_MEMORY, function, CLATTN_OUT_OF_MEMORY);
}

/* A block that was given out, or NULL. */
static void *counted(void *memory)
{
    fault_count(FAULT_OBJECT_MEMORY, memory != NULL);
    return memory;
}

void *__wrap_malloc(size_t num_bytes)
{
    return no_memory("malloc") ? NULL : counted(__real_malloc(num_bytes));
}

void *__wrap_calloc(size_t count, size_t num_bytes)
{
    return no_memory("calloc") ? NULL : counted(__real_calloc(count, num_bytes));
}

void *__wrap_realloc(void *memory, size_t num_bytes)
{
    if (no_memory("realloc"))
        return NULL;
    void *moved = __real_realloc(memory, num_bytes);
    fault_count(FAULT_OBJECT_MEMORY, memory == NULL && moved != NULL);
    return moved;
}

char *__wrap_strdup(const char *text)
{
    return no_memory("strdup") ? NULL : counted(__real_strdup(text));
}

void __wrap_free(void *memory)
{
    fault_count(FAULT_OBJECT_MEMORY, -(memory != NULL));
    __real_free(memory);
}

/* cJSON's own allocations are out of the linker's sight: a document is one block, and without memory there is none. */
cJSON *__real_cJSON_ParseWithOpts(const char *text, const char **end, cJSON_bool whole);
cJSON *__wrap_cJSON_ParseWithOpts(const char *text, const char **end, cJSON_bool whole);
void __real_cJSON_Delete(cJSON *document);
void __wrap_cJSON_Delete(cJSON *document);

cJSON *__wrap_cJSON_ParseWithOpts(const char *text, const char **end, cJSON_bool whole)
{
    if (no_memory("cJSON_ParseWithOpts")) {
        errno = ENOMEM;
        return NULL;
    }
    return counted(__real_cJSON_ParseWithOpts(text, end, whole));
}

void __wrap_cJSON_Delete(cJSON *document)
{
    fault_count(FAULT_OBJECT_MEMORY, -(document != NULL));
    __real_cJSON_Delete(document);
}

/* Memory streams: their text belongs to who closes them. */
enum { MAX_STREAMS = 4 };

static FILE *streams[MAX_STREAMS];

FILE *__real_open_memstream(char **text, size_t *num_bytes);
FILE *__wrap_open_memstream(char **text, size_t *num_bytes);
int __real_fclose(FILE *stream);
int __wrap_fclose(FILE *stream);

FILE *__wrap_open_memstream(char **text, size_t *num_bytes)
{
    if (no_memory("open_memstream"))
        return NULL;
    FILE *stream = __real_open_memstream(text, num_bytes);
    for (int i = 0; i < MAX_STREAMS; i++) {
        if (streams[i] == NULL) {
            streams[i] = stream;
            return stream;
        }
    }
    fail_msg("more than %d memory streams at a time", MAX_STREAMS);
    return stream;
}

int __wrap_fclose(FILE *stream)
{
    const bool failed = no_memory("fclose");
    for (int i = 0; i < MAX_STREAMS; i++) {
        if (streams[i] == stream) {
            streams[i] = NULL;
            fault_count(FAULT_OBJECT_MEMORY, 1);
        }
    }
    return __real_fclose(stream) == 0 && !failed ? 0 : EOF;
}

/* Files. All names as they are on a 64-bit system, where off_t has 64 bits in any case. */
int __real_open64(const char *path, int flags, ...);
int __wrap_open64(const char *path, int flags, ...);
int __real_mkstemp64(char *path);
int __wrap_mkstemp64(char *path);
int __real_close(int file);
int __wrap_close(int file);
DIR *__real_opendir(const char *path);
DIR *__wrap_opendir(const char *path);
int __real_closedir(DIR *directory);
int __wrap_closedir(DIR *directory);
struct dirent *__real_readdir64(DIR *directory);
struct dirent *__wrap_readdir64(DIR *directory);

/* What a file cannot do is done without, unless the status says something else. */
static bool file_fails(const char *function, int error, clattn_status status)
{
    if (!fault_strikes(FAULT_FILE, function, status))
        return false;
    errno = error;
    return true;
}

static int counted_file(int file)
{
    fault_count(FAULT_OBJECT_FILE, file >= 0);
    return file;
}

int __wrap_open64(const char *path, int flags, ...)
{
    mode_t mode = 0;
    if ((flags & O_CREAT) != 0) {
        va_list arguments;
        va_start(arguments, flags);
        mode = va_arg(arguments, mode_t);
        va_end(arguments);
    }
    return file_fails("open", EMFILE, CLATTN_INVALID_ARGUMENT) ? -1 : counted_file(__real_open64(path, flags, mode));
}

int __wrap_mkstemp64(char *path)
{
    return file_fails("mkstemp", ENOSPC, CLATTN_OK) ? -1 : counted_file(__real_mkstemp64(path));
}

/* The descriptor is gone also where close() fails. */
int __wrap_close(int file)
{
    const bool failed = file_fails("close", EIO, CLATTN_OK);
    fault_count(FAULT_OBJECT_FILE, -1);
    return __real_close(file) == 0 && !failed ? 0 : -1;
}

DIR *__wrap_opendir(const char *path)
{
    if (file_fails("opendir", EACCES, CLATTN_INVALID_ARGUMENT))
        return NULL;
    DIR *directory = __real_opendir(path);
    fault_count(FAULT_OBJECT_FILE, directory != NULL);
    return directory;
}

int __wrap_closedir(DIR *directory)
{
    const bool failed = file_fails("closedir", EIO, CLATTN_OK);
    fault_count(FAULT_OBJECT_FILE, -1);
    return __real_closedir(directory) == 0 && !failed ? 0 : -1;
}

struct dirent *__wrap_readdir64(DIR *directory)
{
    return file_fails("readdir", EIO, CLATTN_INVALID_ARGUMENT) ? NULL : __real_readdir64(directory);
}

int __real_unlink(const char *path);
int __wrap_unlink(const char *path);

int __wrap_unlink(const char *path)
{
    return file_fails("unlink", EACCES, CLATTN_INVALID_ARGUMENT) ? -1 : __real_unlink(path);
}

/* A function that gives -1 on failure and leaves nothing to be closed. */
#define WRAP(type, function, error, parameters, arguments)                                                             \
    type __real_##function parameters;                                                                                 \
    type __wrap_##function parameters;                                                                                 \
    type __wrap_##function parameters                                                                                  \
    {                                                                                                                  \
        return file_fails(#function, error, CLATTN_OK) ? -1 : __real_##function arguments;                             \
    }

WRAP(int, flock, ENOLCK, (int file, int operation), (file, operation))
WRAP(int, fstat64, EIO, (int file, struct stat *facts), (file, facts))
WRAP(int, futimens, EACCES, (int file, const struct timespec times[2]), (file, times))
WRAP(int, mkdir, EACCES, (const char *path, mode_t mode), (path, mode))
WRAP(ssize_t, read, EIO, (int file, void *bytes, size_t num_bytes), (file, bytes, num_bytes))
WRAP(int, rename, EACCES, (const char *from, const char *to), (from, to))
WRAP(int, stat64, EIO, (const char *path, struct stat *facts), (path, facts))
WRAP(ssize_t, write, ENOSPC, (int file, const void *bytes, size_t num_bytes), (file, bytes, num_bytes))
