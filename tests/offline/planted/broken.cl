/* SPDX-License-Identifier: Apache-2.0 */
/* Does not compile. */
__attribute__((reqd_work_group_size(64, 1, 1))) kernel void clattn_planted(global float *values)
{
    values[get_global_id(0)] = missing;
}
