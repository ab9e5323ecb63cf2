"""A reader in a real browser: films dropped on the app, words read, sliders moved, a report kept, wrong files refused.

    python .ci/app.py [FOLDER FOR SCREENSHOTS]
    python .ci/app.py --found      are Chromium, its driver and the libraries there?

Serves `dce_app` on a free port, drives Chromium through Selenium, and ends both.
"""
import os, shutil, signal, socket, subprocess, sys, tempfile, time, urllib.request
from importlib.util import find_spec
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SAMPLES = ROOT/'deepcovidexplainer'/'samples'
IDLE, LIMIT = 45, 60

def found(): return bool(shutil.which('chromium') and shutil.which('chromedriver') and find_spec('selenium') and find_spec('voila'))

def free_port():
    with socket.socket() as s: s.bind(('127.0.0.1', 0)); return s.getsockname()[1]

def serve(port, tmp):
    env = {**os.environ, 'TMPDIR': str(tmp), 'PYTHONPATH': os.pathsep.join([str(ROOT), os.environ.get('PYTHONPATH', '')])}
    call = [sys.executable, '-c', f'from deepcovidexplainer.app import dce_app; dce_app(port={port}, max_size={LIMIT}, idle={IDLE})']
    return subprocess.Popen(call, env=env, stdout=(tmp.parent/'log').open('w'), stderr=subprocess.STDOUT, start_new_session=True)

def kernels(port):
    "Sessions that live: the processes of the server's children that hold a kernel's connection file"
    import psutil
    return [p for p in psutil.process_iter(['cmdline']) if 'ipykernel_launcher' in ' '.join(p.info['cmdline'] or ()) and port in {q.pid for q in p.parents()}]

class Page:
    def __init__(self, port, downloads, size=(1280, 1000)):
        from selenium import webdriver
        options = webdriver.ChromeOptions()
        for a in ('--headless=new', '--no-sandbox', '--disable-gpu', f'--window-size={size[0]},{size[1]}', '--disable-dev-shm-usage'): options.add_argument(a)
        options.set_capability('goog:loggingPrefs', {'browser': 'ALL', 'performance': 'ALL'})
        options.add_experimental_option('prefs', {'download.default_directory': str(downloads), 'download.prompt_for_download': False})
        options.binary_location = shutil.which('chromium')
        self.driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(shutil.which('chromedriver')))
        self.driver.set_script_timeout(60)
        self.driver.get(f'http://127.0.0.1:{port}/')

    def js(self, code, *args): return self.driver.execute_script(code, *args)
    def text(self, css): return self.js('return [...document.querySelectorAll(arguments[0])].map(n => n.innerText).join("\\n")', css)

    def until(self, what, look, seconds=120):
        start = time.monotonic()
        while time.monotonic()-start < seconds:
            try:
                if value := look(): return value
            except Exception: pass
            time.sleep(.1)
        self.driver.save_screenshot(str(Path(tempfile.gettempdir())/'app_failed.png'))
        raise SystemExit(f'not seen in {seconds} s: {what}; the page says {self.text("body")[:600]!r}')

    def ready(self): return self.until('the app', lambda: self.js('return !!window.dceApp && !!document.querySelector(".dce-drop")'))

    def choose(self, *paths):
        self.js('document.querySelectorAll("input[type=file]").forEach(n => n.remove())')
        self.js('const b = document.querySelector(".dce-drop"); b.focus(); b.click()')
        box = self.until('the file chooser', lambda: self.driver.find_elements('css selector', 'input[type=file]'))[0]
        box.send_keys('\n'.join(map(str, paths)))

    def drop(self, name, data):
        import base64
        self.js('''const bytes = Uint8Array.from(atob(arguments[1]), c => c.charCodeAt(0)), d = new DataTransfer()
          d.items.add(new File([bytes], arguments[0])); document.body.dispatchEvent(new DragEvent('drop', {dataTransfer: d, bubbles: true, cancelable: true}))''',
          name, base64.b64encode(data).decode())

    def words(self, name): return self.until(f'words on {name}', lambda: name in self.text('.dce-words .dce-name') and self.text('.dce-words h2'))
    def done(self, name): return self.until(f'the end of {name}', lambda: f'Done: {name}' in self.text('.dce-app [role=status]') and 'more in' not in self.text('.dce-app [role=status]'))
    def shot(self, path, height=None):
        w = self.driver.get_window_size()['width']
        self.driver.execute_cdp_cmd('Emulation.setDeviceMetricsOverride', dict(width=w, height=height or self.js('return Math.max(800, document.querySelector(".dce-app").scrollHeight+80)'), deviceScaleFactor=1, mobile=False))
        time.sleep(.5)
        self.driver.save_screenshot(str(path))

