"""Write `README.md` from `nbs/index.ipynb`.

    python .ci/readme.py             # write it
    python .ci/readme.py --check     # exit 1 when it is stale
    python .ci/readme.py --commands  # print the README's commands, one a line

The notebook is the docs' home page too. Hidden cells are left out, stored outputs are kept as text, and links point into `nbs/`.
"""
import difflib, re, sys
from configparser import ConfigParser
from pathlib import Path
from urllib.parse import quote

ROOT = Path(__file__).resolve().parent.parent
NOTE = '<!-- Written by .ci/readme.py from nbs/index.ipynb: edit the notebook. -->\n\n'

def directive(cell, key):
    "The value of a directive such as `#| echo: false`; an empty string for a bare `#| hide`; None when it is absent"
    found = re.search(rf'^#\|\s*{key}\b:?[ ]*(.*)$', cell.source, re.M)
    return found and found[1].strip()

def as_text(output):
    "An output with its richest textual form alone"
    data = output.get('data')
    if data is None: return output
    if any(k.startswith('image/') for k in data):
        sys.exit('nbs/index.ipynb: a README cannot hold a picture: save it to nbs/images/ and link it')
    best = next(k for k in ('text/markdown', 'text/plain') if k in data)
    return type(output)({**output, 'data': {best: data[best]}})

def visible(cell):
    "A code cell as a reader of the README sees it, or None"
    if any(directive(cell, k) is not None for k in ('hide', 'default_exp', 'export')): return None
    cell.outputs = [] if directive(cell, 'output') == 'false' else [as_text(o) for o in cell.outputs]
    echo = directive(cell, 'echo') != 'false'
    cell.source = re.sub(r'^#\|.*\n?', '', cell.source, flags=re.M).strip()
    if not echo: return as_prose(cell.outputs)
    return cell if cell.outputs or cell.source else None

def as_prose(outputs):
    "Outputs without their code, as a markdown cell; None when there are none"
    from nbformat.v4 import new_markdown_cell
    texts = [''.join(next(iter(o['data'].values()))) if 'data' in o else o['text'] for o in outputs]
    return new_markdown_cell('\n\n'.join(texts)) if texts else None

def into_nbs(text):
    "Relative links lead into `nbs/`"
    return re.sub(r'(\]\(|(?:src|href)=")(?!\w+:|#|/)', r'\1nbs/', text)

def badges():
    "What GitHub says of the workflows, and what `pyproject.toml` says of licence and Python: true by construction"
    cfg = ConfigParser()
    cfg.read(ROOT/'settings.ini', encoding='utf-8')
    cfg = cfg['DEFAULT']
    project = (ROOT/'pyproject.toml').read_text(encoding='utf-8')
    def shield(name, key):
        value = re.search(rf'^{key}\s*=\s*"([^"]+)"', project, re.M)[1].replace('-', '--')
        return f'https://img.shields.io/badge/{name}-{quote(value, safe="")}-1f5a86'
    url, site = cfg['git_url'], cfg['doc_host']+cfg['doc_baseurl']
    flows, files = f'{url}/actions/workflows', f'{url}/blob/main'
    rows = [
        ('tests', f'{flows}/test.yml/badge.svg', f'{flows}/test.yml'),
        ('docs', f'{flows}/docs.yml/badge.svg', site),
        ('licence', shield('licence', 'license'), f'{files}/LICENSE'),
        ('python', shield('python', 'requires-python'), f'{files}/pyproject.toml')]
    return ' '.join(f'[![{name}]({picture})]({there})' for name, picture, there in rows)

def readme():
    "The README's text"
    import nbformat
    from nbconvert import MarkdownExporter
    nb = nbformat.read(ROOT/'nbs'/'index.ipynb', 4)
    nb.cells = [c for c in (visible(c) if c.cell_type == 'code' else c for c in nb.cells) if c is not None]
    nb.metadata.language_info = {'name': 'python'}
    text, _ = MarkdownExporter().from_notebook_node(nb)
    text = re.sub(r'[ \t]+$', '', into_nbs(text), flags=re.M)
    text = re.sub(r'(^> .*\n)', lambda m: f'{m[0]}\n{badges()}\n', text, count=1, flags=re.M)
    return NOTE + re.sub(r'\n{3,}', '\n\n', text).strip() + '\n'

def commands():
    "The two lines a newcomer copies: the main job, the tests"
    blocks = re.findall(r'^```sh\n(.*?)^```', (ROOT/'README.md').read_text(encoding='utf-8'), re.M | re.S)
    lines = [l for b in blocks for l in b.splitlines() if l.startswith('pip install') and '&&' in l]
    if len(lines) != 2: sys.exit(f'README.md must hold two `pip install … && …` commands, and holds {len(lines)}')
    return lines

def main():
    path = ROOT/'README.md'
    if '--commands' in sys.argv: return print('\n'.join(commands()))
    new = readme()
    if '--check' not in sys.argv: return path.write_text(new, encoding='utf-8')
    old = path.read_text(encoding='utf-8')
    if old == new: return
    lines = difflib.unified_diff(old.splitlines(), new.splitlines(), 'README.md', 'nbs/index.ipynb', lineterm='')
    sys.exit('\n'.join(['README.md is stale: run `python .ci/readme.py`', *lines]))

if __name__ == '__main__': main()
