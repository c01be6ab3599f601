/* SPDX-License-Identifier: Apache-2.0 */
/* What is read of devices that nobody here owns: the linker hands OpenCL's questions to a device of the test. */
#include "runtime/device.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define CAPABILITY_MAJOR 0x4000
#define CAPABILITY_MINOR 0x4001

/* A device; *state of a test is none, since OpenCL's questions come without. */
static struct {
    const char *name;
    cl_device_type type;
    cl_uint lanes;
    int capability; /* 90 = 9.0; -1 = the driver does not know the question */
    bool asked_for_capability;
} device;

cl_int __wrap_clGetDeviceInfo(cl_device_id id, cl_device_info what, size_t size, void *value, size_t *num_bytes);
cl_int __wrap_clGetPlatformInfo(cl_platform_id id, cl_platform_info what, size_t size, void *value, size_t *num_bytes);

static cl_int answer(const void *data, size_t data_bytes, size_t size, void *value, size_t *num_bytes)
{
    if (num_bytes != NULL)
        *num_bytes = data_bytes;
    if (value != NULL)
        memcpy(value, data, data_bytes < size ? data_bytes : size);
    return CL_SUCCESS;
}

static cl_int answer_capability(int number, size_t size, void *value, size_t *num_bytes)
{
    device.asked_for_capability = true;
    if (device.capability < 0)
        return CL_INVALID_VALUE;
    return answer(&(cl_uint){(cl_uint)number}, sizeof(cl_uint), size, value, num_bytes);
}

cl_int __wrap_clGetDeviceInfo(cl_device_id id, cl_device_info what, size_t size, void *value, size_t *num_bytes)
{
    static const uint64_t large[4] = {1 << 16}; /* an answer to whatever asks for a number */
    (void)id;
    switch (what) {
    case CL_DEVICE_NAME:
        return answer(device.name, strlen(device.name) + 1, size, value, num_bytes);
    case CL_DEVICE_VENDOR:
    case CL_DRIVER_VERSION:
        return answer("", 1, size, value, num_bytes);
    case CL_DEVICE_TYPE:
        return answer(&device.type, sizeof device.type, size, value, num_bytes);
    case CL_DEVICE_NATIVE_VECTOR_WIDTH_FLOAT:
        return answer(&device.lanes, sizeof device.lanes, size, value, num_bytes);
    case CAPABILITY_MAJOR:
        return answer_capability(device.capability / 10, size, value, num_bytes);
    case CAPABILITY_MINOR:
        return answer_capability(device.capability % 10, size, value, num_bytes);
    default:
        return answer(large, size < sizeof large ? size : sizeof large, size, value, num_bytes);
    }
}

cl_int __wrap_clGetPlatformInfo(cl_platform_id id, cl_platform_info what, size_t size, void *value, size_t *num_bytes)
{
    (void)id;
    (void)what;
    return answer("platform", sizeof "platform", size, value, num_bytes);
}

static clattn_device_facts facts_of(cl_device_type type, const char *name)
{
    clattn_device_facts facts;
    clattn_error error = {.text = ""};
    device.name = name;
    device.type = type;
    device.lanes = 16;
    device.asked_for_capability = false;
    assert_int_equal(clattn_device_read_facts(NULL, &facts, &error), CLATTN_OK);
    assert_string_equal(facts.name, name);
    return facts;
}

static void assert_architecture(cl_device_type type, const char *name, int capability, const char *expected)
{
    device.capability = capability;
    assert_string_equal(facts_of(type, name).architecture, expected);
}

static void nvidia_device_has_its_compute_capability(void **state)
{
    (void)state;
    assert_architecture(CL_DEVICE_TYPE_GPU, "NVIDIA H200", 90, "sm_90");
    assert_architecture(CL_DEVICE_TYPE_GPU, "NVIDIA GeForce GTX 1660", 75, "sm_75");
    assert_architecture(CL_DEVICE_TYPE_GPU, "NVIDIA RTX PRO 6000", 120, "sm_120");
}

static void amd_device_has_its_processor(void **state)
{
    (void)state;
    assert_architecture(CL_DEVICE_TYPE_GPU, "gfx90a:sramecc+:xnack-", -1, "gfx90a");
    assert_false(device.asked_for_capability);
    assert_architecture(CL_DEVICE_TYPE_GPU, "gfx1100", -1, "gfx1100");
    assert_architecture(CL_DEVICE_TYPE_GPU, "AMD Radeon RX 6800 (radeonsi, gfx1030, LLVM 17)", -1, "gfx1030");
}

static void cpu_has_its_lanes(void **state)
{
    (void)state;
    assert_architecture(CL_DEVICE_TYPE_CPU, "pthread-AMD EPYC", -1, "cpu16");
    assert_false(device.asked_for_capability); /* what only GPUs are asked */
    assert_architecture(CL_DEVICE_TYPE_CPU, "gfx90a", 90, "cpu16");
}

static void other_devices_have_none(void **state)
{
    (void)state;
    assert_architecture(CL_DEVICE_TYPE_GPU, "Mali-G710", -1, "");
    assert_architecture(CL_DEVICE_TYPE_GPU, "a driver that answers 0", 0, "");
    assert_architecture(CL_DEVICE_TYPE_GPU, "Intel(R) megagfx100 or gfx of a kind", -1, "");
    assert_architecture(CL_DEVICE_TYPE_ACCELERATOR, "gfx90a", 90, "");
    assert_architecture(CL_DEVICE_TYPE_CUSTOM, "other", 90, "");
}

static void longer_names_are_cut(void **state)
{
    (void)state;
    assert_architecture(CL_DEVICE_TYPE_GPU, "gfx0123456789abcdef0123456789abcdef0123456789", -1,
                        "gfx0123456789abcdef0123456789ab");
}

/* Mesa's drivers for CPUs end loops, whichever of its OpenCLs is in front of them; no other is known to. */
static void llvmpipe_alone_ends_loops(void **state)
{
    static const char *const names[] = {"llvmpipe (LLVM 15.0.6, 256 bits)", "zink (llvmpipe (LLVM 17.0.6, 256 bits))"};
    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        assert_int_equal(facts_of(CL_DEVICE_TYPE_CPU, names[i]).max_loop_iterations, 65535);
    assert_int_equal(facts_of(CL_DEVICE_TYPE_CPU, "pthread-AMD EPYC").max_loop_iterations, 0);
    assert_int_equal(facts_of(CL_DEVICE_TYPE_GPU, "AMD Radeon RX 6800 (radeonsi, gfx1030)").max_loop_iterations, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nvidia_device_has_its_compute_capability),
        cmocka_unit_test(amd_device_has_its_processor),
        cmocka_unit_test(cpu_has_its_lanes),
        cmocka_unit_test(other_devices_have_none),
        cmocka_unit_test(longer_names_are_cut),
        cmocka_unit_test(llvmpipe_alone_ends_loops),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
