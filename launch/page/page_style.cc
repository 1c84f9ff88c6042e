#include "launch/page/page_style.h"

namespace lockstep::launch {

// Colours of lines have a contrast of at least 3 to 1 against the page, texts of at least 4.5 to 1 (WCAG 2.1).
const char kPageStyle[] = R"(
:root{color-scheme:light;--back:#fff;--card:#f6f8fa;--ink:#1b1f24;--soft:#57606a;--rule:#d8dee4;
--c0:#1f6fd0;--c1:#c2570c;--c2:#1a7f37;--c3:#8250df;--c4:#cf222e;--c5:#0b7a85;--c6:#8a6508;--c7:#bf3989;
--right:31,111,208;--wrong:194,87,12;--strong:#fff;--shade:rgba(194,87,12,.09);--faint:.45}
@media (prefers-color-scheme:dark){:root{color-scheme:dark;--back:#0f1318;--card:#171c23;--ink:#e6e9ed;--soft:#a3acb7;
--rule:#30363f;--c0:#6cb0ff;--c1:#f0964e;--c2:#4cc262;--c3:#c29bff;--c4:#ff8078;--c5:#42cbd4;--c6:#d8b04a;--c7:#f783bd;
--right:108,176,255;--wrong:240,150,78;--strong:#0f1318;--shade:rgba(240,150,78,.12);--faint:.6}}
@media print{:root{color-scheme:light;--back:#fff;--card:#fff;--ink:#000;--soft:#444;--rule:#bbb;
--c0:#1f6fd0;--c1:#c2570c;--c2:#1a7f37;--c3:#8250df;--c4:#cf222e;--c5:#0b7a85;--c6:#8a6508;--c7:#bf3989;
--right:31,111,208;--wrong:194,87,12;--strong:#fff;--shade:rgba(194,87,12,.09);--faint:.5}}
*{box-sizing:border-box}
body{margin:0;background:var(--back);color:var(--ink);font:15px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,"Noto Sans",sans-serif}
main{max-width:1020px;margin:0 auto;padding:24px 20px 48px}
h1{font-size:26px;line-height:1.25;margin:0 0 4px;overflow-wrap:anywhere}
h2{font-size:19px;margin:34px 0 10px;overflow-wrap:anywhere}
h3{font-size:16px;margin:22px 0 8px}
p{margin:6px 0}
code,pre{font:12.5px/1.45 ui-monospace,"SF Mono",Menlo,Consolas,"DejaVu Sans Mono",monospace}
code{overflow-wrap:anywhere}
pre{margin:8px 0;padding:12px;background:var(--card);border:1px solid var(--rule);border-radius:6px;overflow-x:auto;white-space:pre-wrap;overflow-wrap:anywhere}
.soft,.note,footer{color:var(--soft)}
.note{font-size:13px}
footer{margin-top:40px;padding-top:10px;border-top:1px solid var(--rule);font-size:13px}
.state{display:inline-block;padding:1px 9px;border:1px solid currentColor;border-radius:11px;font-size:13px;font-weight:600;margin-right:6px}
.done{color:var(--c2)}.running,.waiting{color:var(--c0)}.stopped{color:var(--c6)}.failed,.killed{color:var(--c4)}
.says{margin:14px 0;padding:10px 14px;background:var(--card);border-left:4px solid var(--c2);border-radius:0 6px 6px 0}
.says.worse{border-left-color:var(--c1)}.says.notes{border-left-color:var(--c6)}
.says ul{margin:0;padding-left:20px}
.tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(128px,1fr));gap:10px;margin:16px 0;padding:0}
.tiles>div{background:var(--card);border:1px solid var(--rule);border-radius:6px;padding:8px 12px}
.tiles dt{color:var(--soft);font-size:13px}.tiles dd{margin:0;font-size:20px;font-weight:600;font-variant-numeric:tabular-nums}
.tiles small{display:block;font-size:12.5px;font-weight:400;color:var(--soft)}
.facts{display:grid;grid-template-columns:max-content 1fr;gap:3px 16px;margin:12px 0}
.facts dt{color:var(--soft)}.facts dd{margin:0;min-width:0;overflow-wrap:anywhere}
.charts{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,420px),1fr));gap:22px 24px;margin:10px 0}
figure{margin:0;min-width:0}main>figure{margin-top:20px}figure.wide{grid-column:1/-1}
figcaption{font-weight:600}
.scroll{overflow-x:auto}
.chart svg{display:block;width:100%;height:auto}
.wide .scroll svg{min-width:620px}
.legend{display:flex;flex-wrap:wrap;gap:0 16px;margin:2px 0 4px;padding:0;list-style:none;font-size:13px}
.legend li{overflow-wrap:anywhere}
.legend svg{display:inline-block;width:26px;height:10px;margin-right:5px;vertical-align:baseline}
.line{fill:none;stroke-width:1.8;stroke-linejoin:round;stroke-linecap:round}
.faint{stroke-width:1;stroke-opacity:var(--faint)}
.d1{stroke-dasharray:7 4}.d2{stroke-dasharray:2 4}
.c0{stroke:var(--c0)}.c1{stroke:var(--c1)}.c2{stroke:var(--c2)}.c3{stroke:var(--c3)}.c4{stroke:var(--c4)}.c5{stroke:var(--c5)}.c6{stroke:var(--c6)}.c7{stroke:var(--c7)}
.f0{fill:var(--c0)}.f1{fill:var(--c1)}.f2{fill:var(--c2)}.f3{fill:var(--c3)}.f4{fill:var(--c4)}.f5{fill:var(--c5)}.f6{fill:var(--c6)}.f7{fill:var(--c7)}
.band{fill-opacity:.18}
.shade{fill:var(--shade)}
.grid{stroke:var(--rule);stroke-width:1}
.axis{stroke:var(--soft);stroke-width:1;fill:none}
.part{stroke:var(--back);stroke-width:1}
.whole{stroke:var(--ink);stroke-width:2.2;fill:none}
.mark{stroke:var(--soft);stroke-width:1;stroke-dasharray:3 3}
.triangle{fill:var(--soft)}
.label{font-size:12px;fill:var(--soft);font-family:system-ui,-apple-system,"Segoe UI",Roboto,"Noto Sans",sans-serif}
.shade-label{fill:var(--c1)}
.part-label{fill:var(--strong);pointer-events:none}
table{border-collapse:collapse;font-size:13px;font-variant-numeric:tabular-nums}
th,td{padding:4px 7px;text-align:left;border-bottom:1px solid var(--rule);vertical-align:top}
th{color:var(--soft);font-weight:600}
thead th{vertical-align:bottom}
td.n,th.n{text-align:right}td.n,td.whole{white-space:nowrap}
.within td:first-child{padding-left:24px}.within .bar span{opacity:.55}
.bar{min-width:110px}
.bar span{display:block;height:10px;margin-top:6px;background:var(--c0);border-radius:2px;print-color-adjust:exact;-webkit-print-color-adjust:exact}
.heat td{min-width:34px;padding:4px 6px;text-align:center;border:1px solid var(--back);print-color-adjust:exact;-webkit-print-color-adjust:exact}
.heat th{padding:4px 6px;border:0}
.heat tbody th{text-align:right;white-space:nowrap}
.heat thead th{text-align:center}
.heat .up span{writing-mode:vertical-rl;transform:rotate(180deg);max-height:150px;overflow-wrap:anywhere}
)"
                          // Ten strengths: of answers that are right, and of wrong ones.
                          R"(
