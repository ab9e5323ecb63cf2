"""A reader in a real browser: opens the landing page, searches, follows a tutorial's link, finds a figure.

    python .ci/browser.py FOLDER_OF_THE_SITE
    python .ci/browser.py --found      is there a browser?

No other host can be reached, and none is asked for. Chromium or Chrome runs without a window; the steps are a script in a page beside the
site, which looks at the site in a frame.
"""
import functools, html, http.server, json, re, shutil, subprocess, sys, tempfile, threading
from pathlib import Path

PAGES = ['index.html', 'tutorials/explain.html', 'reference.html', 'lrp.html', 'explanations/model_card.html',
         'gallery.html']
WANTED = {
    'AUC': 'outside',
    'GPU': 'faq',
    'license': 'data_card',
    'JSON': 'tutorials/explain',
    'batch': 'tutorials/batch',
    'class names': 'own_data'}

STEPS = """<!doctype html><iframe id=f src="index.html" style="width:1200px;height:900px"></iframe><pre id=out></pre><script>
const PAGES = %s, WANTED = %s
const f = document.getElementById('f'), out = document.getElementById('out'), say = s => out.textContent += s + '\\n'
const sleep = ms => new Promise(r => setTimeout(r, ms)), page = () => f.contentDocument
const all = css => [...page().querySelectorAll(css)], at = () => f.contentWindow.location
const ready = () => page().readyState == 'complete'
async function until(what, look) {
  for (let i = 0; i < 200; i++) {
    try { const v = look(); if (v) { say('ok ' + what); return v } } catch (e) {}
    await sleep(50)
  }
  throw 'not seen: ' + what
}
async function go() {
  const seen = img => img.complete && img.naturalWidth > 100
  await until('the landing page and its figure', () => ready() && page().querySelector('h1') && all('main img').some(seen))
  const box = await until('the search box', () => page().querySelector('input[type=search]'))
  box.focus(); box.value = 'conservation'; box.dispatchEvent(new Event('input', {bubbles: true}))
  const hit = await until('a hit for "conservation" in the LRP page', () =>
    all('a.search-result').find(a => a.offsetParent && /lrp\\.html/.test(a.href)))
  const link = await until('a link to the first tutorial', () => all('a').find(a => /tutorials\\/explain\\.html/.test(a.href)))
  link.click()
  await until('the tutorial', () => /tutorials\\/explain/.test(at().href) && ready() && page().querySelector('h1'))
  await until('a figure in the tutorial', () => all('main img').some(seen))
  const figure = await until('a button that enlarges it', () => page().querySelector('button.enlarge'))
  figure.click()
  await until('the figure as large as the screen', () => page().querySelector('dialog.enlarged[open] img'))
  page().querySelector('dialog.enlarged .close').click()
  for (const [asked, wanted] of WANTED) {
    const input = page().querySelector('input[type=search]')
    input.focus(); input.value = asked; input.dispatchEvent(new Event('input', {bubbles: true}))
    await until(`"${asked}" finds ${wanted} among the first four`, () =>
      all('a.search-result').slice(0, 4).some(a => a.href.includes(wanted)))
  }
  for (const name of PAGES) {
    f.src = name
    const own = r => r.name.startsWith(location.origin) || r.name.startsWith('data:')
    await until(name + ' asks nobody else for anything', () => at().pathname.endsWith(name) && ready()
      && f.contentWindow.performance.getEntriesByType('resource').every(own))
  }
}
go().then(() => say('DONE'), e => say('FAILED ' + e)).finally(() => document.title = 'end')
</script>"""

def steps_page():
    return STEPS.replace('%s', json.dumps(PAGES), 1).replace('%s', json.dumps(list(WANTED.items())), 1)

def browser():
    names = ('chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable')
    return next((b for b in map(shutil.which, names) if b), None)

class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *args): pass

def main(site):
    if not browser(): sys.exit('no Chromium or Chrome on this machine')
    with tempfile.TemporaryDirectory() as tmp:
        shutil.copytree(site, Path(tmp)/'site')
        (Path(tmp)/'site'/'steps.html').write_text(steps_page(), encoding='utf-8')
        serve = functools.partial(Quiet, directory=str(Path(tmp)/'site'))
        server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), serve)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        command = [browser(), '--headless', '--no-sandbox', '--disable-gpu', f'--user-data-dir={tmp}/profile']
        command += ['--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1', '--virtual-time-budget=120000']
        address = f'http://127.0.0.1:{server.server_port}/steps.html'
        shown = subprocess.run([*command, '--dump-dom', address], capture_output=True, text=True, timeout=180).stdout
    found = re.search(r'<pre id="out">(.*?)</pre>', shown, re.S)
    said = html.unescape(found[1]) if found else shown[-500:]
    steps = said.strip().splitlines()
    print('\n'.join(steps))
    if not steps or steps[-1]!='DONE': sys.exit(1)
    print(f'{len(steps)-1} steps')

if __name__ == '__main__':
    if sys.argv[1]=='--found': sys.exit(not browser())
    main(sys.argv[1])