def say(*what): print('ok', *what, flush=True)

def asked_elsewhere(page):
    "Requests that left for another host"
    import json
    sent = [json.loads(r['message'])['message'] for r in page.driver.get_log('performance')]
    urls = {m['params']['request']['url'] for m in sent if m['method'] == 'Network.requestWillBeSent'}
    failed = {m['params']['requestId'] for m in sent if m['method'] == 'Network.loadingFailed' and m['params'].get('blockedReason') == 'csp'}
    blocked = {m['params']['request']['url'] for m in sent if m['method'] == 'Network.requestWillBeSent' and m['params']['requestId'] in failed}
    return sorted(u for u in urls-blocked if not u.startswith(('http://127.0.0.1', 'data:', 'blob:', 'chrome')))

def one_page(port, tmp, shots):
    page = Page(port, tmp/'downloads')
    try:
        start = time.monotonic(); page.ready(); say(f'page ready after {time.monotonic()-start:.1f} s')
        start = time.monotonic(); page.choose(SAMPLES/'normal.dcm'); words = page.words('normal.dcm'); say(f'{time.monotonic()-start:.1f} s from film to words:', words)
        page.done('normal.dcm'); say(f'{time.monotonic()-start:.1f} s to the heatmaps')
        start = time.monotonic(); page.drop('dropped.png', (SAMPLES/'covid-19.png').read_bytes()); say('dropped:', page.words('dropped.png'), f'{time.monotonic()-start:.1f} s')
        page.done('dropped.png')
        before = page.js('return document.querySelector(".dce-pictures img").src')
        handle = page.driver.find_element('css selector', '.dce-app .noUi-handle'); handle.send_keys('\ue012\ue012')
        page.until('a new picture', lambda: page.js('return document.querySelector(".dce-pictures img").src') != before)
        say('slider by keyboard, named', handle.get_attribute('aria-label'))
        report = page.driver.find_elements('xpath', '//button[contains(., "Download Report")]')[0]
        report.send_keys('\n')
        kept = page.until('the report on disk', lambda: next((tmp/'downloads').glob('*.html'), None))
        assert '<html' in kept.read_text(encoding='utf-8'); say(f'report downloaded, {kept.stat().st_size/1e3:.0f} kB')
        (tmp/'letter.txt').write_text('Dear colleague, thank you for the film.')
        page.choose(tmp/'letter.txt'); say('refused:', page.until('a refusal', lambda: 'letter.txt' in page.text('.dce-refused') and page.text('.dce-refused')).strip())
        (tmp/'large.dcm').write_bytes(bytes(200_000_000)); page.choose(tmp/'large.dcm')
        say('refused:', page.until('a refusal', lambda: page.text('.dce-toolarge')).strip()); (tmp/'large.dcm').unlink()
        big = tmp/'big.png'
        from PIL import Image
        import numpy as np
        film = np.asarray(Image.open(SAMPLES/'pneumonia.png').convert('L').resize((4096, 4096)))
        Image.fromarray(film).save(big, compress_level=0)
        start = time.monotonic(); page.choose(big); say(f'{big.stat().st_size/1e6:.0f} MB:', page.words('big.png'), f'{time.monotonic()-start:.1f} s'); page.done('big.png')
        page.choose(SAMPLES/'normal.png', SAMPLES/'pneumonia.png'); page.words('pneumonia.png'); page.done('pneumonia.png')
        count = page.js('return [...document.querySelectorAll(".dce-app select")].find(s => s.options[0].text.startsWith("1. ")).options.length')
        assert count == 5, count; say('five films listed')
        order = page.js('return [...document.querySelectorAll(".dce-app img, .dce-app input, .dce-app select, .dce-app .noUi-handle")].filter(n => n.offsetParent && !n.labels?.length && !n.alt && !n.getAttribute("aria-label")).map(n => n.outerHTML.slice(0, 120))')
        assert not order, order; say('every picture and control has a name')
        axe = os.environ.get('AXE')
        if axe:
            page.js(Path(axe).read_text(encoding='utf-8'))
            found = page.driver.execute_async_script('const end = arguments[0]; axe.run().then(r => end(r.violations.map(v => `${v.impact} ${v.id} ${v.nodes.length} ${v.nodes[0].html.slice(0, 160)}`)))')
            print('axe:', *found, sep='\n  ')
        assert not (away := asked_elsewhere(page)), away; say('no request to another host')
        if shots: page.shot(shots/'app_1280.png')
        say('memory of a session', *(f'{p.memory_info().rss/1e6:.0f} MB' for p in kernels(SERVER.pid)))
    finally: page.driver.quit()

