/* SPDX-License-Identifier: Apache-2.0 */
/* Lists of variants. */
#include "tune/variants.h"

#include "common/message.h"

#include <stdio.h>
#include <stdlib.h>

#define PAGE_SIZE 16
#define WINDOW 45 /* begins within a page and within a tile */
#define SOFT_CAP 20.0F
#define NUM_Q_HEADS 8
#define NUM_KV_HEADS 2
#define USUAL_HEAD_DIM 128

/* Widths of K and V, besides the usual one. */
static const int32_t widths[][2] = {{64, 64}, {96, 96}, {192, 128}, {256, 256}};

typedef struct option {
    const char *name;
    float soft_cap;
    bool sinks;
    int32_t window;
    bool lse;
} option;

static const option options[] = {
    {.name = "plain"},
    {.name = "soft cap", .soft_cap = SOFT_CAP},
    {.name = "sinks", .sinks = true},
    {.name = "window", .window = WINDOW},
    {.name = "log-sum-exp", .lse = true},
    {.name = "all options", .soft_cap = SOFT_CAP, .sinks = true, .window = WINDOW, .lse = true},
};

#define NUM_OPTIONS (sizeof options / sizeof *options)

static bool add(tune_variants *variants, const tune_variant *variant)
{
    tune_variant *larger = realloc(variants->at, (size_t)(variants->count + 1) * sizeof *larger);
    if (!larger)
        return tool_error("out of memory");
    variants->at = larger;
    variants->at[variants->count++] = *variant;
    return true;
}

/* One variant for each family. */
static bool add_families(tune_variants *variants, const tune_variant_params *params, const tune_variant *variant)
{
    bool good = true;
    const int problem_number = ++variants->num_problems;
    for (int family = CLATTN_FAMILY_DEFAULT + 1; good && family < CLATTN_NUM_FAMILIES; family++) {
        tune_variant added = *variant;
        added.problem_number = problem_number;
        added.family = (clattn_family)family;
        if (params->family == CLATTN_FAMILY_DEFAULT || params->family == added.family)
            good = add(variants, &added);
    }
    return good;
}

static tool_shape usual_shape(void)
{
    return (tool_shape){.num_q_heads = NUM_Q_HEADS,
                        .num_kv_heads = NUM_KV_HEADS,
                        .head_dim = USUAL_HEAD_DIM,
                        .head_dim_v = USUAL_HEAD_DIM};
}

/* A call on a phase; the layout is one that the operation and the widths can have. */
static tune_variant attention(const tune_variant_params *params, clattn_phase phase, bench_operation_id id,
                              clattn_dtype dtype, const tool_shape *shape)
{
    const bench_operation *operation = bench_operation_at((int)id);
    const bool combined = !operation->dense && operation->combined && shape->head_dim_v == shape->head_dim;
    tune_variant variant = {
        .kind = TUNE_VARIANT_ATTENTION,
        .option = "plain",
        .dtype = dtype,
        .layout = combined ? CLATTN_KV_COMBINED : CLATTN_KV_NHD,
        .phase = phase,
        .operation = operation,
    };
    variant.problem = (bench_problem){
        .shape = *shape,
        .layer = "all",
        .dtype = params->dtype != CLATTN_DTYPE_DEFAULT ? params->dtype : dtype,
        .kv_dtype = dtype,
        .page_size = PAGE_SIZE,
        .layout = variant.layout,
    };
    return variant;
}

/* The options on the usual widths, and the other widths without options. */
static bool add_options(tune_variants *variants, const tune_variant_params *params, clattn_phase phase,
                        clattn_dtype dtype)
{
    bool good = true;
    for (size_t i = 0; good && i < NUM_OPTIONS; i++) {
        tool_shape shape = usual_shape();
        shape.logits_soft_cap = options[i].soft_cap;
        shape.sinks = options[i].sinks;
        shape.sliding_window = options[i].window;
        tune_variant variant = attention(params, phase, BENCH_RAGGED_PAGE_ATTENTION, dtype, &shape);
        variant.option = options[i].name;
        variant.problem.lse = options[i].lse;
        good = add_families(variants, params, &variant);
    }
    for (size_t i = 0; good && i < sizeof widths / sizeof *widths; i++) {
        tool_shape shape = usual_shape();
        shape.head_dim = widths[i][0];
        shape.head_dim_v = widths[i][1];
        const tune_variant variant = attention(params, phase, BENCH_RAGGED_PAGE_ATTENTION, dtype, &shape);
        good = add_families(variants, params, &variant);
    }
    return good;
}

/* Orders of memory, which no kernel is compiled for: one storage type shows them all. */
static bool add_layouts(tune_variants *variants, const tune_variant_params *params, clattn_phase phase,
                        clattn_dtype dtype)
{
    const tool_shape shape = usual_shape();
    bool good = true;
    for (int layout = CLATTN_KV_COMBINED + 1; good && layout < CLATTN_NUM_KV_LAYOUTS; layout++) {
        tune_variant variant = attention(params, phase, BENCH_RAGGED_PAGE_ATTENTION, dtype, &shape);
        variant.layout = (clattn_kv_layout)layout;
        variant.problem.layout = variant.layout;
        good = add_families(variants, params, &variant);
    }
    return good;
}

