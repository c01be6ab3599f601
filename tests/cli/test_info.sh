#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# cl-info tells of devices, rows and caches what is so: rows agree with the device's facts and with what cl-bench ran,
# counts with the files that lie there. Wrong usage, absent devices and damaged caches are told apart.
#
# usage: test_info.sh CL_INFO CL_BENCH PLANT_CACHE VERSION SOURCE_FOLDER
set -eu

info=$1
bench=$2
plant=$3
version=$4
headers=$5/include/clattn
# shellcheck source=tests/cli/tools_common.sh
. "$(dirname -- "$0")/tools_common.sh"
export XDG_CACHE_HOME="$work/xdg"

# refused_usage SENTENCE ARGUMENT...: wrong usage, said on stderr alone.
refused_usage()
{
    refused_sentence=$1
    shift
    refused 2 "$refused_sentence" "$info" "$@"
}

# told CODE CHECK ARGUMENT...: cl-info --json ends with CODE, and the Python expression CHECK holds; `told` is the JSON,
# `device` its first device, `cache` its cache.
told()
{
    expected_code=$1 check=$2
    shift 2
    run "$info" --json "$@"
    [ "$code" -eq "$expected_code" ] || failed "exit code $code instead of $expected_code: $*"
    CHECK=$check VERSION=$version HEADERS=$headers python3 -c '
import json, os, re, sys, time

def fields(header, struct):
    text = open(os.path.join(os.environ["HEADERS"], header)).read()
    body = re.search(r"typedef struct %s \{(.*?)\n\}" % struct, text, re.S).group(1)
    return re.findall(r"(\w+)(?:\[\w+\])?;", re.sub(r"/\*.*?\*/", "", body, flags=re.S))

told = json.load(open(sys.argv[1]))
assert list(told) == ["version", "error", "devices", "cache"], list(told)
assert told["version"] == os.environ["VERSION"], told["version"]
cache = told["cache"]
device = told["devices"][0] if told["devices"] else None

def positive(object, *keys):
    for key in keys:
        assert type(object[key]) is int and object[key] > 0, f"{key} is {object[key]}"

def check_row(row, device):
    assert row["family"] == device["family"], row
    assert row["head_dim_v"] == row["head_dim"] and row["num_q_heads"] % row["num_kv_heads"] == 0
    if row["status"] != "CLATTN_OK":
        assert row["status"] == "CLATTN_INVALID_TUNING" and len(row["refusal"]) > 20, row
        assert all(row[key] is None for key in ("decode", "prefill", "decode_max_rows", "target_groups",
                                                "min_split_tokens")), row
        return
    assert row["refusal"] is None
    positive(row, "decode_max_rows", "target_groups", "min_split_tokens")
    for tile in row["decode"], row["prefill"]:
        outer = fields("tuning_query.h", "clattn_tuning_tile")
        at = outer.index("tile")
        outer[at:at + 1] = fields("tuning.h", "clattn_tile")
        assert list(tile) == outer, list(tile)
        # Without a file the rows that are built in answer, if there are some for the device.
        levels = os.environ.get("LEVEL", "default device architecture vendor").split()
        assert tile["level"] in levels and (tile["row"] is None) == (tile["level"] == "default"), tile
        positive(tile, "block_q", "block_kv", "work_group_size", "heads", "lanes")
        assert 0 <= tile["local_memory_bytes"] <= device["local_memory_bytes"], tile
        assert tile["work_group_size"] <= device["max_work_group_size"], tile
        assert row["num_kv_heads"] % tile["heads"] == 0, tile

def check_device(device):
    assert device["type"] in ("cpu", "gpu", "accelerator", "other"), device["type"]
    names = fields("device.h", "clattn_device_facts")
    assert list(device)[1:1 + len(names)] == names, list(device)
    assert device["name"] and device["platform"] and device["driver"], device
    positive(device, "num_compute_units", "max_work_group_size", "preferred_multiple", "float_vector_width",
             "local_memory_bytes", "global_memory_bytes", "max_allocation_bytes")
    assert device["architecture"] == "cpu%d" % device["float_vector_width"] or device["type"] != "cpu", device
    assert device["max_loop_iterations"] == (65535 if "llvmpipe" in device["name"] else 0), device
    assert device["usable"] == (device["error"] is None) == bool(device["rows"]), device
    if not device["usable"]:
        return
    wide = device["type"] == "cpu" and device["local_memory_bytes"] >= 1 << 20
    if "asked for" not in device["family_reason"]:
        roomy = device["local_memory_bytes"] >= 16 << 10 and device["max_work_group_size"] >= 16
        family = "vector" if wide else "simt" if roomy else "plain"
        assert device["family"] == family, device["family"]
        kind = "CPU" if device["type"] == "cpu" else "GPU"
        assert (kind if family != "plain" else "simt family needs") in device["family_reason"]
    for row in device["rows"]:
        check_row(row, device)

def check_cache(cache):
    assert sum(cache["states"].values()) == cache["num_files"], cache
    assert sum(group["num_files"] for group in cache["groups"]) == cache["states"]["valid"], cache
    assert cache["program_bytes"] + cache["verdict_bytes"] == sum(group["num_bytes"] for group in cache["groups"])
    assert cache["num_programs"] == sum(group["num_programs"] for group in cache["groups"]), cache
    for key, choose in ("first_used", min), ("last_used", max):
        assert cache[key] == choose((group[key] for group in cache["groups"]), default=None), cache[key]
    text = open(os.path.join(os.environ["HEADERS"], "context.h")).read()
    megabytes = int(re.search(r"CLATTN_CACHE_DEFAULT_MAX_BYTES \(UINT64_C\((\d+)\) << 20\)", text).group(1))
    assert cache["default_max_bytes"] == megabytes << 20, cache["default_max_bytes"]
    for group in cache["groups"]:
        assert 0 < time.time() - group["first_used"] < 3600 and group["first_used"] <= group["last_used"], group
        assert group["program_bytes"] + group["verdict_bytes"] == group["num_bytes"], group
        verdicts = group["num_verdicts"]
        assert list(verdicts) == ["verified", "rejected", "crashed"], verdicts
        assert group["num_programs"] + sum(verdicts.values()) == group["num_files"], group
        mine = [v["kind"] for v in cache["verdicts"] if v["device"] == group["device"]]
        assert all(mine.count(kind) == verdicts[kind] for kind in verdicts) or len(cache["groups"]) > 2, mine
    if "files" in cache:
        assert len(cache["files"]) == cache["num_files"]
        assert sum(file["num_bytes"] for file in cache["files"]) == cache["num_bytes"]

for each in told["devices"]:
    check_device(each)
assert (cache is None) == (not any(each["usable"] for each in told["devices"]))
assert (cache is None) == (told["error"] is not None), told["error"]
if cache:
    check_cache(cache)
assert eval("(" + os.environ["CHECK"] + ")"), os.environ["CHECK"]
' "$work/stdout" >"$work/check" 2>&1 || failed "cl-info --json $*: $(tail -n 1 "$work/check")"
}

