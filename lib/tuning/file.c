/* SPDX-License-Identifier: Apache-2.0 */
/* From a file to its rows; see file.h. */
#include "tuning/file.h"

#include "tuning/file_row.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int clattn_tuning_file_open(const char *path)
{
    /* Not blocking, or a named pipe of that name would hold the caller for ever. */
    return open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
}

clattn_status clattn_tuning_file_refuse(int reason, clattn_error *error)
{
    char text[128];
    if (strerror_r(reason, text, sizeof text) != 0)
        snprintf(text, sizeof text, "error %d", reason);
    return clattn_error_set(error, CLATTN_INVALID_ARGUMENT, "cannot be read: %s", text);
}

/* Reads num_bytes, or fewer where the file ends before them; -1 and errno if it cannot be read. */
static int64_t read_all(int file, char *target, size_t num_bytes)
{
    size_t done = 0;
    while (done < num_bytes) {
        const ssize_t count = read(file, target + done, num_bytes - done);
        if (count < 0 && errno == EINTR)
            continue;
        if (count < 0)
            return -1;
        if (count == 0)
            break;
        done += (size_t)count;
    }
    return (int64_t)done;
}

/* The file as text, which the caller frees; NULL on failure. */
static clattn_status read_text(int file, char **text, clattn_error *error)
{
    struct stat facts;
    if (fstat(file, &facts) != 0)
        return clattn_tuning_file_refuse(errno, error);
    CLATTN_REQUIRE(error, S_ISREG(facts.st_mode), CLATTN_INVALID_ARGUMENT, "cannot be read: it is no file");
    CLATTN_REQUIRE(error, facts.st_size <= CLATTN_TUNING_FILE_BYTES, CLATTN_INVALID_ARGUMENT,
                   "has %lld bytes, expected at most %d", (long long)facts.st_size, CLATTN_TUNING_FILE_BYTES);
    char *read = malloc((size_t)facts.st_size + 1);
    CLATTN_REQUIRE(error, read != NULL, CLATTN_OUT_OF_MEMORY, "no memory for a tuning file of %lld bytes",
                   (long long)facts.st_size);
    const int64_t num_bytes = read_all(file, read, (size_t)facts.st_size);
    clattn_status status = CLATTN_OK;
    if (num_bytes < 0)
        status = clattn_tuning_file_refuse(errno, error);
    else if (memchr(read, '\0', (size_t)num_bytes) != NULL)
        status = clattn_error_set(error, CLATTN_INVALID_ARGUMENT, "is not JSON: it has a byte 0");
    if (status != CLATTN_OK) {
        free(read);
        return status;
    }
    read[num_bytes] = '\0';
    *text = read;
    return CLATTN_OK;
}

static clattn_status refuse_text(const char *text, const char *end, clattn_error *error)
{
    int line = 1;
    const char *start = text;
    for (const char *byte = text; byte < end; byte++) {
        if (*byte == '\n') {
            line++;
            start = byte + 1;
        }
    }
    return clattn_error_set(error, CLATTN_INVALID_ARGUMENT, "is not JSON: line %d, column %lld", line,
                            (long long)(end - start) + 1);
}

/* The document, which the caller deletes. */
static clattn_status parse_text(const char *text, cJSON **document, clattn_error *error)
{
    const char *end = text;
    errno = 0;
    *document = cJSON_ParseWithOpts(text, &end, true);
    /* cJSON does not say that it got no memory, malloc() does. */
    CLATTN_REQUIRE(error, *document != NULL || errno != ENOMEM, CLATTN_OUT_OF_MEMORY,
                   "no memory to read a tuning file");
    return *document != NULL ? CLATTN_OK : refuse_text(text, end, error);
}

/* A field of the document that must be there once. */
static clattn_status find_once(const cJSON *document, const char *name, const cJSON **value, clattn_error *error)
{
    const cJSON *field = NULL;
    *value = NULL;
    cJSON_ArrayForEach(field, document)
    {
        if (strcmp(field->string, name) != 0)
            continue;
        CLATTN_REQUIRE(error, *value == NULL, CLATTN_INVALID_ARGUMENT, "\"%s\" is given twice", name);
        *value = field;
    }
    CLATTN_REQUIRE(error, *value != NULL, CLATTN_INVALID_ARGUMENT, "\"%s\" is missing", name);
    return CLATTN_OK;
}

