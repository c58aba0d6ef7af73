"""The page itself: empty, until its script asks how the runs stand."""

from __future__ import annotations

from pathlib import Path

from w2s_rm.render.page import base_style, document

_FOLDER = Path(__file__).parent
_BODY = """\
<h1>Runs</h1>
<p id="folder"></p>
<p id="told" role="status"></p>
<noscript><p>This page is filled by its script, which does not run here.</p></noscript>
<div id="runs"></div>
<section id="compare" hidden>
<h2>Compare two runs</h2>
<div class="controls">
<label>first <select id="first"></select></label>
<label>second <select id="second"></select></label>
</div>
<p id="note"></p>
<div class="scroll" tabindex="0" role="region" aria-label="Two runs side by side"><table id="sides"></table></div>
</section>"""


def view_page() -> str:
    """Return the page."""
    own_style, script = ((_FOLDER / name).read_text(encoding="utf-8") for name in ("view.css", "view.js"))
    return document("Runs", _BODY, style=base_style() + own_style, script=script, connects=True)
