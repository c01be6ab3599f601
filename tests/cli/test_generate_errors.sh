#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# examples/generate refuses wrong options and damaged files, each with a sentence of its own and no text.
# Needs no device and no model: its files are written here.
#
# usage: test_generate_errors.sh GENERATE
set -eu

generate=$1
# shellcheck source=tests/cli/generate_common.sh
. "$(dirname -- "$0")/generate_common.sh"

model=$work/model.bin tokenizer=$work/tokenizer.bin
tiny_checkpoint $tiny_vocab_size $one >"$model"
tiny_tokenizer >"$tokenizer"
model_bytes=$(wc -c <"$model") tokenizer_bytes=$(wc -c <"$tokenizer")

# ---- command line ----
refused 2 '--model is missing'
refused 2 '--model is missing' --tokenizer "$tokenizer"
refused 2 '--tokenizer is missing' --model "$model"
refused 2 'model' --model
refused 2 'frobnicate' --model "$model" --tokenizer "$tokenizer" --frobnicate
refused 2 "'hello' is no option" --model "$model" --tokenizer "$tokenizer" hello
for option in tokens page-size batch; do
    for number in 0 -1 '' 1x x 2147483648 99999999999999999999; do
        refused 2 "--$option '$number' is not a number" --model "$model" --tokenizer "$tokenizer" "--$option" "$number"
    done
done
refused 2 "--family 'warp'" --model "$model" --tokenizer "$tokenizer" --family warp
refused 2 "--family 'default'" --model "$model" --tokenizer "$tokenizer" --family default
refused 2 "--kv-dtype 'int8'" --model "$model" --tokenizer "$tokenizer" --kv-dtype int8

run --help
[ "$code" -eq 0 ] || failed "--help ends with $code"
for option in model tokenizer prompt tokens batch page-size kv-dtype family device help; do
    grep -q -- "--$option " "$work/stdout" || failed "--help does not tell about --$option"
done
if [ -c /dev/full ]; then
    code=0
    "$generate" --help >/dev/full 2>"$work/stderr" || code=$?
    [ "$code" -eq 1 ] || failed "--help into a full device ends with $code"
    grep -q 'cannot write' "$work/stderr" || failed "--help into a full device says nothing"
fi

# ---- limits; they are checked after both files, which are whole here ----
refused 1 '--tokens 5 is more than the 4 positions' --model "$model" --tokenizer "$tokenizer" --tokens 5
refused 1 'prompt of 6 tokens is longer than the 4 positions' --model "$model" --tokenizer "$tokenizer" --prompt aaaa
refused 1 'prompt of 10000 bytes is longer than the 4 positions' --model "$model" --tokenizer "$tokenizer" \
    --prompt "$(head -c 10000 /dev/zero | tr '\0' a)"
refused 1 'no token for the byte 0x62' --model "$model" --tokenizer "$tokenizer" --prompt ab

device_expected_missing=yes # a missing device skips no test any more
refused 1 'CLATTN_NO_DEVICE' --model "$model" --tokenizer "$tokenizer" --device 'no device is called like this'

# ---- checkpoints ----
broken=$work/broken.bin
refused 1 'cannot open the checkpoint' --model "$work/absent" --tokenizer "$tokenizer"
refused 1 "checkpoint '$work' is a directory" --model "$work" --tokenizer "$tokenizer"
refused 1 'not a regular file' --model /dev/null --tokenizer "$tokenizer"
for size in 0 1 27; do
    head -c $size "$model" >"$broken"
    refused 1 "cut off: $size bytes do not hold its header" --model "$broken" --tokenizer "$tokenizer"
done
for size in 28 29 1000 $((model_bytes - 4)) $((model_bytes - 1)); do
    head -c $size "$model" >"$broken"
    refused 1 "cut off: it has $size bytes, its header asks for $model_bytes" --model "$broken" --tokenizer "$tokenizer"
