"""Stored outputs are what comes out: the text that a page shows, against what its fast cells give today.

    python .ci/stale.py --record FOLDER     # nbdev_test, and what every cell gave goes to FOLDER
    python .ci/stale.py FOLDER              # compare with what the notebooks store
    python .ci/stale.py nbs/index.ipynb ... # run these notebooks and compare

Words must agree; numbers may differ by 2 % or by one in their last digit; times, memory, dates, hashes and addresses are not compared,
nor are pictures and what goes to stderr. Cells that no test run executes (`slow`, `gpu`, `eval: false`) keep their outputs unseen, and so
do those marked `#| varies`: what a network learned in a few steps, or begins with, is another on every machine.
"""
import html, json, os, re, sys, tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from notebooks import NBS, ROOT, find, skipped, source

SKIP = {'slow', 'gpu'}
MARKUP = re.compile(r'<(style|script|svg)\b.*?</\1>|<!--.*?-->|data:[\w/+.-]+;base64,[\w+/=]+|<[^>]+>', re.S)
MASKED = re.compile(r'''0x[0-9a-f]+|\btmp\w{8}\b|\b(?=[0-9a-f]*[a-f])(?=[0-9a-f]*\d)[0-9a-f]{6,}…?|\b\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d\S*)?
    |\b\d\d:\d\d(?::\d\d)?\b|\b[\d.,]+\s?(?:ms|s|seconds?|min|minutes?|hours?|[kMG]i?B|bytes)\b|<Figure[^>]*>''', re.X)
NUMBER = re.compile(r'(?<![\w.])[-+−]?\d+(?:\.\d+)?(?:e[-+]?\d+)?')

def as_text(out):
    "What one output says, or an empty text for a picture"
    if out['output_type'] == 'stream': return ''.join(out['text']) if out.get('name') == 'stdout' else ''
    data = out.get('data', {})
    if any(k.startswith('image/') for k in data): return ''
    kind = next((k for k in ('text/html', 'text/markdown', 'text/plain') if k in data), None)
    text = ''.join(data[kind]) if kind else ''
    return html.unescape(MARKUP.sub(' ', text)) if kind != 'text/plain' else text

def said(outputs):
    "All that a cell says, streams first, with one blank between words"
    parts = sorted(outputs, key=lambda o: o['output_type'] != 'stream')
    return ' '.join(MASKED.sub('*', ' '.join(map(as_text, parts))).split())

def near(a, b):
    "Two numbers as they are written: whether one could be the other on another machine"
    x, y = (float(t.replace('−', '-')) for t in (a, b))
    last = max(10.**-len(t.partition('e')[0].partition('.')[2]) for t in (a, b)) if '.' in a + b else 1.
    step = 0 if 'e' in a + b or '.' not in a + b and max(abs(x), abs(y)) < 20 else last
    tiny = 'e' in a + b and max(abs(x), abs(y)) < 1e-4 # rounding errors have no digits to compare
    return tiny or abs(x - y) <= max(step*1.01, .02*max(abs(x), abs(y)))

def differ(old, new):
    "What is different between two texts, or None"
    same_words = NUMBER.sub('#', old) == NUMBER.sub('#', new)
    numbers = zip(NUMBER.findall(old), NUMBER.findall(new))
    if same_words: apart = [f'{a} became {b}' for a, b in numbers if not near(a, b)]
    else:
        a, b = old.split(), new.split()
        other = (i for i, (v, w) in enumerate(zip(a, b)) if v != w and NUMBER.sub('#', v) != NUMBER.sub('#', w))
        i = next(other, min(len(a), len(b)))
        apart = [f"{' '.join(a[max(0, i-4):i+8])!r} became {' '.join(b[max(0, i-4):i+8])!r}"]
    return '; '.join(apart[:3])[:400] or None

def stale(stored, given):
    "(cells compared, a line for each that differs)"
    compared, lines = 0, []
    for old, new in zip(stored['cells'], given):
        if old['cell_type'] != 'code' or new is None or not old.get('outputs'): continue
        if skipped(old, SKIP | {'varies'}): continue
        compared += 1
        if apart := differ(said(old['outputs']), said(new)):
            last = source(old).strip().splitlines()[-1]
            lines.append(f'{last[:60]!r}: {apart}')
    return compared, lines

def record(folder, path=None):
    "nbdev_test, keeping what every cell gave"
    from execnb.shell import CaptureShell
    from nbdev.test import nbdev_test
    run_all, path_of = CaptureShell.run_all, CaptureShell.set_path
    def named(self, path):
        self.dce_path = Path(path)
        return path_of(self, path)
    def kept(self, nb, *args, **kwargs):
        for c in nb.cells: c['outputs'] = None # a cell that shows nothing keeps None
        try: return run_all(self, nb, *args, **kwargs)
        finally:
            to = Path(folder)/f'{self.dce_path.resolve().relative_to(NBS).as_posix()}.json'
            to.parent.mkdir(parents=True, exist_ok=True)
            if not self.exc: to.write_text(json.dumps([c['outputs'] for c in nb.cells], default=str), encoding='utf-8')
    CaptureShell.run_all, CaptureShell.set_path = kept, named
    nbdev_test(path=path, do_print=False)

def main(args):
    if args[:1] == ['--record']: return record(os.path.abspath(args[1]), *args[2:])
    if args and Path(args[0]).is_dir(): return compare(Path(args[0]), find())
    paths = [Path(a).resolve() for a in args]
    with tempfile.TemporaryDirectory() as folder:
        for p in paths: os.system(f'"{sys.executable}" "{__file__}" --record "{folder}" "{p}"')
        compare(Path(folder), paths)

def compare(folder, paths):
    bad, compared, read = [], 0, 0
    for p in paths:
        given = folder/f'{p.relative_to(NBS).as_posix()}.json'
        if not given.is_file(): continue
        n, lines = stale(json.loads(p.read_text(encoding='utf-8')), json.loads(given.read_text(encoding='utf-8')))
        read, compared, bad = read + 1, compared + n, bad + [f'{p.relative_to(ROOT)}: {l}' for l in lines]
    if bad:
        todo = f'{len(bad)} stored outputs are stale: run those notebooks and keep what they show'
        sys.exit('\n'.join([*bad, todo]))
    if not read: sys.exit(f'no notebook was recorded in {folder}')
    print(f'{read} notebooks, {compared} stored outputs are what comes out')

if __name__ == '__main__': main(sys.argv[1:])
