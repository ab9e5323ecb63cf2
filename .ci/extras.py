"""What the site has beyond its notebooks: pages made while it is built, links to the glossary, captions, notebooks to take along, a search
that finds guides first, pictures that grow. `.ci/docs.py` calls it; the functions take `_proc/`, where the project lies before it is
rendered, or `_docs/`, the site.
"""
import json, os, re, shutil, sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
MADE_FRESH = ('reference.ipynb', 'gallery.ipynb') # nothing of them is stored, so they cannot be stale
GUIDES = ('tutorials', 'explanations')

def source(cell): return ''.join(cell['source'])
def read(path): return json.loads(path.read_text(encoding='utf-8'))
def write(path, nb): path.write_text(json.dumps(nb), encoding='utf-8')
def guides(proc): return [p for folder in GUIDES for p in sorted((proc/folder).glob('*.ipynb'))]

# ---- pages

def run_fresh(proc, nbs):
    "Run the pages that are made from modules and notebooks, and keep what their last cell shows"
    from execnb.nbio import read_nb
    from execnb.shell import CaptureShell
    here = os.getcwd()
    for name in MADE_FRESH:
        os.chdir(nbs)
        try: CaptureShell().run_all(nb := read_nb(nbs/name), exc_stop=True)
        finally: os.chdir(here)
        shown = [json.loads(json.dumps(o)) for o in nb.cells[-1].outputs]
        page = read(proc/name)
        last = [c for c in page['cells'] if c['cell_type'] == 'code'][-1]
        last['outputs'] = shown
        write(proc/name, page)

def add_changelog(proc, root):
    "CHANGELOG.md as a page"
    text = (root/'CHANGELOG.md').read_text(encoding='utf-8').partition('\n')[2]
    head = '---\ntitle: Changelog\ndescription: What a user notices, newest first\n---\n'
    (proc/'changelog.qmd').write_text(head + text, encoding='utf-8')

def add_version(proc, version):
    "The version at the foot of every page"
    path = proc/'_quarto.yml'
    text = path.read_text(encoding='utf-8')
    if 'VERSION' not in text: sys.exit('nbs/_quarto.yml does not say where the VERSION goes')
    path.write_text(text.replace('VERSION', version), encoding='utf-8')

# ---- words

MARKED = re.compile('|'.join([ # code, formulas, links, tags, attributes, headings, tables, addresses
    r'```.*?```', r'`[^`\n]*`', r'\$[^$\n]+\$', r'!?\[[^\]]*\]\([^)]*\)', r'<[^>]+>', r'\{[^}\n]*\}',
    r'^#[^\n]*$', r'^\|[^\n]*$', r'https?://\S+']), re.S | re.M)

def terms(glossary):
    "Word → (anchor, what it means), from the headings of the glossary"
    found = {}
    for text in map(source, read(glossary)['cells']):
        if not (m := re.match(r'### (.+)\n\n(.+)', text)): continue
        anchor = re.sub(r'[^\w]+', '-', m[1].lower()).strip('-')
        plain = re.sub(r'\[([^\]]+)\]\([^)]*\)', r'\1', m[2])
        for word in m[1].split(', '): found[word] = anchor, plain.replace('`', '').replace('"', "'")
    return found

def link_first(text, word, link):
    "Text with the first use of a word as a link; None when it is not used outside of code, links, headings and tables"
    barred = [m.span() for m in MARKED.finditer(text)]
    same_case = word.isupper() or word[:2].isupper()
    for m in re.finditer(rf'(?<![\w*/-]){re.escape(word)}s?(?![\w-])', text, 0 if same_case else re.I):
        if not any(a <= m.start() < b for a, b in barred): return text[:m.start()] + link(m[0]) + text[m.end():]

def link_terms(proc):
    "The first use of each word of the glossary, on guides and pages of evidence, leads to the glossary"
    words, n = terms(proc/'glossary.ipynb'), 0
    for path in guides(proc):
        nb = read(path)
        cells = [c for c in nb['cells'][1:] if c['cell_type'] == 'markdown']
        done = set()
        for word, (anchor, meaning) in words.items():
            def link(said): return f'[{said}](../glossary.ipynb#{anchor}){{.term title="{meaning}"}}'
            for cell in cells if anchor not in done else []:
                if (linked := link_first(source(cell), word, link)) is None: continue
                cell['source'], n = linked, n + 1
                done.add(anchor)
                break
        write(path, nb)
    return n

# ---- figures

