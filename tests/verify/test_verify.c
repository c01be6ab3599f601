/* SPDX-License-Identifier: Apache-2.0 */
/* Kernels that have to prove themselves: what is verified, replaced, refused and remembered. */
#include "runtime/context.h"
#include "sabotage.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* Calls the operation on outputs of canaries. */
static clattn_status call(support_attention *attention, const verify_fixture *fixture)
{
    support_attention_reset(attention, &fixture->device);
    return support_attention_call(attention, &fixture->device, NULL, 0, NULL, NULL);
}

/* The call must be refused with these words, and must have written nothing. */
static void assert_refused(const verify_fixture *fixture, const support_attention_case *problem, const char *words)
{
    support_attention *attention = support_attention_create(&fixture->device, problem);
    assert_int_equal(call(attention, fixture), CLATTN_KERNEL_REJECTED);
    if (strstr(clattn_context_last_error(fixture->device.ctx), words) == NULL)
        fail_msg("\"%s\" has no \"%s\"", clattn_context_last_error(fixture->device.ctx), words);
    support_attention_read(attention, &fixture->device);
    assert_true(support_image_is_untouched(&attention->out));
    support_attention_destroy(&attention);
}

static void assert_files(const verify_fixture *fixture, int num_programs, int num_verified, int num_rejected)
{
    const verify_files files = verify_list(fixture);
    assert_int_equal(files.num_programs, num_programs);
    assert_int_equal(files.num_verdicts[CLATTN_VERDICT_VERIFIED], num_verified);
    assert_int_equal(files.num_verdicts[CLATTN_VERDICT_REJECTED], num_rejected);
    assert_int_equal(files.num_verdicts[CLATTN_VERDICT_CRASHED], 0);
    assert_int_equal(files.num_others, 0);
}

/* support_attention_verify() calls twice; with splits each call has a merge kernel, too. */
static void assert_computes(verify_fixture *fixture, int32_t num_splits, int num_trials)
{
    const support_attention_case problem = verify_batch(num_splits);
    sabotage_num_kernels = 0;
    support_attention_verify(&fixture->device, &problem);
    assert_int_equal(sabotage_num_kernels, num_trials + (num_splits > 1 ? 4 : 2));
    assert_string_equal(clattn_context_last_error(fixture->device.ctx), "");
}

static void healthy_kernels_are_verified_and_remembered(void **state)
{
    verify_fixture *fixture = verify_open(*state, true);
    assert_computes(fixture, 2, 2);
    assert_files(fixture, 2, 2, 0);
    assert_computes(fixture, 2, 0);
    assert_int_equal(fixture->log.num_warnings, 0);
    verify_close(&fixture);

    fixture = verify_open(*state, true);
    assert_computes(fixture, 2, 0);
    assert_files(fixture, 2, 2, 0);
    verify_close(&fixture);
}

static void nothing_is_tried_unless_asked_for(void **state)
{
    verify_fixture *fixture = verify_open(*state, false);
    assert_computes(fixture, 2, 0);
    assert_files(fixture, 2, 0, 0);
    verify_close(&fixture);
}

static void without_a_directory_every_context_tries_anew(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        verify_fixture *fixture = verify_open("", true);
        assert_computes(fixture, 0, 1);
        assert_computes(fixture, 0, 0);
        verify_close(&fixture);
    }
}

