// How this browser shows the page; how the server is set up; keys.
import { useState } from 'preact/hooks'
import { ask, getKey, setKey } from '../api'
import { useAction, useLoaded } from '../load'
import { Problem } from '../problem'
import { date, getLanguage, LANGUAGES, setLanguage, t, type Key, type Language } from '../text'
import { applyTheme, getTheme, THEMES, type Theme } from '../theme'

export function Settings() {
  return (
    <>
      <h1>{t('nav_settings')}</h1>
      <Own />
      <Effective />
      <Keys />
    </>
  )
}

function Own() {
  const [key, set] = useState(getKey())
  const [theme, setTheme] = useState(getTheme())
  return (
    <section class="card" aria-label={t('this_browser')}>
      <h2>{t('this_browser')}</h2>
      <div class="fields">
        <label>
          {t('language')}
          <select
            value={getLanguage()}
            onChange={async (event) => {
              await setLanguage(event.currentTarget.value as Language)
              dispatchEvent(new Event('hearth-language'))
            }}
          >
            {Object.entries(LANGUAGES).map(([id, name]) => (
              <option value={id}>{name}</option>
            ))}
          </select>
        </label>
        <label>
          {t('theme')}
          <select
            value={theme}
            onChange={(event) => {
              const chosen = event.currentTarget.value as Theme
              applyTheme(chosen)
              setTheme(chosen)
            }}
          >
            {THEMES.map((id) => (
              <option value={id}>{t(`theme_${id}` as Key)}</option>
            ))}
          </select>
        </label>
      </div>
      <form
        class="inline"
        onSubmit={(event) => {
          event.preventDefault()
          setKey(key)
        }}
      >
        <label>
          {t('key')}
          <input type="password" autocomplete="off" value={key} onInput={(event) => set(event.currentTarget.value)} />
        </label>
        <button>{t('key_use')}</button>
      </form>
    </section>
  )
}

interface Setting {
  key: string
  value: string
  origin: string
  summary: string
}

function Effective() {
  const { value, problem } = useLoaded<{ file: string; settings: Setting[] }>('/hearth/settings')
  return (
    <section class="card">
      <h2>{t('configuration')}</h2>
      <Problem text={problem} />
      {value && <p class="quiet">{value.file ? t('config_file', { file: value.file }) : t('config_no_file')}</p>}
      {value && (
        <div class="scroll" tabIndex={0} role="region" aria-label={t('configuration')}>
          <table>
            <thead>
              <tr>
                <th scope="col">{t('setting')}</th>
                <th scope="col">{t('value')}</th>
                <th scope="col">{t('origin')}</th>
              </tr>
            </thead>
            <tbody>
              {value.settings.map((setting) => (
                <tr>
                  <th scope="row">
                    <code>{setting.key}</code>
                    <br />
                    <small class="quiet">{setting.summary}</small>
                  </th>
                  <td>{setting.value || '-'}</td>
                  <td>{setting.origin || t('origin_default')}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
    </section>
  )
}

interface KeyInfo {
  name: string
  role: string
  created: number
  requests_per_minute: number
  tokens_per_minute: number
  parallel: number
  models: string[]
}
const LIMITS = ['requests_per_minute', 'tokens_per_minute', 'parallel'] as const

function Keys() {
  const { value, problem, load } = useLoaded<{ keys: KeyInfo[] }>('/hearth/keys')
  const [made, setMade] = useState('')
  const action = useAction(() => void load())
  const add = (form: HTMLFormElement) => {
    const data = new FormData(form)
    const body: Record<string, unknown> = { name: data.get('name'), role: data.get('role') }
    for (const limit of LIMITS) body[limit] = Number(data.get(limit)) || 0
    void action.run(async () => {
      setMade((await ask<{ key: string }>('POST', '/hearth/keys', body)).key)
      form.reset()
    })
  }
  return (
    <section class="card" aria-label={t('keys')}>
      <h2>{t('keys')}</h2>
      <Problem text={problem || action.problem} />
      {value && (
        <ul class="legend">
          {value.keys.map((key) => (
            <li>
              <strong>{key.name}</strong> <span class="quiet">{key.role}</span> {date(key.created)}{' '}
              <span class="quiet">
                {LIMITS.filter((limit) => key[limit] > 0)
                  .map((limit) => `${t(limit)}: ${key[limit]}`)
                  .join(', ')}
              </span>{' '}
              <button
                class="danger"
                disabled={action.busy}
                onClick={() => action.run(() => ask('DELETE', `/hearth/keys/${encodeURIComponent(key.name)}`))}
              >
                {t('revoke')}
                <span class="unseen"> {key.name}</span>
              </button>
            </li>
          ))}
          {value.keys.length === 0 && <li>{t('no_keys')}</li>}
        </ul>
      )}
      {made && (
        <p class="notice good" role="status">
          <span>
            {t('key_made')} <code class="secret">{made}</code>
          </span>
        </p>
      )}
      {value && (
        <form
          class="inline"
          onSubmit={(event) => {
            event.preventDefault()
            add(event.currentTarget)
          }}
        >
          <label>
            {t('name')}
            <input name="name" required />
          </label>
          <label>
            {t('role')}
            <select name="role">
              {['infer', 'manage', 'admin'].map((role) => (
                <option>{role}</option>
              ))}
            </select>
          </label>
          {LIMITS.map((limit) => (
            <label>
              {t(limit)}
              <input name={limit} type="number" min="0" placeholder={t('no_limit')} />
            </label>
          ))}
          <button class="primary" disabled={action.busy}>
            {t('key_add')}
          </button>
        </form>
      )}
    </section>
  )
}
