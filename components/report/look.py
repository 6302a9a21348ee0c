"""Style and script of the page."""

STYLE = """
:root{--bg:#f6f7f9;--card:#fff;--ink:#1c2430;--soft:#66707f;--line:#e3e7ec;--err:#b3261e;--errbg:#fdecea;
  --warn:#8a5a00;--warnbg:#fff4dc;--s0:#2f6fed;--s1:#0f9d8a;--s2:#b4581a;--s3:#8e44ad;--s4:#5b7f11;
  --s5:#c2185b}
@media(prefers-color-scheme:dark){
:root{--bg:#12161c;--card:#1b212a;--ink:#e6eaf0;--soft:#98a3b3;--line:#2c3542;--err:#ff8a80;
  --errbg:#3b1d1d;--warn:#ffcf70;--warnbg:#35290f;--s0:#6ea1ff;--s1:#3ccfba;--s2:#f0965a;--s3:#c792ea;
  --s4:#a5cc55;--s5:#ff79ac}}
*{box-sizing:border-box}
body{margin:0;background:var(--bg);color:var(--ink);
  font:14px/1.45 system-ui,-apple-system,"Segoe UI",Roboto,"DejaVu Sans",sans-serif}
main{max-width:1240px;margin:0 auto;padding:28px 20px 60px}
h1{font-size:24px;margin:0 0 4px}
h2{font-size:17px;margin:30px 0 10px}
.lead{color:var(--soft);margin:0 0 18px}
.tiles{display:flex;flex-wrap:wrap;gap:12px}
.tile{background:var(--card);border:1px solid var(--line);border-radius:10px;padding:10px 16px;
  min-width:130px;border-top:3px solid var(--c,var(--line))}
.tile b{display:block;font-size:20px;font-variant-numeric:tabular-nums}
.tile span{color:var(--soft)}
.tools{position:sticky;top:0;z-index:2;background:var(--bg);padding:10px 0;display:flex;gap:10px;
  flex-wrap:wrap;align-items:center}
input,select{font:inherit;color:inherit;background:var(--card);border:1px solid var(--line);
  border-radius:8px;padding:7px 10px}
input{flex:1;min-width:200px}
#count{color:var(--soft)}
article{background:var(--card);border:1px solid var(--line);border-radius:10px;padding:14px 16px;
  margin:0 0 12px;content-visibility:auto;contain-intrinsic-size:auto 260px}
article[hidden]{display:none}
header{display:flex;gap:8px;align-items:center;flex-wrap:wrap;margin-bottom:8px}
h3{margin:0;font-size:16px;overflow-wrap:anywhere}
.tag{font-size:12px;border:1px solid var(--line);border-radius:99px;padding:1px 9px;color:var(--soft)}
.tag.error,.sev.error{color:var(--err);background:var(--errbg);border-color:transparent}
.tag.warning,.sev.warning{color:var(--warn);background:var(--warnbg);border-color:transparent}
.note{margin:0 0 8px;padding:6px 10px;border-radius:6px;overflow-wrap:anywhere}
.note.error{background:var(--errbg);color:var(--err)}
.note.warning{background:var(--warnbg);color:var(--warn)}
.splits{display:grid;grid-template-columns:repeat(auto-fit,minmax(250px,1fr));gap:20px}
section{--c:var(--s0);min-width:0}
.s1{--c:var(--s1)}
.s2{--c:var(--s2)}
.s3{--c:var(--s3)}
.s4{--c:var(--s4)}
.s5{--c:var(--s5)}
.s0{--c:var(--s0)}
h4{margin:0 0 6px;font-size:13px;color:var(--c);font-weight:600}
dl{display:grid;grid-template-columns:minmax(116px,max-content) 1fr;gap:1px 12px;margin:0 0 6px;
  font-variant-numeric:tabular-nums}
dt{color:var(--soft)}
dd{margin:0}
dd i{color:var(--soft);font-style:normal;font-size:12px}
dd b{font-weight:600}
b.high{color:var(--err)}
svg{display:block;width:100%;max-width:320px;margin-top:6px;overflow:visible}
.b{fill:var(--c);opacity:.85}
.a{stroke:var(--line)}
.w{stroke:var(--soft);stroke-width:1}
.q{fill:var(--c);opacity:.35}
.m{stroke:var(--ink);stroke-width:2}
.axis{display:flex;justify-content:space-between;max-width:320px;margin:1px 0 0;color:var(--soft);
  font-size:11px}
.small svg{max-width:200px}
table{border-collapse:collapse}
.top{width:100%;max-width:340px;table-layout:fixed;margin:2px 0 4px}
.top td{padding:1px 6px 1px 0}
.top td:first-child{width:46%;overflow:hidden;text-overflow:ellipsis;white-space:nowrap}
.top td:last-child{width:54px;text-align:right;color:var(--soft);font-variant-numeric:tabular-nums;
  padding:0}
.bar{background:var(--c);opacity:.8;height:9px;border-radius:2px;min-width:1px}
.pictures{display:flex;flex-wrap:wrap;gap:4px;margin:6px 0}
.pictures img{display:block;border-radius:3px;image-rendering:pixelated;min-height:32px}
.more,.none{color:var(--soft);margin:0 0 4px;font-size:12px}
.plain{background:var(--card);width:100%;border:1px solid var(--line)}
.plain th,.plain td{text-align:left;padding:6px 10px;border-bottom:1px solid var(--line);
  vertical-align:top;overflow-wrap:anywhere}
.plain th{color:var(--soft);font-weight:500;white-space:nowrap}
.plain .key,.plain .num{white-space:nowrap;overflow-wrap:normal}
.plain .name{min-width:9em}
.sev{white-space:nowrap;border-radius:99px;padding:1px 9px;font-size:12px}
a{color:inherit}
details{margin-top:10px}
summary{cursor:pointer;color:var(--soft)}
code{font-size:12px}
.ok{color:var(--s1)}
"""

SCRIPT = """
(function(){var list=document.getElementById("list"),all=Array.prototype.slice.call(list.children),
find=document.getElementById("find"),sort=document.getElementById("sort"),type=document.getElementById("type"),
count=document.getElementById("count");
function shown(){var q=find.value.toLowerCase(),n=0;all.forEach(function(a){
var is=a.dataset.n.indexOf(q)>=0&&(!type.value||a.dataset.t===type.value);a.hidden=!is;n+=is});
count.textContent=n+" of "+all.length+" columns"}
function order(){var k=sort.value,by=all.slice();if(k==="n")by.sort(function(a,b){
return a.dataset.n<b.dataset.n?-1:1});else if(k)by.sort(function(a,b){return b.dataset[k]-a.dataset[k]});
var f=document.createDocumentFragment();by.forEach(function(a){f.appendChild(a)});list.appendChild(f)}
find.addEventListener("input",shown);type.addEventListener("change",shown);sort.addEventListener("change",order);
shown()})();
"""
