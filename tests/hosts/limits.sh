#!/usr/bin/env bash
# limits.sh: a study over two hosts measures them and the link between them: cables that are made to carry 200 Mbit/s are said to carry
# that, less what headers take, each way by itself; and a projection from the study takes the measured link for its network.
set -uo pipefail
source "$(dirname "$0")/cluster.sh"
command -v tc >/dev/null || missing "there is no tc here (Debian: iproute2)"
start_hosts 1 2 3

# carries HOST MBIT: what the host sends, from now on.
carries() {
  nsenter --net="/proc/${first_process[$1]}/ns/net" \
    tc qdisc replace dev e0 root tbf rate "$2mbit" burst 128kb latency 100ms 2>"$work/stderr" ||
    missing "this kernel shapes no links (tbf): $(cat "$work/stderr")"
}
carries h1 200
carries h2 200
carries h3 50

name="links of three hosts"
on h1 mpirun --host h1,h2:2,h3 -n 4 "$lockstep" measure-limits --cores 1 --out "$work/limits.json" </dev/null >"$work/stdout" 2>"$work/stderr" ||
  fail "$name: they can't be measured"
python3 - "$work/limits.json" <<'END' || fail "$name: $(cat "$work/limits.json")"
import json, sys
limits = json.load(open(sys.argv[1]))
assert [h["name"] for h in limits["hosts"]] == ["h1", "h2", "h3"], limits
assert all(h["matrix_gflops"] > 0 and h["copy_gb_s"] > 0 and h["cores"] == 1 for h in limits["hosts"]), limits
links = {(l["from"], l["to"]): l for l in limits["links"]}
pairs = [(a, b) for a in ("h1", "h2", "h3") for b in ("h1", "h2", "h3") if a != b]
assert sorted(links) == sorted(pairs + [("h2", "h2")]), links
for (a, b), link in sorted(links.items()):
    print(f"{a} -> {b}: {link['gbit'] * 1e3:.1f} Mbit/s, {link['latency_us']:.0f} us")
    if a == b:
        continue
    shaped = 0.05 if a == "h3" else 0.2
    assert abs(link["gbit"] / shaped - 1) < 0.15, (a, b, link)
    assert 0 < link["latency_us"] < 1e5, (a, b, link)
END

name="a study over two hosts"
study=$work/study
on h1 "$lockstep" scale "$digits" --ranks 1,2 --repeats 1 --steps 40 --executors 1 --hosts h1:1,h2:1 --anyway --out "$study" \
  </dev/null >"$work/stdout" 2>"$work/stderr" || fail "$name: it failed"
has "links between hosts carry 0.1" || has "links between hosts carry 0.2" || fail "$name: the link is not said"
has "its link alone would take" || fail "$name: the step's link time is not said"
grep -q "What hosts and links can do" "$study/report.html" || fail "$name: the report has no table of links"
grep -q "| h1 | 1 |" "$study/report.md" || fail "$name: report.md has no table of hosts"
grep -E "links between|link alone" "$work/stdout"

name="a projection from it"
on h1 "$lockstep" project "$study" --ranks 2,4 --network ranks_per_host=1 </dev/null >"$work/stdout" 2>"$work/stderr" || fail "$name: it failed"
grep -q "^measured: .*links of 0\.[12][0-9]* Gbit/s each way" "$work/stdout" || fail "$name: it does not say that its links are the study's"
on h1 "$lockstep" project "$study" --ranks 2 --network ranks_per_host=1,gbit=10 </dev/null >"$work/stdout" 2>"$work/stderr" || fail "$name: it failed"
grep -q "^assumed: .*links of 10 Gbit/s" "$work/stdout" || fail "$name: what is said of the network does not hold"
echo "limits: measured as shaped"
