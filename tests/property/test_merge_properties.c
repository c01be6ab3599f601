/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Attention over any cut of the keys, merged, is attention over all of them. The states come from the operations
 * themselves: the keys of a dense batch are cut, every piece is run alone into its slice of the states.
 */
#include "batch.h"
#include "support/random.h"
#include "support/size.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

enum { MOST_CUTS = 5, MOST_PIECES = MOST_CUTS + 1, NUM_CASES = 4 };

/* The first one's keys are all there are; one row has one key, and one none. */
static const int32_t first_keys[BATCH_NUM_SEQS] = {0, 0, 7, 16, 0, 200, 100};
static const int32_t past_keys[BATCH_NUM_SEQS] = {BATCH_SEQ_LEN, 93, 23, 17, 1, 200, 257};

/* What a state is given by. */
typedef enum state_form { FORM_LSE = 0, FORM_MAX } state_form;

/* States [num_states, B, Hq, Dv] and what stands beside them, on the device; those that the form lacks have rank 0. */
typedef struct states {
    state_form form;
    int32_t num_states;
    support_image out;
    support_image lse;
    support_image max;
    support_image denominator;
} states;

/* NaN until an operation has written it. */
static support_image create_image(const support_device *device, int32_t rank, const int64_t *shape)
{
    support_image image = support_image_create(CLATTN_FLOAT32, rank, shape, true);

    support_image_fill(&image, NAN);
    support_image_upload(&image, device);
    return image;
}

static states create_states(const support_device *device, const support_attention *attention, state_form form,
                            int32_t num_states)
{
    const support_attention_case *description = &attention->description;
    const int64_t shape[4] = {num_states, description->num_seqs, description->num_q_heads, description->head_dim_v};
    states created = {.form = form, .num_states = num_states, .out = create_image(device, 4, shape)};

    if (form == FORM_LSE) {
        created.lse = create_image(device, 3, shape);
    } else {
        created.max = create_image(device, 3, shape);
        created.denominator = create_image(device, 3, shape);
    }
    return created;
}

static void destroy_states(states *destroyed)
{
    support_image_destroy(&destroyed->out);
    support_image_destroy(&destroyed->lse);
    support_image_destroy(&destroyed->max);
    support_image_destroy(&destroyed->denominator);
}

/* States [first, first + count); absent for an absent image. */
static clattn_tensor slices_of(const support_image *image, int32_t first, int32_t count)
{
    clattn_tensor slices = image->tensor;

    if (slices.rank == 0)
        return slices;
    slices.offset_bytes += (uint64_t)(first * image->strides[0]) * clattn_dtype_size(slices.dtype);
    slices.shape[0] = count;
    return slices;
}

/* One state as the result of an operation. */
static clattn_tensor slice_of(const support_image *image, int32_t number)
{
    clattn_tensor slice = slices_of(image, number, 1);

    if (slice.rank == 0)
        return slice;
    slice.rank--;
    for (int32_t i = 0; i < slice.rank; i++) {
        slice.shape[i] = slice.shape[i + 1];
        slice.strides[i] = slice.strides[i + 1];
    }
    return slice;
}

/* The dense batch whose results the merged ones are compared with. */
static support_attention_case whole_batch(uint64_t seed, state_form form)
{
    support_attention_case problem = form == FORM_LSE ? batch_dense(seed) : batch_statistics(seed);

    problem.context_lens = past_keys;
    problem.kv_starts = first_keys;
    problem.softmax_scale = BATCH_SCALE; /* 0 would mean another one to the operation that runs the pieces */
    problem.numerator = form == FORM_MAX;
    return problem;
}

/* How the keys of every row are cut: piece i of row s is keys [bounds[i][s], bounds[i + 1][s]). */
typedef struct key_cut {
    int32_t num_pieces;
    int32_t bounds[MOST_PIECES + 1][BATCH_NUM_SEQS];
    int32_t order[MOST_PIECES]; /* which state a piece becomes */
} key_cut;