run "$info" --help
[ "$code" -eq 0 ] || failed "exit code $code: --help"
grep -q -- '--model NAME' "$work/stdout" || failed "no --model: --help"

refused_usage 'no option' now
refused_usage 'speed' --speed
refused_usage 'json' --json=file
refused_usage 'device' --device
refused_usage "--family should be default, vector, simt or plain, not 'cpu'" --family cpu
refused_usage "--layout should be combined, nhd, hnd or heads_first, not 'dense'" --layout dense
refused_usage "--model should be .* not 'gpt-2'" --model llama-3-8b,gpt-2
refused_usage "--cache-dir should be DIR, not empty" --cache-dir ''
refused_usage 'files' --files=all
refused_usage "--cache-clear should be useless, programs or all, not 'everything'" --cache-clear everything
refused_usage 'cache-verify' --cache-verify=all

# No device at all, and none that was asked for: said on stderr and in the JSON.
mkdir "$work/no_drivers"
OCL_ICD_VENDORS="$work/no_drivers" told 77 '"no OpenCL device is present" in told["error"] and not told["devices"]'
grep -q 'no OpenCL device is present' "$work/stderr" || failed "nothing on stderr without a device"
run env OCL_ICD_VENDORS="$work/no_drivers" "$info"
[ "$code" -eq 77 ] || failed "exit code $code without a device"
[ "$(cat "$work/stdout")" = "clattn $version" ] || failed "more than the version without a device"

