#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# The manual page of cl-tune and its --help have the same options, with the same values; mandoc has nothing against the
# page, where there is a mandoc.
#
# usage: test_tune_manual.sh CL_TUNE SOURCE_FOLDER
set -eu

tune=$1
page=$2/tools/cl-tune.1
guide=$2/docs/tuning.md
# shellcheck source=tests/cli/tools_common.sh
. "$(dirname -- "$0")/tools_common.sh"

# Lines of "name VALUE", without the list in brackets or dots, which the two write differently.
run "$tune" --help
sed -n 's/^  --\([a-z-]*\) \{0,1\}\([^ ]*\).*/\1 \2/p' "$work/stdout" | sed 's/\[.*//; s/\.\.\.$//; s/ *$//' |
    LC_ALL=C sort >"$work/help"
sed -n 's/^\.It Fl -\([a-z-]*\)\( Ar \([^ ]*\)\)\{0,1\}.*/\1 \3/p' "$page" | sed 's/ *$//' | LC_ALL=C sort >"$work/page"
# In the help of an option without a value its first word stands there.
awk 'NR == FNR { named[$1] = 1; value[$1] = $2; next }
     !($1 in named) { print "only in --help: " $1; next }
     { seen[$1] = 1 }
     value[$1] != "" && value[$1] != $2 { print "other values: " $1 " " value[$1] ", in --help " $2 }
     END { for (name in named) if (!(name in seen)) print "only in the manual: " name }' \
    "$work/page" "$work/help" >"$work/differences"
[ ! -s "$work/differences" ] || {
    cat "$work/differences"
    failed "the manual and --help differ"
}
[ "$(wc -l <"$work/help")" -ge 35 ] || failed "options were not found: $(wc -l <"$work/help")"

# What the guide calls exists.
grep -o -- '--[a-z][a-z-]*' "$guide" | sed 's/^--//' | LC_ALL=C sort -u | while read -r name; do
    grep -q "^$name\( \|\$\)" "$work/help" || echo "$name"
done >"$work/unknown"
[ ! -s "$work/unknown" ] || failed "docs/tuning.md has options that do not exist: $(tr '\n' ' ' <"$work/unknown")"

if command -v mandoc >/dev/null 2>&1; then
    run mandoc -T lint -W warning "$page"
    [ "$code" -eq 0 ] || {
        cat "$work/stdout"
        failed "mandoc's complaints"
    }
fi
finish
