// The messages of one conversation with one model.
import { useEffect, useMemo, useRef, useState } from 'preact/hooks'
import { number, seconds, t } from '../text'
import { toHtml } from './markdown'
import type { Message } from './types'

interface LaneProps {
  messages: Message[]
  busy: boolean
  edit: (index: number, content: string) => void
  again: (index: number) => void
}

export function LaneView({ messages, busy, edit, again }: LaneProps) {
  const end = useRef<HTMLDivElement>(null)
  const count = messages.length
  useEffect(() => end.current?.scrollIntoView({ block: 'nearest' }), [count, messages[count - 1]?.content])
  return (
    <div class="messages">
      {messages.map((message, index) => (
        <article class={`message ${message.role}`} aria-label={t(message.role === 'user' ? 'you' : 'answer')}>
          {message.role === 'user' ? (
            <Question message={message} busy={busy} edit={(content) => edit(index, content)} />
          ) : (
            <Answer message={message} busy={busy && index === count - 1} again={busy ? undefined : () => again(index)} />
          )}
        </article>
      ))}
      {busy && messages[count - 1]?.role === 'user' && (
        <p role="status" class="quiet">
          {t('thinks')}
        </p>
      )}
      <div ref={end} />
    </div>
  )
}

function Question({ message, busy, edit }: { message: Message; busy: boolean; edit: (content: string) => void }) {
  const [text, setText] = useState<string | null>(null)
  if (text !== null)
    return (
      <form
        onSubmit={(event) => {
          event.preventDefault()
          setText(null)
          edit(text)
        }}
      >
        <label>
          {t('edit')}
          <textarea rows={3} value={text} onInput={(event) => setText(event.currentTarget.value)} />
        </label>
        <div class="buttons">
          <button class="primary">{t('send')}</button>
          <button type="button" onClick={() => setText(null)}>
            {t('cancel')}
          </button>
        </div>
      </form>
    )
  return (
    <>
      {message.images?.map((image) => <img src={`data:image;base64,${image}`} alt={t('image')} />)}
      <div class="plain">{message.content}</div>
      <div class="buttons">
        <button class="small" disabled={busy} onClick={() => setText(message.content)}>
          {t('edit')}
        </button>
      </div>
    </>
  )
}

function Answer({ message, busy, again }: { message: Message; busy: boolean; again?: () => void }) {
  const { speed } = message
  return (
    <>
      {message.thinking && (
        <details>
          <summary>{t('thinking')}</summary>
          <div class="plain quiet">{message.thinking}</div>
        </details>
      )}
      <Markdown text={message.content} />
      {message.tool_calls?.map((call) => (
        <div class="call">
          {t('calls')} <code>{call.function.name}</code>
          <pre>{JSON.stringify(call.function.arguments, null, 2)}</pre>
        </div>
      ))}
      {message.problem && (
        <p class="notice bad" role="alert">
          {message.problem}
        </p>
      )}
      {message.stopped && <p class="quiet">{t('stopped')}</p>}
      {speed && (
        <p class="quiet speed">
          {number(speed.tokens_per_second, 1)} {t('tokens_per_second')} ·{' '}
          {t('first_token', { time: speed.first_token_ms === null ? '-' : seconds(speed.first_token_ms / 1000) })} ·{' '}
          {t('tokens_count', { count: number(speed.tokens) })}
        </p>
      )}
      {!busy && (
        <div class="buttons">
          <Copy text={message.content} />
          {again && (
            <button class="small" onClick={again}>
              {t('regenerate')}
            </button>
          )}
        </div>
      )}
    </>
  )
}

async function copy(text: string) {
  if (navigator.clipboard) return navigator.clipboard.writeText(text)
  // Where the page does not come encrypted, nor from this machine, there is no clipboard but this.
  const area = document.createElement('textarea')
  area.value = text
  document.body.append(area)
  area.select()
  document.execCommand('copy')
  area.remove()
}

function Copy({ text }: { text: string }) {
  const [done, setDone] = useState(false)
  return (
    <button class="small" onClick={() => void copy(text).then(() => setDone(true))}>
      {done ? t('copied') : t('copy')}
    </button>
  )
}

function Markdown({ text }: { text: string }) {
  const place = useRef<HTMLDivElement>(null)
  const html = useMemo(() => toHtml(text), [text])
  // Every block of code can be copied.
  useEffect(() => {
    for (const block of place.current?.querySelectorAll('pre') ?? []) {
      block.tabIndex = 0
      const button = document.createElement('button')
      button.className = 'small copy-code'
      button.textContent = t('copy')
      button.onclick = () => void copy(block.textContent ?? '').then(() => (button.textContent = t('copied')))
      block.before(button)
    }
  }, [html])
  return <div class="markdown" ref={place} dangerouslySetInnerHTML={{ __html: html }} />
}
