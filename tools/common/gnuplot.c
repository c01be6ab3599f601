/* SPDX-License-Identifier: Apache-2.0 */
/* gnuplot at the other end of a pipe. */
#include "common/gnuplot.h"

#include "common/message.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PATH_BYTES 4096

bool tool_gnuplot_check(const char *option)
{
    const char *folder = getenv("PATH");
    while (folder && *folder) {
        char path[PATH_BYTES];
        const size_t length = strcspn(folder, ":");
        const int written = snprintf(path, sizeof path, "%.*s/gnuplot", (int)length, folder);
        if (written > 0 && (size_t)written < sizeof path && access(path, X_OK) == 0)
            return true;
        folder += length + (folder[length] == ':');
    }
    return tool_error("--%s needs gnuplot, and there is none in PATH (Debian: gnuplot-nox)", option);
}

void tool_gnuplot_quote(const char *text, FILE *script)
{
    fputc('\'', script);
    for (; *text; text++)
        fprintf(script, *text == '\'' ? "''" : "%c", *text == '\n' ? ' ' : *text);
    fputc('\'', script);
}

bool tool_gnuplot_draw(const char *path, const char *terminal, tool_gnuplot_writer writer, const void *user)
{
    /* gnuplot may end before it has read everything; that is an error to report, not a signal to die of. */
    void (*previous)(int) = signal(SIGPIPE, SIG_IGN);
    FILE *script = popen("gnuplot", "w");
    if (!script) {
        signal(SIGPIPE, previous);
        return tool_error("cannot start gnuplot: %s", strerror(errno));
    }
    fprintf(script, "set terminal %s\nset output ", terminal);
    tool_gnuplot_quote(path, script);
    fputc('\n', script);
    writer(user, script);
    const int status = pclose(script);
    signal(SIGPIPE, previous);
    return status == 0 || tool_error("gnuplot could not draw %s", path);
}
