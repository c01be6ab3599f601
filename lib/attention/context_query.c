/* SPDX-License-Identifier: Apache-2.0 */
/* A question about tuning to a context, with its family and the rows that it has read. */
#include "attention/tuning_query.h"
#include "runtime/context.h"

clattn_status clattn_context_tuning_query(clattn_context *ctx, const clattn_tuning_query_params *params,
                                          clattn_tuning_answer *answer)
{
    if (ctx == NULL)
        return CLATTN_INVALID_ARGUMENT;
    CLATTN_REQUIRE(&ctx->error, answer != NULL, CLATTN_INVALID_ARGUMENT, "answer is NULL");
    if (params == NULL || params->family != CLATTN_FAMILY_DEFAULT || ctx->family == clattn_family_of(&ctx->facts))
        return clattn_tuning_answer_query(&ctx->tuning, params, answer, &ctx->error);
    clattn_tuning_query_params question = *params;
    question.family = ctx->family;
    return clattn_tuning_answer_query(&ctx->tuning, &question, answer, &ctx->error);
}
