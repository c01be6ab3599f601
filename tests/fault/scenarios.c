/* SPDX-License-Identifier: Apache-2.0 */
/* All scenarios in one list. */
#include "scenario.h"

#include <stddef.h>

const fault_scenario *fault_scenario_at(int number)
{
    const fault_scenario_list lists[] = {
        fault_context_scenarios(),
        fault_kv_cache_scenarios(),
        fault_plan_scenarios(),
        fault_attention_scenarios(),
    };
    for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++) {
        if (number < lists[i].num_scenarios)
            return &lists[i].scenarios[number];
        number -= lists[i].num_scenarios;
    }
    return NULL;
}
