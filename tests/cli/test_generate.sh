#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# examples/generate with a trained model writes what llama2.c's own program writes, character for character: alone and
# among other texts, whatever the pages and the kernels.
#
# The model is stories260K of llama2.c (stories260K.bin, tok512.bin) with stories260K.once.txt, the output of
# run -t 0 -n 256 -i "Once upon a time". They are no part of the repository: looked for in $CLATTN_TEST_DATA, else
# beside the source tree in shared/data; without them the test is skipped.
#
# usage: test_generate.sh GENERATE SOURCE_FOLDER
set -eu

generate=$1
data=${CLATTN_TEST_DATA-$2/../shared/data}
for file in stories260K.bin tok512.bin stories260K.once.txt; do
    if [ ! -f "$data/$file" ]; then
        echo "skipped: no $data/$file; CLATTN_TEST_DATA names the folder"
        exit 77
    fi
done
# shellcheck source=tests/cli/generate_common.sh
. "$(dirname -- "$0")/generate_common.sh"

story=$data/stories260K.once.txt
story_bytes=$(wc -c <"$story")

tell()
{
    run --model "$data/stories260K.bin" --tokenizer "$data/tok512.bin" --tokens 256 "$@"
    [ "$code" -eq 0 ] || failed "exit code $code: generate $*"
}

# Five prompts that are as long as a word and as long as several pages, empty, or outside ASCII.
tell_with_others()
{
    tell --prompt 'Lily and Tom went to the park with their mom and their big red dog. The sun was hot' \
        --prompt '' --prompt 'The' --prompt 'Zoë said: "¡Hola!"' --prompt 'One day a little frog' "$@"
}

for family in vector simt; do
    for page_size in 1 7 16; do
        case="--family $family --page-size $page_size"
        # shellcheck disable=SC2086 # a list of options
        tell $case --prompt 'Once upon a time'
        cmp "$story" "$work/stdout" || failed "another story than llama2.c's: $case"

        # shellcheck disable=SC2086
        tell_with_others $case --prompt 'Once upon a time'
        tail -c "$story_bytes" "$work/stdout" | cmp "$story" - || failed "another story among others: $case"
        grep -q ' [1-9][0-9]* of them with prefill and decode mixed' "$work/stderr" || failed "no mixed step: $case"
        grep -q 'up to 6 sequences at once' "$work/stderr" || failed "the texts did not run together: $case"
    done
done

# First of six, and with room for two at a time, so that the others take the pages of those who have left.
tell --prompt 'Once upon a time' --prompt 'The' --prompt '' --prompt 'A' --prompt 'Tom' --prompt 'Lily'
head -c "$story_bytes" "$work/stdout" | cmp "$story" - || failed "another story before others"
tell_with_others --batch 2 --prompt 'Once upon a time'
tail -c "$story_bytes" "$work/stdout" | cmp "$story" - || failed "another story on pages that others have used"
grep -q 'up to 2 sequences at once' "$work/stderr" || failed "--batch 2 was not obeyed"
grep -q 'of 32 in use, 16 tokens of float32 each' "$work/stderr" || failed "the cache is not as large as two texts"

# Rounded keys and values may give another story, but they give one.
for kv_dtype in float16 bfloat16; do
    for family in vector simt; do
        tell --kv-dtype $kv_dtype --family $family --prompt 'Once upon a time'
        case $(cat "$work/stdout") in
        'Once upon a time'?*) ;;
        *) failed "no story: --kv-dtype $kv_dtype --family $family" ;;
        esac
        [ "$(wc -c <"$work/stdout")" -gt 200 ] || failed "a short story: --kv-dtype $kv_dtype --family $family"
        grep -q "of $kv_dtype each" "$work/stderr" || failed "--kv-dtype $kv_dtype used another one"
    done
done
finish
