// The page as people use it: in Chromium, against a server on a simulated GPU. run.py starts both.
import assert from 'node:assert/strict'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { after, before, test } from 'node:test'
import { chromium } from 'playwright-core'

const url = process.env.PAGE_URL
const screenshots = process.env.PAGE_SCREENSHOTS
const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')
const VIEWS = ['now', 'chat', 'models', 'jobs', 'disk', 'doctor', 'settings']
const WAIT = 60_000 // the processors may have much to do

let browser, context, page
const foreign = [] // requests to anybody but the server
const faults = [] // what the page's console complains of

async function open(options = {}) {
  const made = await browser.newContext({ locale: 'en-US', viewport: { width: 1280, height: 900 }, ...options })
  made.setDefaultTimeout(WAIT)
  await made.route('**', (route) => {
    const target = new URL(route.request().url())
    if (['http:', 'https:', 'ws:', 'wss:'].includes(target.protocol) && target.origin !== url) {
      foreign.push(target.href)
      return route.abort()
    }
    return route.continue()
  })
  const tab = await made.newPage()
  tab.on('pageerror', (error) => faults.push(String(error)))
  tab.on('console', (message) => message.type() === 'error' && faults.push(message.text()))
  return { made, tab }
}

const figures = async () => (await fetch(`${url}/hearth/figures`)).json()
async function until(what, condition) {
  const end = Date.now() + WAIT
  while (!(await condition())) {
    assert.ok(Date.now() < end, `waited for ${what}`)
    await new Promise((done) => setTimeout(done, 100))
  }
}
async function go(view) {
  await page.goto(`${url}/#${view}`)
  await page.getByRole('navigation').getByRole('link', { name: new RegExp(`^${view}$`, 'i') }).and(page.locator('[aria-current=page]')).waitFor()
}
async function say(text) {
  await page.getByRole('textbox', { name: 'Message', exact: true }).fill(text)
  await page.locator('.compose').getByRole('button', { name: 'Send', disabled: false }).waitFor() // the models are known
  await page.keyboard.press('Enter')
}
const lastAnswer = () => page.locator('article.assistant').last()

before(async () => {
  browser = await chromium.launch({ executablePath: '/usr/bin/chromium', args: ['--no-sandbox', '--disable-gpu'] })
  const opened = await open()
  context = opened.made
  page = opened.tab
})
after(async () => {
  await browser.close()
})

test('the first look says that nothing is loaded, and whose the memory of the GPU is', async () => {
  await page.goto(url)
  await page.getByRole('heading', { name: /NVIDIA Tiny Laptop GPU/ }).waitFor()
  assert.match(await page.getByRole('status').first().innerText(), /No model is loaded/)
  assert.match(await page.locator('.legend').first().innerText(), /game[\s\S]*60/)
})

test('an answer streams, with its speed beneath', async () => {
  await go('chat')
  await say('What is the capital of France?')
  await lastAnswer().getByText(/Paris/).waitFor()
  await lastAnswer().getByText(/tokens\/s · first token after .* · \d+ tokens/).waitFor()
})

test('layers that are on the CPU are shown with their cause, and that it is over', async () => {
  await go('now')
  const now = await figures()
  assert.equal(now.models.length, 1)
  assert.ok(now.models[0].layers_on_gpu < now.models[0].layers, JSON.stringify(now.models))
  const top = page.getByRole('status').first()
  await top.getByText(/layers run on the CPU/).waitFor()
  assert.match(await top.innerText(), /What to do: .*game/)
  assert.equal((await figures()).headline.tone, 'warning')
  writeFileSync(process.env.PAGE_LEFT, '')
  await top.getByText('All is on the GPU.').waitFor()
  const model = (await figures()).models[0]
  assert.equal(model.layers_on_gpu, model.layers)
})

test('stop stops', async () => {
  await go('chat')
  await page.getByRole('button', { name: 'New conversation' }).click()
  await page.getByText('System prompt and options').click()
  await page.getByLabel('num_predict').fill('2000')
  await page.getByLabel('repeat_penalty').fill('1.5')
  await say('Tell me a story about a fox named Milo.')
  await lastAnswer().locator('.markdown', { hasText: /\w+/ }).waitFor()
  await page.getByRole('button', { name: 'Stop' }).click()
  await lastAnswer().getByText('Stopped.').waitFor()
  await until('the server to stop too', async () => (await figures()).running === 0)
})

