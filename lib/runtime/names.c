/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names of device types, kernel families, phases, KV layouts and classes of batches, as files, logs and command lines
 * spell them.
 */
#include <clattn/device.h>
#include <clattn/layout.h>
#include <clattn/tuning.h>
#include <clattn/tuning_file.h>

#include <stddef.h>
#include <string.h>

const char *clattn_device_type_name(clattn_device_type type)
{
    switch (type) {
    case CLATTN_DEVICE_OTHER:
        return "other";
    case CLATTN_DEVICE_CPU:
        return "cpu";
    case CLATTN_DEVICE_GPU:
        return "gpu";
    case CLATTN_DEVICE_ACCELERATOR:
        return "accelerator";
    case CLATTN_NUM_DEVICE_TYPES:
        break;
    }
    return "invalid";
}

const char *clattn_family_name(clattn_family family)
{
    switch (family) {
    case CLATTN_FAMILY_DEFAULT:
        return "default";
    case CLATTN_FAMILY_VECTOR:
        return "vector";
    case CLATTN_FAMILY_SIMT:
        return "simt";
    case CLATTN_FAMILY_PLAIN:
        return "plain";
    case CLATTN_NUM_FAMILIES:
        break;
    }
    return "invalid";
}

clattn_family clattn_family_from_name(const char *name)
{
    if (name == NULL)
        return CLATTN_FAMILY_DEFAULT;
    for (int family = CLATTN_FAMILY_VECTOR; family < CLATTN_NUM_FAMILIES; family++) {
        if (strcmp(name, clattn_family_name((clattn_family)family)) == 0)
            return (clattn_family)family;
    }
    return CLATTN_FAMILY_DEFAULT;
}

const char *clattn_phase_name(clattn_phase phase)
{
    switch (phase) {
    case CLATTN_PHASE_DECODE:
        return "decode";
    case CLATTN_PHASE_PREFILL:
        return "prefill";
    case CLATTN_NUM_PHASES:
        break;
    }
    return "invalid";
}

const char *clattn_kv_layout_name(clattn_kv_layout layout)
{
    switch (layout) {
    case CLATTN_KV_COMBINED:
        return "combined";
    case CLATTN_KV_NHD:
        return "nhd";
    case CLATTN_KV_HND:
        return "hnd";
    case CLATTN_KV_HEADS_FIRST:
        return "heads_first";
    case CLATTN_NUM_KV_LAYOUTS:
        break;
    }
    return "invalid";
}

const char *clattn_batch_class_name(clattn_batch_class batch)
{
    switch (batch) {
    case CLATTN_BATCH_SINGLE:
        return "single";
    case CLATTN_BATCH_SMALL:
        return "small";
    case CLATTN_BATCH_LARGE:
        return "large";
    case CLATTN_NUM_BATCH_CLASSES:
        break;
    }
    return "invalid";
}
