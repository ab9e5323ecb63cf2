"""Build the documentation site in `_docs/` from the notebooks, without Quarto.

    python .ci/docs.py

nbdev turns the notebooks into a website project (`_proc/`), smalldocs renders it, formulas become MathML, and every internal link and
anchor of the result is followed. `24_lrp.ipynb` becomes `lrp.html`, as nbdev's own links expect.
"""
import html, json, os, re, shutil, sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

sys.path.insert(0, str(Path(__file__).parent))
import extras

os.environ.setdefault('MPLBACKEND', 'Agg')
ROOT = Path(__file__).resolve().parent.parent
NUMBERED = re.compile(r'(?<![\w.])\d+[a-z]?_(?=\w+\.ipynb$)', re.M)                # in a file's name
LINK = re.compile(r'(\]\((?:[^()\s]*/)?)\d+[a-z]?_(?=\w+\.(?:ipynb|html)[)#])') # in a link's target

PRIVATE = re.compile(r'\[(`_\w+`)\]\([^)]*\)') # no page has an anchor for it

def listed(entries):
    "The notebooks that a sidebar names, in order"
    for e in entries:
        if isinstance(e, str): yield e
        elif 'contents' in e: yield from listed(e['contents'])
        elif e.get('href', '').endswith('.ipynb'): yield e['href']

def check_sidebar(nbs):
    "Stop when the sidebar and the folder name different notebooks"
    import yaml
    sidebar = yaml.safe_load((nbs/'sidebar.yml').read_text(encoding='utf-8'))['website']['sidebar']
    named = list(listed(sidebar['contents']))
    found = {p.relative_to(nbs).as_posix() for p in nbs.rglob('*.ipynb')}
    found = {n for n in found if not re.search(r'/[._]', f'/{n}')}
    wrong = [f'{n} is in nbs/ but not in nbs/sidebar.yml' for n in sorted(found - set(named))]
    wrong += [f'{n} is in nbs/sidebar.yml but not in nbs/' for n in named if n not in found]
    wrong += [f'{n} is twice in nbs/sidebar.yml' for n in sorted(set(named)) if named.count(n) > 1]
    if wrong: sys.exit('\n'.join(wrong))

def process(root):
    "`nbs/` as a website project in `_proc/`: imports run, `show_doc` expanded, names linked"
    from nbdev.config import get_config
    from nbdev.doclinks import _build_modidx
    from nbdev.quarto import refresh_quarto_yml
    from nbdev.serve import proc_nbs
    refresh_quarto_yml()
    _build_modidx()
    proc = root/'_proc'
    shutil.rmtree(proc, ignore_errors=True)
    proc_nbs(n_workers=min(2, os.cpu_count() or 1))
    missing = [p.name for p in get_config().nbs_path.rglob('*.ipynb') if '.ipynb_checkpoints' not in p.parts
               and not (proc/p.relative_to(get_config().nbs_path)).exists()]
    if missing: sys.exit(f'not processed: {missing}')
    return proc

def plain_code(text):
    "Code blocks without the links that nbdev puts around names in them"
    return re.sub(r'^```.*?^```', lambda m: re.sub(r'\[(`[^`\]]+`)\]\([^)]*\)', r'\1', m[0]), text, flags=re.M | re.S)

def rename_pages(proc, site):
    "`24_lrp.ipynb` → `lrp.ipynb`, and so in every link; links to our own `site` become relative"
    for path in proc.glob('*.yml'):
        path.write_text(NUMBERED.sub('', path.read_text(encoding='utf-8')), encoding='utf-8')
    for path in [*proc.rglob('*.ipynb')]:
        nb = json.loads(path.read_text(encoding='utf-8'))
        up = '../'*(len(path.relative_to(proc).parts) - 1)
        mend = lambda text: LINK.sub(r'\1', PRIVATE.sub(r'\1', plain_code(''.join(text))).replace(f'{site}/', up))
        for cell in nb['cells']:
            if cell['cell_type'] == 'markdown': cell['source'] = mend(cell['source'])
            for data in (out.get('data', {}) for out in cell.get('outputs', [])):
                if 'text/markdown' in data: data['text/markdown'] = mend(data['text/markdown'])
        path.unlink()
        path.with_name(NUMBERED.sub('', path.name)).write_text(json.dumps(nb), encoding='utf-8')