test('a conversation stays, can be edited and answered anew, and two models answer side by side', async () => {
  await go('chat')
  await page.reload()
  await page.getByRole('complementary').getByRole('button', { name: 'What is the capital of France?', exact: true }).click()
  await lastAnswer().getByText(/Paris/).waitFor()
  await page.getByRole('button', { name: 'Edit' }).first().click()
  await page.getByRole('textbox', { name: 'Edit' }).fill('What is the capital of Italy?')
  await page.getByRole('article').getByRole('button', { name: 'Send' }).click()
  await lastAnswer().getByText(/Rome/).waitFor()
  await page.getByRole('button', { name: 'Regenerate' }).click()
  await lastAnswer().getByText(/Rome/).waitFor()
  await page.getByRole('button', { name: 'New conversation' }).click()
  await page.getByRole('button', { name: 'Two models side by side' }).click()
  await say('What is the capital of France?')
  for (const number of [0, 1]) await page.locator('article.assistant').nth(number).getByText(/Paris/).waitFor()
})

test('what a model writes can do nothing', async () => {
  await go('chat')
  await page.route('**/api/chat', (route) =>
    route.fulfill({
      contentType: 'application/x-ndjson',
      body:
        JSON.stringify({
          message: {
            thinking: 'a thought',
            content:
              '<img src=x onerror="document.title=1"> <script>document.title=2</script> ![a](http://elsewhere.test/i.png)\n' +
              '[link](javascript:alert(1))\n```python\nprint("hi")\n```',
            tool_calls: [{ function: { name: 'get_weather', arguments: { city: 'Oslo' } } }],
          },
        }) + '\n{"message":{"content":""},"done":true,"eval_count":7,"eval_duration":1000000000}\n',
    }),
  )
  await page.getByRole('button', { name: 'New conversation' }).click()
  await say('hello')
  await lastAnswer().getByText('get_weather').waitFor()
  assert.equal(await lastAnswer().locator('img, script, a[href^=javascript]').count(), 0)
  assert.match(await page.title(), /^Chat/)
  assert.equal(await lastAnswer().locator('.hljs-string').count(), 1)
  assert.equal(await lastAnswer().locator('pre').first().evaluate((pre) => pre.previousElementSibling.textContent), 'Copy')
  assert.equal(await lastAnswer().locator('details').evaluate((details) => details.open), false)
  await page.unroute('**/api/chat')
})

test('a picture is pasted and dropped, and goes with the question', async () => {
  let sent = null
  await page.route('**/api/show', (route) => route.fulfill({ json: { capabilities: ['completion', 'vision'] } }))
  await page.route('**/api/chat', (route) => {
    sent = route.request().postDataJSON()
    return route.fulfill({ contentType: 'application/x-ndjson', body: '{"message":{"content":"a cat"},"done":true}\n' })
  })
  await go('chat')
  await page.reload()
  await page.getByLabel('Images').waitFor()
  const give = (kind, bytes) =>
    page.locator('.compose').evaluate(
      (form, [kind, bytes]) => {
        const data = new DataTransfer()
        data.items.add(new File([new Uint8Array(bytes)], 'photo.png', { type: 'image/png' }))
        const event =
          kind === 'paste'
            ? new ClipboardEvent('paste', { clipboardData: data, bubbles: true, cancelable: true })
            : new DragEvent('drop', { dataTransfer: data, bubbles: true, cancelable: true })
        form.dispatchEvent(event)
      },
      [kind, bytes],
    )
  await give('paste', [1, 2, 3])
  await give('drop', [4, 5, 6])
  await give('drop', [7, 8, 9])
  const shown = page.locator('.compose .pictures').getByRole('button')
  await shown.nth(2).waitFor()
  await shown.nth(1).click() // not this one
  await say('What is this?')
  await lastAnswer().getByText('a cat').waitFor()
  assert.deepEqual(sent.messages.at(-1).images, ['AQID', 'BwgJ'])
  assert.equal(await shown.count(), 0)
  await page.unroute('**/api/show')
  await page.unroute('**/api/chat')
})

test('a plan is shown before the load, and the load does what it says', async () => {
  // The other model may have taken its place.
  await fetch(url + '/api/generate', { method: 'POST', body: JSON.stringify({ model: 'demo' }) })
  await go('models')
  await page.getByRole('button', { name: 'Plan and load demo:latest' }).click()
  const plan = page.getByRole('region', { name: 'Where demo:latest would be' })
  // What the model has already counts as free: it would give it back.
  assert.match(await plan.getByRole('row', { name: /NVIDIA Tiny Laptop GPU/ }).innerText(), /9\/9/)
  await page.getByRole('button', { name: 'Unload demo:latest' }).click()
  await until('the model to go', async () => (await figures()).models.every((model) => model.name !== 'demo:latest'))
  await page.getByRole('button', { name: /^Load with 2,000 tokens/ }).click()
  await until('the model to come', async () => (await figures()).models.some((model) => model.name === 'demo:latest'))
})

