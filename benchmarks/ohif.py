"""What OHIF's viewer shows of our DICOM objects: drops them on its page, opens each series, keeps a picture of what is seen.

    python -m benchmarks ohif FOLDER FILM.dcm ANSWER.dcm …   [--viewer FOLDER_OF_THE_BUILT_VIEWER]

Needs Chromium with its driver, Selenium, and npm, which fetches `@ohif/app` (48 MB; the package holds the built viewer). Nothing leaves
the machine: the viewer is served from a folder and reads the files in the browser. Prints the series that it lists, and its errors.
"""
import argparse, functools, http.server, shutil, subprocess, sys, tarfile, tempfile, threading, time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent/'.ci'))
SERIES = '[data-cy^="study-browser-thumbnail"]'

def fetched(folder):
    "The built viewer, from npm"
    subprocess.run(['npm', 'pack', '--silent', '@ohif/app'], cwd=folder, check=True, timeout=600)
    archive = next(folder.glob('ohif-app-*.tgz'))
    with tarfile.open(archive) as f: f.extractall(folder, filter='data')
    print(archive.stem)
    return folder/'package'/'dist'

class Viewer(http.server.SimpleHTTPRequestHandler):
    "Files of the viewer; every other address is its one page"
    extensions_map = http.server.SimpleHTTPRequestHandler.extensions_map | {
        '.wasm': 'application/wasm', '.js': 'text/javascript'}
    def log_message(self, *args): pass
    def end_headers(self):
        self.send_header('Cross-Origin-Opener-Policy', 'same-origin')
        self.send_header('Cross-Origin-Embedder-Policy', 'require-corp')
        super().end_headers()
    def do_GET(self):
        if not (Path(self.directory)/self.path.split('?')[0].lstrip('/')).is_file(): self.path = '/index.html'
        super().do_GET()

def chromium():
    "A browser without a window that draws WebGL by its processor"
    from selenium import webdriver
    from browser import browser
    options = webdriver.ChromeOptions()
    for flag in ('headless=new', 'no-sandbox', 'window-size=1400,900', 'disable-dev-shm-usage', 'use-angle=swiftshader',
                 'enable-unsafe-swiftshader', 'ignore-gpu-blocklist'): options.add_argument(f'--{flag}')
    options.set_capability('goog:loggingPrefs', {'browser': 'ALL'})
    options.binary_location = browser()
    return webdriver.Chrome(options=options, service=webdriver.ChromeService(shutil.which('chromedriver')))

def until(look, seconds=120):
    "What `look` gives as soon as it gives something"
    end = time.monotonic()+seconds
    while time.monotonic()<end:
        if found := look(): return found
        time.sleep(.5)
    sys.exit('the viewer does not show what was waited for')

def look(driver, address, files, out, pause):
    "Drop the files, open the study, open each series"
    from selenium.webdriver.common.action_chains import ActionChains
    css = lambda q: driver.find_elements('css selector', q)
    xpath = lambda q: driver.find_elements('xpath', q)
    driver.get(f'{address}/local')
    until(lambda: css('input[type=file]'))[0].send_keys('\n'.join(files))
    until(lambda: xpath('//*[normalize-space(.)="Study List"]'))
    until(lambda: css('table tr td'))[0].click()
    until(lambda: xpath('//button[starts-with(normalize-space(.), "Basic Viewer")]'))[0].click()
    series = [t.text.split('\n')[:2] for t in until(lambda: css('canvas') and css(SERIES))]
    for i,words in enumerate(series):
        ActionChains(driver).double_click(css(SERIES)[i]).perform()
        time.sleep(pause)
        driver.save_screenshot(str(out/f'{i}-{words[0]}.png'))
        print(*words, sep=': ')
        for said in driver.get_log('browser'):
            if said['level']=='SEVERE': print('    error:', said['message'].split('" ')[-1][:160])
        if not css(SERIES): return print('    the page broke off')

def main():
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument('out', type=Path)
    p.add_argument('files', nargs='+')
    p.add_argument('--viewer', type=Path, help='a built viewer (package/dist of @ohif/app); fetched if not given')
    p.add_argument('--pause', type=float, default=20, help='seconds for a series to appear')
    a = p.parse_args()
    a.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as tmp:
        serve = functools.partial(Viewer, directory=str(a.viewer or fetched(Path(tmp))))
        server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), serve)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        driver = chromium()
        home, files = f'http://127.0.0.1:{server.server_port}', [str(Path(f).resolve()) for f in a.files]
        try: look(driver, home, files, a.out, a.pause)
        finally:
            driver.quit()
            server.shutdown()

if __name__ == '__main__': main()