static bool add_operations(tune_variants *variants, const tune_variant_params *params, clattn_phase phase,
                           clattn_dtype dtype)
{
    const tool_shape shape = usual_shape();
    bool good = true;
    for (int id = 0; good && id < BENCH_NUM_OPERATIONS; id++) {
        const tune_variant variant = attention(params, phase, (bench_operation_id)id, dtype, &shape);
        if (variant.operation->decode_only && phase == CLATTN_PHASE_DECODE)
            good = add_families(variants, params, &variant);
    }
    return good;
}

/* What the user's own heads and options come to. */
static bool add_own(tune_variants *variants, const tune_variant_params *params, clattn_phase phase, clattn_dtype dtype)
{
    tune_variant variant = attention(params, phase, BENCH_RAGGED_PAGE_ATTENTION, dtype, params->shape);
    variant.option = params->shape->name ? params->shape->name : "heads by number";
    return add_families(variants, params, &variant);
}

static bool add_merges(tune_variants *variants, const tune_variant_params *params, clattn_dtype dtype)
{
    bool good = true;
    for (int by_lse = 0; good && by_lse < 2; by_lse++) {
        const tune_variant variant = {
            .kind = TUNE_VARIANT_MERGE,
            .option = by_lse != 0 ? "by lse" : "by max and denominator",
            .dtype = dtype,
            .head_dim = params->shape ? params->shape->head_dim_v : USUAL_HEAD_DIM,
            .by_lse = by_lse != 0,
        };
        good = add(variants, &variant);
    }
    return good;
}

static bool add_appends(tune_variants *variants, clattn_dtype dtype)
{
    bool good = true;
    for (int layout = 0; good && layout < CLATTN_NUM_KV_LAYOUTS; layout++) {
        const tune_variant variant = {
            .kind = TUNE_VARIANT_APPEND, .option = "float32 rows", .dtype = dtype, .layout = (clattn_kv_layout)layout};
        good = add(variants, &variant);
    }
    return good;
}

/* The first storage type that is wanted also shows what does not depend on it. */
static bool add_dtype(tune_variants *variants, const tune_variant_params *params, clattn_dtype dtype, bool is_first)
{
    bool good = true;
    for (int i = 0; good && i < CLATTN_NUM_PHASES; i++) {
        const clattn_phase phase = (clattn_phase)i;
        if (!params->phases[i])
            continue;
        if (params->shape)
            good = add_own(variants, params, phase, dtype);
        else
            good = add_options(variants, params, phase, dtype) &&
                   (!is_first || add_layouts(variants, params, phase, dtype)) &&
                   add_operations(variants, params, phase, dtype);
    }
    return good && add_merges(variants, params, dtype) && add_appends(variants, dtype);
}

bool tune_variants_init(tune_variants *variants, const tune_variant_params *params)
{
    *variants = (tune_variants){.count = 0};
    bool good = true;
    bool is_first = true;
    for (int dtype = CLATTN_DTYPE_DEFAULT + 1; good && dtype < CLATTN_NUM_DTYPES; dtype++) {
        if (!params->kv_dtypes[dtype])
            continue;
        good = add_dtype(variants, params, (clattn_dtype)dtype, is_first);
        is_first = false;
    }
    if (!good)
        tune_variants_finish(variants);
    return good;
}

void tune_variants_finish(tune_variants *variants)
{
    free(variants->at);
    *variants = (tune_variants){.count = 0};
}

const char *tune_variant_operation(const tune_variant *variant)
{
    switch (variant->kind) {
    case TUNE_VARIANT_MERGE:
        return "merge_states";
    case TUNE_VARIANT_APPEND:
        return "kv_cache_append";
    case TUNE_VARIANT_ATTENTION:
        break;
    }
    return variant->operation->name;
}

const char *tune_variant_layout(const tune_variant *variant)
{
    if (variant->kind == TUNE_VARIANT_MERGE)
        return NULL;
    if (variant->kind == TUNE_VARIANT_ATTENTION && variant->operation->dense)
        return "dense";
    return clattn_kv_layout_name(variant->layout);
}

void tune_variant_describe(const tune_variant *variant, char text[TUNE_VARIANT_NAME_BYTES])
{
    const tool_shape *shape = &variant->problem.shape;
    const bool is_attention = variant->kind == TUNE_VARIANT_ATTENTION;
    const char *layout = tune_variant_layout(variant);
    const int32_t width = is_attention ? shape->head_dim : variant->head_dim;
    char widths_text[32] = "-";
    if (is_attention && shape->head_dim != shape->head_dim_v)
        snprintf(widths_text, sizeof widths_text, "%d/%d", (int)shape->head_dim, (int)shape->head_dim_v);
    else if (width > 0)
        snprintf(widths_text, sizeof widths_text, "%d", (int)width);
    snprintf(text, TUNE_VARIANT_NAME_BYTES, "%-6s %-7s %-23s %-8s %-7s %-11s %s",
             is_attention ? clattn_family_name(variant->family) : "-",
             is_attention ? clattn_phase_name(variant->phase) : "-", tune_variant_operation(variant),
             clattn_dtype_name(variant->dtype), widths_text, layout ? layout : "-", variant->option);
}
