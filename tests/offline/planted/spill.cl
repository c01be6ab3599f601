/* SPDX-License-Identifier: Apache-2.0 */
/* Every work-item keeps more values than any register file holds, all of them until the end. */
#define NUM_VALUES 600

__attribute__((reqd_work_group_size(256, 1, 1))) kernel void clattn_planted(global float *values, const int rounds)
{
    float kept[NUM_VALUES];
    global float *own = values + get_global_id(0) * NUM_VALUES;
#pragma unroll
    for (int i = 0; i < NUM_VALUES; ++i)
        kept[i] = own[i];
    for (int round = 0; round < rounds; ++round) {
#pragma unroll
        for (int i = 0; i < NUM_VALUES; ++i)
            kept[i] = kept[i] * kept[(i * 7 + 1) % NUM_VALUES] + 1.0f;
    }
#pragma unroll
    for (int i = 0; i < NUM_VALUES; ++i)
        own[i] = kept[i];
}