test('a model is pinned, pulled and deleted', async () => {
  await go('models')
  const name = `${process.env.PAGE_REGISTRY}/library/small:latest`
  await page.getByLabel('Model to get, by its name').fill(name)
  await page.getByRole('button', { name: 'Pull', exact: true }).click()
  const row = page.getByRole('listitem').filter({ has: page.getByRole('heading', { name: new RegExp('small') }) })
  await row.waitFor()
  await row.getByRole('button', { name: /^Pin/ }).click()
  await row.getByText('pinned').waitFor()
  assert.ok(await row.getByRole('button', { name: /^Delete/ }).isDisabled())
  await row.getByRole('button', { name: /^Unpin/ }).click()
  await row.getByRole('button', { name: /^Delete small|^Delete .*small/ }).click()
  await row.getByRole('button', { name: /Delete: frees/ }).click()
  await row.waitFor({ state: 'detached' })
})

test('the disk, the doctor and the settings show what the server has', async () => {
  await go('disk')
  await page.getByText('Can take').first().waitFor()
  await go('doctor')
  await page.getByText(/No fault was found|This was found|It could not be told/).waitFor()
  await go('settings')
  await page.getByRole('rowheader', { name: /keep_alive/ }).waitFor()
  await page.getByRole('row', { name: /^context/ }).getByText('OLLAMA_CONTEXT_LENGTH').waitFor()
})

test('a key is made, opens the page from elsewhere, and is revoked', async () => {
  await go('settings')
  await page.getByLabel('Name').fill('laptop')
  await page.getByRole('button', { name: 'Make a key' }).click()
  const key = await page.locator('.secret').innerText()
  const { made, tab } = await open({ extraHTTPHeaders: { 'X-Forwarded-For': '192.0.2.7' } })
  await tab.goto(url)
  await tab.getByRole('heading', { name: 'A key is needed' }).waitFor()
  await tab.getByLabel('Key').fill(key)
  await tab.getByRole('button', { name: 'Use this key' }).click()
  await tab.getByRole('heading', { name: /NVIDIA Tiny Laptop GPU/ }).waitFor()
  await made.close()
  await page.getByRole('button', { name: 'Revoke laptop' }).click()
  await page.getByText('There are none').waitFor()
  faults.length = 0 // refusals without the key, which were to come
})

test('it speaks Spanish and German', async () => {
  for (const [locale, word] of [['es-MX', 'Modelos cargados'], ['de-DE', 'Geladene Modelle']]) {
    const { made, tab } = await open({ locale })
    await tab.goto(url)
    await tab.getByText(word).waitFor()
    assert.equal(await tab.evaluate(() => document.documentElement.lang), locale.slice(0, 2))
    await made.close()
  }
})

async function check(tab, what) {
  await tab.evaluate(axe)
  const { violations } = await tab.evaluate(() => globalThis.axe.run())
  assert.deepEqual(violations.map(({ id, nodes }) => [what, id, nodes.map((node) => node.html.slice(0, 200))]), [])
  const wide = await tab.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth)
  assert.ok(wide <= 0, `${what} is ${wide} pixels too wide`)
}

test('every page is accessible, light and dark, wide and on a phone', async () => {
  if (screenshots) mkdirSync(screenshots, { recursive: true })
  for (const model of (await figures()).models)
    if (model.name !== 'demo:latest')
      await fetch(`${url}/api/generate`, { method: 'POST', body: JSON.stringify({ model: model.name, keep_alive: 0 }) })
  for (const colorScheme of ['light', 'dark']) {
    for (const [size, viewport] of [['wide', { width: 1280, height: 900 }], ['phone', { width: 360, height: 740 }]]) {
      const { made, tab } = await open({ colorScheme, viewport })
      for (const view of VIEWS) {
        await tab.goto(`${url}/#${view}`)
        await tab.getByRole('heading', { level: 1 }).waitFor()
        if (view === 'chat') {
          await tab.getByRole('textbox', { name: 'Message', exact: true }).fill('What is the capital of France?')
          await tab.getByRole('button', { name: 'Send' }).click()
          await tab.getByText(/first token after/).waitFor()
        }
        if (view === 'models') {
          await tab.getByRole('button', { name: 'Plan and load demo:latest' }).click()
          await tab.getByRole('table').waitFor()
        }
        if (view === 'doctor' && size === 'wide') await tab.getByText(/No fault was found|This was found|It could not/).waitFor()
        if (view === 'disk') await tab.getByText('Can take').first().waitFor()
        if (view === 'now') await tab.getByText('Layers on the GPU').first().waitFor()
        await check(tab, `${view}, ${colorScheme}, ${size}`)
        if (screenshots) await tab.screenshot({ path: `${screenshots}/${view}-${colorScheme}-${size}.png`, fullPage: true })
      }
      await made.close()
    }
  }
})

test('it asked nobody but the server, and nothing went wrong on the way', () => {
  assert.deepEqual(foreign, [])
  assert.deepEqual(faults, [])
})
