"""Which room imports from which: only from lower numbers, without circles, and no private names.

    python .ci/order.py

A room is a notebook with a number; its module imports only from modules of lower numbers, at the top and inside functions alike.
Private names that rooms still import from each other are printed, and their number must not grow.
"""
import ast, re, sys
from pathlib import Path

PACKAGE = Path(__file__).resolve().parent.parent/'deepcovidexplainer'
MOST_PRIVATE = 0 # how many private imports there may be: lower it, never raise it

def number_of(path):
    "The number of the notebook that a module is written in"
    return int(re.search(r'File to edit: \S*?(\d+)_\w+\.ipynb', path.read_text(encoding='utf-8'))[1])

def imports(path, modules):
    "Every `(line, module, name)` that a module imports from another one"
    for node in ast.walk(ast.parse(path.read_text(encoding='utf-8'))):
        if isinstance(node, ast.Import):
            for a in node.names:
                if a.name.startswith(PACKAGE.name + '.'): yield node.lineno, a.name.split('.')[1], ''
        if not isinstance(node, ast.ImportFrom): continue
        parts = (node.module or '').split('.')
        if node.level == 0 and parts[0] != PACKAGE.name: continue
        inner = [p for p in (parts[1:] if node.level == 0 else parts) if p]
        for a in node.names:
            if inner: yield node.lineno, inner[0], a.name
            elif a.name in modules: yield node.lineno, a.name, ''

def circle(graph):
    "The modules of one circle, or nothing"
    done, path = set(), []
    def visit(m):
        if m in path: return path[path.index(m):] + [m]
        if m in done: return None
        path.append(m)
        found = next((c for c in map(visit, sorted(graph.get(m, ()))) if c), None)
        path.pop()
        done.add(m)
        return found
    return next((c for c in map(visit, sorted(graph)) if c), None)

def main():
    paths = {p.stem: p for p in sorted(PACKAGE.glob('*.py')) if p.name[0] != '_'}
    rooms = {m: number_of(p) for m, p in paths.items()}
    twice = [m for m, n in rooms.items() if list(rooms.values()).count(n) > 1]
    wrong, private, graph = [f'{m} shares its number' for m in twice], [], {m: set() for m in rooms}
    for m, path in paths.items():
        for line, other, name in imports(path, rooms):
            graph[m].add(other)
            where = f'{path.name}:{line}'
            if other not in rooms: wrong.append(f'{where} imports from {other}, which is no room')
            elif rooms[other] >= rooms[m]:
                wrong.append(f'{where}: {rooms[m]:02}_{m} imports from {rooms[other]:02}_{other}')
            if name.startswith('_'): private.append(f'{where}: {name} of {other} is private')
    if found := circle(graph): wrong.append('a circle: ' + ' → '.join(found))
    print(*private, sep='\n', end='\n' if private else '')
    if len(private) > MOST_PRIVATE: wrong.append(f'{len(private)} private imports; there were {MOST_PRIVATE}')
    if wrong: sys.exit('\n'.join(wrong))
    arrows = sum(map(len, graph.values()))
    print(f'{len(rooms)} rooms, {arrows} arrows, none up, no circle; {len(private)} private imports')

if __name__ == '__main__': main()
