// Opens each of `pages` in a frame, lets axe-core look, tries the controls of a report; what it finds goes to <pre id="out">
const out = document.getElementById('out'), say = s => out.textContent += s + '\n'
const sleep = ms => new Promise(r => setTimeout(r, ms))
const pixel = 'data:image/gif;base64,R0lGODlhAQABAAAAACw='

async function look(page, width, axe) {
  const frame = document.createElement('iframe'), name = `${page} at ${width}: `
  Object.assign(frame, {width, height: 900, src: page})
  document.body.append(frame)
  await new Promise(r => frame.onload = r)
  await sleep(200)
  const w = frame.contentWindow, d = w.document, script = d.createElement('script')
  for (const folded of d.querySelectorAll('details')) folded.open = true
  script.textContent = axe
  d.head.append(script)
  const found = (await w.axe.run(d, {resultTypes: ['violations']})).violations
  for (const v of found) {
    say(`FAULT ${name}${v.impact} ${v.id}, ${v.nodes.length} times: ${v.nodes[0].html.slice(0, 120)}`)
  }
  if (!await sees(w, d)) say(`FAULT ${name}axe-core misses a picture without words`)
  const over = d.documentElement.scrollWidth - width
  if (over > 0) say(`FAULT ${name}${over} pixels wider than the screen`)
  for (const fault of hand(d, w)) say('FAULT ' + name + fault)
  for (const r of w.performance.getEntriesByType('resource')) {
    if (!r.name.startsWith(location.origin) && !r.name.startsWith('data:')) say(`FAULT ${name}asks ${r.name} for something`)
  }
  say(`looked ${name}${found.length} violations`)
  frame.remove()
}

// Would axe-core say so, if something were wrong?
async function sees(w, d) {
  const silent = d.createElement('img')
  silent.src = pixel
  d.body.append(silent)
  const found = (await w.axe.run(silent)).violations.length
  silent.remove()
  return found > 0
}

function hand(d, w) {
  const one = s => d.querySelector(s), root = one('.dce[id]'), faults = []
  const must = (holds, what) => { if (!holds) faults.push(what) }
  const use = (e, value) => { e.value = value; e.dispatchEvent(new Event('input', {bubbles: true})) }
  if (!root) return faults
  if (one('.dce-slide')) {
    use(one('.dce-slide'), 10)
    must(w.getComputedStyle(root).getPropertyValue('--dce-strength') == '0.1', 'the slider changes nothing')
  }
  if (one('.dce-outline')) {
    one('.dce-outline').click()
    must(root.classList.contains('dce-plain'), 'the outlines stay')
    one('.dce-outline').click()
  }
  use(one('.dce-level'), 30)
  must(one('.dce-grey').getAttribute('filter'), 'the window changes nothing')
  one('.dce-reset').click()
  must(!one('.dce-grey').getAttribute('filter'), 'the window stays')
  const button = one('.dce-enlarge'), said = () => button.getAttribute('aria-expanded')
  button.click()
  must(said() == 'true' && button.closest('figure').offsetWidth >= w.innerWidth - 20, 'nothing is enlarged')
  button.dispatchEvent(new w.KeyboardEvent('keydown', {key: 'Escape', bubbles: true}))
  must(said() == 'false', 'Escape does not close')
  if (one('.dce-method')) {
    one('.dce-method').click()
    must([...d.querySelectorAll('.dce-shown')].every(e => e.style.display == 'none'), 'the heatmap stays')
  }
  return faults
}

async function all() {
  const axe = await (await fetch('axe.min.js')).text()
  for (const page of pages) for (const width of widths) await look(page, width, axe)
  say('DONE')
}
all().catch(e => say('FAULT ' + e)).finally(() => document.title = 'end')