run "$info"
if [ "$code" -eq 77 ]; then
    [ "$num_failed" -eq 0 ] || exit 1
    echo "skipped: no OpenCL device"
    exit 77
fi
[ "$code" -eq 0 ] || failed "exit code $code: cl-info"
for line in "^clattn $version\$" '^device 0: .' '^  family  *[a-z]*: .' '^  llama-3-8b  *32/8/128 ' \
    '^  phi-3-mini  *32/32/96 ' "^cache: $work/xdg/clattn\$" '^  0 files, 0 bytes'; do
    grep -q "$line" "$work/stdout" || failed "no line $line: cl-info"
done

told 77 '"99" in told["error"] and not told["devices"]' --device 99
told 77 '"no such" in told["error"] and not told["devices"]' --device 'no such device'
told 0 'len(told["devices"]) == 1 and device["index"] == 0 and
    {(row["num_q_heads"], row["num_kv_heads"], row["head_dim"]) for row in device["rows"]} >= {(32, 8, 128), (16, 8, 256),
     (64, 8, 64), (14, 2, 64), (32, 32, 96)} and any(row["sliding_window"] == 4096 for row in device["rows"])' --device 0
name=$(python3 -c 'import json, sys; print(json.load(open(sys.argv[1]))["devices"][0]["name"])' "$work/stdout")
told 0 '[row["model"] for row in device["rows"]] == ["phi-3-mini", "llama-3-8b"]' --model phi-3-mini,llama-3-8b
NAME=$name told 0 'device["name"] == os.environ["NAME"] and device["index"] is not None' --device "$name"

told 0 '[each["index"] for each in told["devices"]] == list(range(len(told["devices"])))'
# A vector work-group takes as many kv heads as fill a vector, and at least 4; those of the others take one.
told 0 'all(row["layout"] == "heads_first" and row["decode"]["heads"] ==
    (min(row["num_kv_heads"], max(4, row["decode"]["lanes"] // row["decode"]["block_q"]))
     if row["family"] == "vector" else 1) for row in device["rows"])' --layout heads_first --family default
# Its blocks hold at least 4 keys there, and 2 where a token's heads lie together and are 8 KiB.
told 0 'all(row["decode"]["block_kv"] >= 4 for row in device["rows"] if row["family"] == "vector")' \
    --layout heads_first --family default
told 0 'all(row["decode"]["block_kv"] == 2 for row in device["rows"] if row["family"] == "vector")' \
    --model phi-3-mini --layout combined --family default

# Rows of a tuning file for every phase of llama-3-8b on the first device: the default tiles by another name.
python3 -c '
import json, sys
told, path = json.load(open(sys.argv[1])), sys.argv[2]
device = told["devices"][0]
row = {key: device[key] for key in ("vendor", "driver", "architecture", "type", "family")}
row.update(device=device["name"], version=told["version"], op="paged", kv_dtype="float16", head_dim=128, head_dim_v=128,
           group_size=4, num_kv_heads=8, kv_layout="nhd", page_size=16, batch="large", parameters={})
rows = [json.dumps(dict(row, phase=phase)) for phase in ("decode", "prefill")]
open(path, "w").write("{\"schema\": 1, \"rows\": [\n%s\n]}\n" % ",\n".join(rows))
' "$work/stdout" "$work/tuning.json"
LEVEL=user_driver told 0 'device["rows"][0]["decode"]["row"].endswith(
    "clattn %s: float16 decode, 8 x 4 heads of 128/128, nhd pages of 16, large batch" % told["version"])' \
    --model llama-3-8b --device 0 --tuning-file "$work/tuning.json"
