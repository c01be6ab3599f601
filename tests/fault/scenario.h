/* SPDX-License-Identifier: Apache-2.0 */
/* One call of one public function, and what has to be there before and after it. */
#ifndef FAULT_SCENARIO_H
#define FAULT_SCENARIO_H

#include "world.h"

typedef struct fault_scenario {
    const char *function; /* in which calls fail */
    const char *variant;  /* what is special about this call */
    /* What may fail without the call failing, separated by blanks; releases and files may everywhere. */
    const char *tolerated;
    clattn_status device_status; /* what it is if a device does not answer, 0 = an OpenCL error */
    clattn_status file_status;   /* what it is if a file cannot be read, 0 = it goes on without */
    bool distrusts;              /* what OpenCL refuses in the trial of a kernel may count against the kernel */
    bool silent;                 /* the function has nowhere to put a sentence */
    bool
        only_once; /* a device that is gone for good leaves it no way to wait for reads of its memory, which it keeps */
    void (*open)(fault_world *world);
    void (*prepare)(fault_world *world); /* before every attempt; NULL = nothing */
    clattn_status (*call)(fault_world *world);
    void (*check)(fault_world *world); /* what a success has to leave */
    void (*undo)(fault_world *world);  /* takes a success back; NULL = the call can be repeated as it is */
} fault_scenario;

#define FAULT_MAX_SCENARIOS 64

typedef struct fault_scenario_list {
    const fault_scenario *scenarios;
    int num_scenarios;
} fault_scenario_list;

#define FAULT_SCENARIO_LIST(array)                                                                                     \
    (fault_scenario_list)                                                                                              \
    {                                                                                                                  \
        .scenarios = (array), .num_scenarios = (int)(sizeof(array) / sizeof((array)[0]))                               \
    }

/* The scenarios of all lists, from 0; NULL behind the last one. */
const fault_scenario *fault_scenario_at(int number);

fault_scenario_list fault_attention_scenarios(void);
fault_scenario_list fault_context_scenarios(void);
fault_scenario_list fault_kv_cache_scenarios(void);
fault_scenario_list fault_plan_scenarios(void);

/* A function that cannot fail, called once: it must make no call that could. */
typedef struct fault_quiet_function {
    const char *function;
    void (*call)(fault_world *world);
} fault_quiet_function;

extern const fault_quiet_function fault_quiet_functions[];
extern const int fault_num_quiet_functions;

#endif