def last_sentence(markdown):
    "What the prose above a figure ends with, without its marks"
    text = re.sub(r'\[([^\]]*)\]\([^)]*\)(?:\{[^}]*\})?', r'\1', markdown)
    parts = re.split(r'\n\s*\n', text.strip())
    lines = [l for l in parts if l.strip() and not l.strip().startswith(('|', '```', '>', '$$'))]
    text = ' '.join(re.sub(r'[*`#_]|^[-\d.]+ ', '', lines[-1] if lines else '').split())
    return re.split(r'(?<=[.:?!])\s+(?=[A-Z])', text)[-1].rstrip(': ').rstrip('.') + '.'

def caption_all(proc):
    "Where a cell names no caption, it is the sentence above the figure"
    for path in sorted(proc.rglob('*.ipynb')):
        nb, said = read(path), ''
        for cell in nb['cells']:
            if cell['cell_type'] == 'markdown': said = source(cell)
            pictures = [o for o in cell.get('outputs', []) if any(k.startswith('image/') for k in o.get('data', {}))]
            if not pictures or 'fig-cap' in source(cell): continue
            text = json.dumps(last_sentence(said), ensure_ascii=False)
            cell['source'] = f'#| fig-cap: {text}\n#| fig-alt: {text}\n' + source(cell)
        write(path, nb)

class Figures:
    "Pictures of a page without words"
    IMG = re.compile(r'<img\b[^>]*>')
    def __init__(self, path):
        text = path.read_text(encoding='utf-8')
        main = text[text.find('<main'):text.find('</main>')]
        self.n, self.bad = 0, []
        for m in self.IMG.finditer(main):
            self.n += 1
            name = re.sub(r'base64,[^"]*', '…', m[0])[:90]
            thumb = main.rfind('class="thumb"', 0, m.start()) > main.rfind('</a>', 0, m.start())
            if not thumb and not re.search(r'\balt="[^"]+"', m[0]): self.bad.append(f'{name} without alternative text')
            opened, closed = main.rfind('<figure', 0, m.start()), main.rfind('</figure>', 0, m.start())
            end = main.find('</figure>', m.end())
            by_itself = thumb or 'img-fluid' not in m[0] # a result that introduces itself has its words beside it
            captioned = opened >= 0 and opened >= closed and '<figcaption' in main[opened:end]
            if not by_itself and not captioned: self.bad.append(f'{name} without a caption')

def wordless(docs):
    "(Figures without alternative text or caption, number of figures)"
    pages = {p: Figures(p) for p in sorted(docs.rglob('*.html'))}
    return [f'{p.relative_to(docs)}: {b}' for p, f in pages.items() for b in f.bad], sum(f.n for f in pages.values())

# ---- what a tutorial offers

def offers(proc, docs_url, git_url):
    "How long a tutorial takes, and the notebook to take along or to open in Colab"
    costs = read(ROOT/'.ci'/'tutorials.json')
    there = f"https://colab.research.google.com/github/{git_url.split('github.com/')[1]}/blob/main/nbs/tutorials"
    for path in sorted((proc/'tutorials').glob('*.ipynb')):
        nb, cost = read(path), costs.get(path.stem)
        takes = 'nothing to run: its numbers are read from stored results'
        if cost: takes = f"{cost['cells']} cells, {cost['says']}"
        text = (f'<p class="offers"><span>{takes}</span> <a href="{path.name}" download>Download notebook</a> '
                f'<a href="{there}/{path.name}">Open in Colab</a> '
                f'<small>(in Colab first: <code>!pip install git+{git_url}</code>)</small></p>')
        nb['cells'].insert(1, dict(cell_type='markdown', metadata={}, source=f'```{{=html}}\n{text}\n```'))
        write(path, nb)

def take_along(docs, nbs):
    "The notebooks of the tutorials, beside their pages, and all pictures"
    shutil.copytree(nbs/'images', docs/'images', dirs_exist_ok=True)
    for path in sorted((nbs/'tutorials').glob('*.ipynb')): shutil.copy(path, docs/'tutorials')

# ---- search

ADDED = {
    'explanations/outside.html': 'AUC AUROC external validation generalisation sensitivity specificity',
    'explanations/model_card.html': 'AUC AUROC accuracy performance metrics',
    'explanations/data_card.html': 'license licence terms dataset',
    'faq.html': 'FAQ GPU cuda memory license JSON batch troubleshooting error',
    'tutorials/own_data.html': 'class names labels CSV folder train fine-tune batch',
    'tutorials/own_classes.html': 'class names labels',
    'tutorials/four_classes.html': 'class names labels own classes',
    'tutorials/screen_archive.html': 'batch folder many films JSON CSV',
    'tutorials/explain.html': 'JSON save predict inference saliency x-ray',
    'tutorials/archive_to_archive.html': 'PACS DICOM batch',
    'tutorials/batch.html': 'batch folder many films JSON CSV docker container cron exit status',
    'cli.html': 'batch JSON GPU command line shell',
    'index.html': 'license install citation bibtex'}

