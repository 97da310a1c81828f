import type { Conversation, Message } from './types'

const markdownOf = (message: Message) =>
  `## ${message.role}\n\n` +
  (message.thinking ? `<details><summary>thinking</summary>\n\n${message.thinking}\n\n</details>\n\n` : '') +
  message.content +
  (message.tool_calls ?? []).map((call) => `\n\n\`\`\`json\n${JSON.stringify(call.function)}\n\`\`\``).join('')

// A conversation as a file for the user.
export function exportFile(conversation: Conversation, form: 'md' | 'json') {
  const text =
    form === 'json'
      ? JSON.stringify(conversation, null, 2)
      : conversation.lanes.map((lane) => [`# ${lane.model}`, ...lane.messages.map(markdownOf)].join('\n\n')).join('\n\n')
  const link = document.createElement('a')
  link.href = URL.createObjectURL(new Blob([text], { type: form === 'json' ? 'application/json' : 'text/markdown' }))
  link.download = `${(conversation.title || 'conversation').replace(/[^\p{L}\p{N} _-]/gu, '').slice(0, 40)}.${form}`
  link.click()
  URL.revokeObjectURL(link.href)
}