/* The family's kernel is wrong; but the plain family has none to fall back on. */
static void wrong_kernels_are_replaced(void **state)
{
    verify_fixture *fixture = verify_open(*state, true);
    const bool plain = fixture->device.family == CLATTN_FAMILY_PLAIN;
    const support_attention_case problem = verify_batch(2);
    sabotage_now.parts[0] = sabotage_part_of(fixture->device.family);
    if (plain) {
        assert_refused(fixture, &problem, "program plain/attention is rejected on this device: ");
        assert_refused(fixture, &problem, "expected");
        assert_files(fixture, 1, 0, 1);
    } else {
        assert_computes(fixture, 2, 3);
        assert_files(fixture, 3, 2, 1);
        assert_non_null(strstr(fixture->log.warning, "is rejected on this device: "));
        assert_non_null(strstr(fixture->log.warning, "; plain/attention takes its place"));
    }
    assert_int_equal(fixture->log.num_warnings, 1);
    verify_close(&fixture);

    /* The driver is honest again: what is remembered is not tried again, and not used. */
    sabotage_now = (sabotage){0};
    fixture = verify_open(*state, true);
    if (plain)
        assert_refused(fixture, &problem, "program plain/attention is rejected on this device: ");
    else
        assert_computes(fixture, 2, 0);
    assert_int_equal(fixture->log.num_warnings, 1);
    verify_close(&fixture);
}

/* Items of several heads, of prefill tiles, and of split rows: made for another family, and taken as they come. */
static void plans_of_any_family_run_on_the_plain_kernel(void **state)
{
    static const int32_t q_lens[] = {1, 70, 0, 93};
    static const int32_t context_lens[] = {300, 75, 4, 93};
    verify_fixture *fixture = verify_open(*state, true);
    support_attention_case problem = verify_batch(0);
    problem.num_seqs = 4;
    problem.q_lens = q_lens;
    problem.context_lens = context_lens;
    problem.lse = true;
    problem.sliding_window = 50;
    if (fixture->device.family != CLATTN_FAMILY_PLAIN)
        sabotage_now.parts[0] = sabotage_part_of(fixture->device.family);
    for (int i = 0; i < 3; i++) {
        problem.num_splits = i;
        problem.kv_layout = i == 1 ? CLATTN_KV_HND : CLATTN_KV_NHD;
        support_attention_verify(&fixture->device, &problem);
    }
    assert_true(fixture->device.family == CLATTN_FAMILY_PLAIN || fixture->log.num_warnings >= 2);
    verify_close(&fixture);
}

/* As long as a work item of the simt family may be on a device that ends loops, which the plain kernel's would be. */
static void items_too_long_for_the_plain_kernel_are_refused(void **state)
{
    static const int32_t context_len = 2000;
    for (int i = 0; i < 2; i++) {
        verify_fixture *fixture = verify_open(*state, true);
        support_attention_case problem = verify_batch(1);
        problem.num_seqs = 1;
        problem.context_lens = &context_len;
        sabotage_now.parts[0] = sabotage_part_of(CLATTN_FAMILY_SIMT);
        fixture->device.ctx->facts.max_loop_iterations = i == 0 ? 65535 : 0;
        if (i == 0 && fixture->device.family == CLATTN_FAMILY_SIMT)
            assert_refused(fixture, &problem, "which ends loops after 65535 rounds");
        else
            support_attention_verify(&fixture->device, &problem);
        verify_close(&fixture);
    }
}

static void where_nothing_is_right_the_call_is_refused(void **state)
{
    verify_fixture *fixture = verify_open(*state, true);
    const support_attention_case problem = verify_batch(0);
    sabotage_now.parts[0] = sabotage_part_of(fixture->device.family);
    sabotage_now.parts[1] = sabotage_part_of(CLATTN_FAMILY_PLAIN);
    for (int i = 0; i < 2; i++)
        assert_refused(fixture, &problem, "program plain/attention is rejected on this device: out[");
    assert_files(fixture, fixture->device.family == CLATTN_FAMILY_PLAIN ? 1 : 2, 0,
                 fixture->device.family == CLATTN_FAMILY_PLAIN ? 1 : 2);
    verify_close(&fixture);
}

