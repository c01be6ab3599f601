/* SPDX-License-Identifier: Apache-2.0 */
/* Lists of names, with what stands behind each. */
#include "bench/list.h"

#include "bench/operation.h"
#include "bench/workloads.h"
#include "common/devices.h"
#include "common/shapes.h"

#include <clattn/clattn.h>

static void print_operations(FILE *file)
{
    fputs("operations\n", file);
    for (int id = 0; id < BENCH_NUM_OPERATIONS; id++) {
        const bench_operation *operation = bench_operation_at(id);
        fprintf(file, "  %-24s %s%s\n", operation->name, operation->dense ? "dense cache" : "pages",
                operation->decode_only ? ", one new token for each sequence" : "");
    }
}

static void print_models(FILE *file)
{
    fputs("models\n", file);
    for (int i = 0; tool_shape_at(i); i++) {
        const tool_shape *shape = tool_shape_at(i);
        fprintf(file, "  %-24s %d query heads, %d kv heads, head_dim %d", shape->name, (int)shape->num_q_heads,
                (int)shape->num_kv_heads, (int)shape->head_dim);
        if (shape->sliding_window > 0)
            fprintf(file, ", window %d", (int)shape->sliding_window);
        if (shape->alternate_window > 0)
            fprintf(file, ", window %d in every other layer", (int)shape->alternate_window);
        if (shape->logits_soft_cap > 0.0f)
            fprintf(file, ", soft cap %g", (double)shape->logits_soft_cap);
        fprintf(file, "%s\n", shape->sinks ? ", sinks" : "");
    }
}

static void print_workloads(FILE *file)
{
    fputs("workloads\n", file);
    for (int i = 0; bench_workload_name_at(i); i++)
        fprintf(file, "  %-24s %s\n", bench_workload_name_at(i), bench_workload_text_at(i));
}

static void print_names(const char *heading, tool_name_at names, FILE *file)
{
    fprintf(file, "%s\n  ", heading);
    for (int i = 0; names(i); i++)
        fprintf(file, "%s%s", i > 0 ? ", " : "", names(i));
    fputc('\n', file);
}

void bench_list_print(FILE *file)
{
    print_operations(file);
    print_models(file);
    print_workloads(file);
    print_names("dtypes", tool_dtype_name_at, file);
    print_names("layouts", tool_layout_name_at, file);
    print_names("families", tool_family_name_at, file);
    fputs("devices\n", file);
    (void)tool_devices_print(file);
}
