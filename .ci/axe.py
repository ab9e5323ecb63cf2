"""Can everybody use a report? Axe-core looks at it in a real browser, and a hand tries its controls (`axe.js`).

    python .ci/axe.py PAGE.html ...     each page at 1280 and 390 pixels, in light and in dark
    python .ci/axe.py                   pages made from samples of the package: an answer, a refusal, a folder's index,
                                        and a fragment inside another page
    python .ci/axe.py --site _docs      ten pages of the site: wide and light, narrow and dark
    python .ci/axe.py --found           are there a browser and axe-core (or npm to fetch it)?

Chromium runs without a window; AXE_CORE names a copy of `axe.min.js`, otherwise npm fetches one.
"""
import functools, html, http.server, json, os, re, shutil, subprocess, sys, tempfile, threading
from pathlib import Path
from urllib.parse import quote

sys.path.insert(0, str(Path(__file__).parent))
from browser import Quiet, browser

def axe_core(folder):
    "The path of axe.min.js, or None"
    if os.environ.get('AXE_CORE'): return Path(os.environ['AXE_CORE'])
    if not shutil.which('npm'): return None
    command = ['npm', 'install', '--silent', '--no-audit', '--no-fund', '--prefix', str(folder), 'axe-core']
    subprocess.run(command, capture_output=True, timeout=300)
    path = Path(folder)/'node_modules'/'axe-core'/'axe.min.js'
    return path if path.is_file() else None

SITE = ['index', 'tutorials/explain', 'tutorials/read_heatmaps', 'tutorials/own_data', 'explanations/model_card',
        'explanations/outside', 'reference', 'gallery', 'faq', 'scores']

def samples(folder):
    "A report with heatmaps, one that refuses, an index, and a fragment inside another page"
    from dataclasses import replace
    from deepcovidexplainer import load_radiograph, package_file, predict_and_explain
    from deepcovidexplainer.report import folder_index, index_row, report_html, result_identity
    e = predict_and_explain(package_file('samples', 'covid-19.png'))
    coloured = replace(load_radiograph(package_file('samples', 'normal.png')), meta={'colourfulness': .5})
    odd = predict_and_explain(coloured)
    pages = [e.save(folder/'answer.html'), odd.save(folder/'refusal.html')]
    rows = [index_row(x, result_identity(x) | {'film': p.stem}, p.name) for x, p in zip((e, odd), pages)]
    around = '<!doctype html><html lang="en"><title>A page around it</title><main><h1>A page</h1>{}</main></html>'
    (folder/'fragment.html').write_text(around.format(report_html(e, page=False)), encoding='utf-8')
    return [*pages, folder_index(rows, folder), folder/'fragment.html']

def shown(folder, address, dark):
    "The page that Chromium ends with"
    look = [f'--blink-settings=preferredColorScheme={0 if dark else 1}', '--window-size=1400,1000', '--disable-gpu']
    command = [browser(), '--headless', '--no-sandbox', *look, f'--user-data-dir={folder}/profile']
    done = subprocess.run([*command, '--virtual-time-budget=120000', '--dump-dom', address],
                          capture_output=True, text=True, timeout=400)
    return done.stdout

def said(folder, pages, dark, widths=(1280, 390)):
    "What the browser said of the pages, in lines"
    names = json.dumps([quote(p) for p in pages])
    given = f'<script>const pages = {names}, widths = {list(widths)}</script>'
    steps = f'<!doctype html><pre id="out"></pre>{given}<script src="axe.js"></script>'
    (folder/'steps.html').write_text(steps, encoding='utf-8')
    serve = functools.partial(Quiet, directory=str(folder))
    server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), serve)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    text = shown(folder, f'http://127.0.0.1:{server.server_port}/steps.html', dark)
    server.shutdown()
    found = re.search(r'<pre id="out">(.*?)</pre>', text, re.S)
    return html.unescape(found[1]).strip().splitlines() if found else [f'FAULT the browser said nothing: {text[-300:]}']

def main(paths):
    if not browser(): return print('skipped axe-core: no Chromium or Chrome on this machine')
    with tempfile.TemporaryDirectory() as tmp:
        folder = Path(tmp)
        axe = axe_core(folder/'npm')
        if axe is None: return print('skipped axe-core: neither AXE_CORE nor npm on this machine')
        if paths[:1] == ['--site']: shutil.copytree(paths[1], folder, dirs_exist_ok=True)
        shutil.copy(axe, folder/'axe.min.js')
        shutil.copy(Path(__file__).parent/'axe.js', folder)
        if paths[:1] == ['--site']: return tell([f'{p}.html' for p in SITE], folder, {'light': [1280], 'dark': [390]})
        pages = [shutil.copy(p, folder/f'{i}-{Path(p).name}') for i, p in enumerate(paths)] or samples(folder)
        names = [Path(p).name for p in pages]
        tell(names, folder, {'light': [1280, 390], 'dark': [1280, 390]})

def tell(names, folder, looks):
    "Look, print what was seen, and exit 1 when something is wrong"
    lines = []
    for look, widths in looks.items():
        lines += [f'{look}: {line}' for line in said(folder, names, look == 'dark', widths)]
    print('\n'.join(lines))
    if sum(line.endswith(': DONE') for line in lines) != 2 or any('FAULT' in line for line in lines): sys.exit(1)
    print(f"{len(names)} pages, {' and '.join(f'{look} at {widths}' for look, widths in looks.items())}: no violation")

if __name__ == '__main__':
    if sys.argv[1:] == ['--found']: sys.exit(not (browser() and (os.environ.get('AXE_CORE') or shutil.which('npm'))))
    main(sys.argv[1:])
