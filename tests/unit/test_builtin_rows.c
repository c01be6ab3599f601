/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The rows that are compiled in are those of the tuning file that they were made from, and answer on their devices.
 *
 * usage: test_builtin_rows FILE
 */
#include "tuning/builtin.h"

#include <clattn/clattn.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const char *path;

static void compare_row(void *user, const clattn_tuning_file_row *read)
{
    int32_t *num_rows = user;
    const clattn_tuning_row *row = read->row;
    if (row == NULL)
        fail_msg("%s: row %d: %s", path, (int)read->index, read->refusal);
    assert_in_range(read->index, 0, clattn_num_builtin_rows - 1);
    const clattn_tuning_row *builtin = &clattn_builtin_rows[read->index];
    assert_string_equal(builtin->device, row->device);
    assert_string_equal(builtin->vendor, row->vendor);
    assert_string_equal(builtin->driver, row->driver);
    assert_string_equal(builtin->architecture, row->architecture);
    assert_int_equal(builtin->type, row->type);
    assert_string_equal(builtin->version, row->version);
    assert_int_equal(builtin->dense, row->dense);
    assert_int_equal(builtin->phase, row->phase);
    assert_int_equal(builtin->family, row->family);
    assert_int_equal(builtin->kv_dtype, row->kv_dtype);
    assert_int_equal(builtin->head_dim, row->head_dim);
    assert_int_equal(builtin->head_dim_v, row->head_dim_v);
    assert_int_equal(builtin->group_size, row->group_size);
    assert_int_equal(builtin->num_kv_heads, row->num_kv_heads);
    assert_int_equal(builtin->kv_layout, row->kv_layout);
    assert_int_equal(builtin->page_size, row->page_size);
    assert_int_equal(builtin->batch, row->batch);
    assert_int_equal(builtin->num_parameters, row->num_parameters);
    for (int32_t i = 0; i < row->num_parameters; i++) {
        assert_string_equal(builtin->parameters[i].name, row->parameters[i].name);
        assert_int_equal(builtin->parameters[i].value, row->parameters[i].value);
    }
    assert_true(builtin->time_us == row->time_us && builtin->default_time_us == row->default_time_us &&
                builtin->gain == row->gain && builtin->noise == row->noise);
    assert_string_equal(builtin->date, row->date);
    ++*num_rows;
}

static void builtin_rows_are_those_of_the_file(void **state)
{
    int32_t num_rows = 0;
    (void)state;
    assert_int_equal(clattn_tuning_visit_file(path, compare_row, &num_rows), CLATTN_OK);
    assert_int_equal(num_rows, clattn_num_builtin_rows);
}

/* A device of that name that can run any tile. */
static clattn_device_facts facts_of(const clattn_tuning_row *row)
{
    clattn_device_facts facts = {
        .type = row->type,
        .num_compute_units = 4,
        .max_work_group_size = 1024,
        .preferred_multiple = 32,
        .narrowest_sub_group = 8,
        .float_vector_width = 16,
        .local_memory_bytes = 16 << 20,
    };
    snprintf(facts.name, sizeof facts.name, "%s", row->device);
    return facts;
}

static void every_row_answers_on_its_device(void **state)
{
    (void)state;
    for (int32_t i = 0; i < clattn_num_builtin_rows; i++) {
        const clattn_tuning_row *row = &clattn_builtin_rows[i];
        const clattn_device_facts facts = facts_of(row);
        const clattn_tuning_query_params params = {
            .num_q_heads = row->group_size * row->num_kv_heads,
            .num_kv_heads = row->num_kv_heads,
            .head_dim = row->head_dim,
            .head_dim_v = row->head_dim_v,
            .page_size = row->page_size,
            .kv_layout = row->kv_layout,
            .dense = row->dense,
            .kv_dtype = row->kv_dtype,
            .num_seqs = row->batch == CLATTN_BATCH_SINGLE  ? 1
                        : row->batch == CLATTN_BATCH_SMALL ? 2
                                                           : 16,
            .family = row->family,
        };
        clattn_tuning_answer answer;
        assert_int_equal(clattn_tuning_query(&facts, &params, &answer), CLATTN_OK);
        const clattn_tuning_tile *tile = row->phase == CLATTN_PHASE_DECODE ? &answer.decode : &answer.prefill;
        assert_int_equal(tile->level, CLATTN_TUNING_DEVICE);
        assert_non_null(strstr(tile->row, row->version));
        const clattn_tunable *tunables = NULL;
        int32_t num_tunables = 0;
        assert_int_equal(clattn_tuning_space(row->family, row->phase, &tunables, &num_tunables), CLATTN_OK);
        for (int32_t k = 0; k < row->num_parameters * num_tunables; k++) {
            const clattn_tuning_parameter *parameter = &row->parameters[k / num_tunables];
            if (strcmp(tunables[k % num_tunables].name, parameter->name) == 0)
                assert_int_equal(clattn_tile_get(&tile->tile, &tunables[k % num_tunables]), parameter->value);
        }
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(builtin_rows_are_those_of_the_file),
        cmocka_unit_test(every_row_answers_on_its_device),
    };
    if (argc != 2) {
        fprintf(stderr, "usage: test_builtin_rows FILE\n");
        return EXIT_FAILURE;
    }
    path = argv[1];
    return cmocka_run_group_tests(tests, NULL, NULL);
}
