"""Readers in a real browser: films dropped on the app, words read, sliders moved, a report kept, wrong files refused.

    python .ci/app.py [FOLDER FOR SCREENSHOTS]
    python .ci/app.py --pictures FOLDER   the pictures of the tutorial, `app_wide.jpg` and `app_phone.jpg`, and nothing else
    python .ci/app.py --found      are Chromium, its driver, Selenium and Voilà there?

Serves `dce_app` on a free port, drives Chromium through Selenium, and ends both. AXE_CORE names a copy of `axe.min.js`;
without it (and without npm) axe-core is left out. APP_IDLE: seconds after which a lost page's session ends, 60 if not
given; more on a machine that is busy with other work.
"""
import base64, io, json, os, shutil, signal, socket, subprocess, sys, tempfile, time
from importlib.util import find_spec
from pathlib import Path
from zipfile import ZipFile

sys.path.insert(0, str(Path(__file__).parent))
from axe import axe_core
from browser import browser

ROOT = Path(__file__).resolve().parent.parent
SAMPLES = ROOT/'deepcovidexplainer'/'samples'
IDLE, LIMIT = int(os.environ.get('APP_IDLE', 60)), 60 # Seconds, MB
PATIENCE = 3*IDLE
TAB, ENTER, LEFT = '\ue004', '\ue007', '\ue012'

def found():
    return bool(browser() and shutil.which('chromedriver') and find_spec('selenium') and find_spec('voila'))

def say(*what): print('ok', *what, flush=True)

# ---------------------------------------------------------------- the server
def free_port():
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0))
        return s.getsockname()[1]

class Served:
    "`dce_app` with a folder for temporary files of its own"
    def __init__(self, folder):
        self.folder, self.port, self.log = folder, free_port(), folder.parent/'log'
        path = os.pathsep.join([str(ROOT), os.environ.get('PYTHONPATH', '')])
        env = {**os.environ, 'TMPDIR': str(folder), 'PYTHONPATH': path}
        values = f'port={self.port}, max_size={LIMIT}, idle={IDLE}'
        call = f'from deepcovidexplainer.app import dce_app; dce_app({values})'
        with self.log.open('w') as log:
            command, out = [sys.executable, '-c', call], dict(stdout=log, stderr=subprocess.STDOUT)
            self.process = subprocess.Popen(command, env=env, start_new_session=True, **out)
        until('the server', self.answers)

    def answers(self):
        with socket.socket() as s: return s.connect_ex(('127.0.0.1', self.port)) == 0

    def sessions(self):
        "The processes of the pages"
        import psutil
        children = psutil.Process(self.process.pid).children(recursive=True)
        return [p for p in children if 'ipykernel_launcher' in ' '.join(p.cmdline())]

    def stop(self):
        if self.process.poll() is None: os.killpg(self.process.pid, signal.SIGTERM)
        self.process.wait(30)

def until(what, look, seconds=PATIENCE, tell=lambda: ''):
    "What `look` gives as soon as it gives something; an exit that says what was not seen"
    end = time.monotonic()+seconds
    while time.monotonic() < end:
        try:
            if value := look(): return value
        except Exception: pass
        time.sleep(.05)
    raise SystemExit(f'not seen in {seconds} s: {what} {tell()}')

# ---------------------------------------------------------------- a reader
def chromium(downloads):
    "A browser without a window, whose tabs all count as looked at"
    from selenium import webdriver
    options = webdriver.ChromeOptions()
    flags = ('headless=new', 'no-sandbox', 'disable-gpu', 'window-size=1280,1000', 'disable-dev-shm-usage',
             'disable-background-timer-throttling', 'disable-renderer-backgrounding',
             'disable-backgrounding-occluded-windows')
    for flag in flags: options.add_argument(f'--{flag}')
    options.page_load_strategy = 'none'
    options.set_capability('goog:loggingPrefs', {'performance': 'ALL'})
    kept = {'download.default_directory': str(downloads), 'download.prompt_for_download': False}
    options.add_experimental_option('prefs', kept)
    options.binary_location = browser()
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(shutil.which('chromedriver')))
    driver.set_script_timeout(90)
    return driver