/* Not only whole work-groups: what changes a number in the third digit is found, in the variants that have it. */
static void subtle_miscompilations_are_found(void **state)
{
    (void)state;
    static const struct {
        const char *text; /* that the change replaces, NULL = goes before all */
        const char *change;
        float logits_soft_cap;
        support_sinks sinks;
        bool lse;
        const char *words;
    } cases[] = {
        {"#define LOG2_E 1.44269504088896340736f", "#define LOG2_E 1.4456f", 0.0f, SUPPORT_SINKS_NONE, false, "out["},
        {"#define LOG2_E 1.44269504088896340736f", "#define LOG2_E 1.4456f", 0.0f, SUPPORT_SINKS_PER_HEAD, false,
         "out["},
        {NULL, "#define tanh(x) (x)\n", 5.0f, SUPPORT_SINKS_NONE, false, "out["},
        {NULL, "#define log(x) log2(x)\n", 0.0f, SUPPORT_SINKS_NONE, true, "lse["},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        verify_fixture *fixture = verify_open("", true);
        support_attention_case problem = verify_batch(0);
        problem.logits_soft_cap = cases[i].logits_soft_cap;
        problem.sinks = cases[i].sinks;
        problem.lse = cases[i].lse;
        sabotage_now =
            (sabotage){.parts = {sabotage_part_of(fixture->device.family), sabotage_part_of(CLATTN_FAMILY_PLAIN)},
                       .text = cases[i].text,
                       .change = cases[i].change};
        assert_refused(fixture, &problem, cases[i].words);
        sabotage_now = (sabotage){0};
        verify_close(&fixture);
    }
}

/* Nothing else merges: no split row is computed, though its attention kernel is good. */
static void wrong_merges_are_refused(void **state)
{
    verify_fixture *fixture = verify_open(*state, true);
    const support_attention_case split = verify_batch(2);
    sabotage_now.parts[0] = "merge";
    assert_refused(fixture, &split, "program merge is rejected on this device: ");
    assert_int_equal(fixture->log.num_warnings, 1);
    assert_non_null(strstr(fixture->log.warning, "; calls that need it are refused"));
    const support_attention_case whole = verify_batch(0);
    support_attention_verify(&fixture->device, &whole);
    assert_files(fixture, 2, 1, 1);
    verify_close(&fixture);
}

static void wrong_appends_are_refused(void **state)
{
    enum { HEAD_DIM = 16, NUM_TOKENS = 3 };
    static const int64_t shape[] = {NUM_TOKENS, 1, HEAD_DIM};
    static const int64_t slots[] = {3, 0, 1};
    verify_fixture *fixture = verify_open(*state, true);
    const support_device *device = &fixture->device;
    clattn_kv_cache *cache = NULL;
    support_image rows = support_image_create(CLATTN_FLOAT32, 3, shape, false);
    support_image_fill(&rows, 1.5f);
    support_image_upload(&rows, device);
    const clattn_kv_cache_params params = {.num_layers = 1,
                                           .num_pages = 2,
                                           .page_size = 2,
                                           .num_kv_heads = 1,
                                           .head_dim = HEAD_DIM,
                                           .dtype = CLATTN_FLOAT32};
    assert_int_equal(clattn_kv_cache_create(device->ctx, &params, &cache), CLATTN_OK);
    clattn_tensor pages;
    clattn_tensor unused;
    assert_int_equal(clattn_kv_cache_layer(cache, 0, &pages, &unused), CLATTN_OK);
    float before[4 * 2 * HEAD_DIM];
    float after[4 * 2 * HEAD_DIM];
    support_require_cl(
        clEnqueueReadBuffer(device->queue, pages.buffer, CL_TRUE, 0, sizeof before, before, 0, NULL, NULL), "read");

    sabotage_now.parts[0] = "append";
    const clattn_kv_append_params append = {.keys = rows.tensor, .values = rows.tensor, .slot_mapping = slots};
    assert_int_equal(clattn_kv_cache_append(cache, &append, 0, NULL, NULL), CLATTN_KERNEL_REJECTED);
    assert_non_null(strstr(clattn_context_last_error(device->ctx), "program append is rejected on this device: "));
    support_require_cl(clEnqueueReadBuffer(device->queue, pages.buffer, CL_TRUE, 0, sizeof after, after, 0, NULL, NULL),
                       "read");
    assert_memory_equal(before, after, sizeof after);
    assert_files(fixture, 1, 0, 1);
    clattn_kv_cache_destroy(&cache);
    support_image_destroy(&rows);
    verify_close(&fixture);
}