/* The schema comes first: what else a document has is its schema's affair. */
static clattn_status find_rows(const cJSON *document, const cJSON **rows, clattn_error *error)
{
    char got[CLATTN_JSON_TEXT_BYTES];
    const cJSON *schema = NULL;
    clattn_tuning_describe_json(document, got);
    CLATTN_REQUIRE(error, cJSON_IsObject(document), CLATTN_INVALID_ARGUMENT, "expected an object, got %s", got);
    CLATTN_TRY(find_once(document, "schema", &schema, error));
    clattn_tuning_describe_json(schema, got);
    CLATTN_REQUIRE(error, cJSON_IsNumber(schema) && schema->valuedouble == CLATTN_TUNING_SCHEMA,
                   CLATTN_INVALID_ARGUMENT, "schema: expected %d, got %s", CLATTN_TUNING_SCHEMA, got);
    CLATTN_TRY(find_once(document, "rows", rows, error));
    clattn_tuning_describe_json(*rows, got);
    CLATTN_REQUIRE(error, cJSON_IsArray(*rows), CLATTN_INVALID_ARGUMENT, "rows: expected an array, got %s", got);
    const cJSON *field = NULL;
    cJSON_ArrayForEach(field, document)
        CLATTN_REQUIRE(error, field == schema || field == *rows, CLATTN_INVALID_ARGUMENT,
                       "a tuning file has no field \"%.40s\"", field->string);
    return CLATTN_OK;
}

/* Quoted texts of a file may hold line ends. */
static void make_one_line(char *sentence)
{
    for (char *byte = sentence; *byte != '\0'; byte++) {
        if ((unsigned char)*byte < ' ')
            *byte = ' ';
    }
}

static void visit_row(int32_t index, const cJSON *object, clattn_tuning_visitor visit, void *user)
{
    clattn_parsed_row parsed;
    clattn_error refusal = {.text = ""};
    const clattn_status status = clattn_tuning_row_parse(object, &parsed, &refusal);
    make_one_line(refusal.text);
    visit(user, &(clattn_tuning_file_row){
                    .index = index, .row = status == CLATTN_OK ? &parsed.row : NULL, .refusal = refusal.text});
}

static clattn_status visit_rows(int file, clattn_tuning_visitor visit, void *user, clattn_error *error)
{
    char *text = NULL;
    CLATTN_TRY(read_text(file, &text, error));
    cJSON *document = NULL;
    const cJSON *rows = NULL;
    clattn_status status = parse_text(text, &document, error);
    free(text);
    if (status == CLATTN_OK)
        status = find_rows(document, &rows, error);
    if (status == CLATTN_OK) {
        int32_t index = 0;
        const cJSON *object = NULL;
        cJSON_ArrayForEach(object, rows) visit_row(index++, object, visit, user);
    }
    cJSON_Delete(document);
    return status;
}

clattn_status clattn_tuning_file_visit(int file, clattn_tuning_visitor visit, void *user, clattn_error *error)
{
    const clattn_status status = visit_rows(file, visit, user, error);
    if (status != CLATTN_OK)
        make_one_line(error->text);
    if (status == CLATTN_INVALID_ARGUMENT)
        visit(user, &(clattn_tuning_file_row){.index = -1, .refusal = error->text});
    return status;
}

clattn_status clattn_tuning_visit_file(const char *path, clattn_tuning_visitor visit, void *user)
{
    if (path == NULL || visit == NULL)
        return CLATTN_INVALID_ARGUMENT;
    clattn_error error = {.text = ""};
    const int file = clattn_tuning_file_open(path);
    if (file < 0) {
        const clattn_status status = clattn_tuning_file_refuse(errno, &error);
        visit(user, &(clattn_tuning_file_row){.index = -1, .refusal = error.text});
        return status;
    }
    const clattn_status status = clattn_tuning_file_visit(file, visit, user, &error);
    close(file);
    return status;
}