class Page:
    "A tab with the app"
    def __init__(self, driver, served, phone=False):
        self._driver, self.address, self.start = driver, f'http://127.0.0.1:{served.port}/', time.monotonic()
        driver.switch_to.new_window('tab')
        self.handle = driver.current_window_handle
        self.size(390, 844, True) if phone else self.size(1280, 1000)
        driver.get(self.address)

    @property
    def driver(self):
        "The browser, at this tab"
        if self._driver.current_window_handle != self.handle: self._driver.switch_to.window(self.handle)
        return self._driver

    def size(self, width, height, mobile=False):
        metrics = dict(width=width, height=height, deviceScaleFactor=1, mobile=mobile)
        self.driver.execute_cdp_cmd('Emulation.setDeviceMetricsOverride', metrics)

    def js(self, code, *args): return self.driver.execute_script(code, *args)
    def one(self, css): return self.driver.find_element('css selector', css)
    def text(self, css):
        return self.js('return [...document.querySelectorAll(arguments[0])].map(n => n.innerText).join("\\n")', css)
    def until(self, what, look, seconds=PATIENCE):
        return until(what, look, seconds, lambda: f'the page says {self.text("body")[:700]!r}')

    def ready(self): return self.until('the app', lambda: self.one('.dce-app.dce-live .dce-drop').is_displayed())
    def choose(self, *paths): self.one('.dce-files').send_keys('\n'.join(map(str, paths)))

    def drop(self, name, data):
        self.js('''const bytes = Uint8Array.from(atob(arguments[1]), c => c.charCodeAt(0)), d = new DataTransfer()
          d.items.add(new File([bytes], arguments[0]))
          document.body.dispatchEvent(new DragEvent('drop', {dataTransfer: d, bubbles: true, cancelable: true}))''',
                name, base64.b64encode(data).decode())

    def seen(self, name): return name in self.text('.dce-words .dce-name') and self.text('.dce-words h2')
    def words(self, name): return self.until(f'words on {name}', lambda: self.seen(name))
    def status(self): return self.text('.dce-app .dce-status')
    def done(self, name):
        self.until(f'the end of {name}', lambda: f'Done: {name}.' in self.status() and 'more' not in self.status())

    def refusal(self, name):
        said = lambda: [t for t in self.text('.dce-refused').splitlines() if name in t]
        lines = self.until(f'a refusal of {name}', said)
        assert 'Wanted:' in lines[0], lines
        say('refused:', lines[0])

    def shot(self, path):
        if not path: return
        w = self.js('return innerWidth')
        self.size(w, self.js('return Math.max(800, document.querySelector(".dce-app").scrollHeight + 60)'), w < 500)
        time.sleep(.4)
        self.driver.save_screenshot(str(path))

    def close(self):
        "As a reader does: WebDriver's own way tells the page nothing"
        self.driver.execute_cdp_cmd('Page.close', {})
        self._driver.switch_to.window(self._driver.window_handles[0])

    def lose(self):
        "Close it without a word to the server, as a browser that crashes does"
        self.ready()
        self.js('navigator.sendBeacon = () => true')
        self.driver.close()
        self._driver.switch_to.window(self._driver.window_handles[0])

def asked_elsewhere(driver, address):
    "Requests that left for another host; what the page's own policy stopped did not leave"
    sent = [json.loads(r['message'])['message'] for r in driver.get_log('performance')]
    asked = {m['params']['requestId']: m['params']['request']['url'] for m in sent
             if m['method'] == 'Network.requestWillBeSent'}
    stopped = {m['params']['requestId'] for m in sent
               if m['method'] == 'Network.loadingFailed' and m['params'].get('blockedReason') == 'csp'}
    here = ('http://127.0.0.1', 'ws://127.0.0.1', 'data:', 'blob:', 'chrome', 'about:')
    assert any(url.startswith(address) for url in asked.values()), 'the log of requests is empty'
    return sorted(url for i, url in asked.items() if i not in stopped and not url.startswith(here))

