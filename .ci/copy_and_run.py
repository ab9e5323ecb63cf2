"""What a page shows can be copied: the visible code cells of the tutorials and the home page run in a fresh kernel.

    python .ci/copy_and_run.py                            # all of them
    python .ci/copy_and_run.py nbs/tutorials/explain.ipynb ...
    python .ci/copy_and_run.py --write                    # also keep the cost of each in .ci/tutorials.json, for the top of its page

Visible is what a reader sees as code: no `hide`, no `echo: false`. Left out are cells that no test run executes (`eval: false`, `slow`,
`gpu`). Each page runs in a process of its own, in an empty folder, without the public collections; at most two at a time.
"""
import ast, json, os, re, resource, subprocess, sys, tempfile, time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from notebooks import NBS, ROOT, code_cells, flags, skipped, source

NOT_SHOWN = {'hide', 'echo:false', 'include:false', 'export', 'exports', 'exporti', 'default_exp', 'hide_input'}
NOT_RUN = {'slow', 'gpu'}

def pages(): return [NBS/'index.ipynb', *sorted((NBS/'tutorials').glob('*.ipynb'))]

def visible(path, left_out=NOT_RUN):
    "The cells of one page that a reader can copy"
    cells = code_cells(json.loads(Path(path).read_text(encoding='utf-8')))
    def names(c): return {f if f.startswith(('echo', 'include')) else f.split()[0] for f in flags(c)}
    return [source(c) for c in cells if not names(c) & NOT_SHOWN and not skipped(c, left_out)]

def unknown(path):
    "Names that a visible cell uses and no visible cell defines, cells that take long included"
    import builtins
    known, lost = set(dir(builtins)) | {'display', 'get_ipython'}, []
    for text in visible(path, set()):
        nodes = list(ast.walk(ast.parse(re.sub(r'^\s*[%!].*$', '', text, flags=re.M))))
        for n in nodes:
            if isinstance(n, ast.Name) and not isinstance(n.ctx, ast.Load): known.add(n.id)
            elif isinstance(n, (ast.FunctionDef, ast.ClassDef)): known.add(n.name)
            elif isinstance(n, ast.arg): known.add(n.arg)
            elif isinstance(n, ast.alias): known.add((n.asname or n.name).split('.')[0])
            elif isinstance(n, ast.ExceptHandler) and n.name: known.add(n.name)
        lost += [n.id for n in nodes if isinstance(n, ast.Name) and n.id not in known]
    return sorted(set(lost))

def run(cells):
    "Run cells one after the other; the first that fails ends it"
    from execnb.shell import CaptureShell
    shell = CaptureShell()
    for i, text in enumerate(cells):
        shell.run(text)
        if not shell.exc: continue
        head = re.sub(r'^#\|.*\n', '', text, flags=re.M).strip().splitlines()[0]
        sys.exit(f'visible cell {i}, {head[:80]!r}: {type(shell.exc).__name__}: {shell.exc}')
    used = resource.getrusage(resource.RUSAGE_SELF)
    print('\n' + json.dumps(dict(seconds=round(used.ru_utime + used.ru_stime), megabytes=used.ru_maxrss//1024)))

def try_page(path):
    "(path, what it cost, what failed, seconds)"
    start, cells = time.time(), visible(path)
    if lost := unknown(path): return path, len(cells), [f"no visible cell defines {', '.join(lost)}"], 0
    env = {k: v for k, v in os.environ.items() if k != 'DCE_DATA'} | {'IN_TEST': '1', 'PYTHONPATH': str(ROOT)}
    with tempfile.TemporaryDirectory() as empty:
        command = [sys.executable, __file__, '--cells']
        done = subprocess.run(command, input=json.dumps(cells), cwd=empty, env=env, capture_output=True, text=True)
    said = done.stderr.strip().splitlines()
    if done.returncode: return path, len(cells), said[-1:] or ['failed'], time.time() - start
    counts = dict(cells=len(cells), slow=len(visible(path, set())) - len(cells))
    return path, json.loads(done.stdout.splitlines()[-1]) | counts, [], time.time() - start

def keep(costs):
    "Write what each page cost, for the line at its top"
    path = ROOT/'.ci'/'tutorials.json'
    known = json.loads(path.read_text(encoding='utf-8')) if path.is_file() else {}
    for name, c in costs.items():
        minutes = f"about {round(c['seconds']/60) or 1} minute{'s'*(c['seconds'] >= 90)}"
        long = 'less than a minute' if c['seconds'] < 50 else minutes
        more = f"; on top, {c['slow']} slow cell{'s'*(c['slow'] > 1)}" if c['slow'] else ''
        known[name] = dict(cells=c['cells'], says=f"{long} on one core, {c['megabytes']/1000:.1f} GB of memory{more}")
    path.write_text(json.dumps(dict(sorted(known.items())), indent=1) + '\n', encoding='utf-8')

def main(args):
    if args == ['--cells']: return run(json.load(sys.stdin))
    writes, args = '--write' in args, [a for a in args if a != '--write']
    paths = [Path(a).resolve() for a in args] or pages()
    with ThreadPoolExecutor(min(2, os.cpu_count() or 1)) as pool: done = list(pool.map(try_page, paths))
    for path, cost, wrong, seconds in done:
        what = wrong[0] if wrong else f"{cost['cells']} visible cells"
        print(f'{path.relative_to(NBS)}: {what} ({seconds:.0f} s)')
    if writes: keep({p.stem: cost for p, cost, wrong, _ in done if not wrong and cost['cells']})
    bad = [path for path, _, wrong, _ in done if wrong]
    if bad: sys.exit(f'{len(bad)} of {len(done)} pages cannot be copied')
    print(f"{len(done)} pages, {sum(cost['cells'] for _, cost, *_ in done)} visible cells run")

if __name__ == '__main__': main(sys.argv[1:])