/* Whatever the reason: the plain kernel has the same chance. But that it did not build is forgotten. */
static void kernels_that_do_not_build_are_replaced(void **state)
{
    for (int i = 0; i < 2; i++) {
        verify_fixture *fixture = verify_open(*state, true);
        const bool plain = fixture->device.family == CLATTN_FAMILY_PLAIN;
        const support_attention_case problem = verify_batch(0);
        sabotage_now = (sabotage){.parts = {sabotage_part_of(fixture->device.family)}, .refuses = i == 0};
        if (i == 1)
            sabotage_now.parts[0] = NULL;
        if (i == 0 && plain)
            assert_refused(fixture, &problem, "clBuildProgram failed with CL_BUILD_PROGRAM_FAILURE");
        else
            assert_computes(fixture, 0, 1);
        assert_int_equal(fixture->log.num_warnings, i == 0);
        assert_files(fixture, (plain ? 0 : 1) + i, (plain ? 0 : 1) + i, 0);
        verify_close(&fixture);
    }
}

/* As a driver says that a kernel takes more registers or memory than there are now: that is forgotten as well. */
static void kernels_that_cannot_be_run_are_refused(void **state)
{
    verify_fixture *fixture = verify_open(*state, true);
    const support_attention_case problem = verify_batch(0);
    sabotage_now.kernel_result = CL_OUT_OF_RESOURCES;
    assert_refused(fixture, &problem, "clEnqueueNDRangeKernel");
    assert_int_equal(verify_list(fixture).num_verdicts[CLATTN_VERDICT_REJECTED], 0);
    verify_close(&fixture);

    sabotage_now = (sabotage){.parts = {NULL}};
    fixture = verify_open(*state, true);
    assert_computes(fixture, 0, 1);
    verify_close(&fixture);
}

/* The trial's arrays, one after the other: no verdict, no note, and the next call tries again. */
static void trials_that_lack_memory_say_nothing(void **state)
{
    verify_fixture *fixture = verify_open(*state, true);
    support_attention_case problem = verify_batch(0);
    support_attention *attention = support_attention_create(&fixture->device, &problem);
    const clattn_plan_params params = support_attention_plan_params(attention);
    clattn_plan *plan = NULL;
    int num_failures = 0;
    assert_int_equal(clattn_plan_create(fixture->device.ctx, &params, &plan), CLATTN_OK);
    support_attention_reset(attention, &fixture->device);
    for (clattn_status status = CLATTN_OUT_OF_DEVICE_MEMORY; status != CLATTN_OK; num_failures++) {
        sabotage_now.buffers_until_failure = num_failures + 1;
        status = support_attention_call(attention, &fixture->device, plan, 0, NULL, NULL);
        if (status == CLATTN_OK)
            break;
        assert_int_equal(status, CLATTN_OUT_OF_DEVICE_MEMORY);
        assert_int_equal(sabotage_num_kernels, 0);
        assert_files(fixture, 1, 0, 0);
    }
    assert_int_equal(num_failures, 7); /* q, k, v, both partials, out, metadata */
    sabotage_now.buffers_until_failure = 0;
    support_attention_read(attention, &fixture->device);
    support_attention_check(attention);
    assert_files(fixture, 1, 1, 0);
    clattn_plan_destroy(&plan);
    support_attention_destroy(&attention);
    verify_close(&fixture);
}

/* The path of the only verdict in a directory, whatever its file is called. */
static void find_verdict(void *user, const clattn_cache_file *file)
{
    if (file->verdict)
        snprintf(user, SUPPORT_PATH_BYTES, "%s", file->name);
}