NAMELESS = '''return ["img", "input", "select", "button", ".noUi-handle"]
  .flatMap(css => [...document.querySelectorAll(".dce-app " + css)])
  .filter(n => n.offsetParent && !n.labels?.length && !n.alt && !n.getAttribute("aria-label") && !n.innerText)
  .map(n => n.outerHTML.slice(0, 120))'''
AXE = '''const end = arguments[0], told = v => `${v.impact} ${v.id}: ${v.nodes[0].html.slice(0, 160)}`
  axe.run({resultTypes: ["violations"]}).then(r => end(r.violations.map(told)))'''
WIDE = '''return [...document.querySelectorAll(".dce-app *")].filter(n => n.offsetParent
  && n.getBoundingClientRect().right > innerWidth + 1).map(n => n.className + " " + n.tagName)'''

def accessible(page, axe):
    nameless = page.js(NAMELESS)
    assert not nameless, nameless
    say('every picture and control has a name')
    if axe is None: return print('axe-core left out: no npm')
    page.js(Path(axe).read_text(encoding='utf-8'))
    violations = page.driver.execute_async_script(AXE)
    assert not violations, violations
    say('axe-core finds no violation')

# ---------------------------------------------------------------- what they do
def with_study(folder):
    "The DICOM sample, in a study: its answer can be filed"
    from pydicom import dcmread
    ds = dcmread(SAMPLES/'normal.dcm')
    ds.StudyInstanceUID, ds.SeriesInstanceUID = '2.25.1', '2.25.2'
    ds.save_as(folder/'normal.dcm')
    return folder/'normal.dcm'

def is_whole(title, kept):
    "Whether a download holds what its button says"
    if title == 'DICOM': return set(ZipFile(io.BytesIO(kept)).namelist()) >= {'sr.dcm', 'sc.dcm', 'seg.dcm'}
    if title == 'JSON': return json.loads(kept)['identity']['film'] == 'normal.dcm'
    return kept.startswith(b'%PDF') if title == 'PDF' else b'normal.dcm' in kept and kept.rstrip().endswith(b'</html>')

def downloaded(page, folder, title):
    "Press a button and wait for its file"
    page.driver.find_element('xpath', f'//button[contains(., "Download {title}")]').send_keys(ENTER)
    found = lambda: (p for p in folder.glob(f'normal-*-{title.lower()}.*[!d]') if is_whole(title, p.read_bytes()))
    path = page.until(f'the {title} on disk, whole', lambda: next(found(), None)) # empty while it is being written
    return f'{path.name} ({path.stat().st_size/1e3:.0f} kB)'

def reads(page, tmp):
    "A DICOM file, the words, the slider, everything that can be downloaded"
    film, start = with_study(tmp), time.monotonic()
    page.choose(film)
    answer = page.words('normal.dcm')
    say(f'{time.monotonic()-start:.1f} s from film to words: {answer}')
    page.done('normal.dcm')
    say(f'{time.monotonic()-start:.1f} s to the heatmaps')
    picture = lambda: page.js('return document.querySelector(".dce-pictures img").src')
    before, handle = picture(), page.one('.dce-app .noUi-handle')
    handle.send_keys(LEFT+LEFT)
    page.until('a fainter heatmap', lambda: picture() != before)
    say('slider moved by keyboard; it is called', handle.get_attribute('aria-label'))
    titles = ['Report', 'PDF', *(['DICOM'] if find_spec('highdicom') else []), 'JSON']
    say('downloaded:', *(downloaded(page, tmp/'downloads', title) for title in titles))

def refuses(page, tmp):
    "A letter, and 200 MB"
    (tmp/'letter.txt').write_text('Dear colleague, thank you for the film.')
    page.choose(tmp/'letter.txt')
    page.refusal('letter.txt')
    with (tmp/'large.dcm').open('wb') as f: f.truncate(200_000_000)
    page.choose(tmp/'large.dcm')
    page.refusal('large.dcm')
    (tmp/'large.dcm').unlink()

