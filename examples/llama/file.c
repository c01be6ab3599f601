/* SPDX-License-Identifier: Apache-2.0 */
#include "file.h"

#include "report.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

bool llama_file_open(llama_file *file, const char *path, const char *what)
{
    *file = (llama_file){.path = path};
    /* A directory opens for reading on POSIX systems, and a pipe has no size: both are asked about first. */
    struct stat status;
    if (stat(path, &status) != 0)
        return llama_fail("cannot open the %s '%s': %s", what, path, strerror(errno));
    if (S_ISDIR(status.st_mode))
        return llama_fail("the %s '%s' is a directory", what, path);
    if (!S_ISREG(status.st_mode))
        return llama_fail("the %s '%s' is not a regular file", what, path);

    file->stream = fopen(path, "rb");
    if (file->stream == NULL)
        return llama_fail("cannot open the %s '%s': %s", what, path, strerror(errno));
    file->size_bytes = (uint64_t)status.st_size;
    file->left_bytes = file->size_bytes;
    return true;
}

bool llama_file_take(llama_file *file, void *data, size_t size_bytes)
{
    if (size_bytes > file->left_bytes || fread(data, 1, size_bytes, file->stream) != size_bytes)
        return false;
    file->left_bytes -= size_bytes;
    return true;
}

void llama_file_close(llama_file *file)
{
    if (file->stream != NULL)
        fclose(file->stream);
    file->stream = NULL;
}