run "$info" --model llama-3-8b --device 0 --tuning-file "$work/tuning.json"
[ "$(grep -c 'user_driver' "$work/stdout")" -eq 2 ] || failed "not two tiles of the tuning file"
grep -q 'prefill as on .*: float16 prefill' "$work/stdout" || failed "no row of the tuning file"
sed 's/"driver": "/&another /' "$work/tuning.json" >"$work/other.json"
LEVEL=user_device told 0 'True' --model llama-3-8b --device 0 --tuning-file "$work/other.json"
run "$info" --model llama-3-8b --device 0 --tuning-file "$work/absent.json"
[ "$code" -eq 0 ] || failed "exit code $code: an absent tuning file"
grep -q 'tuning file .*absent.json: cannot be read' "$work/stderr" || failed "an absent tuning file is not told"

for family in vector simt plain; do
    told 0 "'asked for' in device['family_reason'] and device['family'] == '$family'" --family "$family" --device 0
done

# What cl-bench ran with is what the rows say, and the programs that it built are what the cache holds.
set -- --device 0 --model qwen2.5-0.5b --layout hnd
run "$bench" "$@" --runs 1 --context 24 --q-len 24,1 --json "$work/bench.json"
[ "$code" -eq 0 ] || failed "exit code $code: cl-bench $*"
BENCH="$work/bench.json" told 0 '(lambda ran, row: len(device["rows"]) == 1 and
        all(ran[key] == device[key] for key in ("driver", "platform", "family", "num_compute_units")) and
        ran["device"] == device["name"] and
        all(ran[key] == row[key] for key in ("model", "num_q_heads", "num_kv_heads", "head_dim", "sliding_window",
                                             "logits_soft_cap", "sinks", "layout")) and
        all(ran[key] == row["prefill"][key] for key in ("block_q", "block_kv"))
        )(json.load(open(os.environ["BENCH"]))["results"][0], device["rows"][0])' "$@"
told 0 'cache["directory"].endswith("/xdg/clattn") and cache["states"]["valid"] == cache["num_files"] >= 2 and
    len(cache["groups"]) == 1 and cache["groups"][0]["device_index"] is not None and not cache["verdicts"] and
    cache["groups"][0]["version"] == told["version"] and cache["groups"][0]["driver"] == device["driver"]'

# Caches elsewhere: absent, empty, no folder, and one with files of every kind.
told 0 'cache["num_files"] == 0 and cache["groups"] == [] and cache["error"] is None' --cache-dir "$work/absent"
mkdir "$work/cache"
told 0 'cache["num_files"] == 0 and cache["num_bytes"] == 0' --cache-dir "$work/cache"
echo x >"$work/file"
run "$info" --json --cache-dir "$work/file"
[ "$code" -eq 1 ] || failed "exit code $code for a cache that is a file"
grep -q "cannot be read" "$work/stdout" || failed "no sentence for a cache that is a file"

