"""How much stands on a line, room by room; neither may grow.

    python .ci/density.py           # the table
    python .ci/density.py --check   # exit 1 where a room has more long lines, or denser ones, than `density.json` says
    python .ci/density.py --write   # after a room became easier to read

A long line has more than 120 characters of code, or more than 140 with its comment. Density is the number of syntax nodes in the bodies of
functions, divided by their lines without docstrings, comments and blanks. fastcore has 13.6, zennit 8.5, timm 8.7.
"""
import ast, io, json, sys, tokenize
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
KEPT = Path(__file__).with_suffix('.json')

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

def measured(path):
    "Long lines, and syntax nodes a line of a body"
    text = path.read_text(encoding='utf-8')
    lines, code = text.splitlines(), code_lines(text)
    long = sum(code.get(i, 0)>120 or len(line)>140 for i, line in enumerate(lines, 1) if not line.startswith('__all__'))
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

def fault(now, kept):
    "What became worse in a room; None if nothing did"
    if kept is None:
        fine = not now['long'] and now['density']<=14
        return None if fine else 'a new room has no long lines and at most 14 nodes a line'
    if now['long']<=kept['long'] and now['density']<=kept['density']+.5: return None
    return '{long} long lines, {density} nodes a line'.format(**now)+'; {long} and {density} are kept'.format(**kept)

def main(how):
    now = rooms()
    if how=='--write': return KEPT.write_text(json.dumps(now, indent=1)+'\n') and 0
    before = json.loads(KEPT.read_text())
    faults = {k:fault(v, before.get(k)) for k, v in now.items()}
    grown = [f'{k}: {why}' for k, why in faults.items() if why]
    if how!='--check':
        for k, v in now.items(): print(f'{k:14} {v["lines"]:5} lines  {v["long"]:3} long  {v["density"]:5} nodes a line')
    total, long = (sum(v[k] for v in now.values()) for k in ('lines', 'long'))
    dense = sum(v['lines']*v['density'] for v in now.values())/total
    print(*grown, f'{total} lines in bodies, {long} long lines, {dense:.1f} nodes a line', sep='\n')
    return 1 if grown else 0

if __name__ == '__main__': sys.exit(main(sys.argv[1] if len(sys.argv)>1 else ''))
