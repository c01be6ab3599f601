/* SPDX-License-Identifier: Apache-2.0 */
/* The defines of the attention kernels; see variant.h. */
#include "attention/variant.h"

#include "tuning/tunables.h"

/* Those that say how a row is finished. */
static void define_results(clattn_variant *variant, const clattn_problem *problem)
{
    clattn_variant_define(variant, "HEAD_DIM_V", problem->head_dim_v);
    clattn_variant_define(variant, "OUT_DTYPE", (int32_t)problem->out_dtype);
    clattn_variant_define(variant, "SINKS", problem->sinks.num_per_row > 0);
    clattn_variant_define(variant, "STATE", (int32_t)problem->state_kind);
    clattn_variant_define(variant, "NUMERATOR", problem->numerator);
}

/* The tile's; where a 0 is legal, the kernel's own default stands for it. */
static void define_tile(clattn_variant *variant, clattn_family family, clattn_phase phase, const clattn_tile *tile)
{
    const clattn_tunable_list list = clattn_tunables_of(family, phase);
    for (int32_t i = 0; i < list.num_tunables; ++i) {
        const int32_t value = clattn_tile_get(tile, &list.tunables[i]);
        if (list.tunables[i].define[0] != '\0' && value != 0)
            clattn_variant_define(variant, list.tunables[i].define, value);
    }
}

clattn_variant clattn_variant_of_phase(const clattn_problem *problem, const clattn_row *row, clattn_phase phase)
{
    static const clattn_program_id programs[CLATTN_NUM_FAMILIES][CLATTN_NUM_PHASES] = {
        [CLATTN_FAMILY_VECTOR] = {CLATTN_PROGRAM_VECTOR_DECODE, CLATTN_PROGRAM_VECTOR_PREFILL},
        [CLATTN_FAMILY_SIMT] = {CLATTN_PROGRAM_SIMT_DECODE, CLATTN_PROGRAM_SIMT_PREFILL},
        [CLATTN_FAMILY_PLAIN] = {CLATTN_PROGRAM_PLAIN_ATTENTION, CLATTN_PROGRAM_PLAIN_ATTENTION},
    };
    clattn_variant variant = {.program = programs[row->family][phase]};
    define_results(&variant, problem);
    clattn_variant_define(&variant, "HEAD_DIM", problem->head_dim);
    clattn_variant_define(&variant, "Q_DTYPE", (int32_t)problem->q_dtype);
    clattn_variant_define(&variant, "K_DTYPE", (int32_t)problem->k_dtype);
    clattn_variant_define(&variant, "V_DTYPE", (int32_t)problem->v_dtype);
    clattn_variant_define(&variant, "SOFT_CAP", problem->logits_soft_cap > 0.0f);
    define_tile(&variant, row->family, phase, &row->tiles[phase]);
    return variant;
}

clattn_variant clattn_variant_of_merge(const clattn_problem *problem, const clattn_merge_kind *kind,
                                       uint32_t work_group_size)
{
    clattn_variant variant = {.program = CLATTN_PROGRAM_MERGE};
    define_results(&variant, problem);
    clattn_variant_define(&variant, "STATES_DTYPE", (int32_t)kind->dtype);
    clattn_variant_define(&variant, "STATES_LSE", kind->by_lse);
    clattn_variant_define(&variant, "PLANNED", kind->planned);
    clattn_variant_define(&variant, "WORK_GROUP_SIZE", (int32_t)work_group_size);
    return variant;
}