static void damaged_verdicts_are_ignored_and_replaced(void **state)
{
    char name[SUPPORT_PATH_BYTES];
    char path[SUPPORT_PATH_BYTES];
    size_t num_bytes;
    verify_fixture *fixture = verify_open(*state, true);
    assert_computes(fixture, 0, 1);
    assert_int_equal(clattn_context_visit_cache(fixture->device.ctx, find_verdict, name), CLATTN_OK);
    support_path_join(path, *state, name);
    verify_close(&fixture);
    char *contents = support_file_read(path, &num_bytes);
    for (int damage = 0; damage < 3; damage++) {
        char *damaged = memcpy(malloc(num_bytes), contents, num_bytes);
        if (damage == 0)
            damaged[num_bytes - 1] = (char)(damaged[num_bytes - 1] ^ 1);
        if (damage == 1)
            memset(damaged, 'x', num_bytes);
        support_file_write(path, damaged, damage == 2 ? num_bytes / 2 : num_bytes);
        free(damaged);
        fixture = verify_open(*state, true);
        assert_computes(fixture, 0, 1);
        assert_files(fixture, 1, 1, 0);
        verify_close(&fixture);
    }
    free(contents);
}

/* An embedding application may hold its queue back as long as it likes. */
static void the_callers_queue_is_not_waited_for(void **state)
{
    verify_fixture *fixture = verify_open(*state, true);
    const support_device *device = &fixture->device;
    const support_attention_case problem = verify_batch(2);
    support_attention *attention = support_attention_create(device, &problem);
    cl_int result = CL_SUCCESS;
    support_attention_reset(attention, device);
    cl_event gate = clCreateUserEvent(device->cl, &result);
    support_require_cl(result, "clCreateUserEvent");
    assert_int_equal(support_attention_call(attention, device, NULL, 1, &gate, NULL), CLATTN_OK);
    assert_int_equal(sabotage_num_kernels, 4);
    support_require_cl(clSetUserEventStatus(gate, CL_COMPLETE), "clSetUserEventStatus");
    support_attention_read(attention, device);
    support_attention_check(attention);
    clReleaseEvent(gate);
    support_attention_destroy(&attention);
    verify_close(&fixture);
}

static int honest_teardown(void **state)
{
    sabotage_now = (sabotage){0};
    return support_directory_teardown(state);
}

#define IN_DIRECTORY(test) cmocka_unit_test_setup_teardown(test, support_directory_setup, honest_teardown)

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        IN_DIRECTORY(healthy_kernels_are_verified_and_remembered),
        IN_DIRECTORY(nothing_is_tried_unless_asked_for),
        IN_DIRECTORY(without_a_directory_every_context_tries_anew),
        IN_DIRECTORY(wrong_kernels_are_replaced),
        IN_DIRECTORY(plans_of_any_family_run_on_the_plain_kernel),
        IN_DIRECTORY(items_too_long_for_the_plain_kernel_are_refused),
        IN_DIRECTORY(where_nothing_is_right_the_call_is_refused),
        IN_DIRECTORY(subtle_miscompilations_are_found),
        IN_DIRECTORY(wrong_merges_are_refused),
        IN_DIRECTORY(wrong_appends_are_refused),
        IN_DIRECTORY(kernels_that_do_not_build_are_replaced),
        IN_DIRECTORY(kernels_that_cannot_be_run_are_refused),
        IN_DIRECTORY(trials_that_lack_memory_say_nothing),
        IN_DIRECTORY(damaged_verdicts_are_ignored_and_replaced),
        IN_DIRECTORY(the_callers_queue_is_not_waited_for),
    };
    support_select_family(argc, argv);
    if (!verify_has_device())
        return SUPPORT_EXIT_NO_DEVICE;
    return cmocka_run_group_tests_name("verify", tests, NULL, NULL);
}