def weight(href):
    "How early a page is shown: guides before evidence before reference"
    if href.startswith('tutorials/') or href.startswith(('index.html', 'faq.html')): return 0
    return 1 if href.startswith('explanations/') or href.startswith('glossary') else 2

TESTS = re.compile(r'^\s*(?:test_\w+\(|assert\b|with expect)', re.M)

def tests_of(proc):
    "Page → the text of its cells that test, as the index holds it"
    found = {}
    for path in proc.glob('*.ipynb'):
        code = [source(c) for c in read(path)['cells'] if c['cell_type'] == 'code']
        plain = [re.sub(r'^#\|.*\n', '', s, flags=re.M) for s in code]
        found[path.with_suffix('.html').name] = [' '.join(s.split()) for s in plain if TESTS.search(s)]
    return found

def better_search(proc, docs):
    "Guides first, no tests, and the words that people type"
    path = docs/'search.json'
    entries, tests = read(path), tests_of(proc)
    for e in entries:
        page = e['href'].partition('#')[0]
        for text in tests.get(page, ()): e['text'] = e['text'].replace(text, '')
        if '#' not in e['href'] and page in ADDED: e['also'] = ADDED[page].lower()
        e['text'] = ' '.join(e['text'].split())
    entries.sort(key=lambda e: weight(e['href']))
    path.write_text(json.dumps(entries, ensure_ascii=False), encoding='utf-8')
    script = docs/'site_libs'/'smalldocs.js'
    text = script.read_text(encoding='utf-8')
    old = 'fuse.search(q, { limit }).map((h) => h.item)'
    new = ('index.map((e, i) => [e, i]).map(([e, i]) => [e, i, window.dceRank(e, q)]).filter((h) => h[2] > 0)'
           '.sort((a, b) => b[2] - a[2] || a[1] - b[1]).slice(0, limit).map((h) => h[0])')
    if text.count(old) != 1: sys.exit('smalldocs.js searches in another way: mend better_search')
    script.write_text(f'{rank()}\n{text.replace(old, new)}', encoding='utf-8')

def rank():
    "How well an entry of the index answers, in JavaScript: all words must be there; titles and guides count more"
    return '''window.dceRank = (e, q) => {
  const words = q.toLowerCase().split(/\\s+/).filter(Boolean)
  const text = e.text.toLowerCase(), title = e.title.toLowerCase(), part = e.section.toLowerCase()
  const whole = (t, w) => new RegExp('(^|[^a-z0-9])' + w.replace(/[.*+?^${}()|[\\]\\\\]/g, '\\\\$&') + '(s|es)?([^a-z0-9]|$)').test(t)
  let score = 0
  for (const w of words) {
    const s = 6*title.includes(w) + 4*part.includes(w) + 3*whole(text, w) + 2*whole(title, w) + text.includes(w) + 7*whole(e.also || '', w)
    if (!s) return 0
    score += s
  }
  return score * (/^(tutorials|index|faq)/.test(e.href) ? 3 : /^(explanations|glossary)/.test(e.href) ? 2 : 1)
}'''

# ---- pages in a browser

ENLARGE = '''// A click on a figure shows it as large as the screen; Escape, or another click, closes it
document.querySelectorAll('main.content img').forEach(img => {
  if (img.closest('.dce, a, .thumbs')) return // a report enlarges its films itself
  const button = document.createElement('button')
  Object.assign(button, {type: 'button', className: 'enlarge'})
  button.setAttribute('aria-label', 'Enlarge: ' + (img.alt || 'figure'))
  img.replaceWith(button)
  button.append(img)
  button.addEventListener('click', () => {
    const dialog = document.createElement('dialog'), close = document.createElement('button'), large = img.cloneNode()
    Object.assign(close, {type: 'button', className: 'close', textContent: 'Close'})
    dialog.className = 'enlarged'
    dialog.setAttribute('aria-label', img.alt || 'figure')
    dialog.append(close, large)
    dialog.addEventListener('click', () => dialog.close())
    dialog.addEventListener('close', () => { dialog.remove(); button.focus() })
    document.body.append(dialog)
    dialog.showModal()
  })
})
// What is wider than the screen can be scrolled with the keyboard, too
document.querySelectorAll('main.content pre, .cell-output-display, .dce-wide, main.content table').forEach(e => {
  if (e.scrollWidth > e.clientWidth + 1 && !e.matches('[tabindex]')) e.tabIndex = 0
})
'''

