// Where one writes; images where the model sees.
import { useEffect, useRef, useState } from 'preact/hooks'
import { ask } from '../api'
import { t } from '../text'

interface ComposeProps {
  model: string
  stop: AbortController | null
  say: (content: string, images: string[]) => void
}

const read = (file: File) =>
  new Promise<string>((resolve, reject) => {
    const reader = new FileReader()
    reader.onload = () => resolve(String(reader.result).replace(/^[^,]*,/, ''))
    reader.onerror = () => reject(reader.error)
    reader.readAsDataURL(file)
  })

export function Compose({ model, stop, say }: ComposeProps) {
  const [text, setText] = useState('')
  const [images, setImages] = useState<string[]>([])
  const [sees, setSees] = useState(false)
  const field = useRef<HTMLTextAreaElement>(null)
  useEffect(() => {
    setSees(false)
    if (model)
      ask<{ capabilities?: string[] }>('POST', '/api/show', { model }).then(
        (shown) => setSees(shown.capabilities?.includes('vision') ?? false),
        () => {},
      )
  }, [model])
  const send = () => {
    if (!text.trim() || stop || !model) return
    say(text, images)
    setText('')
    setImages([])
    field.current?.focus()
  }
  return (
    <form
      class="compose"
      onSubmit={(event) => {
        event.preventDefault()
        send()
      }}
    >
      <label>
        <span class="unseen">{t('message')}</span>
        <textarea
          ref={field}
          rows={3}
          value={text}
          placeholder={t('message_hint')}
          onInput={(event) => setText(event.currentTarget.value)}
          onKeyDown={(event) => {
            if (event.key !== 'Enter' || event.shiftKey || event.isComposing) return
            event.preventDefault()
            send()
          }}
        />
      </label>
      {sees && (
        <label>
          {t('images')} {images.length > 0 && `(${images.length})`}
          <input
            type="file"
            accept="image/*"
            multiple
            onChange={async (event) => setImages(await Promise.all(Array.from(event.currentTarget.files ?? [], read)))}
          />
        </label>
      )}
      {stop ? (
        <button type="button" class="danger" onClick={() => stop.abort()}>
          {t('stop')}
        </button>
      ) : (
        <button class="primary" disabled={!text.trim() || !model}>
          {t('send')}
        </button>
      )}
    </form>
  )
}
