// What a browser adds to the app: films dropped or chosen go up one by one, and what is too large is refused here
if (!window.dceApp) {
  window.dceApp = true
  const served = document.body.dataset.voila
  const one = (css, root = document) => root.querySelector(css)
  const all = (css, root = document) => [...root.querySelectorAll(css)]
  const wait = ms => new Promise(done => setTimeout(done, ms))
  const received = app => Number(one('.dce-received', app)?.dataset.count || 0)

  function line(app, css, text) {
    const p = document.createElement('p')
    p.textContent = text
    one(css, app)?.append(p)
  }

  // The server believes a page that shows one number in a cookie and in the form with which it ends its session
  if (served && !/\b_xsrf=/.test(document.cookie)) {
    const number = [...crypto.getRandomValues(new Uint8Array(16))].map(b => b.toString(16).padStart(2, '0')).join('')
    document.cookie = `_xsrf=${number}; path=/; SameSite=Strict`
  }

  async function alive() {
    const page = JSON.parse(one('#jupyter-config-data')?.textContent || '{}')
    if (!served || !page.kernelId) return true
    try { return (await fetch(`${page.baseUrl}api/kernels/${page.kernelId}`)).ok } catch { return false }
  }

  async function told() {
    if (await alive()) return true
    all('.dce-app').forEach(app => {
      one('.dce-kept-out', app).replaceChildren()
      line(app, '.dce-kept-out', 'This session has ended, and its films are gone. Try: load the page again.')
    })
    return false
  }

  // The upload button of ipywidgets opens an <input> that is not in the page: for one click it is given a file instead
  function give(app, file) {
    const open = HTMLInputElement.prototype.click, files = new DataTransfer()
    files.items.add(file)
    HTMLInputElement.prototype.click = function () {
      this.files = files.files
      this.dispatchEvent(new Event('change'))
    }
    try { one('.dce-upload', app).click() } finally { HTMLInputElement.prototype.click = open }
  }

  async function readable(file) { try { await file.slice(0, 1).arrayBuffer(); return true } catch { return false } }

  async function send(app, file, left) {
    if (!await readable(file)) return line(app, '.dce-kept-out', `${file.name} cannot be read. Wanted: one chest film.`)
    const before = received(app), sending = one('.dce-sending', app)
    sending.textContent = `Sending ${file.name}${left ? `, then ${left} more` : ''} …`
    give(app, file)
    for (let i = 0; i < 6000 && received(app) == before; i++) await wait(50)
    sending.textContent = ''
    if (received(app) == before) line(app, '.dce-kept-out', `${file.name} did not arrive. Try: load the page again.`)
  }

  function refused(app, file) {
    const limit = Number(one('.dce-drop', app).dataset.limit), mb = n => (n / 1e6).toFixed(0)
    if (file.size <= limit) return false
    const came = `${file.name} has ${mb(file.size)} MB and was not sent.`
    const wanted = `Wanted: one chest film of at most ${mb(limit)} MB.`
    line(app, '.dce-kept-out', `${came} ${wanted} Try: export the single film.`)
    return true
  }

  const waiting = new Map()
  async function take(app, files) {
    one('.dce-kept-out', app).replaceChildren()
    const good = files.filter(f => !refused(app, f))
    if (waiting.has(app)) return waiting.get(app).push(...good)
    waiting.set(app, good)
    if (good.length && await told()) while (good.length) await send(app, good.shift(), good.length)
    waiting.delete(app)
  }

  const under = event => event.target.closest?.('.dce-app') || (served && one('.dce-app'))
  function over(event, on) {
    const app = under(event)
    if (!app || !event.dataTransfer?.types.includes('Files')) return null
    event.preventDefault()
    app.classList.toggle('dce-over', on)
    return app
  }
  document.addEventListener('dragover', event => over(event, true))
  document.addEventListener('dragleave', event => over(event, false))
  document.addEventListener('drop', event => {
    const app = over(event, false)
    if (app) take(app, [...event.dataTransfer.files])
  })
  document.addEventListener('change', event => {
    if (!event.target.matches?.('.dce-app .dce-files')) return
    const files = [...event.target.files]
    event.target.value = ''
    take(event.target.closest('.dce-app'), files)
  })
  document.addEventListener('visibilitychange', () => { if (document.visibilityState == 'visible') told() })

  // Names and roles that ipywidgets does not give
  function tidy() {
    for (const h of all('.dce-app .noUi-handle:not([aria-label])')) {
      h.setAttribute('aria-label', one('.widget-label', h.closest('.widget-slider'))?.textContent || 'Strength')
    }
    for (const e of all('.dce-app .widget-readout:not([aria-label])')) {
      e.setAttribute('aria-label', 'Strength in percent')
      e.setAttribute('role', 'textbox')
    }
    for (const e of all('.dce-status:not([role])')) e.setAttribute('role', 'status')
    for (const e of all('.dce-refused:not([role])')) e.setAttribute('role', 'alert')
    for (const a of all('a.dce-save:not([data-done])')) { a.dataset.done = 1; a.click() }
    if (served) one('.dce-app:not([role])')?.setAttribute('role', 'main')
    for (const app of all('.dce-app:not(.dce-live)')) {
      if (!one('.dce-drop', app) || !one('.dce-awake', app)) continue
      app.classList.add('dce-live')
      one('.dce-awake', app).click()
    }
  }
  if (served) document.documentElement.lang ||= 'en'
  new MutationObserver(tidy).observe(document.body, {subtree: true, childList: true})
  tidy()
}
