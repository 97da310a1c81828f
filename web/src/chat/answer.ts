// One answer of one model, as it comes.
import { lines } from '../api'
import { words } from '../load'
import type { Lane, Message, Options, ToolCall } from './types'

interface Piece {
  message?: { content?: string; thinking?: string; tool_calls?: ToolCall[] }
  done?: boolean
  eval_count?: number
  eval_duration?: number // ns
  prompt_eval_count?: number
}

function wanted(options: Options): Record<string, unknown> {
  const values: Record<string, unknown> = {}
  for (const [name, text] of Object.entries(options.values)) {
    if (text.trim() === '') continue
    values[name] = name === 'stop' ? text.split('\n') : Number(text)
  }
  return values
}

// `show` gets the message as it grows, at most once a frame, and once more at its end.
export async function answer(lane: Lane, options: Options, signal: AbortSignal, show: (message: Message) => void) {
  const message: Message = { role: 'assistant', content: '' }
  const begun = performance.now()
  let first: number | null = null
  let frame = 0
  const later = () => {
    frame ||= requestAnimationFrame(() => {
      frame = 0
      show({ ...message })
    })
  }
  const take = (piece: Piece) => {
    const { content, thinking, tool_calls } = piece.message ?? {}
    if (content || thinking || tool_calls) first ??= performance.now() - begun
    message.content += content ?? ''
    if (thinking) message.thinking = (message.thinking ?? '') + thinking
    if (tool_calls) message.tool_calls = [...(message.tool_calls ?? []), ...tool_calls]
    if (piece.done) {
      const tokens = piece.eval_count ?? 0
      message.speed = {
        model: lane.model,
        first_token_ms: first,
        tokens,
        tokens_per_second: piece.eval_duration ? tokens / (piece.eval_duration / 1e9) : 0,
        prompt_tokens: piece.prompt_eval_count ?? 0,
      }
    }
    later()
  }
  const sent = lane.messages.map(({ role, content, images, tool_calls }) => ({ role, content, images, tool_calls }))
  const body: Record<string, unknown> = {
    model: lane.model,
    messages: options.system ? [{ role: 'system', content: options.system }, ...sent] : sent,
    options: wanted(options),
    stream: true,
  }
  try {
    if (options.think) body.think = options.think === 'on'
    if (options.tools.trim()) body.tools = JSON.parse(options.tools)
    await lines<Piece>('POST', '/api/chat', body, signal, take)
  } catch (error) {
    if (signal.aborted) message.stopped = true
    else message.problem = words(error)
  }
  cancelAnimationFrame(frame)
  show({ ...message })
}
