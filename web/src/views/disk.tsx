// What fills the disks, what is kept free, and what could go.
import { ask } from '../api'
import { useAction, useLoaded } from '../load'
import { Problem } from '../problem'
import { bytes, number, t, type Key } from '../text'

interface Store {
  name: string
  folder: string
  level: 'green' | 'yellow' | 'orange' | 'red'
  writable: boolean
  total_bytes: number
  free_bytes: number
  keep_free_bytes: number
  promised_bytes: number
  usable_bytes: number
  models_bytes: number
  garbage_bytes: number
  partial_bytes: number
  full_in_seconds: number | null
  promises: { what: string; bytes: number }[]
  models: { name: string; bytes: number; freed_bytes: number; pinned: boolean }[]
}
interface State {
  stores: Store[]
  findings: { id: string; cause: string; remedy: string }[]
}

export function Disk() {
  const { value, problem, load } = useLoaded<State>('/hearth/disk')
  return (
    <>
      <h1>{t('nav_disk')}</h1>
      <Problem text={problem} />
      {value?.findings.map((finding) => (
        <p class="notice warning">
          <span>
            <strong>{finding.cause}</strong> {finding.remedy && `${t('fix')}: ${finding.remedy}`}
          </span>
        </p>
      ))}
      {value?.stores.length === 0 && <p>{t('no_store')}</p>}
      <div class="grid">
        {value?.stores.map((store) => (
          <StoreCard key={store.name} store={store} changed={() => void load()} />
        ))}
      </div>
    </>
  )
}

function StoreCard({ store, changed }: { store: Store; changed: () => void }) {
  const { busy, problem, run } = useAction(changed)
  const others = Math.max(0, store.total_bytes - store.free_bytes - store.models_bytes)
  const share = (part: number) => ({ flexGrow: part / store.total_bytes })
  const keep = Math.min(store.keep_free_bytes, store.free_bytes)
  const facts: [Key, number][] = [
    ['disk_models', store.models_bytes],
    ['disk_others', others],
    ['disk_free', store.free_bytes],
    ['disk_keep_free', store.keep_free_bytes],
    ['disk_promised', store.promised_bytes],
    ['disk_usable', store.usable_bytes],
    ['disk_partial', store.partial_bytes],
    ['disk_garbage', store.garbage_bytes],
  ]
  return (
    <section class="card" aria-label={store.name}>
      <h2>
        {store.name} <span class={`badge level-${store.level}`}>{t(`level_${store.level}`)}</span>
      </h2>
      <p class="quiet path">{store.folder}</p>
      <div class="bar" role="img" aria-label={t('memory_of', { used: bytes(store.total_bytes - store.free_bytes), total: bytes(store.total_bytes) })}>
        <span class="part weights" style={share(store.models_bytes)} />
        <span class="part other" style={share(others)} />
        <span style={share(Math.max(0, store.free_bytes - keep))} />
        <span class="part keep" style={share(keep)} />
      </div>
      <dl class="facts">
        {facts.map(([name, value]) => (
          <>
            <dt>{t(name)}</dt>
            <dd>{bytes(value)}</dd>
          </>
        ))}
      </dl>
      {store.full_in_seconds !== null && (
        <p>{t('full_in', { days: number(store.full_in_seconds / 86400, 1) })}</p>
      )}
      {store.promises.map((promise) => (
        <p class="quiet">
          {t('reserved', { bytes: bytes(promise.bytes) })}: {promise.what}
        </p>
      ))}
      <Problem text={problem} />
      {store.writable && store.garbage_bytes + store.partial_bytes > 0 && (
        <div class="buttons">
          {store.garbage_bytes > 0 && (
            <button disabled={busy} onClick={() => run(() => ask('POST', '/hearth/disk/gc', { store: store.name }))}>
              {t('gc', { bytes: bytes(store.garbage_bytes) })}
            </button>
          )}
        </div>
      )}
      <h3>{t('disk_models')}</h3>
      <ul class="legend">
        {store.models.map((model) => (
          <li>
            {model.name} {bytes(model.bytes)}{' '}
            <span class="quiet">
              {model.pinned ? t('pinned') : t('delete_frees', { bytes: bytes(model.freed_bytes) })}
            </span>
          </li>
        ))}
      </ul>
    </section>
  )
}