def enlarge(docs):
    "Every page gets the script that enlarges figures"
    (docs/'site_libs'/'enlarge.js').write_text(ENLARGE, encoding='utf-8')
    for path in docs.rglob('*.html'):
        up = '../'*(len(path.relative_to(docs).parts) - 1)
        script = f'<script src="{up}site_libs/enlarge.js" defer></script>'
        text = path.read_text(encoding='utf-8').replace('</body>', f'{script}</body>', 1)
        path.write_text(text, encoding='utf-8')

PICTURE = re.compile(r'<img\b[^>]*src="data:image/png;base64,([^"]+)"[^>]*>')

def is_chart(data):
    "Whether a picture is mostly paper, with hardly a grey that a film would have"
    import base64, io
    import numpy as np
    from PIL import Image
    x = np.asarray(Image.open(io.BytesIO(base64.b64decode(data))).convert('RGB')).astype(int)
    grey = (x.max(-1) - x.min(-1) < 8) & (x.max(-1) > 20) & (x.max(-1) < 230)
    return (x.min(-1) > 245).mean() > .5 and grey.mean() < .12

def mark_charts(docs):
    "Lines and bars on white get a class, so that a dark page can show them on dark"
    n = 0
    for path in docs.rglob('*.html'):
        def marked(m):
            nonlocal n
            if 'class="' not in m[0] or not is_chart(m[1]): return m[0]
            n += 1
            return m[0].replace('class="', 'class="chart ', 1)
        path.write_text(PICTURE.sub(marked, path.read_text(encoding='utf-8')), encoding='utf-8')
    return n

NAMED = { # tag → tag with what a screen reader says
    '<nav class="navbar ': '<nav aria-label="Top" class="navbar ',
    '<nav class="quarto-secondary-nav"': '<nav aria-label="Where you are" class="quarto-secondary-nav"',
    '<nav id="quarto-sidebar"': '<nav aria-label="All pages" id="quarto-sidebar"',
    '<nav id="TOC"': '<nav aria-label="On this page" id="TOC"',
    '<nav class="page-navigation"': '<nav aria-label="Next and previous" class="page-navigation"',
    '<nav class="quarto-page-breadcrumbs quarto-title-breadcrumbs d-none d-lg-block" aria-label="breadcrumb"':
    '<nav class="quarto-page-breadcrumbs quarto-title-breadcrumbs d-none d-lg-block" aria-label="Path to this page"',
    '<div id="quarto-margin-sidebar"':
    '<div role="complementary" aria-label="Beside the page" id="quarto-margin-sidebar"',
}
BUTTON = re.compile(r'(quarto-btn-toggle btn"[^>]*) aria-label="[^"]*"(><i class="bi [^"]*")[^>]*></i>')
SOURCE = re.compile(r'/blob/main/(?:[\w-]+/)*([\w-]+\.ipynb)" class="toc-action"')

def accessible(docs, nbs):
    """What axe-core finds in the template: landmarks get names, icons none, the button for the sidebar says so

    And *View source* leads to the notebook."""
    where = {re.sub(r'^\d+[a-z]?_', '', p.name): p.relative_to(nbs).as_posix() for p in nbs.rglob('*.ipynb')}
    def view(m): return f'/blob/main/nbs/{where.get(m[1], m[1])}" class="toc-action"'
    for path in docs.rglob('*.html'):
        text = path.read_text(encoding='utf-8')
        for old, new in NAMED.items(): text = text.replace(old, new)
        text = re.sub(r'(<a class="sidebar-item-t[^>]*?) role="navigation"', r'\1 role="button"', text)
        text = re.sub(r'<th( class="blank[^"]*"|)( *)>(?:&nbsp;|\s)*</th>', r'<td\1></td>', text)
        text = BUTTON.sub(r'\1\2 aria-hidden="true"></i><span class="all-pages">All pages</span>', text)
        text = re.sub(r'(<i class="bi [^"]*") role="img"', r'\1 aria-hidden="true"', text)
        text = SOURCE.sub(view, text)
        path.write_text(text.replace('/blob/main/changelog.qmd', '/blob/main/CHANGELOG.md'), encoding='utf-8')

def own_fonts(docs):
    "Style sheets fetch nothing from another host: the fonts are the system's"
    for path in docs.rglob('*.css'):
        text = path.read_text(encoding='utf-8')
        text = re.sub(r'@import url\(https?://[^)]*\);', '', text)
        found = re.search(r'@import[^;]*//|url\(["\']?(?:https?:)?//', text)
        if found: sys.exit(f'{path.name} fetches {text[found.start():found.start()+90]}')
        path.write_text(text, encoding='utf-8')
