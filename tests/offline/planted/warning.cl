/* SPDX-License-Identifier: Apache-2.0 */
/* A literal of twice the precision, which some compilers round and others do not. */
__attribute__((reqd_work_group_size(64, 1, 1))) kernel void clattn_planted(global float *values)
{
    values[get_global_id(0)] *= 1.5;
}
