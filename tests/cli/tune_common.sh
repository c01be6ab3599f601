# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh
#
# What the tests of cl-tune share; they set $tune and read this with ".".

here=$(dirname -- "$0")
# shellcheck source=tests/cli/tools_common.sh
. "$here/tools_common.sh"

mkdir "$work/tmp"
TMPDIR=$work/tmp # programs of tiles lie there
XDG_CONFIG_HOME=$work/config
export TMPDIR XDG_CONFIG_HOME

# A problem of few kernels and short runs.
# shellcheck disable=SC2034 # for the reader
heads="--num-q-heads 4 --num-kv-heads 1 --head-dim 32"
# shellcheck disable=SC2034
small="--family vector --phase prefill --batch single --runs 3"

# holds EXPRESSION: a Python expression about the last JSON output, `told`, and the files at $output: `rows`, `journal`
# and `crashes`, lists of dictionaries, without a file empty.
holds()
{
    # shellcheck disable=SC2154 # the reader's
    OUTPUT=$output CHECK=$1 python3 -c '
import json, os, sys

def lines(path):
    return [json.loads(line) for line in open(path)] if os.path.exists(path) else []

output = os.environ["OUTPUT"]
text = open(sys.argv[1]).read()
told = json.loads(text) if text.startswith(("{", "[")) else None
rows = json.load(open(output))["rows"] if os.path.exists(output) else []
journal = lines(output + ".journal")
crashes = lines(output + ".crashes")
trials = [event for event in journal if event.get("event") == "trial"]
outcomes = [trial["outcome"] for trial in trials]
if not eval("(" + os.environ["CHECK"] + ")"):
    sys.exit("told %s\nrows %s\njournal %s\ncrashes %s" % (told, rows, journal, crashes))
' "$work/stdout" >"$work/check" 2>&1 || {
        tail -n 5 "$work/check"
        failed "$1"
    }
}

# searched CODE ARGUMENT...: a search that ends with CODE and writes JSON; the test ends here if there is no device.
searched()
{
    expected_code=$1
    shift
    # shellcheck disable=SC2154,SC2086 # the reader's; several options
    run "$tune" $small $heads --output "$output" --json "$@"
    if [ "$code" -eq 77 ]; then
        echo "skipped: no OpenCL device"
        exit 77
    fi
    [ "$code" -eq "$expected_code" ] || failed "exit code $code instead of $expected_code: $*"
    [ -z "$(ls "$work/tmp")" ] || failed "something is left in TMPDIR: $*"
}

# said SENTENCE: the last program said SENTENCE, a regular expression, on stderr.
said()
{
    grep -q -e "$1" "$work/stderr" || failed "not said: $1"
}