done
{ cat "$model"; printf x; } >"$broken"
refused 1 "has $((model_bytes + 1)) bytes, its header asks for only $model_bytes" --model "$broken" --tokenizer "$tokenizer"
# A negative vocabulary asks for a classifier.
tiny_checkpoint -$tiny_vocab_size $one >"$broken"
refused 1 "asks for $((model_bytes + 4 * tiny_vocab_size * tiny_dim))" --model "$broken" --tokenizer "$tokenizer"

# header NUMBER...: the tiny model with other header fields.
header()
{
    int32 "$@"
    tail -c +29 "$model"
}
header 0 16 1 1 1 5 4 >"$broken"
refused 1 'dim = 0, which is not in' --model "$broken" --tokenizer "$tokenizer"
header 8 -1 1 1 1 5 4 >"$broken"
refused 1 'hidden_dim = -1, which is not in' --model "$broken" --tokenizer "$tokenizer"
header 8 16 2147483647 1 1 5 4 >"$broken"
refused 1 'n_layers = 2147483647, which is not in' --model "$broken" --tokenizer "$tokenizer"
header 8 16 1 3 1 5 4 >"$broken"
refused 1 '3 heads and 1 kv heads do not divide' --model "$broken" --tokenizer "$tokenizer"
header 8 16 1 2 4 5 4 >"$broken"
refused 1 '2 heads and 4 kv heads do not divide' --model "$broken" --tokenizer "$tokenizer"
header 8 16 1 8 1 5 4 >"$broken"
refused 1 'heads of 1 elements' --model "$broken" --tokenizer "$tokenizer"
header 8 16 1 1 1 0 4 >"$broken"
refused 1 'vocab_size = 0, which is not in' --model "$broken" --tokenizer "$tokenizer"
header 8 16 1 1 1 -2147483648 4 >"$broken"
refused 1 'vocab_size = -2147483648, which is not in' --model "$broken" --tokenizer "$tokenizer"
header 8 16 1 1 1 5 0 >"$broken"
refused 1 'seq_len = 0, which is not in' --model "$broken" --tokenizer "$tokenizer"
# The largest sizes that pass for plausible overflow no product.
header 65536 1048576 1024 1 1 16777216 16777216 >"$broken"
refused 1 "cut off: it has $model_bytes bytes, its header asks for" --model "$broken" --tokenizer "$tokenizer"
refused 1 'is no llama2.c checkpoint' --model "$tokenizer" --tokenizer "$tokenizer"

# ---- tokenizers ----
refused 1 'cannot open the tokenizer' --model "$model" --tokenizer "$work/absent"
refused 1 "tokenizer '$work' is a directory" --model "$model" --tokenizer "$work"
for size in 0 3; do
    head -c $size "$tokenizer" >"$broken"
    refused 1 "cut off: $size bytes do not hold its header" --model "$model" --tokenizer "$broken"
done
for size in 5 8 11 16 $((tokenizer_bytes - 1)); do
    head -c $size "$tokenizer" >"$broken"
    refused 1 'is cut off in token [0-9]* of 5' --model "$model" --tokenizer "$broken"
done
head -c $((tokenizer_bytes - 9)) "$tokenizer" >"$broken"
refused 1 "has 4 tokens, the model's vocabulary 5" --model "$model" --tokenizer "$broken"
{ cat "$tokenizer"; printf x; } >"$broken"
refused 1 "has more tokens than the model's vocabulary of 5" --model "$model" --tokenizer "$broken"
{ int32 4; tail -c +5 "$tokenizer"; } >"$broken"
refused 1 'token 0 has 5 bytes, the longest should have 4' --model "$model" --tokenizer "$broken"
{ int32 5 $zero -1; tail -c +13 "$tokenizer"; } >"$broken"
refused 1 'token 0 has -1 bytes' --model "$model" --tokenizer "$broken"
{ int32 0; tail -c +5 "$tokenizer"; } >"$broken"
refused 1 'is no llama2.c tokenizer: a longest token of 0 bytes' --model "$model" --tokenizer "$broken"
finish
