"""How much stands on a line, room by room; neither may grow.

    python .ci/density.py           # the table
    python .ci/density.py --check   # exit 1 for any long line, and where a room is denser than `density.json` says
    python .ci/density.py --write   # after a room became easier to read

A long line has more than 120 characters of code, or more than 140 with its comment, or a second statement behind a semicolon; `__all__`,
directives of cells, and base64 or an address that stands alone cannot be broken and are left out. No room has more than 14 nodes
a line. The same holds in benchmarks, checks, release and the notebooks' cells that are not exported. Density is
the number of syntax nodes in the bodies of functions, divided by their lines without docstrings, comments and blanks. fastcore has 13.6,
zennit 8.5, timm 8.7.
"""
import ast, io, json, re, sys, tokenize
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from notebooks import code_cells, find, flags, source

ROOT = Path(__file__).resolve().parent.parent
KEPT = Path(__file__).with_suffix('.json')
SCRIPTS = ('benchmarks', '.ci', 'release')
WHOLE = re.compile(r"""__all__|#\| |(?:\w+ = )?[#\s"'(]*(?:https?://\S+|(?:data:\S*base64,)?[\w+/=]{60,})[\s"'),]*$""")

def functions(tree):
    "Functions and methods, nested ones within their own"
    every = [f for f in ast.walk(tree) if isinstance(f, ast.FunctionDef)]
    inner = {g for f in every for g in ast.walk(f) if g is not f and isinstance(g, ast.FunctionDef)}
    return [f for f in every if f not in inner]

def body(f):
    "Statements without the docstring"
    told = isinstance(f.body[0], ast.Expr) and isinstance(getattr(f.body[0], 'value', None), ast.Constant)
    return f.body[1:] if told else f.body

NO_CODE = (tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER)

def code_lines(text):
    "Line number → characters of code, for lines that hold any"
    found = {}
    for t in tokenize.generate_tokens(io.StringIO(text).readline):
        if t.type in NO_CODE: continue
        (first, _), (last, end) = t.start, t.end
        for n in range(first, last): found.setdefault(n, 0)
        found[last] = max(found.get(last, 0), end)
    return found

def second_statements(text):
    "Numbers of the lines that go on behind a semicolon; one at the end of a cell's line hides its value"
    tokens = list(tokenize.generate_tokens(io.StringIO(text).readline))
    after = zip(tokens, tokens[1:])
    return {t.start[0] for t, then in after if t.string==';' and then.type not in NO_CODE}

def long_lines(text):
    "Numbers of the lines that hold too much; all of a line counts where a cell is not Python"
    lines = text.splitlines()
    try: code, more = code_lines(text), second_statements(text)
    except (SyntaxError, tokenize.TokenError): code, more = {i:len(line) for i, line in enumerate(lines, 1)}, set()
    def holds_more(i, line): return i in more or code.get(i, 0)>120 or len(line)>140
    return [i for i, line in enumerate(lines, 1) if holds_more(i, line) and not WHOLE.match(line)]

def measured(path):
    "Long lines, and syntax nodes a line of a body"
    text = path.read_text(encoding='utf-8')
    code, long = code_lines(text), len(long_lines(text))
    nodes, rows = 0, set()
    for f in functions(ast.parse(text)):
        for part in body(f):
            nodes += sum(1 for _ in ast.walk(part))
            rows |= {n for n in range(part.lineno, part.end_lineno+1) if n in code}
    return dict(long=long, lines=len(rows), density=round(nodes/max(1, len(rows)), 1))

def rooms():
    "Room → what was measured"
    paths = sorted((ROOT/'deepcovidexplainer').glob('*.py'))
    return {p.stem:measured(p) for p in paths if not p.stem.startswith('_')}

def own_cells(path):
    "(number, text) of a notebook's code cells that are not exported; commands of the shell and of IPython are comments"
    for i, cell in enumerate(code_cells(json.loads(path.read_text(encoding='utf-8')))):
        exported = any(re.match('export', f) for f in flags(cell))
        if not exported: yield i, re.sub(r'^(\s*)[%!]', r'\1#', source(cell), flags=re.M)

def elsewhere():
    "Kind → where long lines stand outside of modules"
    files = {kind:sorted((ROOT/kind).glob('*.py')) for kind in SCRIPTS}
    found = {kind:[f'{kind}/{p.name}:{i}' for p in paths for i in long_lines(p.read_text(encoding='utf-8'))]
             for kind, paths in files.items()}
    cells = [(p.relative_to(ROOT), *cell) for p in find() for cell in own_cells(p)]
    found['cells'] = [f'{path}, code cell {n}, line {i}' for path, n, text in cells for i in long_lines(text)]
    return found

def fault(now, kept):
    "What became worse in a room; None if nothing did"
    if now['long'] or now['density']>14:
        return '{long} long lines, {density} nodes a line; none and 14 are wanted'.format(**now)
    if kept is None: return None
    if now['long']<=kept['long'] and now['density']<=kept['density']+.5: return None
    return '{long} long lines, {density} nodes a line'.format(**now)+'; {long} and {density} are kept'.format(**kept)

def main(how):
    now = rooms()
    if how=='--write': return KEPT.write_text(json.dumps(now, indent=1)+'\n') and 0
    before = json.loads(KEPT.read_text())
    faults = {k:fault(v, before.get(k)) for k, v in now.items()}
    grown, outside = [f'{k}: {why}' for k, why in faults.items() if why], elsewhere()
    grown += [f'{place}: a long line' for kind, places in outside.items() for place in places]
    if how!='--check':
        for k, v in now.items(): print('{0:14} {lines:5} lines  {long:3} long  {density:5} nodes a line'.format(k, **v))
    for kind, places in outside.items(): print(f'{kind:14} {len(places):3} long')
    total, long = (sum(v[k] for v in now.values()) for k in ('lines', 'long'))
    dense = sum(v['lines']*v['density'] for v in now.values())/total
    print(*grown, f'{total} lines in bodies, {long} long lines, {dense:.1f} nodes a line', sep='\n')
    return 1 if grown else 0

if __name__ == '__main__': sys.exit(main(sys.argv[1] if len(sys.argv)>1 else ''))
