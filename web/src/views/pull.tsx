// Brings in a model: how far it is, and what of the disk is reserved for it.
import { useEffect, useRef, useState } from 'preact/hooks'
import { lines } from '../api'
import { useFeed } from '../figures'
import { words } from '../load'
import { Problem } from '../problem'
import { bytes, t } from '../text'

interface Step {
  status: string
  total?: number
  completed?: number
}

export function Pull({ wanted, done }: { wanted: string; done: () => void }) {
  const [name, setName] = useState('')
  const [step, setStep] = useState<Step | null>(null)
  const [problem, setProblem] = useState('')
  const stop = useRef<AbortController | null>(null)
  const field = useRef<HTMLInputElement>(null)
  const { figures } = useFeed()
  useEffect(() => {
    if (!wanted) return
    setName(wanted)
    field.current?.focus()
  }, [wanted])
  const reserved = (figures?.stores ?? []).reduce((sum, store) => sum + store.promised_bytes, 0)

  const pull = async () => {
    setProblem('')
    setStep({ status: '...' })
    stop.current = new AbortController()
    try {
      await lines<Step>('POST', '/api/pull', { model: name.trim(), stream: true }, stop.current.signal, setStep)
      done()
    } catch (error) {
      if (!stop.current.signal.aborted) setProblem(words(error))
    }
    stop.current = null
    setStep(null)
  }
  return (
    <section class="card" aria-label={t('pull')}>
      <form
        class="inline"
        onSubmit={(event) => {
          event.preventDefault()
          void pull()
        }}
      >
        <label>
          {t('pull_name')}
          <input
            ref={field}
            required
            placeholder="llama3.2:3b"
            value={name}
            onInput={(event) => setName(event.currentTarget.value)}
          />
        </label>
        {step ? (
          <button type="button" onClick={() => stop.current?.abort()}>
            {t('stop')}
          </button>
        ) : (
          <button class="primary">{t('pull')}</button>
        )}
      </form>
      <Problem text={problem} />
      {step && (
        <div role="status">
          <p>
            {step.status} {step.total ? `${bytes(step.completed ?? 0)} / ${bytes(step.total)}` : ''}
            {reserved > 0 && ` · ${t('reserved', { bytes: bytes(reserved) })}`}
          </p>
          {step.total ? (
            <progress max={step.total} value={step.completed ?? 0} aria-label={t('pull_progress', { name })} />
          ) : (
            <progress aria-label={t('pull_progress', { name })} />
          )}
        </div>
      )}
      {figures?.transfers
        .filter((transfer) => !step || transfer.model !== name.trim())
        .map((transfer) => (
          <p class="quiet">
            {transfer.model}: {transfer.status}{' '}
            {transfer.total_bytes > 0 && `${bytes(transfer.done_bytes)} / ${bytes(transfer.total_bytes)}`}
          </p>
        ))}
    </section>
  )
}
