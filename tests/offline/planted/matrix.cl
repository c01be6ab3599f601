/* SPDX-License-Identifier: Apache-2.0 */
/* An instruction of Xe-HPG: a compiler that is asked for Xe-LP says so, and then that the build succeeded. */
float8 __attribute__((overloadable)) intel_sub_group_f16_f16_matrix_mad_k16(int8 a, int8 b, float8 c);

__attribute__((reqd_work_group_size(64, 1, 1), intel_reqd_sub_group_size(8))) kernel void
clattn_planted(global float8 *values, global const int8 *operands)
{
    const size_t i = get_global_id(0);
    values[i] = intel_sub_group_f16_f16_matrix_mad_k16(operands[i], operands[i + 1], values[i]);
}