static int compare_bounds(const void *a, const void *b)
{
    return *(const int32_t *)a - *(const int32_t *)b;
}

/* Rows are cut in different places; with two cuts or more the second piece is empty in all of them. */
static key_cut random_cut(support_random *random, int32_t num_cuts)
{
    key_cut cut = {.num_pieces = num_cuts + 1};

    for (int32_t s = 0; s < BATCH_NUM_SEQS; s++) {
        int32_t places[MOST_CUTS];
        for (int32_t i = 0; i < num_cuts; i++)
            places[i] = support_random_between(random, first_keys[s], past_keys[s]);
        qsort(places, (size_t)num_cuts, sizeof(places[0]), compare_bounds);
        cut.bounds[0][s] = first_keys[s];
        for (int32_t i = 0; i < num_cuts; i++)
            cut.bounds[i + 1][s] = i == 1 ? places[0] : places[i];
        cut.bounds[num_cuts + 1][s] = past_keys[s];
    }
    support_random_permutation(random, cut.num_pieces, cut.order);
    return cut;
}

/* Runs the keys [starts[s], ends[s]) of the problem's rows s into one of the states. */
static void run_piece(const support_attention *whole, const support_device *device, const int32_t *starts,
                      const int32_t *ends, const states *to, int32_t number)
{
    if (to->form == FORM_LSE) {
        clattn_ragged_decode_attention_params params = support_attention_ragged_decode_params(whole, NULL);
        params.sequence_start = starts;
        params.sequence_end = ends;
        params.out = slice_of(&to->out, number);
        params.lse = slice_of(&to->lse, number);
        batch_require_ok(whole, device, clattn_ragged_decode_attention(device->ctx, &params, 0, NULL, NULL));
        return;
    }
    clattn_ragged_attention_params params = support_attention_ragged_params(whole, NULL);
    params.starts = starts;
    params.lengths = ends;
    params.numerator = true;
    params.out = slice_of(&to->out, number);
    params.max = slice_of(&to->max, number);
    params.denominator = slice_of(&to->denominator, number);
    batch_require_ok(whole, device, clattn_ragged_attention(device->ctx, &params, 0, NULL, NULL));
}

static states run_pieces(const support_attention *whole, const support_device *device, state_form form,
                         const key_cut *cut)
{
    const states pieces = create_states(device, whole, form, cut->num_pieces);

    for (int32_t i = 0; i < cut->num_pieces; i++)
        run_piece(whole, device, cut->bounds[i], cut->bounds[i + 1], &pieces, cut->order[i]);
    return pieces;
}

static clattn_merge_states_params merge_params(const states *from, int32_t first, int32_t count)
{
    return (clattn_merge_states_params){
        .states_out = slices_of(&from->out, first, count),
        .states_lse = slices_of(&from->lse, first, count),
        .states_max = slices_of(&from->max, first, count),
        .states_denominator = slices_of(&from->denominator, first, count),
    };
}

/* Merges states [first, first + count) into another state of the same form. */
static void merge_into_state(const support_attention *whole, const support_device *device, const states *from,
                             int32_t first, int32_t count, const states *to, int32_t number)
{
    clattn_merge_states_params params = merge_params(from, first, count);

    params.out = slice_of(&to->out, number);
    params.lse = slice_of(&to->lse, number);
    params.max = slice_of(&to->max, number);
    params.denominator = slice_of(&to->denominator, number);
    params.numerator = to->form == FORM_MAX;
    batch_require_ok(whole, device, clattn_merge_states(device->ctx, &params, 0, NULL, NULL));
}

