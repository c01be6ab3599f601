#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# cl-tune --report: a page of a search, made when it ends and of its journal alone; no page where one cannot be made.
#
# usage: test_tune_page.sh CL_TUNE
set -eu

tune=$1
# shellcheck source=tests/cli/tune_common.sh
. "$(dirname -- "$0")/tune_common.sh"
output=$work/tuning.json

# Texts of a driver may be anything.
cat >"$work/journal" <<'EOF'
{"format":1,"version":"0.1.0","device":"a <script>alert(1)</script> & \"GPU\"","driver":"1'2","model":null,"tasks":{"decode/small":{"block_kv":[16,32,64],"lanes":[16]},"prefill/single":{"block_q":[8,16]}}}
{"event":"rejected","task":"decode/small","left_out":[{"num_tiles":3,"example":"needs <b>more</b> & more"}],"time":1000.0}
{"event":"start","task":"decode/small","parameters":{"block_kv":16,"lanes":16},"time":1000.5}
{"event":"trial","task":"decode/small","parameters":{"block_kv":16,"lanes":16},"outcome":"ok","reason":"","time_us":100,"default_time_us":100,"gain":1,"noise":0.01,"time":1001.0}
{"event":"trial","task":"decode/small","parameters":{"block_kv":32,"lanes":16},"outcome":"crashed","reason":"signal 11 <oops>","time":1002.5}
{"event":"resume","time":9001.0}
{"event":"trial","task":"decode/small","parameters":{"block_kv":64,"lanes":16},"outcome":"ok","reason":"","time_us":80,"default_time_us":100,"gain":1.25,"noise":0.02,"time":9003.0}
{"event":"done","task":"decode/small","parameters":{"block_kv":64,"lanes":16},"outcome":"ok","reason":"","time_us":80,"default_time_us":100,"gain":1.25,"noise":0.02,"verdict":"tuned","time":9004.0}
EOF

# No half page: not without gnuplot, of no journal, or into no folder; what was there stays.
echo old >"$work/page.html"
mkdir "$work/no_programs"
PATH="$work/no_programs" run "$tune" --report "$work/page.html" --journal "$work/journal"
[ "$code" -eq 1 ] || failed "exit code $code without gnuplot"
said '^error: --report needs gnuplot, and there is none in PATH'
PATH="$work/no_programs" run "$tune" --report "$work/page.html" --output "$output"
[ "$code" -eq 1 ] || failed "exit code $code: a search whose page cannot be made"
[ ! -e "$output.journal" ] || failed "searched without gnuplot"
[ "$(cat "$work/page.html")" = old ] || failed "the page was touched"

refused 2 '^error: --journal goes with --report' "$tune" --journal "$work/journal"
refused 2 '--budget and --journal exclude each other' "$tune" --report x.html --journal "$work/journal" --budget 5s

if ! command -v gnuplot >/dev/null 2>&1; then
    [ "$num_failed" -eq 0 ] || exit 1
    echo "skipped: no gnuplot"
    exit 77
fi

refused 1 '^error: cannot open .*/missing: ' "$tune" --report "$work/page.html" --journal "$work/missing"
echo '{"schema": 1, "rows": []}' >"$work/rows.json"
refused 1 'rows.json is no journal of a search' "$tune" --report "$work/page.html" --journal "$work/rows.json"
refused 1 'test_tune_page.sh:1 is no line of a journal' "$tune" --report "$work/page.html" --journal "$0"
refused 1 'cannot write .*/missing/page.html' "$tune" --report "$work/missing/page.html" --journal "$work/journal"
# A gnuplot that fails.
printf '#!/bin/sh\nexit 3\n' >"$work/no_programs/gnuplot"
chmod +x "$work/no_programs/gnuplot"
PATH="$work/no_programs:$PATH" run "$tune" --report "$work/page.html" --journal "$work/journal"
[ "$code" -eq 1 ] || failed "exit code $code with a gnuplot that fails"
said '^error: gnuplot could not draw'
[ "$(cat "$work/page.html")" = old ] || failed "the page was touched"
[ -z "$(ls "$work/tmp")" ] || failed "something is left in TMPDIR"

# described PAGE CHECK: the page is whole and needs nothing else, and a Python expression holds about `text`, what a
# reader sees, `tags`, their names in order, and `pictures`, the texts of each.
described()
{
    CHECK=$2 python3 -c '
import html.parser, os, re, sys, xml.etree.ElementTree

class Reader(html.parser.HTMLParser):
    def __init__(self):
        super().__init__()
        self.open, self.tags, self.words = [], [], []
    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        for name, value in attributes:
            assert name not in ("src", "href") and (name != "xlink:href" or value.startswith("#")), (tag, name, value)
        if tag not in ("meta", "link", "br"):
            self.open.append(tag)
    def handle_startendtag(self, tag, attributes):
        self.tags.append(tag)
    def handle_endtag(self, tag):
        assert self.open.pop() == tag, tag
    def handle_data(self, data):
        if "svg" not in self.open and "style" not in self.open:
            self.words.append(data)

page = open(sys.argv[1]).read()
reader = Reader()
reader.feed(page)
reader.close()
assert not reader.open, reader.open
tags, text = reader.tags, " ".join(" ".join(reader.words).split())
assert "<meta name=\"viewport\" content=\"width=device-width" in page
pictures = []
for svg in re.findall("<svg.*?</svg>", page, re.S):
    root = xml.etree.ElementTree.fromstring(svg)
    assert "width" not in root.attrib and root.attrib["viewBox"], root.attrib
    pictures.append([t.strip() for t in root.itertext() if t.strip()])
if not eval("(" + os.environ["CHECK"] + ")"):
    sys.exit("%s\n%s\n%s" % (tags, text, pictures))
' "$1" >"$work/check" 2>&1 || {
        tail -n 4 "$work/check"
        failed "$2"
    }
}

run "$tune" --report "$work/page.html" --journal "$work/journal"
[ "$code" -eq 0 ] || failed "exit code $code: --report --journal"
described "$work/page.html" '"script" not in tags and "a <script>alert(1)</script> & \"GPU\"" in text'
described "$work/page.html" '"decode/small 3 tiles tried. 1.25 times as fast as the default (noise 2.0 %)" in text'
described "$work/page.html" '"prefill/single 0 tiles tried. This task has not ended." in text'
described "$work/page.html" '"crashed block_kv=32 lanes=16 signal 11 <oops>" in text and
    "3 needs <b>more</b> & more" in text and "1.250 2.0 % 80 block_kv=64 lanes=16 1.000" in text'
# A picture of the time and one of the parameter that has several values; 7998.5 s between two processes do not count.
described "$work/page.html" 'len(pictures) == 2 and "seconds of the search" in pictures[0] and
    "the best so far" in pictures[0] and "block_kv" in pictures[1] and {"16", "32", "64"} <= set(pictures[1])'
described "$work/page.html" 'max(float(t) for t in pictures[0] if t.replace(".", "").isdigit()) < 60'

# At the end of a search, and of what has ended.
searched 0 --max-candidates 3 --strategy random --report "$work/search.html"
described "$work/search.html" '"4 tiles tried." in text and len(pictures) == 4 and "Left out" in text'
searched 0 --resume --strategy random --report "$work/search.html"
described "$work/search.html" '"4 tiles tried." in text and len(pictures) == 4'
searched 0 --max-candidates 1 --report "$work/one.html"
described "$work/one.html" '"2 tiles tried." in text'

finish
