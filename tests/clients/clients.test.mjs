// Clients of other projects, as they come, against a real server with the demonstration model: chat, streams, tools in
// a loop, embeddings, an answer that is given up, errors.
//
//   HEARTH=build/hearth node --test clients.test.mjs
import assert from 'node:assert/strict'
import { execFileSync, spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'

const QUESTION = 'What is the capital of France?'
const WEATHER_QUESTION = 'What is the weather in Oslo?'
const WEATHER = JSON.stringify({ temperature: 12, condition: 'sunny' })
const DESCRIPTION = 'Get the current weather in a city'
const PARAMETERS = { type: 'object', properties: { city: { type: 'string' } }, required: ['city'] }
const LONG = { type: 'array', items: { type: 'integer', minimum: 0, maximum: 9 }, minItems: 300, maxItems: 300 }

let server, url

// A server of its own, and the environment of commands that go through it.
async function start(more = {}) {
  const environment = { ...process.env, ...more, XDG_STATE_HOME: mkdtempSync(join(tmpdir(), 'hearth-clients-')) }
  const child = spawn(process.env.HEARTH, ['serve', '--gpu', 'off', '--host', '127.0.0.1:0'], {
    stdio: ['ignore', 'ignore', 'pipe'],
    env: environment,
  })
  let log = ''
  const address = await new Promise((resolve, reject) => {
    child.stderr.on('data', (data) => {
      log += data
      const found = /Listening on (\S+)/.exec(log)
      if (found) resolve('http://' + found[1])
    })
    child.on('exit', () => reject(new Error(log)))
  })
  return { child, address, environment }
}

before(async () => {
  const started = await start()
  server = started.child
  url = started.address
})
after(() => server.kill())

// A client whose version of Node.js is too old is left out by name.
async function load(name) {
  try {
    return await import(name)
  } catch (error) {
    if (Number(process.versions.node.split('.')[0]) >= 20) throw error
    return null
  }
}
function client(name, modules, body) {
  describe(name, async () => {
    const loaded = []
    for (const module of modules) loaded.push(await load(module))
    if (loaded.includes(null)) return test(`${name} needs a newer Node.js than ${process.version}`, { skip: true }, () => {})
    body(...loaded)
  })
}

// Nothing of an answer that was given up runs on: the next one is served at once by the same slot.
async function idle() {
  const { Ollama } = await import('ollama')
  const reply = await new Ollama({ host: url }).generate({ model: 'demo', prompt: QUESTION, options: { temperature: 0 } })
  assert.match(reply.response, /Paris/)
}

client('ollama', ['ollama'], ({ Ollama }) => {
  const make = () => new Ollama({ host: url })
  const ask = { model: 'demo', messages: [{ role: 'user', content: QUESTION }], options: { temperature: 0 } }
  const tools = [{ type: 'function', function: { name: 'get_weather', description: DESCRIPTION, parameters: PARAMETERS } }]

  test('chats, whole and streamed alike', async () => {
    const whole = await make().chat(ask)
    assert.match(whole.message.content, /Paris/)
    let streamed = ''
    for await (const part of await make().chat({ ...ask, stream: true })) streamed += part.message.content
    assert.equal(streamed, whole.message.content)
  })
  test('calls tools in a loop', async () => {
    const messages = [{ role: 'user', content: WEATHER_QUESTION }]
    const first = await make().chat({ ...ask, messages, tools })
    assert.deepEqual(first.message.tool_calls[0].function.arguments, { city: 'Oslo' })
    messages.push(first.message, { role: 'tool', tool_name: 'get_weather', content: WEATHER })
    const second = await make().chat({ ...ask, messages, tools })
    assert.match(second.message.content, /12/)
  })
  test('holds answers to a schema', async () => {
    const reply = await make().chat({ ...ask, format: { type: 'object', properties: { n: { type: 'integer', maximum: 9, minimum: 0 } }, required: ['n'], additionalProperties: false } })
    assert.equal(typeof JSON.parse(reply.message.content).n, 'number')
  })
  test('shows, lists and tells its version', async () => {
    assert.ok((await make().list()).models.some((model) => model.name === 'demo:latest'))
    const shown = await make().show({ model: 'demo' })
    assert.equal(shown.model_info['general.architecture'], 'llama')
    assert.ok(shown.capabilities.includes('tools'))
    assert.equal((await make().ps()).models[0].name, 'demo:latest')
    assert.match((await make().version()).version, /^\d+\.\d+\.\d+/)
  })
  test('embeds texts', async () => {
    const { embeddings } = await make().embed({ model: 'demo', input: ['Paris', 'London'] })
    assert.equal(embeddings.length, 2)
    assert.ok(Math.abs(Math.hypot(...embeddings[0]) - 1) < 1e-4)
  })
  test('gives up an answer', async () => {
    const ollama = make()
    const stream = await ollama.generate({ model: 'demo', prompt: 'Count.', stream: true, format: LONG })
    await assert.rejects(async () => {
      for await (const part of stream) if (part) ollama.abort()
    }, { name: 'AbortError' })
    await idle()
  })
  test('names an unknown model', async () => {
    await assert.rejects(make().chat({ ...ask, model: 'nobody' }), { status_code: 404, error: "model 'nobody' not found" })
  })
})

client('openai', ['openai'], ({ default: OpenAI }) => {
  const make = () => new OpenAI({ baseURL: url + '/v1', apiKey: 'any', maxRetries: 0 })
  const ask = { model: 'demo', messages: [{ role: 'user', content: QUESTION }], temperature: 0 }
  const tools = [{ type: 'function', function: { name: 'get_weather', description: DESCRIPTION, parameters: PARAMETERS } }]

  test('chats, whole and streamed alike', async () => {
    const whole = await make().chat.completions.create(ask)
    assert.match(whole.choices[0].message.content, /Paris/)
    const stream = make().chat.completions.stream({ ...ask, stream_options: { include_usage: true } })
    const final = await stream.finalChatCompletion()
    assert.equal(final.choices[0].message.content, whole.choices[0].message.content)
    assert.equal(final.usage.prompt_tokens, whole.usage.prompt_tokens)
  })
  test('calls tools in a loop', async () => {
    const seen = []
    const runner = make().chat.completions.runTools({
      ...ask, messages: [{ role: 'user', content: WEATHER_QUESTION }], stream: true,
      tools: [{ type: 'function', function: { name: 'get_weather', description: DESCRIPTION, parameters: PARAMETERS, parse: JSON.parse, function: (input) => { seen.push(input); return WEATHER } } }],
    })
    assert.match(await runner.finalContent(), /12/)
    assert.deepEqual(seen, [{ city: 'Oslo' }])
  })
  test('obeys tool_choice', async () => {
    const required = await make().chat.completions.create({ ...ask, tools, tool_choice: 'required' })
    assert.equal(required.choices[0].finish_reason, 'tool_calls')
    const none = await make().chat.completions.create({ ...ask, messages: [{ role: 'user', content: WEATHER_QUESTION }], tools, tool_choice: 'none' })
    assert.equal(none.choices[0].message.tool_calls, undefined)
  })
  test('holds answers to a schema', async () => {
    const schema = { type: 'object', properties: { n: { type: 'integer', minimum: 0, maximum: 9 } }, required: ['n'], additionalProperties: false }
    const reply = await make().chat.completions.parse({ ...ask, response_format: { type: 'json_schema', json_schema: { name: 'n', strict: true, schema } } })
    assert.equal(typeof JSON.parse(reply.choices[0].message.content).n, 'number')
  })
  test('completes, lists, and responds', async () => {
    assert.equal((await make().completions.create({ model: 'demo', prompt: 'The capital of', max_tokens: 3 })).choices.length, 1)
    const models = []
    for await (const model of make().models.list()) models.push(model.id)
    assert.ok(models.includes('demo:latest'))
    const first = await make().responses.create({ model: 'demo', input: QUESTION, temperature: 0 })
    assert.match(first.output_text, /Paris/)
    const stream = make().responses.stream({ model: 'demo', input: QUESTION, temperature: 0, previous_response_id: null })
    assert.equal((await stream.finalResponse()).output_text, first.output_text)
    assert.equal((await make().responses.retrieve(first.id)).id, first.id)
    const called = await make().responses.create({ model: 'demo', input: WEATHER_QUESTION, temperature: 0, tools: [{ type: 'function', name: 'get_weather', description: DESCRIPTION, parameters: PARAMETERS, strict: false }] })
    const call = called.output.find((item) => item.type === 'function_call')
    const told = await make().responses.create({ model: 'demo', temperature: 0, previous_response_id: called.id, tools: called.tools, input: [{ type: 'function_call_output', call_id: call.call_id, output: WEATHER }] })
    assert.match(told.output_text, /12/)
  })
  test('embeds texts', async () => {
    const reply = await make().embeddings.create({ model: 'demo', input: ['Paris', 'London'] })
    const floats = await make().embeddings.create({ model: 'demo', input: 'Paris', encoding_format: 'float' })
    assert.equal(reply.data.length, 2)
    assert.ok(reply.data[0].embedding.every((value, i) => Math.abs(value - floats.data[0].embedding[i]) < 1e-6))
  })
  test('gives up an answer', async () => {
    const controller = new AbortController()
    const stream = await make().chat.completions.create({ ...ask, stream: true, min_tokens: 900 }, { signal: controller.signal })
    for await (const chunk of stream) if (chunk.choices.length) controller.abort()
    await idle()
  })
  test('has errors of the right kinds', async () => {
    await assert.rejects(make().chat.completions.create({ ...ask, model: 'nobody' }), OpenAI.NotFoundError)
    await assert.rejects(make().chat.completions.create({ ...ask, temperature: 5 }), (error) => {
      assert.ok(error instanceof OpenAI.BadRequestError)
      assert.equal(error.param, 'temperature')
      assert.match(error.requestID, /^req_/)
      return true
    })
    await assert.rejects(make().chat.completions.create({ ...ask, messages: [{ role: 'user', content: 'word '.repeat(3000) }] }), { code: 'context_length_exceeded' })
  })
})

client('openai batches', ['openai'], ({ default: OpenAI, toFile }) => {
  const make = () => new OpenAI({ baseURL: url + '/v1', apiKey: 'any', maxRetries: 0 })
  const lines = [1, 2, 3].map((n) => JSON.stringify({ custom_id: `c${n}`, method: 'POST', url: '/v1/chat/completions', body: { model: n === 3 ? 'nobody' : 'demo', messages: [{ role: 'user', content: QUESTION }], temperature: 0 } }))

  test('runs a batch from upload to results', { timeout: 120_000 }, async () => {
    const file = await make().files.create({ file: await toFile(Buffer.from(lines.join('\n')), 'in.jsonl'), purpose: 'batch' })
    assert.equal(file.purpose, 'batch')
    let batch = await make().batches.create({ input_file_id: file.id, endpoint: '/v1/chat/completions', completion_window: '24h', metadata: { of: 'me' } })
    while (['validating', 'in_progress', 'finalizing'].includes(batch.status)) {
      await new Promise((resolve) => setTimeout(resolve, 200))
      batch = await make().batches.retrieve(batch.id)
    }
    assert.equal(batch.status, 'completed')
    assert.deepEqual(batch.request_counts, { total: 3, completed: 2, failed: 1 })
    assert.equal(batch.metadata.of, 'me')
    const results = (await (await make().files.content(batch.output_file_id)).text()).trim().split('\n').map(JSON.parse)
    assert.deepEqual(results.map((line) => line.custom_id), ['c1', 'c2'])
    assert.match(results[0].response.body.choices[0].message.content, /Paris/)
    const errors = await (await make().files.content(batch.error_file_id)).text()
    assert.equal(JSON.parse(errors).response.status_code, 404)
    const listed = []
    for await (const one of make().batches.list()) listed.push(one.id)
    assert.ok(listed.includes(batch.id))
    assert.equal((await make().files.delete(file.id)).deleted, true)
  })
  test('cancels a batch', async () => {
    const file = await make().files.create({ file: await toFile(Buffer.from(lines[0]), 'in.jsonl'), purpose: 'batch' })
    const batch = await make().batches.create({ input_file_id: file.id, endpoint: '/v1/chat/completions', completion_window: '24h' })
    const cancelled = await make().batches.cancel(batch.id).catch((error) => error)
    assert.ok(cancelled.status === 409 || cancelled.status === 'cancelled')
  })
})

client('@anthropic-ai/sdk batches', ['@anthropic-ai/sdk'], ({ default: Anthropic }) => {
  const make = () => new Anthropic({ baseURL: url, apiKey: 'any', maxRetries: 0 })
  const params = { model: 'demo', max_tokens: 60, messages: [{ role: 'user', content: QUESTION }], temperature: 0 }

  test('runs a batch of messages', { timeout: 120_000 }, async () => {
    let batch = await make().messages.batches.create({ requests: [{ custom_id: 'a', params }, { custom_id: 'b', params: { ...params, model: 'nobody' } }] })
    while (batch.processing_status !== 'ended') {
      await new Promise((resolve) => setTimeout(resolve, 200))
      batch = await make().messages.batches.retrieve(batch.id)
    }
    const results = {}
    for await (const one of await make().messages.batches.results(batch.id)) results[one.custom_id] = one.result
    assert.match(results.a.message.content[0].text, /Paris/)
    assert.equal(results.b.type, 'errored')
    assert.equal((await make().messages.batches.delete(batch.id)).type, 'message_batch_deleted')
  })
})

client('@anthropic-ai/sdk', ['@anthropic-ai/sdk'], ({ default: Anthropic }) => {
  const make = () => new Anthropic({ baseURL: url, apiKey: 'any', maxRetries: 0 })
  const ask = { model: 'demo', max_tokens: 60, messages: [{ role: 'user', content: QUESTION }], temperature: 0 }
  const tools = [{ name: 'get_weather', description: DESCRIPTION, input_schema: PARAMETERS }]

  test('messages, whole and streamed alike', async () => {
    const whole = await make().messages.create(ask)
    assert.match(whole.content[0].text, /Paris/)
    const final = await make().messages.stream(ask).finalMessage()
    assert.equal(final.content[0].text, whole.content[0].text)
    assert.equal(final.stop_reason, 'end_turn')
    const sum = ({ usage }) => usage.input_tokens + usage.cache_read_input_tokens + usage.cache_creation_input_tokens
    assert.equal((await make().messages.countTokens({ model: 'demo', messages: ask.messages })).input_tokens, sum(whole))
    assert.equal(sum(final), sum(whole))
  })
  test('calls tools in a loop', async () => {
    const seen = []
    const runner = make().beta.messages.toolRunner({
      ...ask, messages: [{ role: 'user', content: WEATHER_QUESTION }], stream: false,
      tools: [{ ...tools[0], type: 'custom', parse: (input) => input, run: (input) => { seen.push(input); return WEATHER } }],
    })
    const final = await runner.runUntilDone()
    assert.match(final.content.map((block) => block.text ?? '').join(''), /12/)
    assert.deepEqual(seen, [{ city: 'Oslo' }])
  })
  test('streams the input of calls, and obeys tool_choice', async () => {
    const final = await make().messages.stream({ ...ask, messages: [{ role: 'user', content: WEATHER_QUESTION }], tools }).finalMessage()
    assert.deepEqual(final.content.at(-1).input, { city: 'Oslo' })
    assert.equal(final.stop_reason, 'tool_use')
    const any = await make().messages.create({ ...ask, tools, tool_choice: { type: 'any' } })
    assert.equal(any.stop_reason, 'tool_use')
  })
  test('lists models', async () => {
    const models = []
    for await (const model of make().models.list()) models.push(model.id)
    assert.ok(models.includes('demo:latest'))
  })
  test('stops at a sequence', async () => {
    const reply = await make().messages.create({ ...ask, stop_sequences: ['France'] })
    assert.equal(reply.stop_reason, 'stop_sequence')
    assert.equal(reply.stop_sequence, 'France')
    assert.ok(!reply.content[0].text.includes('France'))
  })
  test('gives up an answer', async () => {
    // One that may have ended before it is given up would be no test, and the client then waits for ever.
    const stream = make().messages.stream({ ...ask, max_tokens: 900, output_config: { format: { type: 'json_schema', schema: LONG } } })
    stream.on('text', () => stream.abort())
    await assert.rejects(stream.finalMessage(), Anthropic.APIUserAbortError)
    await idle()
  })
  test('has errors of the right kinds', async () => {
    await assert.rejects(make().messages.create({ ...ask, model: 'nobody' }), Anthropic.NotFoundError)
    await assert.rejects(make().messages.create({ ...ask, messages: [{ role: 'user', content: 'word '.repeat(3000) }] }), (error) => {
      assert.ok(error instanceof Anthropic.BadRequestError)
      assert.match(error.message, /prompt is too long: \d+ tokens > \d+ maximum/)
      return true
    })
  })
})

client('ai', ['ai', '@ai-sdk/openai-compatible', 'zod'], (ai, { createOpenAICompatible }, { z }) => {
  const model = () => createOpenAICompatible({ name: 'hearth', baseURL: url + '/v1', includeUsage: true })('demo')
  test('generates, whole and streamed alike', async () => {
    const whole = await ai.generateText({ model: model(), prompt: QUESTION, temperature: 0, maxRetries: 0 })
    assert.match(whole.text, /Paris/)
    const stream = ai.streamText({ model: model(), prompt: QUESTION, temperature: 0, maxRetries: 0 })
    assert.equal(await stream.text, whole.text)
    assert.equal((await stream.usage).inputTokens, whole.usage.inputTokens)
  })
  test('calls tools in a loop', async () => {
    const seen = []
    const { text } = await ai.generateText({
      model: model(), prompt: WEATHER_QUESTION, temperature: 0, maxRetries: 0, stopWhen: ai.stepCountIs(3),
      tools: { get_weather: ai.tool({ description: DESCRIPTION, inputSchema: z.object({ city: z.string() }), execute: async (input) => { seen.push(input); return WEATHER } }) },
    })
    assert.match(text, /12/)
    assert.deepEqual(seen, [{ city: 'Oslo' }])
  })
  test('embeds texts', async () => {
    const provider = createOpenAICompatible({ name: 'hearth', baseURL: url + '/v1' })
    const { embeddings } = await ai.embedMany({ model: provider.textEmbeddingModel('demo'), values: ['Paris', 'London'], maxRetries: 0 })
    assert.equal(embeddings.length, 2)
  })
})

client('LangChain', ['@langchain/ollama', '@langchain/openai', '@langchain/core/tools', '@langchain/core/messages', 'zod'],
  ({ ChatOllama, OllamaEmbeddings }, { ChatOpenAI }, { tool }, { HumanMessage }, { z }) => {
    const kinds = {
      ChatOllama: () => new ChatOllama({ baseUrl: url, model: 'demo', temperature: 0 }),
      ChatOpenAI: () => new ChatOpenAI({ configuration: { baseURL: url + '/v1' }, apiKey: 'any', model: 'demo', temperature: 0, maxRetries: 0 }),
    }
    const weather = () => tool(async () => WEATHER, { name: 'get_weather', description: DESCRIPTION, schema: z.object({ city: z.string() }) })
    for (const [name, make] of Object.entries(kinds)) {
      test(`${name} chats, whole and streamed alike`, async () => {
        const whole = await make().invoke(QUESTION)
        assert.match(whole.content, /Paris/)
        assert.ok(whole.usage_metadata.input_tokens > 0)
        let streamed = ''
        for await (const chunk of await make().stream(QUESTION)) streamed += chunk.content
        assert.equal(streamed, whole.content)
      })
      test(`${name} calls tools in a loop`, async () => {
        const bound = make().bindTools([weather()])
        const messages = [new HumanMessage(WEATHER_QUESTION)]
        const first = await bound.invoke(messages)
        assert.deepEqual(first.tool_calls[0].args, { city: 'Oslo' })
        messages.push(first, await weather().invoke(first.tool_calls[0]))
        assert.match((await bound.invoke(messages)).content, /12/)
      })
    }
    test('embeds texts', async () => {
      const vectors = await new OllamaEmbeddings({ baseUrl: url, model: 'demo' }).embedDocuments(['Paris', 'London'])
      assert.equal(vectors.length, 2)
    })
  })

describe('keys', async () => {
  let guarded, key
  before(async () => {
    guarded = await start()
    key = execFileSync(process.env.HEARTH, ['key', 'add', 'anna'], { env: guarded.environment, encoding: 'utf8' }).trim()
  })
  after(() => guarded.child.kill())
  const messages = [{ role: 'user', content: QUESTION }]
  const away = { 'X-Forwarded-For': '203.0.113.5' } // of a proxy: who asks is not on this machine, where no key is needed

  test('ollama', async () => {
    const { Ollama } = await import('ollama')
    const ask = (text) => new Ollama({ host: guarded.address, headers: { ...away, Authorization: 'Bearer ' + text } })
      .chat({ model: 'demo', messages, options: { temperature: 0 } })
    assert.match((await ask(key)).message.content, /Paris/)
    await assert.rejects(ask('wrong'), { status_code: 401 })
  })
  test('openai', async () => {
    const { default: OpenAI } = await import('openai')
    const make = (apiKey) => new OpenAI({ baseURL: guarded.address + '/v1', apiKey, maxRetries: 0, defaultHeaders: away })
    const ask = (apiKey) => make(apiKey).chat.completions.create({ model: 'demo', messages, temperature: 0 })
    assert.match((await ask(key)).choices[0].message.content, /Paris/)
    await assert.rejects(ask('wrong'), OpenAI.AuthenticationError)
    // What one key has stored no other sees.
    const stored = await make(key).responses.create({ model: 'demo', input: QUESTION })
    assert.equal((await make(key).responses.retrieve(stored.id)).id, stored.id)
    const other = execFileSync(process.env.HEARTH, ['key', 'add', 'bert'], { env: guarded.environment, encoding: 'utf8' }).trim()
    await assert.rejects(make(other).responses.retrieve(stored.id), OpenAI.NotFoundError)
  })
  test('@anthropic-ai/sdk', async () => {
    const { default: Anthropic } = await import('@anthropic-ai/sdk')
    const ask = (how) => new Anthropic({ baseURL: guarded.address, apiKey: null, maxRetries: 0, defaultHeaders: away, ...how })
      .messages.create({ model: 'demo', max_tokens: 30, messages, temperature: 0 })
    assert.match((await ask({ apiKey: key })).content[0].text, /Paris/)
    assert.match((await ask({ authToken: key })).content[0].text, /Paris/)
    await assert.rejects(ask({ apiKey: 'wrong' }), Anthropic.AuthenticationError)
  })
  test('ai', async () => {
    const ai = await load('ai')
    const { createOpenAICompatible } = await import('@ai-sdk/openai-compatible')
    if (ai === null) return
    const ask = (apiKey) => ai.generateText({ model: createOpenAICompatible({ name: 'hearth', baseURL: guarded.address + '/v1', apiKey, headers: away })('demo'),
      prompt: QUESTION, temperature: 0, maxRetries: 0 })
    assert.match((await ask(key)).text, /Paris/)
    await assert.rejects(ask('wrong'), { statusCode: 401 })
  })
})

// A model that sees, in a store of its own, out of the shared material.
describe('pictures', () => {
  const shared = process.env.HEARTH_SHARED ?? ''
  const photo = join(shared, 'golden/vision/images/photo.png')
  if (!existsSync(photo)) return test('shared material not found', { skip: true }, () => {})
  const image = readFileSync(photo).toString('base64')
  let seeing
  before(async () => {
    const folder = mkdtempSync(join(tmpdir(), 'hearth-clients-'))
    mkdirSync(join(folder, 'blobs'))
    const blob = (data, mediaType) => {
      const digest = createHash('sha256').update(data).digest('hex')
      writeFileSync(join(folder, 'blobs', `sha256-${digest}`), data)
      return { mediaType, digest: `sha256:${digest}`, size: data.length }
    }
    const layer = (kind, data) => blob(data, `application/vnd.ollama.image.${kind}`)
    const manifest = {
      schemaVersion: 2,
      mediaType: 'application/vnd.docker.distribution.manifest.v2+json',
      config: blob(Buffer.from('{}'), 'application/vnd.docker.container.image.v1+json'),
      layers: [
        layer('model', readFileSync(join(shared, 'models/tiny/llama.gguf'))),
        layer('projector', readFileSync(join(shared, 'models/vision/mmproj-llava.gguf'))),
        layer('template', Buffer.from('{{ .Prompt }}')),
      ],
    }
    const name = join(folder, 'manifests/registry.ollama.ai/library/llava')
    mkdirSync(name, { recursive: true })
    writeFileSync(join(name, 'latest'), JSON.stringify(manifest))
    seeing = await start({ OLLAMA_MODELS: folder })
  })
  after(() => seeing?.child.kill())

  test('ollama, openai and @anthropic-ai/sdk send them, and get the same answer', async () => {
    const { Ollama } = await import('ollama')
    const { default: OpenAI } = await import('openai')
    const { default: Anthropic } = await import('@anthropic-ai/sdk')
    const text = 'What is this?'
    const ollama = new Ollama({ host: seeing.address })
    const chat = await ollama.chat({
      model: 'llava',
      messages: [{ role: 'user', content: text, images: [image] }],
      options: { temperature: 0, num_predict: 8 },
    })
    const by_path = await ollama.chat({
      model: 'llava',
      messages: [{ role: 'user', content: text, images: [photo] }],
      options: { temperature: 0, num_predict: 8 },
    })
    assert.equal(by_path.message.content, chat.message.content)
    const completion = await new OpenAI({ baseURL: seeing.address + '/v1', apiKey: 'any' }).chat.completions.create({
      model: 'llava',
      temperature: 0,
      max_tokens: 8,
      messages: [
        {
          role: 'user',
          content: [
            { type: 'image_url', image_url: { url: `data:image/png;base64,${image}` } },
            { type: 'text', text },
          ],
        },
      ],
    })
    assert.equal(completion.choices[0].message.content, chat.message.content)
    const message = await new Anthropic({ baseURL: seeing.address, apiKey: 'any' }).messages.create({
      model: 'llava',
      temperature: 0,
      max_tokens: 8,
      messages: [
        {
          role: 'user',
          content: [
            { type: 'image', source: { type: 'base64', media_type: 'image/png', data: image } },
            { type: 'text', text },
          ],
        },
      ],
    })
    assert.equal(message.content.map((block) => block.text ?? '').join(''), chat.message.content)
    assert.ok((await ollama.show({ model: 'llava' })).capabilities.includes('vision'))
  })
})