/* Merges all of the states into the results of a problem, in the form that it has them. */
static void merge_into_results(support_attention *results, const support_device *device, const states *from)
{
    clattn_merge_states_params params = merge_params(from, 0, from->num_states);

    params.out = results->out.tensor;
    params.lse = results->lse.tensor;
    params.max = results->max.tensor;
    params.denominator = results->denominator.tensor;
    params.numerator = results->description.numerator;
    support_attention_reset(results, device);
    batch_require_ok(results, device, clattn_merge_states(device->ctx, &params, 0, NULL, NULL));
    support_attention_read(results, device);
}

/*
 * Any number of cuts, anywhere, some pieces empty, the states in any order. A piece's logits are those of the whole, so
 * that the largest maximum is the whole's; the sums over the keys are ordered differently.
 */
static void expect_any_cut_to_merge(const support_device *device, const support_attention_case *problem,
                                    state_form form)
{
    support_random random = support_random_seeded(problem->seed);
    support_attention *whole = batch_run(device, problem);
    support_attention *merged = support_attention_create(device, problem);

    for (int32_t num_cuts = 0; num_cuts <= MOST_CUTS; num_cuts++) {
        for (int32_t i = 0; i < NUM_CASES; i++) {
            const key_cut cut = random_cut(&random, num_cuts);
            states pieces = run_pieces(whole, device, form, &cut);
            merge_into_results(merged, device, &pieces);
            batch_expect_rows_close(whole, merged, TOLERANCE);
            if (whole->max.tensor.rank > 0)
                support_image_expect_close(&whole->max, &merged->max, BITWISE);
            destroy_states(&pieces);
        }
    }
    support_attention_destroy(&whole);
    support_attention_destroy(&merged);
}

static void numerators_of_any_cut_merge_to_those_of_all_keys(void **state)
{
    const support_attention_case problem = whole_batch(1, FORM_MAX);

    expect_any_cut_to_merge(*state, &problem, FORM_MAX);
}

static void numerators_of_any_cut_merge_to_the_quotients_of_all_keys(void **state)
{
    support_attention_case problem = whole_batch(2, FORM_MAX);

    problem.numerator = false;
    expect_any_cut_to_merge(*state, &problem, FORM_MAX);
}

static void numerators_of_any_cut_merge_to_the_lse_of_all_keys(void **state)
{
    const support_attention_case problem = whole_batch(3, FORM_LSE);

    expect_any_cut_to_merge(*state, &problem, FORM_MAX);
}

static void quotients_of_any_cut_merge_to_those_of_all_keys(void **state)
{
    const support_attention_case problem = whole_batch(4, FORM_LSE);

    expect_any_cut_to_merge(*state, &problem, FORM_LSE);
}

/* Pieces merged in groups, and then the groups, against all of them at once. */
static void expect_nested_merging_to_agree(const support_device *device, const support_attention_case *problem,
                                           state_form form)
{
    static const int32_t groupings[][3] = {{2, 1, 3}, {4, 0, 2}, {1, 5, 0}};
    support_random random = support_random_seeded(problem->seed);
    support_attention *flat = support_attention_create(device, problem);
    support_attention *nested = support_attention_create(device, problem);

    for (int32_t i = 0; i < COUNT(groupings); i++) {
        const key_cut cut = random_cut(&random, MOST_CUTS);
        states pieces = run_pieces(flat, device, form, &cut);
        states groups = create_states(device, flat, form, COUNT(groupings[i]));
        int32_t first = 0;
        merge_into_results(flat, device, &pieces);
        for (int32_t group = 0; group < COUNT(groupings[i]); group++) {
            merge_into_state(flat, device, &pieces, first, groupings[i][group], &groups, group);
            first += groupings[i][group];
        }
        assert_int_equal(first, MOST_PIECES);
        merge_into_results(nested, device, &groups);
        batch_expect_rows_close(flat, nested, TOLERANCE);
        destroy_states(&pieces);
        destroy_states(&groups);
    }
    support_attention_destroy(&flat);
    support_attention_destroy(&nested);
}

