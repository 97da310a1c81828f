export interface ToolCall {
  function: { name: string; arguments: unknown }
}
// How an answer came about.
export interface Speed {
  model: string
  first_token_ms: number | null
  tokens: number
  tokens_per_second: number
  prompt_tokens: number
}
export interface Message {
  role: 'user' | 'assistant'
  content: string
  thinking?: string
  tool_calls?: ToolCall[]
  images?: string[] // base64
  speed?: Speed
  problem?: string
  stopped?: boolean
}
export interface Options {
  system: string
  think: '' | 'on' | 'off'
  values: Record<string, string> // as they were typed; empty: the model's own
  tools: string // a list of tools as JSON
}
// Two of them where two models answer beside each other.
export interface Lane {
  model: string
  messages: Message[]
}
export interface Conversation {
  id: string
  title: string
  changed: number // ms
  options: Options
  lanes: Lane[]
}

export const NO_OPTIONS: Options = { system: '', think: '', values: {}, tools: '' }