def large(path):
    "A film of 4096×4096 pixels, 17 MB without compression"
    import cv2
    film = cv2.resize(cv2.imread(str(SAMPLES/'pneumonia.png'), 0), (4096, 4096))
    cv2.imwrite(str(path), film, [cv2.IMWRITE_PNG_COMPRESSION, 0])
    return path

def queues(page, tmp):
    "Three films at once, one of them large, then one dropped; gives the answers"
    big = large(tmp/'big.png')
    start = time.monotonic()
    page.choose(big, SAMPLES/'normal.png', SAMPLES/'covid-19.png')
    page.words('big.png')
    say(f'{big.stat().st_size/1e6:.0f} MB: {time.monotonic()-start:.1f} s to words')
    page.done('covid-19.png')
    start = time.monotonic()
    page.drop('dropped.png', (SAMPLES/'pneumonia.png').read_bytes())
    page.words('dropped.png')
    say(f'dropped: {time.monotonic()-start:.1f} s to words')
    page.done('dropped.png')
    films = page.js('return [...document.querySelector(".dce-which select").options].map(o => o.text)')
    films = dict(f.replace('\xa0', ' ').split('. ', 1)[1].split(': ', 1) for f in films)
    assert list(films) == ['normal.dcm', 'big.png', 'normal.png', 'covid-19.png', 'dropped.png'], films
    say('listed:', films)
    films['pneumonia.png'] = films['dropped.png']
    return {name: films[name] for name in ('normal.dcm', 'pneumonia.png', 'covid-19.png')}

def by_keyboard(page):
    "A sample explained without a mouse"
    from selenium.webdriver.common.action_chains import ActionChains
    name = '''const n = document.activeElement
      return n.getAttribute("aria-label") || n.labels?.[0]?.innerText || n.innerText || n.tagName'''
    press, seen = lambda key: ActionChains(page.driver).send_keys(key).perform(), []
    def reach(what):
        while what not in (seen or [''])[-1]:
            assert len(seen) < 60, seen
            press(TAB)
            seen.append(page.js(name).strip().split('\n')[0])
    reach('Explain the sample')
    press(ENTER)
    page.until('words', lambda: page.text('.dce-words h2'))
    page.until('the end', lambda: 'Done' in page.status())
    for control in ('Download JSON', 'Heatmap', 'Beside it', 'Class', 'Strength', 'Lung zones outlined'): reach(control)
    say('by keyboard:', ', '.join(s[:30] for s in seen))

def together(pages, films):
    "Three pages at once, and each gets the answer that its film got when it was alone"
    start, places = time.monotonic(), set()
    for page, name in zip(pages, films): page.choose(SAMPLES/name)
    while not all(p.seen(n) for p, n in zip(pages, films)) and time.monotonic() < start+PATIENCE:
        places |= {t.strip() for p in pages for t in p.status().splitlines() if 'place' in t}
    for page, (name, wanted) in zip(pages, films.items()):
        answer = page.words(name)
        assert answer == wanted, (name, answer)
        say(name, '→', answer)
    for page, name in zip(pages, films): page.done(name)
    assert places, 'no page said its place'
    say(f'three at once: {time.monotonic()-start:.1f} s;', *sorted(places))

def narrow(page):
    width, wide = page.js('return document.documentElement.scrollWidth'), page.js(WIDE)
    assert width <= 390 and not wide, (width, wide)
    say('nothing is wider than 390 pixels')

def ends(served, pages):
    "A page that is closed ends its session at once; that of a page that was lost is given up"
    before = len(served.sessions())
    for page in pages: page.close()
    until('the sessions of the closed pages to end', lambda: len(served.sessions()) <= before-len(pages), 15)
    say(f'{before} sessions, {len(pages)} pages closed, {len(served.sessions())} left')
    until('the session of the lost page to end', lambda: not served.sessions(), IDLE+30)
    say('no session left')

def files(served): return [p for p in served.folder.rglob('*') if p.is_file()]