static void nested_merging_of_numerators_agrees_with_flat_merging(void **state)
{
    const support_attention_case problem = whole_batch(5, FORM_MAX);

    expect_nested_merging_to_agree(*state, &problem, FORM_MAX);
}

static void nested_merging_of_quotients_agrees_with_flat_merging(void **state)
{
    const support_attention_case problem = whole_batch(6, FORM_LSE);

    expect_nested_merging_to_agree(*state, &problem, FORM_LSE);
}

/* A single state weighs 1, is multiplied and divided by that alone, and keeps its unit. */
static void expect_a_single_state_to_come_back(const support_device *device, state_form form)
{
    const support_attention_case problem = whole_batch(7, form);
    support_attention *whole = batch_run(device, &problem);
    support_attention *merged = support_attention_create(device, &problem);
    support_random random = support_random_seeded(7);
    const key_cut cut = random_cut(&random, 0);
    states pieces = run_pieces(whole, device, form, &cut);

    merge_into_results(merged, device, &pieces);
    support_attention_expect_same_bytes(whole, merged);
    destroy_states(&pieces);
    support_attention_destroy(&whole);
    support_attention_destroy(&merged);
}

static void a_single_state_comes_back_bit_for_bit(void **state)
{
    expect_a_single_state_to_come_back(*state, FORM_LSE);
    expect_a_single_state_to_come_back(*state, FORM_MAX);
}

/* Cuts off the first key of every row, and the rest in the middle. */
static key_cut cut_behind_the_first_key(void)
{
    key_cut cut = {.num_pieces = 3, .order = {0, 1, 2}};

    for (int32_t s = 0; s < BATCH_NUM_SEQS; s++) {
        const int32_t second = first_keys[s] + (first_keys[s] < past_keys[s] ? 1 : 0);
        const int32_t bounds[] = {first_keys[s], second, (second + past_keys[s]) / 2, past_keys[s]};
        for (int32_t i = 0; i < COUNT(bounds); i++)
            cut.bounds[i][s] = bounds[i];
    }
    return cut;
}

/* A row without keys has no sinks either: they are given to the piece that has a key in every row. */
static void sinks_given_to_one_piece_count_once(void **state)
{
    support_attention_case problem = whole_batch(8, FORM_LSE);
    const key_cut cut = cut_behind_the_first_key();
    problem.sinks = SUPPORT_SINKS_PER_KV_HEAD;
    problem.num_sinks = 2;
    support_attention *whole = support_attention_create(*state, &problem);
    problem.sinks = SUPPORT_SINKS_NONE;
    problem.num_sinks = 0;
    support_attention *merged = support_attention_create(*state, &problem);
    states pieces = run_pieces(merged, *state, FORM_LSE, &cut);

    run_piece(whole, *state, cut.bounds[0], cut.bounds[1], &pieces, 0);
    support_attention_run(whole, *state);
    merge_into_results(merged, *state, &pieces);
    batch_expect_rows_close(whole, merged, TOLERANCE);
    destroy_states(&pieces);
    support_attention_destroy(&whole);
    support_attention_destroy(&merged);
}

int main(int argc, char **argv)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(numerators_of_any_cut_merge_to_those_of_all_keys),
        cmocka_unit_test(numerators_of_any_cut_merge_to_the_quotients_of_all_keys),
        cmocka_unit_test(numerators_of_any_cut_merge_to_the_lse_of_all_keys),
        cmocka_unit_test(quotients_of_any_cut_merge_to_those_of_all_keys),
        cmocka_unit_test(nested_merging_of_numerators_agrees_with_flat_merging),
        cmocka_unit_test(nested_merging_of_quotients_agrees_with_flat_merging),
        cmocka_unit_test(a_single_state_comes_back_bit_for_bit),
        cmocka_unit_test(sinks_given_to_one_piece_count_once),
    };

    support_select_family(argc, argv);
    return support_run_tests("merge_properties", tests, sizeof(tests) / sizeof(tests[0]));
}
