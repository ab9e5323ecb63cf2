"""A newcomer who reads nothing but the site: how many clicks from the home page, and how long, until it works?

    python .ci/walk.py FOLDER_OF_THE_SITE      all four walks
    python .ci/walk.py FOLDER_OF_THE_SITE b    one of them
    python .ci/walk.py FOLDER_OF_THE_SITE --write   and keep what was measured, for the page "Read by four readers"
    python .ci/walk.py --found                 are Chromium, its driver and Selenium there?

Chromium opens the home page, follows links by what they say, and takes from each page what a reader would copy. That runs in an empty
folder, with the commands that pip installed. Reading is counted at 200 words a minute, every word from the top of each page to what was
looked for, so a reader who skims is faster; installing is not counted.
"""
import json, os, shutil, subprocess, sys, tempfile, time
from importlib.util import find_spec
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from browser import browser

ROOT = Path(__file__).resolve().parent.parent
WORDS_A_MINUTE = 200

BEFORE = """const [start, end] = [document.querySelector('main'), arguments[0]], range = document.createRange()
range.setStart(start, 0); range.setEndBefore(end)
return range.toString().split(/\\s+/).filter(Boolean).length"""

CELLS = """const end = arguments[0] && document.getElementById(arguments[0])
const before = e => !end || !(end.compareDocumentPosition(e) & Node.DOCUMENT_POSITION_FOLLOWING) || end.contains(e)
return [...document.querySelectorAll('main .cell code.sourceCode.python')].filter(before).map(e => e.textContent)"""

SMALLEST = """const says = e => e.textContent.includes(arguments[0])
const alone = e => says(e) && ![...e.querySelectorAll(arguments[1])].some(says)
return [...document.querySelectorAll('main ' + arguments[1])].find(alone)"""

class Reader:
    "Somebody with a browser, a shell and an empty folder"
    def __init__(self, site, folder):
        from selenium import webdriver
        options = webdriver.ChromeOptions()
        options.binary_location = browser()
        for a in ('--headless=new', '--no-sandbox', '--disable-gpu', '--window-size=1280,1000'): options.add_argument(a)
        service = webdriver.chrome.service.Service(shutil.which('chromedriver'))
        self.driver = webdriver.Chrome(options=options, service=service)
        self.folder, self.clicks, self.seconds, self.pages = folder, 0, 0, {}
        self.driver.get((site/'index.html').resolve().as_uri())

    def find(self, text, tag='*'):
        "The smallest thing in the main column that says it"
        found = self.driver.execute_script(SMALLEST, text, tag)
        if found is None: sys.exit(f'{self.driver.title}: nothing says {text!r}')
        return found

    def read(self, text, tag='*'):
        "Read until it is said"
        words = self.driver.execute_script(BEFORE, found := self.find(text, tag))
        page = self.driver.current_url.partition('#')[0]
        self.pages[page] = max(words, self.pages.get(page, 0))
        return found

    def click(self, text):
        "Read until a link, and follow it"
        link, here = self.read(text, 'a'), self.driver.current_url
        self.driver.execute_script('arguments[0].scrollIntoView({block: "center", behavior: "instant"})', link)
        link.click()
        self.clicks += 1
        for _ in range(100):
            if self.driver.current_url != here: return
            time.sleep(.05)
        sys.exit(f'{text!r} leads nowhere')

    def cells(self, until=None):
        "What can be copied up to the end of a section, whose anchor this is"
        return self.driver.execute_script(CELLS, until)

    def run(self, *command, **kw):
        "Type a command; how long it took is kept"
        start = time.time()
        env = {k: v for k, v in os.environ.items() if k != 'DCE_DATA'} | dict(PYTHONPATH=str(ROOT), MPLBACKEND='Agg')
        done = subprocess.run(command, cwd=self.folder, env=env, capture_output=True, text=True, timeout=1500, **kw)
        self.seconds += time.time() - start
        if done.returncode: sys.exit(f"{' '.join(command)}\n{done.stdout[-500:]}\n{done.stderr[-1500:]}")
        return done.stdout

    def paste(self, cells):
        "Run cells of a page, one after the other"
        (self.folder/'cells.py').write_text('\n\n'.join(cells), encoding='utf-8')
        return self.run(sys.executable, 'cells.py')

