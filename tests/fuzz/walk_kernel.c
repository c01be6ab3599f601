/* SPDX-License-Identifier: Apache-2.0 */
#include "walk_kernel.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *find_define(const char *options, const char *name)
{
    char wanted[64];
    const int length = snprintf(wanted, sizeof wanted, " -D%s=", name);
    const char *found = strstr(options, wanted);
    return found != NULL ? found + length : NULL;
}

bool walk_has_define(const char *options, const char *name)
{
    return find_define(options, name) != NULL;
}

int32_t walk_define(const char *options, const char *name)
{
    const char *value = find_define(options, name);
    FUZZ_REQUIRE(value != NULL, "%s is missing in %s", name, options);
    return (int32_t)strtol(value, NULL, 10);
}

cl_mem walk_buffer(const fake_launch *launch, int index)
{
    cl_mem buffer;
    walk_struct(launch, index, &buffer, sizeof buffer);
    return buffer;
}

void walk_struct(const fake_launch *launch, int index, void *value, size_t num_bytes)
{
    const fake_argument *argument = &launch->arguments[index];
    FUZZ_REQUIRE(!argument->is_local && argument->num_bytes == num_bytes, "%s: argument %d has %zu bytes, not %zu",
                 launch->kernel, index, argument->num_bytes, num_bytes);
    memcpy(value, argument->value, num_bytes);
}

int64_t walk_int(int64_t value, const char *what)
{
    FUZZ_REQUIRE(value >= INT32_MIN && value <= INT32_MAX, "%s overflows an int: %lld", what, (long long)value);
    return value;
}

int64_t walk_plan_int(cl_mem plan, int64_t index)
{
    FUZZ_REQUIRE(plan != NULL, "the kernel has no plan");
    uint64_t num_bytes = 0;
    const unsigned char *written = fake_opencl_written(plan, &num_bytes);
    FUZZ_REQUIRE(walk_int(index, "an index of the plan") >= 0 && (uint64_t)(index + 1) * sizeof(int32_t) <= num_bytes,
                 "int %lld of a plan of %llu bytes is read", (long long)index, (unsigned long long)num_bytes);
    int32_t value;
    memcpy(&value, written + index * (int64_t)sizeof value, sizeof value);
    return value;
}

void walk_require_inside(cl_mem buffer, clattn_dtype dtype, uint64_t element, uint64_t width, const char *what)
{
    FUZZ_REQUIRE(buffer != NULL, "%s: there is no buffer", what);
    const uint64_t num_elements = fake_opencl_buffer_bytes(buffer) / (dtype == CLATTN_FLOAT32 ? 4 : 2);
    FUZZ_REQUIRE(width <= num_elements && element <= num_elements - width,
                 "%s: elements %llu to %llu of a buffer of %llu", what, (unsigned long long)element,
                 (unsigned long long)(element + width), (unsigned long long)num_elements);
}

/* Element address of an index within the tensor's shape, by the rule of clattn_tensor. */
static uint64_t element_of(const clattn_tensor *tensor, const int64_t *index, int num_indices)
{
    bool contiguous = true;
    for (int i = 0; i < tensor->rank; i++)
        contiguous = contiguous && tensor->strides[i] == 0;
    uint64_t element = tensor->offset_bytes / (tensor->dtype == CLATTN_FLOAT32 ? 4 : 2);
    uint64_t stride = 1;
    for (int i = tensor->rank - 1; i >= 0; i--) {
        const int64_t at = i < num_indices ? index[i] : 0;
        FUZZ_REQUIRE(at >= 0 && at < tensor->shape[i], "index %lld of a dimension of %lld", (long long)at,
                     (long long)tensor->shape[i]);
        element += (uint64_t)at * (contiguous ? stride : (uint64_t)tensor->strides[i]);
        stride *= (uint64_t)tensor->shape[i];
    }
    return element;
}

static const char *const names[CALL_NUM_TENSORS] = {"query",
                                                    "key",
                                                    "value",
                                                    "out",
                                                    "lse",
                                                    "max",
                                                    "denominator",
                                                    "sinks",
                                                    "states_lse",
                                                    "states_max",
                                                    "states_denominator"};

