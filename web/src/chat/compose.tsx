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

const pictures = (data: DataTransfer | null) =>
  Array.from(data?.files ?? []).filter((file) => file.type.startsWith('image/'))

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
  // Of what is pasted or dropped; other things go where they always do.
  const take = async (event: Event, data: DataTransfer | null) => {
    const files = pictures(data)
    if (!sees || files.length === 0) return
    event.preventDefault()
    const more = await Promise.all(files.map(read))
    setImages((before) => [...before, ...more])
  }
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
      onPaste={(event) => void take(event, event.clipboardData)}
      onDragOver={(event) => sees && event.preventDefault()}
      onDrop={(event) => void take(event, event.dataTransfer)}
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
      {images.length > 0 && (
        <div class="pictures">
          {images.map((image, index) => (
            <button
              type="button"
              aria-label={t('remove_image')}
              onClick={() => setImages(images.filter((_, at) => at !== index))}
            >
              <img src={`data:image;base64,${image}`} alt={t('image')} />
            </button>
          ))}
        </div>
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