cp "$work"/xdg/clattn/*.clattn "$work/cache"
for file in "$work"/cache/*.clattn; do
    mv "$file" "$work/cache/renamed.clattn" # whole, but never found
    break
done
for file in "$work"/cache/[0-9a-f]*.clattn; do
    printf x >>"$file"
    break
done
"$plant" "$work/cache"
echo partial >"$work/cache/.clattn-abcdef"
echo notes >"$work/cache/README"
num_files=$(($(find "$work/cache" -type f | wc -l) - 1))
told 0 "cache['num_files'] == $num_files and
    [cache['states'][state] for state in ('damaged', 'foreign', 'temporary')] == [1, 1, 1] and
    [g['num_verdicts'] for g in cache['groups'] if g['device'] == 'planted device' and g['driver'] == '9.8.7' and
     g['device_index'] is None and g['num_programs'] == 2] == [{'verified': 1, 'rejected': 1, 'crashed': 1}] and
    sorted((v['kind'], v['program'], v['reason'], v['worst_error']) for v in cache['verdicts']) == [
     ('crashed', 'merge', 'the build did not return', 0), ('rejected', 'simt/prefill', 'row 3 is NaN', None),
     ('verified', 'simt/decode', None, 0.25)]" --cache-dir "$work/cache"
told 0 "len(cache['files']) == $num_files and [f['name'] for f in cache['files'] if f['state'] == 'foreign'] ==
    ['renamed.clattn']" --cache-dir "$work/cache" --files
run "$info" --cache-dir "$work/cache" --files
for line in "^  $num_files files, .* 1 damaged, 1 foreign, 1 temporary, 0 note\$" '^  planted device, driver 9.8.7, clattn ' \
    '^    2 programs, 1 verified, 1 rejected, 1 crashed, ' '^    crashed   merge: the build did not return (' \
    '^  foreign .* renamed.clattn$' '^  temporary .* .clattn-abcdef$' \
    '^  valid .*  verdict on simt/decode .*HEAD_DIM=64$'; do
    grep -q -- "$line" "$work/stdout" || failed "no line $line: cl-info --files"
done

# Damage is a failure where it is asked for, and only there; foreign and temporary files are none.
told 1 'cache["verified"] is False and cache["cleared"] is None' --cache-dir "$work/cache" --cache-verify
grep -q "error: 1 of the $num_files files in $work/cache are damaged" "$work/stderr" || failed "no sentence on damage"
run "$info" --cache-dir "$work/cache" --cache-verify
[ "$code" -eq 1 ] || failed "exit code $code for a damaged cache"
grep -q '^  verified: [0-9a-f]*.clattn is damaged$' "$work/stdout" || failed "the damaged file is not named"
told 0 'cache["verified"] is None' --cache-dir "$work/cache"

# Clearing: what is of no use, then programs, then everything, and never the notes of somebody else.
told 0 "cache['cleared']['what'] == 'useless' and cache['cleared']['num_files'] == 2 and cache['verified'] is True and
    cache['states'] == {'valid': $((num_files - 3)), 'damaged': 0, 'foreign': 0, 'temporary': 1, 'note': 0}" \
    --cache-dir "$work/cache" --cache-clear useless --cache-verify
touch -d '2 hours ago' "$work/cache/.clattn-abcdef"
told 0 'cache["cleared"]["num_files"] == 1 and cache["states"]["temporary"] == 0' \
    --cache-dir "$work/cache" --cache-clear useless
told 0 'cache["num_programs"] == 0 and cache["num_files"] == 3 and cache["cleared"]["num_files"] >= 2 and
    sum(cache["num_verdicts"].values()) == 3' --cache-dir "$work/cache" --cache-clear programs
run "$info" --cache-dir "$work/cache" --cache-clear all --cache-verify
[ "$code" -eq 0 ] || failed "exit code $code: --cache-clear all"
for line in '^  cleared (all): 3 files, ' '^  0 files, 0 bytes' '^  verified: no file is damaged$'; do
    grep -q "$line" "$work/stdout" || failed "no line $line: cl-info --cache-clear all"
done
[ "$(ls -A "$work/cache")" = README ] || failed "the cache's folder holds $(ls -A "$work/cache")"
run "$info" --cache-dir "$work/file" --cache-clear all
[ "$code" -eq 1 ] || failed "exit code $code for clearing a file"
[ "$(cat "$work/file")" = x ] || failed "a file that is no cache was changed"

finish