def render(proc, docs):
    "smalldocs makes the pages; a warning of its is an error of ours"
    from smalldocs.site import build
    site = build(proc, quiet=True)
    warnings = [w for w in site.warnings if not w.endswith('output-file is not read by smalldocs')] # `rename_pages` did that
    if warnings: sys.exit('smalldocs warns:\n' + '\n'.join(warnings))
    shutil.rmtree(docs, ignore_errors=True)
    shutil.move(site.out, docs)
    (docs/'.nojekyll').touch()
    return len(site.pages)

MATHS = re.compile(r'<span class="math (inline|display)">(.*?)</span>', re.S)
ELSEWHERE = re.compile(r'<link[^>]+rel="stylesheet"[^>]+href="https?://[^>]*>'
                       r'|<script[^>]+src="https?://[^>]*></script>')

def as_mathml(found):
    "One formula as MathML, which browsers draw without a script"
    from latex2mathml.converter import convert
    kind, latex = found[1], re.sub(r'^\\[(\[]|\\[)\]]$', '', html.unescape(found[2]).strip())
    out = convert(latex, display='block' if kind == 'display' else 'inline')
    if '\\' in re.sub('<[^>]+>', '', out): sys.exit(f'a formula that was not understood: {latex}')
    return f'<span class="math {kind}">{out}</span>'

def offline(docs):
    "Formulas become MathML, and nothing is fetched from another host: the pages are whole without a network"
    for path in docs.rglob('*.html'):
        text = MATHS.sub(as_mathml, path.read_text(encoding='utf-8'))
        path.write_text(ELSEWHERE.sub(lambda m: '' if 'katex' in m[0] else m[0], text), encoding='utf-8')
        if fetched := ELSEWHERE.search(path.read_text(encoding='utf-8')): sys.exit(f'{path.name} fetches {fetched[0]}')

class Page(HTMLParser):
    "The ids and links of one page, and links that stayed Markdown"
    def __init__(self, path):
        super().__init__()
        self.ids, self.links, self.unread = set(), [], []
        self.feed(path.read_text(encoding='utf-8'))
    def handle_starttag(self, tag, attrs):
        a = dict(attrs)
        self.ids |= {a[k] for k in ('id', 'name') if a.get(k)}
        self.links += [a[k] for k in ('href', 'src') if a.get(k) and tag in ('a', 'img', 'link', 'script', 'source')]
    def handle_data(self, data): self.unread += re.findall(r'\]\([^()\s]*\.(?:ipynb|html|md)[^()\s]*\)', data)

def broken_links(docs):
    "(Internal links of a site that lead nowhere, number of links looked at)"
    pages = {p.resolve(): Page(p) for p in docs.rglob('*.html')}
    bad = []
    for path, page in pages.items():
        bad += [f'{path.relative_to(docs.resolve())}: {text!r} was not read as a link' for text in page.unread]
        for link in page.links:
            url = urlsplit(link)
            if url.scheme or url.netloc: continue
            target = (path.parent/unquote(url.path)).resolve() if url.path else path
            if target.is_dir(): target = target/'index.html'
            where = f'{path.relative_to(docs.resolve())} → {link}'
            if not target.exists(): bad.append(f'{where}: no such file')
            elif url.fragment and target in pages and unquote(url.fragment) not in pages[target].ids:
                bad.append(f'{where}: no such anchor')
    return bad, sum(len(p.links) for p in pages.values())

def main():
    os.chdir(ROOT)
    from nbdev.config import get_config
    cfg = get_config()
    check_sidebar(cfg.nbs_path)
    proc, docs = process(ROOT), cfg.doc_path
    extras.run_fresh(proc, cfg.nbs_path)
    extras.add_changelog(proc, ROOT)
    extras.add_version(proc, cfg.version)
    linked = extras.link_terms(proc)
    extras.caption_all(proc)
    extras.offers(proc, cfg.doc_host + cfg.doc_baseurl, cfg.git_url)
    rename_pages(proc, cfg.doc_host + cfg.doc_baseurl)
    n = render(proc, docs)
    offline(docs)
    extras.own_fonts(docs)
    extras.better_search(proc, docs)
    extras.accessible(docs, cfg.nbs_path)
    extras.enlarge(docs)
    extras.mark_charts(docs)
    extras.take_along(docs, cfg.nbs_path)
    bad, total = broken_links(docs)
    if bad: sys.exit(f'{len(bad)} broken links:\n' + '\n'.join(bad))
    silent, figures = extras.wordless(docs)
    if silent: sys.exit(f'{len(silent)} figures without words:\n' + '\n'.join(silent))
    told = f'{n} pages, {total} links, none broken, {figures} figures with words, {linked} links to the glossary'
    print(f'{told}: {os.path.relpath(docs)}/index.html')

if __name__ == '__main__': main()
