"""Measurements and trainings that pages quote, by name

    python -m benchmarks              # what there is
    python -m benchmarks NAME --help
    python -m benchmarks NAME …

Every script also runs by its path. Those that need the public collections find them by the environment variable `DCE_DATA`.
"""
import ast, runpy, sys
from pathlib import Path

HERE = Path(__file__).parent

def scripts():
    "Name → the first line of its docstring"
    paths = sorted(p for p in HERE.glob('*.py') if p.name!='__main__.py')
    return {p.stem:ast.get_docstring(ast.parse(p.read_text(encoding='utf-8'))).splitlines()[0] for p in paths}

def main(argv):
    known = scripts()
    if argv and argv[0] in known:
        sys.argv = [f'python -m benchmarks {argv[0]}', *argv[1:]]
        sys.path.insert(0, str(HERE)) # they use each other
        return runpy.run_path(str(HERE/f'{argv[0]}.py'), run_name='__main__') and 0
    if argv and argv[0] not in ('-h', '--help'): print(f'no benchmark named {argv[0]!r}', file=sys.stderr)
    width = max(map(len, known))
    print(__doc__, *(f'{name:{width}}  {line}' for name, line in known.items()), sep='\n')
    return 1 if argv and argv[0] not in ('-h', '--help') else 0

if __name__ == '__main__': sys.exit(main(sys.argv[1:]))
