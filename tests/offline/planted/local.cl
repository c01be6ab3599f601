/* SPDX-License-Identifier: Apache-2.0 */
/* Takes 4 KiB of local memory. */
__attribute__((reqd_work_group_size(64, 1, 1))) kernel void clattn_planted(global float *values)
{
    local float tile[1024];
    const int thread = (int)get_local_id(0);
    for (int i = thread; i < 1024; i += 64)
        tile[i] = values[i];
    barrier(CLK_LOCAL_MEM_FENCE); /* RAW tile */
    for (int i = thread; i < 1024; i += 64)
        values[i] = tile[1023 - i];
}
