# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh
#
# What the tests of examples/generate share besides tools_common.sh; they set $generate, the program, and read this
# with ".".

# shellcheck source=tests/cli/tools_common.sh
. "$(dirname -- "$0")/tools_common.sh"

# run ARGUMENT...: in place of the run of tools_common.sh, and so of refused, always of $generate. Skips the whole test
# where there is no device at all.
run()
{
    code=0
    # shellcheck disable=SC2154 # the reader sets it
    "$generate" "$@" >"$work/stdout" 2>"$work/stderr" || code=$?
    if [ "$code" -ne 0 ] && [ -z "${device_expected_missing-}" ] && grep -q CLATTN_NO_DEVICE "$work/stderr"; then
        echo "skipped: no OpenCL device"
        exit 77
    fi
}

# int32 NUMBER...: little-endian bytes.
int32()
{
    for number; do
        # shellcheck disable=SC2059 # the format is made of escapes
        printf "$(printf '\\%03o\\%03o\\%03o\\%03o' $((number & 255)) $((number >> 8 & 255)) \
            $((number >> 16 & 255)) $((number >> 24 & 255)))"
    done
}

# float32 BITS COUNT: the same number COUNT times.
float32()
{
    remaining=$2
    while [ "$remaining" -gt 0 ]; do
        int32 "$1"
        remaining=$((remaining - 1))
    done
}

# Bits of float32 numbers.
zero=0 one=1065353216
# shellcheck disable=SC2034 # for the readers of this file
not_a_number=2143289344

# A model small enough to write by hand: every block adds 0 to the embedding 1, so that the classifier alone decides.
tiny_dim=8 tiny_hidden_dim=16 tiny_vocab_size=5 tiny_seq_len=4
tiny_block_floats=$((2 * tiny_dim + 4 * tiny_dim * tiny_dim + 3 * tiny_dim * tiny_hidden_dim))

# tiny_checkpoint VOCABULARY_FIELD FINAL_NORM: one layer, one head; ends where a classifier of its own would begin.
tiny_checkpoint()
{
    int32 $tiny_dim $tiny_hidden_dim 1 1 1 "$1" $tiny_seq_len
    float32 $one $((tiny_vocab_size * tiny_dim))
    head -c $((4 * tiny_block_floats)) /dev/zero
    float32 "$2" $tiny_dim
    head -c $((4 * tiny_seq_len * tiny_dim)) /dev/zero
}

# tiny_classifier TOKEN: the model always chooses TOKEN.
tiny_classifier()
{
    head -c $((4 * tiny_dim * $1)) /dev/zero
    float32 $one $tiny_dim
    head -c $((4 * tiny_dim * (tiny_vocab_size - 1 - $1))) /dev/zero
}

# Tokens 0 to 4: unknown, begin, end, a blank, "a".
tiny_tokenizer()
{
    int32 5
    for piece in '<unk>' '<s>' '</s>' ' ' 'a'; do
        int32 $zero ${#piece}
        printf '%s' "$piece"
    done
}