def phone(port, tmp, shots):
    page = Page(port, tmp/'downloads', (500, 900))
    try:
        page.driver.execute_cdp_cmd('Emulation.setDeviceMetricsOverride', dict(width=390, height=844, deviceScaleFactor=1, mobile=True))
        page.ready(); page.choose(SAMPLES/'covid-19.png'); page.words('covid-19.png'); page.done('covid-19.png'); time.sleep(1)
        wide = page.js('''return [document.documentElement.scrollWidth, ...[...document.querySelectorAll(".dce-app *")].filter(n => n.offsetParent && n.getBoundingClientRect().right > innerWidth+1).map(n => n.className+" "+n.tagName)]''')
        page.driver.execute_cdp_cmd('Emulation.setDeviceMetricsOverride', dict(width=390, height=3000, deviceScaleFactor=1, mobile=True)); time.sleep(.5)
        if shots: page.driver.save_screenshot(str(shots/'app_390.png'))
        assert wide == [390], wide; say('nothing wider than 390 px')
    finally: page.driver.quit()

def keyboard(port, tmp):
    "A sample explained without a mouse"
    from selenium.webdriver.common.action_chains import ActionChains
    page = Page(port, tmp/'downloads')
    try:
        page.ready(); seen = []
        def tab():
            ActionChains(page.driver).send_keys('\ue004').perform()
            seen.append(page.js('const n = document.activeElement; return n.getAttribute("aria-label") || n.innerText || n.labels?.[0]?.innerText || n.tagName'))
            return seen[-1]
        while 'Explain the sample' not in tab(): assert len(seen) < 30, seen
        ActionChains(page.driver).send_keys('\n').perform(); page.until('words', lambda: page.text('.dce-words h2')); page.until('pictures', lambda: 'Done' in page.text('.dce-app [role=status]'))
        while 'JSON' not in tab(): assert len(seen) < 60, seen
        say('by keyboard:', ', '.join(s.strip().split('\n')[0][:30] for s in seen))
    finally: page.driver.quit()

def three(port, tmp):
    "Three pages at once, one right answer each"
    names = dict(zip(('normal.dcm', 'pneumonia.png', 'covid-19.png'), ('normal', 'pneumonia', 'covid-19')))
    pages = []
    try:
        for _ in names: pages.append(Page(port, tmp/'downloads'))
        for p in pages: p.ready()
        start = time.monotonic()
        for p,n in zip(pages, names): p.choose(SAMPLES/n)
        places = set()
        while not all(n in p.text('.dce-words .dce-name') for p,n in zip(pages, names)) and time.monotonic()-start < 120:
            places |= {line for p in pages for line in p.text('.dce-app [role=status]').splitlines() if 'place' in line}
        for p,n in zip(pages, names):
            answer = p.words(n).lower(); assert names[n] in answer, (n, answer); say(n, '→', answer)
        say(f'three at once, {time.monotonic()-start:.1f} s;', *sorted(places))
    finally:
        for p in pages: p.driver.quit()

def main(shots=None):
    global SERVER
    shots = shots and Path(shots); shots and shots.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as tmp:
        tmp = Path(tmp); (tmp/'served').mkdir(); (tmp/'downloads').mkdir(); port = free_port()
        SERVER = serve(port, tmp/'served')
        try:
            for _ in range(400):
                try: socket.create_connection(('127.0.0.1', port), 1).close(); break
                except OSError: time.sleep(.2)
            one_page(port, tmp, shots); phone(port, tmp, shots); keyboard(port, tmp); three(port, tmp)
            end = time.monotonic()+IDLE+40
            while (left := kernels(SERVER.pid)) and time.monotonic() < end: time.sleep(.5)
            assert not left, left; say('no session left after the pages were closed')
            kept = [p.relative_to(tmp) for p in (tmp/'served').rglob('*') if p.is_file()]
            assert {p.name for p in kept} <= {'app.ipynb'}, kept; say('on disk:', *kept)
        except BaseException: print((tmp/'log').read_text()[-3000:], file=sys.stderr); raise
        finally:
            os.killpg(SERVER.pid, signal.SIGTERM); SERVER.wait(20)
        print('done')

if __name__ == '__main__':
    if sys.argv[1:2] == ['--found']: sys.exit(not found())
    if not found(): sys.exit('Chromium, chromedriver, selenium and voila are needed')
    main(*sys.argv[1:2])
