#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Searches that are ended from outside, and continued.
#
# usage: test_tune_resume.sh CL_TUNE
set -eu

tune=$1
# shellcheck source=tests/cli/tune_common.sh
. "$(dirname -- "$0")/tune_common.sh"
output=$work/tuning.json
journal=$output.journal

# interrupted SIGNAL NUM_TRIALS: begins a search, and sends SIGNAL when the journal has so many trials; sets $code.
interrupted()
{
    signal=$1 num_trials=$2
    shift 2
    # shellcheck disable=SC2086 # several options
    "$tune" $small $heads --output "$output" --json --strategy random "$@" >"$work/stdout" 2>"$work/stderr" &
    pid=$!
    waited=0
    while
        found=$(grep -c '"event":"trial"' "$journal" 2>/dev/null || true)
        [ "${found:-0}" -lt "$num_trials" ]
    do
        kill -0 "$pid" 2>/dev/null || break
        sleep 0.1
        waited=$((waited + 1))
        [ $waited -lt 1200 ] || break
    done
    children=$(ps -o pid= --ppid "$pid" || true)
    kill -s "$signal" "$pid" || true
    code=0
    wait "$pid" || code=$?
    if [ "$code" -eq 77 ]; then
        echo "skipped: no OpenCL device"
        exit 77
    fi
    sleep 0.5
    for child in $children; do
        case $(ps -o stat= -p "$child") in
        '' | Z*) ;; # gone, or nobody has looked after it yet
        *) failed "child $child outlives its parent" ;;
        esac
    done
}

# Killed: what was found is there, and a new search does not overwrite it.
interrupted KILL 3
[ "$code" -eq 137 ] || failed "exit code $code after SIGKILL"
holds 'len(trials) >= 3 and not rows'
cp "$journal" "$work/killed"
rm -rf "$work/tmp"/* # nobody could
searched 1
said 'tuning.json.journal is of a search that has not ended; --resume continues it'
searched 1 --resume --kv-dtype float32
said '^error: --resume: the kv_dtype of .*tuning.json.journal is "float16", this search.s is "float32"'
searched 1 --resume --batch small
said '^error: --resume: the tasks of '
cmp -s "$journal" "$work/killed" || failed "a refused search changed the journal"
sed '1s/"driver":"[^"]*"/"driver":"another"/' "$work/killed" >"$journal"
searched 1 --resume
said '^error: --resume: the driver of .* is "another", this search.s is '
sed '1s/"version":"[^"]*"/"version":"0.0.9"/' "$work/killed" >"$journal"
searched 1 --resume
said '^error: --resume: the version of .* is "0.0.9"'
cp "$work/killed" "$journal"

# Interrupted: says how to go on. SIGTERM likewise.
interrupted INT 4 --resume
[ "$code" -eq 130 ] || failed "exit code $code after SIGINT"
said 'tuning.json.journal keeps what was found; the same command with --resume continues'
holds 'told["results"][0]["verdict"] == "untried"'
holds 'len(trials) >= 4 and not rows'
interrupted TERM 5 --resume
[ "$code" -eq 143 ] || failed "exit code $code after SIGTERM"

# Continued: no tile but the default was tried twice, and none was lost. A line that was being written is forgotten.
printf '{"event":"tri' >>"$journal"
searched 0 --resume --strategy random --max-candidates 7
holds 'len(trials) - [trial["gain"] for trial in trials].count(1) == 7 == told["results"][0]["num_tried"] - 1'
holds 'len({str(trial["parameters"]) for trial in trials}) == 8 and len(rows) == 1'
holds 'journal[-1]["event"] == "end"'

# What has ended is told again.
cp "$work/stdout" "$work/first"
searched 0 --resume --strategy random
holds 'told["results"][0]["parameters"] == rows[0]["parameters"]'
grep -q 'default tile against itself' "$work/stderr" && failed "what has ended is searched again"

# A tile during which the search died twice is not tried a third time.
python3 - "$journal" <<'EOF'
import json, sys
lines = [json.loads(line) for line in open(sys.argv[1])]
trials = [line for line in lines if line.get("event") == "trial" and line["gain"] != 1]
start = dict(trials[-1], event="start")
kept = [line for line in lines if line.get("event") in (None, "start", "trial") and
        line.get("parameters") != start["parameters"]]
with open(sys.argv[1], "w") as file:
    for line in kept + [start, start]:
        file.write(json.dumps(line) + "\n")
EOF
searched 0 --resume --strategy random --max-candidates 7
holds 'told["results"][0]["outcomes"]["crashed"] == 1'

finish
