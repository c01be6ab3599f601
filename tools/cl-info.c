/* SPDX-License-Identifier: Apache-2.0 */
/* cl-info: devices, the family and tiles that answer on them, and what lies in the program cache. */
#include "common/message.h"
#include "info/options.h"
#include "info/report.h"
#include "info/survey.h"

#define EXIT_TOLD 0
#define EXIT_FAILED 1
#define EXIT_USAGE 2
#define EXIT_NO_DEVICE 77

static bool verify(const info_cache *cache)
{
    const int num_damaged = info_cache_num_damaged(cache);
    return num_damaged == 0 ||
           tool_error("%d of the %d files in %s are damaged", num_damaged, cache->num_files, cache->directory);
}

static int run(const info_options *options)
{
    info_survey survey;
    bool good = info_survey_init(&survey, options);
    if (good && options->json)
        good = info_report_write_json(&survey);
    else if (good)
        info_report_print(&survey);
    if (good && survey.status != CLATTN_OK)
        good = tool_error("%s", survey.error);
    if (good && survey.cache.error)
        good = tool_error("%s", survey.cache.error);
    if (good && options->cache_verify)
        good = verify(&survey.cache);
    const bool no_device = survey.status == CLATTN_NO_DEVICE;
    info_survey_finish(&survey);
    return good ? EXIT_TOLD : no_device ? EXIT_NO_DEVICE : EXIT_FAILED;
}

int main(int argc, char **argv)
{
    info_options options;
    switch (info_options_parse(&options, argc, argv)) {
    case TOOL_OPTIONS_HELP:
        return EXIT_TOLD;
    case TOOL_OPTIONS_BAD:
        return EXIT_USAGE;
    case TOOL_OPTIONS_READ:
        break;
    }
    return run(&options);
}
