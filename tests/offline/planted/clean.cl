/* SPDX-License-Identifier: Apache-2.0 */
/* Nothing to complain of. */
__attribute__((reqd_work_group_size(64, 1, 1))) kernel void clattn_planted(global float *values)
{
    values[get_global_id(0)] *= 2.0f;
}
