// The models of this machine: what they need, load, unload, pin, delete, and new ones.
import { useEffect, useState } from 'preact/hooks'
import { ask } from '../api'
import { useFeed } from '../figures'
import { useAction, useLoaded } from '../load'
import { Problem } from '../problem'
import { bytes, date, t } from '../text'
import { PlanView } from './plan'
import { Pull } from './pull'

export interface Model {
  name: string
  size: number
  modified_at: string
  details: { family: string; parameter_size: string; quantization_level: string }
}
interface StoredModel {
  name: string
  freed_bytes: number
  pinned: boolean
}
export interface DiskState {
  stores: { name: string; models: StoredModel[] }[]
}

export function Models() {
  const list = useLoaded<{ models: Model[] }>('/api/tags')
  const disk = useLoaded<DiskState>('/hearth/disk')
  const [wanted, setWanted] = useState('')
  const reload = () => {
    void list.load()
    void disk.load()
  }
  const stored = new Map((disk.value?.stores ?? []).flatMap((store) => store.models).map((model) => [model.name, model]))
  return (
    <>
      <h1>{t('nav_models')}</h1>
      <Problem text={list.problem} />
      <Pull wanted={wanted} done={reload} />
      {list.value?.models.length === 0 && <p>{t('no_models')}</p>}
      <ul class="rows">
        {list.value?.models.map((model) => (
          <Row key={model.name} model={model} stored={stored.get(model.name)} changed={reload} pull={setWanted} />
        ))}
      </ul>
    </>
  )
}

interface RowProps {
  model: Model
  stored?: StoredModel
  changed: () => void
  pull: (name: string) => void
}

function Row({ model, stored, changed, pull }: RowProps) {
  const { figures } = useFeed()
  const [open, setOpen] = useState(false)
  const [sure, setSure] = useState(false)
  const { busy, problem, run } = useAction(changed)
  const running = figures?.models.find((one) => one.name === model.name)
  const { family, parameter_size, quantization_level } = model.details
  useEffect(() => setSure(false), [stored])
  return (
    <li class="card">
      <h2>
        {model.name}{' '}
        {running && (
          <span class={`badge ${running.cause ? 'warning' : 'good'}`}>
            {t('loaded')} {running.layers_on_gpu}/{running.layers} GPU
          </span>
        )}
        {stored?.pinned && <span class="badge idle">{t('pinned')}</span>}
      </h2>
      <p class="quiet">
        {[bytes(model.size), quantization_level, parameter_size, family, date(Date.parse(model.modified_at) / 1000)].join(
          ' · ',
        )}
      </p>
      <Problem text={problem} />
      <div class="buttons">
        <button aria-expanded={open} onClick={() => setOpen(!open)}>
          {t('plan')}
          <span class="unseen"> {model.name}</span>
        </button>
        <a class="button" href={`#chat/${encodeURIComponent(model.name)}`}>
          {t('chat_with')}
          <span class="unseen"> {model.name}</span>
        </a>
        {running && (
          <button
            disabled={busy}
            onClick={() => run(() => ask('POST', '/api/generate', { model: model.name, keep_alive: 0 }))}
          >
            {t('unload')}
            <span class="unseen"> {model.name}</span>
          </button>
        )}
        {stored && (
          <button
            disabled={busy}
            onClick={() =>
              run(() => ask(stored.pinned ? 'DELETE' : 'PUT', `/hearth/pins/${encodeURIComponent(model.name)}`))
            }
          >
            {stored.pinned ? t('unpin') : t('pin')}
            <span class="unseen"> {model.name}</span>
          </button>
        )}
        {stored && !sure && (
          <button class="danger" disabled={stored.pinned} onClick={() => setSure(true)}>
            {t('delete')}
            <span class="unseen"> {model.name}</span>
          </button>
        )}
        {sure && (
          <>
            <button
              class="danger"
              disabled={busy}
              onClick={() => run(() => ask('DELETE', '/api/delete', { model: model.name }))}
            >
              {t('delete_frees', { bytes: bytes(stored?.freed_bytes ?? 0) })}
            </button>
            <button onClick={() => setSure(false)}>{t('cancel')}</button>
          </>
        )}
      </div>
      {open && <PlanView model={model.name} pull={pull} />}
    </li>
  )
}
