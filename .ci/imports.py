"""What importing costs, and what explaining a film drags in.

    python .ci/imports.py

Each question is asked in an interpreter of its own: `import deepcovidexplainer` takes at most 50 ms and loads nothing heavy,
every public name can be had from the package, and explaining a film imports neither fastai nor matplotlib.
"""
import json, subprocess, sys

LIMIT_MS = 50

def ask(code, *args):
    "Run `code` in a fresh interpreter; what it printed as JSON"
    done = subprocess.run([sys.executable, '-c', code, *args], capture_output=True, text=True)
    if done.returncode: sys.exit(f'this failed:\n{code}\n{done.stderr[-3000:]}')
    return json.loads(done.stdout.strip().splitlines()[-1])

COST = """
import json, sys, time
before = set(sys.modules); start = time.perf_counter()
import deepcovidexplainer
ms = (time.perf_counter() - start)*1e3
print(json.dumps([ms, sorted(m for m in set(sys.modules) - before if '.' not in m)]))
"""

NAMES = """
import json, deepcovidexplainer as d
print(json.dumps([n for n in d.__all__ if not hasattr(d, n)] + [n for n in d.__all__ if n not in dir(d)]))
"""

EXPLAIN = """
import json, sys
from deepcovidexplainer import predict_and_explain, sample_radiograph
explanation = predict_and_explain(sample_radiograph('covid-19'))
json.dumps(explanation.to_dict())
print(json.dumps([m for m in ('fastai', 'matplotlib', 'nbdev') if m in sys.modules]))
"""

def main():
    runs = [ask(COST) for _ in range(5)]
    ms, loaded = min(runs)
    if ms > LIMIT_MS: sys.exit(f'import deepcovidexplainer takes {ms:.0f} ms; {LIMIT_MS} ms is the limit')
    if loaded != ['deepcovidexplainer']: sys.exit(f'import deepcovidexplainer also loads {loaded}')
    if missing := ask(NAMES): sys.exit(f'named in the package but not to be had from it: {missing}')
    if dragged := ask(EXPLAIN): sys.exit(f'explaining a film imports {dragged}')
    print(f'import deepcovidexplainer: {ms:.1f} ms; explaining a film imports no fastai and no matplotlib')

if __name__ == '__main__': main()
