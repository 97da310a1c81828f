// The server's figures, every second. One stream in a browser: of several tabs one has it and tells the others.
import { useEffect, useState } from 'preact/hooks'
import { ApiError, lines, onKey } from './api'

export interface Finding {
  id: string
  cause: string
  remedy: string
  cause_id: string
}
export interface Headline extends Finding {
  tone: 'good' | 'idle' | 'warning' | 'bad'
}
export interface Part {
  owner: string
  kind: 'weights' | 'cache' | 'workspace' | 'context' | 'process'
  bytes: number
  pid: number
}
export interface Gpu {
  id: string
  name: string
  ordinal: number
  total_bytes: number
  free_bytes: number | null
  parts: Part[]
  busy_ratio: number
  utilization_ratio: number | null
  sm_hertz: number | null
  sm_max_hertz: number | null
  power_watts: number | null
  power_limit_watts: number | null
  temperature_celsius: number | null
  throttled: string[]
  pcie_generation: number | null
  pcie_lanes: number | null
}
export interface ModelFigures {
  name: string
  context_tokens: number
  layers: number
  layers_on_gpu: number
  placement: string
  cause: string
  cause_id: string
  remedy: string
  running: number
  waiting: number
  pages: number
  pages_free: number
  tokens_per_second: number
  prompt_tokens_per_second: number
  bytes_per_second: number
  limit_bytes_per_second: number
  gpu_bytes: number
  host_bytes: number
  expires_seconds: number | null
  last_change: string
}
export interface Store {
  name: string
  total_bytes: number
  free_bytes: number
  promised_bytes: number
  usable_bytes: number
  partial_bytes: number
  level: 'green' | 'yellow' | 'orange' | 'red'
}
export interface Transfer {
  kind: 'pull' | 'push'
  model: string
  status: string
  total_bytes: number
  done_bytes: number
}
export interface History {
  tokens_per_second: number[]
  busy_ratio: Record<string, number[]>
}
export interface Figures {
  time: number
  version: string
  headline: Headline
  findings: Finding[]
  gpus: Gpu[]
  models: ModelFigures[]
  loading: string[]
  stores: Store[]
  transfers: Transfer[]
  running: number
  waiting: number
}
export interface Feed {
  figures: Figures | null
  history: History
  problem: string
  needsKey: boolean
}

const SECONDS = 600
const RETRY_MS = 2000

let feed: Feed = { figures: null, history: { tokens_per_second: [], busy_ratio: {} }, problem: '', needsKey: false }
const watchers = new Set<(feed: Feed) => void>()
const channel = 'BroadcastChannel' in window ? new BroadcastChannel('hearth-figures') : null

function show(next: Feed) {
  feed = next
  watchers.forEach((call) => call(feed))
}
function publish(next: Feed) {
  show(next)
  channel?.postMessage(next)
}

const keep = (values: number[], value: number) => [...values, value].slice(-SECONDS)

type Line = Figures & { history?: History }

function add(line: Line) {
  const history: History = line.history ?? {
    tokens_per_second: keep(
      feed.history.tokens_per_second,
      line.models.reduce((sum, model) => sum + model.tokens_per_second, 0),
    ),
    busy_ratio: Object.fromEntries(
      line.gpus.map((gpu) => [gpu.id, keep(feed.history.busy_ratio[gpu.id] ?? [], gpu.busy_ratio)]),
    ),
  }
  publish({ figures: line, history, problem: '', needsKey: false })
}

let current: AbortController | null = null

async function stream() {
  for (;;) {
    current = new AbortController()
    try {
      await lines<Line>('GET', '/hearth/figures?stream=1', undefined, current.signal, add)
    } catch (error) {
      if (!current.signal.aborted) {
        const needsKey = error instanceof ApiError && (error.status === 401 || error.status === 403)
        publish({ ...feed, problem: String(error instanceof Error ? error.message : error), needsKey })
      }
    }
    if (!current.signal.aborted) await new Promise((done) => setTimeout(done, RETRY_MS))
  }
}

export function startFeed() {
  if (channel) channel.onmessage = (event) => show(event.data)
  onKey(() => current?.abort())
  // Locks are there in secure contexts only; elsewhere every tab has a stream of its own.
  if (channel && navigator.locks) void navigator.locks.request('hearth-figures', stream)
  else void stream()
}

export function useFeed(): Feed {
  const [value, set] = useState(feed)
  useEffect(() => {
    watchers.add(set)
    set(feed)
    return () => void watchers.delete(set)
  }, [])
  return value
}
