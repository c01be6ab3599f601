/* SPDX-License-Identifier: Apache-2.0 */
/* clattn: LLM attention in C on any OpenCL device. Includes every public header. */
#ifndef CLATTN_CLATTN_H
#define CLATTN_CLATTN_H

#include <clattn/attention.h>
#include <clattn/cache.h>
#include <clattn/context.h>
#include <clattn/device.h>
#include <clattn/dtype.h>
#include <clattn/kv_cache.h>
#include <clattn/layout.h>
#include <clattn/plan.h>
#include <clattn/program.h>
#include <clattn/status.h>
#include <clattn/tensor.h>
#include <clattn/tuning.h>
#include <clattn/tuning_file.h>
#include <clattn/tuning_query.h>
#include <clattn/tuning_space.h>
#include <clattn/verdict.h>
#include <clattn/version.h>

#endif
