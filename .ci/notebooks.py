"""Read the notebooks as a reader and git will: form, size, stored outputs.

    python .ci/notebooks.py                # every notebook: exit 1 with a line for each fault
    python .ci/notebooks.py nbs/24_lrp.ipynb ...
    python .ci/notebooks.py --count        # how many notebooks there are, and how many code cells a test run executes
    python .ci/notebooks.py --stretches    # where a reader of a room meets more than 60 lines before there is something to look at
"""
import ast, filecmp, json, re, shutil, sys, tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
NBS = ROOT/'nbs'
LIMIT = 1_000_000
STRETCH = 60 # Lines of definitions, at most, before something to look at
MACHINE = re.compile(r'(?<![\w.])/(?:tmp|root|home|work|Users|usr|opt|venv)/\w|site-packages')
BAR = re.compile(r'\d+%\s*\||█|it/s\]')

def find():
    "All notebooks, in order"
    return sorted(p for p in NBS.rglob('*.ipynb') if not any(part[0] in '._' for part in p.relative_to(NBS).parts))

def source(cell): return ''.join(cell['source'])

def flags(cell):
    "The directives of a cell: `#| slow` → `slow`, `#| eval: false` → `eval:false`"
    return {re.sub(r':\s*', ':', f.strip()) for f in re.findall(r'^#\|\s*(.+)$', source(cell), re.M)}

def skipped(cell, skip_flags):
    "Whether a test run leaves the cell out"
    words = flags(cell)
    left_out = 'eval:false' in words or any(f.split()[0] in skip_flags for f in words)
    return left_out or 'nbdev_export(' in source(cell)

def code_cells(nb): return [c for c in nb['cells'] if c['cell_type'] == 'code' and source(c).strip()]

def text_outputs(cell):
    "What a cell printed or shows as text; pictures left out"
    for out in cell.get('outputs', []):
        yield ''.join(out.get('text', ''))
        for mime, value in out.get('data', {}).items():
            if mime.startswith('text/'): yield re.sub(r'data:[\w/+.-]+;base64,[\w+/=\s]+', '', ''.join(value))

def lone_imports(cell):
    "Imports stand in cells of their own: building a module's page runs such cells and no others"
    if any(re.match('export|exec_doc', f) for f in flags(cell)) or 'eval:false' in flags(cell): return True
    try: body = ast.parse(re.sub(r'^\s*[%!].*$', '', source(cell), flags=re.M)).body
    except SyntaxError: return True
    is_import = lambda n: isinstance(n, (ast.Import, ast.ImportFrom))
    return all(map(is_import, body)) or not any(is_import(n) for b in body for n in ast.walk(b))

def defines(cell):
    "Lines of an exported cell that holds a function or a class"
    if not any(f.startswith('export') for f in flags(cell)): return 0
    text = source(cell)
    if not re.search(r'^(async def|def|class|@)', text, re.M): return 0
    return sum(bool(l.strip()) and not l.startswith('#|') for l in text.splitlines())

def stretches(cells):
    "(lines, first definition) of every stretch of definitions that is too long; what is hidden is nothing to look at"
    lines, first = 0, ''
    for cell in cells:
        n = defines(cell)
        if n and not lines: first = re.search(r'^(?:async def|def|class)\s+(\w+)', source(cell), re.M)[1]
        lines += n
        hidden = any(f.split()[0] in ('hide', 'include:false') for f in flags(cell))
        if n or hidden or not cell.get('outputs'): continue
        if lines > STRETCH: yield lines, first
        lines = 0
    if lines > STRETCH: yield lines, first

def faults(path):
    "What is wrong with one notebook, a line each"
    size = path.stat().st_size
    if size > LIMIT: yield f'{size/1e6:.1f} MB; {LIMIT/1e6:.0f} MB is the limit: smaller figures'
    nb = json.loads(path.read_text(encoding='utf-8'))
    head = source(nb['cells'][0])
    if not re.match(r'# \S.*\n+> \S', head): yield 'the first cell is not `# Title` and `> Promise`'
    if len(head.strip().splitlines()) > 3:
        yield 'text behind the promise would be lost on the site: give it a cell of its own'
    module = any(f.startswith('default_exp') for c in code_cells(nb) for f in flags(c))
    if module:
        for lines, first in stretches(code_cells(nb)):
            yield f'{lines} lines from `{first}` before there is something to look at'
    for i, cell in enumerate(code_cells(nb)):
        where = f'code cell {i}, {source(cell).strip().splitlines()[-1][:60]!r}'
        if module and not lone_imports(cell): yield f'{where}: imports and other code in one cell'
        kinds = [o['output_type'] for o in cell.get('outputs', [])]
        if 'error' in kinds: yield f'{where}: an error stands in its outputs'
        for text in text_outputs(cell):
            if MACHINE.search(text): yield f'{where}: a path of one machine in its output: {MACHINE.search(text)[0]!r}'
            if BAR.search(text): yield f'{where}: a progress bar in its output'

def unclean(paths):
    "Notebooks that `nbdev_clean` would change"
    from nbdev.clean import nbdev_clean
    with tempfile.TemporaryDirectory() as tmp:
        for i, p in enumerate(paths): shutil.copy(p, Path(tmp)/f'{i}.ipynb')
        nbdev_clean(fname=tmp)
        return [p for i, p in enumerate(paths) if not filecmp.cmp(p, Path(tmp)/f'{i}.ipynb', shallow=False)]

def count(paths):
    "(notebooks, code cells that a test run executes)"
    from nbdev.config import get_config
    skip = set(get_config().tst_flags.split())
    books = [json.loads(p.read_text(encoding='utf-8')) for p in paths]
    return len(paths), sum(not skipped(c, skip) for book in books for c in code_cells(book))

def long_stretches():
    "Room, lines, first definition"
    for path in sorted(NBS.glob('[0-9]*.ipynb')):
        cells = code_cells(json.loads(path.read_text(encoding='utf-8')))
        for lines, first in stretches(cells): yield f'{path.stem}: {lines} lines from `{first}`'

def main():
    args = sys.argv[1:]
    if '--count' in args: return print(*count(find()))
    if '--stretches' in args: return print(*long_stretches(), sep='\n')
    paths = [Path(a).resolve() for a in args] or find()
    found = [f'{p.relative_to(ROOT)}: {f}' for p in paths for f in faults(p)]
    for p in unclean(paths):
        name = p.relative_to(ROOT)
        found.append(f'{name}: not clean: run `nbdev_clean --fname {name}`')
    if found: sys.exit('\n'.join(found))
    print(f'{len(paths)} notebooks are clean')

if __name__ == '__main__': main()
