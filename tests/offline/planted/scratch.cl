/* SPDX-License-Identifier: Apache-2.0 */
/* An array of a work-item whose index is known only when it runs lies in no register. */
#define NUM_VALUES 128

__attribute__((reqd_work_group_size(64, 1, 1))) kernel void clattn_planted(global float *values, global const int *order)
{
    float kept[NUM_VALUES];
    global float *own = values + get_global_id(0) * NUM_VALUES;
    for (int i = 0; i < NUM_VALUES; ++i)
        kept[order[i] % NUM_VALUES] = own[i];
    for (int i = 0; i < NUM_VALUES; ++i)
        own[i] = kept[order[i + NUM_VALUES] % NUM_VALUES];
}
