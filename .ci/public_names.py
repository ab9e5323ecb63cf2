"""Keep the table of public names in `deepcovidexplainer/__init__.py` equal to the modules' `__all__`.

    python .ci/public_names.py          # write the table
    python .ci/public_names.py --check  # exit 1 when it is stale
"""
import ast, re, sys
from pathlib import Path
from textwrap import wrap

PACKAGE = Path(__file__).resolve().parent.parent/'deepcovidexplainer'
TABLE = re.compile(r'^_NAMES = \{\n.*?^\}\n', re.M | re.S)

def public_names(path):
    "`__all__` of a module, read without importing it"
    for node in ast.parse(path.read_text(encoding='utf-8')).body:
        if not isinstance(node, ast.Assign): continue
        if getattr(node.targets[0], 'id', '') == '__all__': return ast.literal_eval(node.value)
    return []

def notebook_order(path):
    "Modules in the order of their notebooks"
    return re.search(r'File to edit: \S*?([^/]+)\.ipynb', path.read_text(encoding='utf-8'))[1]

def collect():
    "Module -> its public names, each name once; a name that is also a module's is left to the module"
    paths = sorted((p for p in PACKAGE.glob('*.py') if p.name[0] != '_'), key=notebook_order)
    modules, owner, table = {p.stem for p in paths}, {}, {}
    for path in paths:
        table[path.stem] = [n for n in public_names(path) if n not in modules]
        for name in table[path.stem]:
            if name in owner:
                both = f'{name} is exported by {owner[name]} and by {path.stem}'
                sys.exit(f'{both}: rename one, or keep it out of __all__')
            owner[name] = path.stem
    return table

def table_text(table):
    "The table as Python source, at most 120 characters a line"
    def row(module, names):
        lead = f"    '{module}': "
        lines = wrap(' '.join(names), 116 - len(lead)) or ['']
        quoted = [f"'{l} '" for l in lines[:-1]] + [f"'{lines[-1]}'"]
        if len(quoted) == 1: return f'{lead}{quoted[0]},\n'
        return lead + '(' + ('\n' + ' '*(len(lead) + 1)).join(quoted) + '),\n'
    return '_NAMES = {\n' + ''.join(row(*item) for item in table.items()) + '}\n'

def main():
    init = PACKAGE/'__init__.py'
    old = init.read_text(encoding='utf-8')
    new = TABLE.sub(lambda _: table_text(collect()), old)
    if '--check' not in sys.argv: return init.write_text(new, encoding='utf-8')
    if new != old: sys.exit('deepcovidexplainer/__init__.py is stale: run `python .ci/public_names.py`')

if __name__ == '__main__': main()