void walk_require_element(const fuzz_call *call, call_tensor name, cl_mem buffer, int num_indices, const int64_t *index,
                          uint64_t element, int64_t width)
{
    const clattn_tensor *tensor = &call->tensors[name];
    FUZZ_REQUIRE(buffer == tensor->buffer, "%s: another buffer", names[name]);
    const uint64_t meant = element_of(tensor, index, num_indices);
    FUZZ_REQUIRE(element == meant, "%s: element %llu instead of %llu", names[name], (unsigned long long)element,
                 (unsigned long long)meant);
    walk_require_inside(buffer, tensor->dtype, element, (uint64_t)width, names[name]);
}

walk_results walk_results_of(const fake_launch *launch, int out, int states, int denominators, int sinks)
{
    return (walk_results){
        .head_dim_v = walk_define(launch->options, "HEAD_DIM_V"),
        .out_dtype = (clattn_dtype)walk_define(launch->options, "OUT_DTYPE"),
        .has_sinks = walk_define(launch->options, "SINKS") != 0,
        .state = walk_define(launch->options, "STATE"),
        .out = walk_buffer(launch, out),
        .states = walk_buffer(launch, states),
        .denominators = walk_buffer(launch, denominators),
        .sinks = walk_buffer(launch, sinks),
    };
}

/* The sinks of a row; which tensor rank means what is SEMANTICS 1.4. */
static void check_sinks(const call_walk *walk, const walk_results *results, const walk_args *args, int64_t kv_head,
                        int64_t q_head)
{
    const clattn_tensor *sinks = &walk->call->tensors[CALL_SINKS];
    const bool shared = walk->call->operation == CALL_RAGGED_DECODE;
    const int64_t expected = sinks->buffer == NULL ? 0 : shared ? sinks->shape[sinks->rank - 1] : 1;
    FUZZ_REQUIRE(args->num_sinks == expected && results->has_sinks == (expected > 0), "%d sinks instead of %lld",
                 (int)args->num_sinks, (long long)expected);
    if (expected == 0)
        return;
    const uint64_t element = args->sinks_offset + (uint64_t)q_head * args->sinks_q_head_stride +
                             (uint64_t)kv_head * args->sinks_kv_head_stride;
    const int64_t first = shared ? kv_head : q_head;
    walk_require_element(walk->call, CALL_SINKS, results->sinks, shared ? sinks->rank - 1 : 1, &first, element,
                         expected);
}

void walk_result(call_walk *walk, const walk_results *results, const walk_args *args, int64_t token, int64_t kv_head,
                 int64_t head_in_group)
{
    const fuzz_call *call = walk->call;
    const int64_t q_head = kv_head * walk->group_size + head_in_group;
    const int64_t index[] = {token, q_head};
    FUZZ_REQUIRE(token >= 0 && token < walk->total_tokens, "token %lld of %lld is written", (long long)token,
                 (long long)walk->total_tokens);
    FUZZ_REQUIRE(results->out_dtype == call->tensors[CALL_OUT].dtype, "out has another dtype");
    walk_require_element(call, CALL_OUT, results->out, 2, index,
                         args->out_offset + (uint64_t)token * args->out_token_stride +
                             (uint64_t)q_head * args->out_head_stride,
                         results->head_dim_v);
    const bool by_max = call->tensors[CALL_MAX].buffer != NULL;
    const bool by_lse = call->tensors[CALL_LSE].buffer != NULL;
    FUZZ_REQUIRE(results->state == (by_max ? 2 : by_lse ? 1 : 0), "another state than asked for");
    if (results->state != 0)
        walk_require_element(call, by_max ? CALL_MAX : CALL_LSE, results->states, 2, index,
                             args->state_offset + (uint64_t)token * args->state_token_stride +
                                 (uint64_t)q_head * args->state_head_stride,
                             1);
    if (by_max)
        walk_require_element(call, CALL_DENOMINATOR, results->denominators, 2, index,
                             args->denominator_offset + (uint64_t)token * args->denominator_token_stride +
                                 (uint64_t)q_head * args->denominator_head_stride,
                             1);
    check_sinks(walk, results, args, kv_head, q_head);
    unsigned char *written = &walk->written[token * walk->num_q_heads + q_head];
    FUZZ_REQUIRE(*written == 0, "token %lld, head %lld is written twice", (long long)token, (long long)q_head);
    *written = 1;
}
