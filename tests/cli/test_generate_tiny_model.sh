#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# examples/generate on a model of one layer that is written here, so that the whole program runs without any
# downloaded file: what ends a text, what is counted, what is written.
#
# usage: test_generate_tiny_model.sh GENERATE
set -eu

generate=$1
# shellcheck source=tests/cli/generate_common.sh
. "$(dirname -- "$0")/generate_common.sh"

model=$work/model.bin tokenizer=$work/tokenizer.bin
tiny_tokenizer >"$tokenizer"

# chooses TOKEN: the model is one that always continues with TOKEN.
chooses()
{
    { tiny_checkpoint -$tiny_vocab_size $one; tiny_classifier "$1"; } >"$model"
}

# gives TEXT ARGUMENT...: the program succeeds and standard output is TEXT, in printf's notation, and nothing else.
gives()
{
    # shellcheck disable=SC2059 # the text is a format
    printf "$1" >"$work/expected"
    shift
    run --model "$model" --tokenizer "$tokenizer" "$@"
    [ "$code" -eq 0 ] || failed "exit code $code: generate $*"
    cmp -s "$work/expected" "$work/stdout" || failed "'$(cat "$work/stdout")' instead of '$(cat "$work/expected")': generate $*"
}

# Every position adds one token to the text; the blank that begins an encoded prompt is not written.
chooses 4
gives 'aaaa\n'
gives 'aaaa\n' --tokens 4
gives 'a\n' --tokens 1
gives 'aaa\n' --tokens 4 --prompt a
gives '\n' --tokens 1 --prompt aa
gives 'aaaa\naaa\na a\n' --prompt '' --prompt a --prompt 'a '
gives 'aaaa\naaa\na a\n' --prompt '' --prompt a --prompt 'a ' --batch 1 --page-size 3
grep -q 'up to 1 sequences at once' "$work/stderr" || failed "--batch 1 ran more than one sequence"
grep -q 'up to 2 of 2 in use' "$work/stderr" || failed "the pages of a sequence that has left were not used again"
for kv_dtype in float32 float16 bfloat16; do
    for family in vector simt plain; do
        gives 'aaaa\n' --kv-dtype $kv_dtype --family $family
        grep -q "family $family" "$work/stderr" || failed "--family $family ran another one"
        grep -q "of $kv_dtype each" "$work/stderr" || failed "--kv-dtype $kv_dtype used another one"
    done
done

# The token that begins texts ends one.
chooses 1
gives '\n'
gives 'a\n\na\n' --prompt a --prompt '' --prompt a
grep -q 'up to 1 sequences at once' "$work/stderr" || failed "a sequence stayed after its text had ended"

# A shared classifier: all logits are equal, and the first of equals is the unknown token.
tiny_checkpoint $tiny_vocab_size $one >"$model"
gives '<unk><unk><unk><unk>\n'

tiny_checkpoint $tiny_vocab_size $not_a_number >"$model"
refused 1 'logit that is not finite' --model "$model" --tokenizer "$tokenizer"

# Three sequences of one page each, larger together than any device.
chooses 4
refused 1 'making the KV cache failed' --model "$model" --tokenizer "$tokenizer" --page-size 2147483647 \
    --prompt a --prompt a --prompt a

if [ -c /dev/full ]; then
    code=0
    "$generate" --model "$model" --tokenizer "$tokenizer" >/dev/full 2>"$work/stderr" || code=$?
    [ "$code" -eq 1 ] || failed "text into a full device ends with $code"
    grep -q 'cannot write' "$work/stderr" || failed "text into a full device says nothing"
fi
finish
