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
    inner = {g for f in ast.walk(tree) if isinstance(f, ast.FunctionDef) for g in ast.walk(f) if g is not f and isinstance(g, ast.FunctionDef)}
    return [f for f in ast.walk(tree) if isinstance(f, ast.FunctionDef) and f not in inner]

def body(f):
    "Statements without the docstring"
    told = isinstance(f.body[0], ast.Expr) and isinstance(getattr(f.body[0], 'value', None), ast.Constant)
    return f.body[1:] if told else f.body

def code_lines(text):
    "Line number → characters of code, for lines that hold any"
    found = {}
    for t in tokenize.generate_tokens(io.StringIO(text).readline):
        if t.type in (tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER): continue
        for n in range(t.start[0], t.end[0]+1): found[n] = max(found.get(n, 0), t.end[1] if n==t.end[0] else 0)
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

def rooms(): return {p.stem:measured(p) for p in sorted((ROOT/'deepcovidexplainer').glob('*.py')) if not p.stem.startswith('_')}

def main(how):
    now = rooms()
    if how=='--write': return KEPT.write_text(json.dumps(now, indent=1)+'\n') and 0
    before = json.loads(KEPT.read_text())
    grown = [f'{k}: {v["long"]} long lines, {v["density"]} nodes a line; {before[k]["long"]} and {before[k]["density"]} are kept'
             for k, v in now.items() if k in before and (v['long']>before[k]['long'] or v['density']>before[k]['density']+.5)]
    grown += [f'{k}: a new room has no long lines and at most 14 nodes a line' for k, v in now.items() if k not in before and (v['long'] or v['density']>14)]
    if how!='--check':
        for k, v in now.items(): print(f'{k:14} {v["lines"]:5} lines  {v["long"]:3} long  {v["density"]:5} nodes a line')
    total = sum(v['lines'] for v in now.values())
    dense = sum(v['lines']*v['density'] for v in now.values())/total
    print(*grown, f'{total} lines in bodies, {sum(v["long"] for v in now.values())} long lines, {dense:.1f} nodes a line', sep='\n')
    return 1 if grown else 0

if __name__ == '__main__': sys.exit(main(sys.argv[1] if len(sys.argv)>1 else ''))