def keeps_nothing(served):
    "While films are explained: the page, a session's address, and empty places in the queue"
    large = [p.name for p in files(served) if p.stat().st_size > 2000]
    assert not large, large
    say('files of the server, with films in its sessions:', *sorted({p.suffix or 'place' for p in files(served)}))

def leaves_nothing(served):
    "When all pages are closed its own page alone, afterwards none"
    until('no file of a session', lambda: {p.name for p in files(served)} <= {'app.ipynb'}, 30)
    served.stop()
    assert not files(served), files(served)
    assert ' 403 ' not in served.log.read_text() and 'Traceback' not in served.log.read_text()
    say('nothing is left on disk')

def readers(served, driver, tmp, shots, axe):
    "All of it, in three pages and one that is lost"
    lost, first = Page(driver, served), Page(driver, served)
    first.ready()
    say(f'page ready after {time.monotonic()-first.start:.1f} s')
    lost.lose()
    reads(first, tmp)
    refuses(first, tmp)
    films = queues(first, tmp)
    keeps_nothing(served)
    first.shot(shots and shots/'app_1280.png')
    accessible(first, axe)
    pages = [first, Page(driver, served), Page(driver, served, phone=True)]
    for page in pages: page.ready()
    by_keyboard(pages[1])
    together(pages, films)
    pages[2].shot(shots and shots/'app_390.png')
    narrow(pages[2])
    accessible(pages[2], axe)
    away = asked_elsewhere(driver, first.address)
    assert not away, away
    say('no request to another host')
    say('memory of each session:', *(f'{p.memory_info().rss/1e6:.0f} MB' for p in served.sessions()))
    ends(served, pages)

def jpeg(png, path, width):
    "A screenshot as a small picture for a page"
    import cv2
    rgb = cv2.imread(str(png))
    small = cv2.resize(rgb, (width, round(rgb.shape[0]*width/rgb.shape[1])), interpolation=cv2.INTER_AREA)
    cv2.imwrite(str(path), small, [cv2.IMWRITE_JPEG_QUALITY, 80])
    png.unlink()
    say(path.name, f'{path.stat().st_size/1e3:.0f} kB')

def illustrated(served, driver, tmp, folder, _axe):
    "The app as the tutorial shows it: two methods side by side, and on a telephone"
    from selenium.webdriver.support.ui import Select
    pages = [Page(driver, served), Page(driver, served, phone=True)]
    for page in pages:
        page.ready()
        page.choose(SAMPLES/'covid-19.png')
        page.done('covid-19.png')
    beside = pages[0].driver.find_element('xpath', '//label[.="Beside it"]/following::select[1]')
    Select(beside).select_by_visible_text('LRP')
    pages[0].until('two pictures', lambda: len(pages[0].driver.find_elements('css selector', '.dce-pictures img')) == 2)
    for page, name, width in zip(pages, ('app_wide', 'app_phone'), (1000, 300)):
        page.shot(tmp/f'{name}.png')
        jpeg(tmp/f'{name}.png', folder/f'{name}.jpg', width)

def main(shots=None, what=readers):
    shots, start = shots and Path(shots), time.monotonic()
    if shots: shots.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as tmp:
        tmp = Path(tmp)
        for name in ('served', 'downloads'): (tmp/name).mkdir()
        driver, axe = chromium(tmp/'downloads'), axe_core(tmp/'npm') if what is readers else None
        served = Served(tmp/'served')
        try:
            what(served, driver, tmp, shots, axe)
            if what is readers: leaves_nothing(served)
        except BaseException:
            print(served.log.read_text()[-3000:], file=sys.stderr)
            raise
        finally:
            driver.quit()
            served.stop()
    print(f'{what.__name__}, {time.monotonic()-start:.0f} s')

if __name__ == '__main__':
    if sys.argv[1:2] == ['--found']: sys.exit(not found())
    if not found(): sys.exit('Chromium, chromedriver, selenium and voila are needed')
    if sys.argv[1:2] == ['--pictures']: main(sys.argv[2], illustrated)
    else: main(*sys.argv[1:2])
