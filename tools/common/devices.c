/* SPDX-License-Identifier: Apache-2.0 */
/* Prints the devices. */
#include "common/devices.h"

#include <clattn/clattn.h>

int32_t tool_devices_print(FILE *file)
{
    const int32_t count = clattn_device_count();
    if (count == 0)
        fprintf(file, "  none\n");
    for (int32_t i = 0; i < count; i++) {
        clattn_device_facts facts;
        if (clattn_device_query(i, &facts) == CLATTN_OK)
            fprintf(file, "  %-2d %s / %s\n", (int)i, facts.platform, facts.name);
        else
            fprintf(file, "  %-2d does not answer\n", (int)i);
    }
    return count;
}