.r1{background:rgba(var(--right),.08)}.r2{background:rgba(var(--right),.16)}.r3{background:rgba(var(--right),.24)}.r4{background:rgba(var(--right),.32)}.r5{background:rgba(var(--right),.4)}
.r6{background:rgba(var(--right),.48)}.r7{background:rgba(var(--right),.8);color:var(--strong)}.r8{background:rgba(var(--right),.87);color:var(--strong)}.r9{background:rgba(var(--right),.94);color:var(--strong)}.r10{background:rgb(var(--right));color:var(--strong)}
.w1{background:rgba(var(--wrong),.12)}.w2{background:rgba(var(--wrong),.2)}.w3{background:rgba(var(--wrong),.28)}.w4{background:rgba(var(--wrong),.36)}.w5{background:rgba(var(--wrong),.42)}
.w6{background:rgba(var(--wrong),.5)}.w7{background:rgba(var(--wrong),.84);color:var(--strong)}.w8{background:rgba(var(--wrong),.89);color:var(--strong)}.w9{background:rgba(var(--wrong),.95);color:var(--strong)}.w10{background:rgb(var(--wrong));color:var(--strong)}
.worst{display:grid;grid-template-columns:repeat(auto-fill,minmax(190px,1fr));gap:12px;margin:10px 0}
.worst.texts{grid-template-columns:repeat(auto-fill,minmax(min(100%,300px),1fr))}
.worst>div{background:var(--card);border:1px solid var(--rule);border-radius:6px;padding:10px;overflow-wrap:anywhere;font-size:13.5px;break-inside:avoid}
.worst img{display:block;width:auto;height:96px;max-width:100%;image-rendering:pixelated;margin-bottom:6px;background:#fff}
.worst.drawn{grid-template-columns:repeat(auto-fill,minmax(min(100%,420px),1fr))}
.worst.drawn img{height:auto;width:100%;max-width:400px;image-rendering:auto}
details{margin:14px 0;border:1px solid var(--rule);border-radius:6px;padding:8px 14px}
summary{cursor:pointer;font-weight:600;overflow-wrap:anywhere}
details[open]>summary{margin-bottom:8px}
@media (max-width:560px){main{padding:16px 12px 32px}.facts{grid-template-columns:1fr;gap:0}.facts dd{margin-bottom:6px}h1{font-size:22px}}
@media print{@page{margin:14mm}body{font-size:10.5pt}main{max-width:none;padding:0}figure,.tiles>div,.says,tr{break-inside:avoid}
h2,h3,figcaption{break-after:avoid}.scroll{overflow:visible}.wide .scroll svg{min-width:0}.charts{grid-template-columns:1fr 1fr}pre{border:0;padding:0}}
)";

}  // namespace lockstep::launch