def film(reader):
    "A film of one's own, as an archive gives it"
    return Path(shutil.copy(ROOT/'deepcovidexplainer'/'samples'/'normal.dcm', reader.folder/'mine.dcm')).name

def explain(reader):
    "(a) explain a film of mine"
    command = reader.read('dce_explain film.dcm', 'code').text.splitlines()[-1]
    said = reader.run(*command.replace('film.dcm', film(reader)).split())
    assert (reader.folder/'explanation.html').stat().st_size > 20_000
    return said.splitlines()[0]

def two_classes(reader):
    "(b) train on two folders of films"
    from deepcovidexplainer.synth import synth_dataset
    import pandas as pd
    drawn = synth_dataset(reader.folder/'drawn', n_per_class=20, seed=3, classes=('healthy', 'lung nodule'))
    table = pd.read_csv(drawn)
    for f, label in zip(table.film, table.label):
        (reader.folder/'films'/label.replace(' ', '_')).mkdir(parents=True, exist_ok=True)
        shutil.move(reader.folder/'drawn'/f, reader.folder/'films'/label.replace(' ', '_'))
    reader.click('your own data')
    command = reader.read('dce_train --table', 'code').text
    said = reader.run(*command.replace('films.csv', 'films').split())
    command = reader.read('dce_explain film.png', 'code').text
    one = next((reader.folder/'films'/'healthy').glob('*.png')).relative_to(reader.folder)
    reader.run(*command.replace('film.png', str(one)).split())
    return said.splitlines()[-2]

def own_network(reader):
    "(c) bring a resnet50 of mine"
    reader.click('your own network')
    reader.read('Four lines make it explain films')
    cells = [c for c in reader.cells('a-resnet50-that-is-yours') if 'list_archs' not in c or 'import' in c]
    said = reader.paste([*cells, "print(e.sentences[0], list(e.attributions))\ne.save('fifty.html')"])
    return said.splitlines()[-1]

def auc_outside(reader):
    "(d) find what the AUC is in a hospital never seen"
    row = reader.read('COVID-19 (Hannover) or normal', 'tr').text
    reader.click('Outside')
    reader.read('In short')
    return ' | '.join(row.splitlines())

WALKS = dict(a=explain, b=two_classes, c=own_network, d=auc_outside)

def told(goal, reader, said):
    "What a walk took, printed and kept"
    words, took = sum(reader.pages.values()), f'{reader.seconds:.0f} s of the machine'
    print(f'{goal}: {reader.clicks} clicks, {words} words ({words/WORDS_A_MINUTE:.1f} minutes), {took}')
    print(f'    {said[:200]}', flush=True)
    seconds = round(reader.seconds, 1)
    return dict(goal=goal, clicks=reader.clicks, words=words, seconds=seconds, said=said.partition(' → ')[0])

def main(site, only=None):
    writes, only, walks = only == '--write', None if only == '--write' else only, []
    for key, walk in WALKS.items():
        if only and key != only: continue
        with tempfile.TemporaryDirectory() as tmp:
            reader = Reader(Path(site), Path(tmp))
            try: said = walk(reader)
            finally: reader.driver.quit()
        walks.append(told(walk.__doc__, reader, said))
    if not writes: return
    kept = json.dumps(dict(words_a_minute=WORDS_A_MINUTE, walks=walks), indent=1, ensure_ascii=False)
    (ROOT/'nbs'/'results'/'walk.json').write_text(f'{kept}\n', encoding='utf-8')

if __name__ == '__main__':
    if sys.argv[1] == '--found': sys.exit(not (browser() and shutil.which('chromedriver') and find_spec('selenium')))
    main(*sys.argv[1:])
