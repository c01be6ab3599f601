/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Kernels compared with the host before their first use: compilers miscompile, and drivers run on what they should
 * refuse. The program store asks for a trial and keeps the verdict; which trial a program gets is decided here.
 */
#ifndef CLATTN_VERIFY_VERIFY_H
#define CLATTN_VERIFY_VERIFY_H

#include "runtime/program.h"

/* clattn_program_trial.run of a context, which is the `user`. Works on a queue of its own and waits for it. */
clattn_status clattn_verify_trial(void *user, const clattn_variant *variant, cl_kernel kernel, clattn_verdict *verdict,
                                  clattn_error *error);

#endif
