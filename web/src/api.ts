// Requests to the server that the page came from. The key, where one is needed, stays in this browser.

const KEY = 'hearth.key'

export class ApiError extends Error {
  constructor(
    readonly status: number,
    message: string,
  ) {
    super(message)
  }
}

let key = localStorage.getItem(KEY) ?? ''
const listeners = new Set<() => void>()

export function setKey(text: string) {
  key = text.trim()
  if (key) localStorage.setItem(KEY, key)
  else localStorage.removeItem(KEY)
  listeners.forEach((call) => call())
}
export const getKey = () => key
export function onKey(call: () => void) {
  listeners.add(call)
  return () => void listeners.delete(call)
}

async function fail(response: Response): Promise<never> {
  const text = await response.text()
  let message = text
  try {
    const body = JSON.parse(text)
    message = typeof body.error === 'string' ? body.error : (body.error?.message ?? text)
  } catch {
    // It is a plain text.
  }
  throw new ApiError(response.status, message || `HTTP ${response.status}`)
}

async function request(method: string, path: string, body?: unknown, signal?: AbortSignal) {
  const headers: Record<string, string> = {}
  if (key) headers.Authorization = `Bearer ${key}`
  if (body !== undefined) headers['Content-Type'] = 'application/json'
  const response = await fetch(path, {
    method,
    headers,
    signal,
    cache: 'no-store',
    body: body === undefined ? undefined : JSON.stringify(body),
  })
  return response.ok ? response : fail(response)
}

export async function ask<T>(method: string, path: string, body?: unknown): Promise<T> {
  const text = await (await request(method, path, body)).text()
  return (text ? JSON.parse(text) : {}) as T
}

// The lines of an answer, each a JSON value. One that says "error" ends it.
export async function lines<T>(
  method: string,
  path: string,
  body: unknown,
  signal: AbortSignal,
  take: (value: T) => void,
) {
  const response = await request(method, path, body, signal)
  const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader()
  let rest = ''
  const one = (line: string) => {
    if (!line.trim()) return
    const value = JSON.parse(line)
    if (typeof value.error === 'string') throw new ApiError(500, value.error)
    take(value)
  }
  for (;;) {
    const { done, value } = await reader.read()
    if (done) break
    const parts = (rest + value).split('\n')
    rest = parts.pop()!
    parts.forEach(one)
  }
  one(rest)
}
