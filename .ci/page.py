"""A report page stands alone: one file that shows film, maps, words and limits with no other file and no network.

    python .ci/page.py explanation.html ...
"""
import sys
from html.parser import HTMLParser
from pathlib import Path

class Page(HTMLParser):
    "What a page asks the browser to fetch, its pictures and its words"
    def __init__(self, text):
        super().__init__()
        self.fetched, self.pictures, self.words, self.title = [], 0, [], 0
        self.feed(text)
    def handle_starttag(self, tag, attrs):
        a = dict(attrs)
        self.title += tag == 'title'
        self.pictures += tag == 'svg' or tag == 'img' and (a.get('src') or '').startswith('data:image/')
        for key in ('src', 'srcset', 'data', 'poster') + (('href',) if tag == 'link' else ()):
            if a.get(key) and not a[key].startswith('data:'): self.fetched.append(f'<{tag} {key}="{a[key][:80]}">')
        if tag == 'img' and not a.get('alt'): self.fetched.append('<img> without alternative text')
    def handle_data(self, data): self.words.append(data)

def faults(path):
    if not Path(path).is_file():
        yield 'no such page'
        return
    text = Path(path).read_text(encoding='utf-8')
    page = Page(text)
    words = ' '.join(' '.join(page.words).split())
    if page.title != 1: yield 'no title, or several'
    if page.pictures < 2: yield f'{page.pictures} pictures: film and maps are missing'
    if 'not a medical device' not in words: yield 'the disclaimer is missing'
    yield from page.fetched

def main(paths):
    found = [f'{p}: {f}' for p in paths for f in faults(p)]
    if found or not paths: sys.exit('\n'.join(found) or 'no page')
    print(', '.join(f'{Path(p).name} {Path(p).stat().st_size/1e3:.0f} kB' for p in paths))

if __name__ == '__main__': main(sys.argv[1:])
