/* SPDX-License-Identifier: Apache-2.0 */
/* Sums of neighbours, through local memory. Each define plants one mistake; planted.c gives at most one. */
kernel void planted(global int *to, global const int *from, local int *shared)
{
    const int item = (int)get_local_id(0);
#ifdef UNINITIALISED
    if (item > 0)
#endif
    shared[item] = from[item];
#ifndef RACE
    barrier(CLK_LOCAL_MEM_FENCE);
#endif
    int sum = shared[(item + 1) % (int)get_local_size(0)];
#ifdef READ_OUTSIDE
    sum += from[item + 1];
#endif
#ifdef DIVERGENT_BARRIER
    if (item > 3)
        barrier(CLK_LOCAL_MEM_FENCE);
#endif
#ifdef WRITE_OUTSIDE
    to[item + 1] = item;
#endif
#ifdef WRITE_SAME
    to[0] = 7;
#elif defined(UNWRITTEN)
    if (item > 0)
        to[item] = sum;
#else
    to[item] = sum;
#endif
}
