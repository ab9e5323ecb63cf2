"""What is in the wheel: everything a user needs, nothing else, under 50 MB.

    python .ci/wheel.py dist/NAME.whl
"""
import re, sys, zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LIMIT = 50_000_000
NEEDED = { # what → the form of its names
    'weights': r'/weights/.+\.safetensors$',
    'cards': r'/weights/.+\.json$',
    'sample films': r'/samples/.+\.(png|jpg|dcm)$'}

def main(path):
    size = Path(path).stat().st_size
    names = {n for n in zipfile.ZipFile(path).namelist() if '.dist-info/' not in n}
    package = ROOT/'deepcovidexplainer'
    files = [p for p in package.rglob('*') if p.is_file() and '__pycache__' not in p.parts]
    wanted = {p.relative_to(ROOT).as_posix() for p in files}
    faults = [f'missing: {n}' for n in sorted(wanted - names)] + [f'unexpected: {n}' for n in sorted(names - wanted)]
    faults += [f'no {what} in the wheel' for what, form in NEEDED.items() if not any(re.search(form, n) for n in names)]
    if size >= LIMIT: faults.append(f'{size/1e6:.1f} MB; {LIMIT/1e6:.0f} MB is the limit')
    if faults: sys.exit('\n'.join(faults))
    print(f'{size/1e6:.1f} MB, {len(names)} files')

if __name__ == '__main__': main(sys.argv[1])
