"""Measurements and trainings that pages quote, by name

    python -m benchmarks              # what there is
    python -m benchmarks NAME --help
    python -m benchmarks NAME …
    python -m benchmarks --readme     # write README.md; --check fails where it is stale

Every script also runs by its path. Those that need the public collections find them by the environment variable `DCE_DATA`.
"""
import ast, re, runpy, sys
from pathlib import Path

HERE = Path(__file__).parent

def scripts():
    "Name → the first line of its docstring"
    paths = sorted(p for p in HERE.glob('*.py') if p.name!='__main__.py')
    return {p.stem:ast.get_docstring(ast.parse(p.read_text(encoding='utf-8'))).splitlines()[0] for p in paths}

def writes(name):
    "Tables that a script leaves for the pages"
    text = (HERE/f'{name}.py').read_text(encoding='utf-8')
    named = re.findall(r"[\w.]+\.(?:json|csv\.gz|csv)\b", text)
    tables = {p.name for p in (HERE.parent/'nbs'/'results').iterdir()}
    return sorted(tables & set(named))

def read_by(table):
    "Pages that read a table, by its name or by one of several names"
    stem = table.split('.')[0]
    def reads(text): return f"result_file('{table}')" in text or "result_file(f'" in text and f"'{stem}'" in text
    pages = sorted((HERE.parent/'nbs').rglob('*.ipynb'))
    return [p.stem for p in pages if reads(p.read_text(encoding='utf-8'))]

README = """# Benchmarks

Every number on the site that does not come from a cell comes from a script here. `python -m benchmarks` lists them,
`python -m benchmarks NAME --help` tells what one takes. Most need the public collections (environment variable `DCE_DATA`);
all that run long go on where they were stopped.
Timings are ratios of things measured in turn, in one run. What pages read is written to `nbs/results`, and its checksum into
`09_download` by `python release/zip_ensembles.py --results`. This file is written by `python -m benchmarks --readme`.

| name | question | tables that it names |
| --- | --- | --- |
{rows}

| table in `nbs/results` | read by |
| --- | --- |
{tables}
"""

def readme():
    "What README.md says"
    rows = [f"| `{name}` | {line} | {', '.join(writes(name))} |" for name, line in scripts().items()]
    tables = sorted(p.name for p in (HERE.parent/'nbs'/'results').iterdir())
    read = [f"| {t} | {', '.join(read_by(t))} |" for t in tables]
    return README.format(rows='\n'.join(rows), tables='\n'.join(read))

def main(argv):
    known = scripts()
    path = HERE/'README.md'
    if argv == ['--readme']: return path.write_text(readme(), encoding='utf-8') and 0
    if argv == ['--check']:
        fits = path.read_text(encoding='utf-8')==readme()
        print('README.md is up to date' if fits else 'README.md is stale: python -m benchmarks --readme')
        return int(not fits)
    if argv and argv[0] in known:
        sys.argv = [f'python -m benchmarks {argv[0]}', *argv[1:]]
        sys.path.insert(0, str(HERE)) # they use each other
        return runpy.run_path(str(HERE/f'{argv[0]}.py'), run_name='__main__') and 0
    if argv and argv[0] not in ('-h', '--help'): print(f'no benchmark named {argv[0]!r}', file=sys.stderr)
    width = max(map(len, known))
    print(__doc__, *(f'{name:{width}}  {line}' for name, line in known.items()), sep='\n')
    return 1 if argv and argv[0] not in ('-h', '--help') else 0

if __name__ == '__main__': sys.exit(main(sys.argv[1:]))
