import type { ComponentType } from 'preact'
import { useEffect, useState } from 'preact/hooks'
import { KeyForm } from './key_form'
import { useFeed } from './figures'
import { t, type Key } from './text'
import { Disk } from './views/disk'
import { Doctor } from './views/doctor'
import { Jobs } from './views/jobs'
import { Models } from './views/models'
import { Now } from './views/now'
import { Settings } from './views/settings'

interface View {
  id: string
  title: Key
  load: () => Promise<ComponentType>
}

const now = <T,>(value: T) => () => Promise.resolve(value)
// The chat's libraries are by far the largest part, and not needed for the first paint.
const VIEWS: View[] = [
  { id: 'now', title: 'nav_now', load: now(Now) },
  { id: 'chat', title: 'nav_chat', load: async () => (await import('./chat/chat')).Chat },
  { id: 'models', title: 'nav_models', load: now(Models) },
  { id: 'jobs', title: 'nav_jobs', load: now(Jobs) },
  { id: 'disk', title: 'nav_disk', load: now(Disk) },
  { id: 'doctor', title: 'nav_doctor', load: now(Doctor) },
  { id: 'settings', title: 'nav_settings', load: now(Settings) },
]

const wanted = () => VIEWS.find((view) => view.id === location.hash.slice(1).split('/')[0]) ?? VIEWS[0]

export function App() {
  const [view, setView] = useState(wanted)
  const [shown, setShown] = useState<{ Body: ComponentType; id: string } | null>(null)
  const [, setTurn] = useState(0)
  const feed = useFeed()

  useEffect(() => {
    const go = () => setView(wanted())
    addEventListener('hashchange', go)
    return () => removeEventListener('hashchange', go)
  }, [])
  useEffect(() => {
    document.title = `${t(view.title)} - hearth`
    let current = true
    void view.load().then((Body) => current && setShown({ Body, id: view.id }))
    return () => void (current = false)
  }, [view])
  useEffect(() => {
    const redraw = () => setTurn((turn) => turn + 1)
    addEventListener('hearth-language', redraw)
    return () => removeEventListener('hearth-language', redraw)
  }, [])

  return (
    <>
      <a class="skip" href="#main" onClick={(event) => (event.preventDefault(), document.getElementById('main')?.focus())}>
        {t('skip')}
      </a>
      <header>
        <span class="brand">hearth</span>
        <nav aria-label={t('nav')}>
          {VIEWS.map((one) => (
            <a href={`#${one.id}`} aria-current={one === view ? 'page' : undefined}>
              {t(one.title)}
            </a>
          ))}
        </nav>
      </header>
      <main id="main" tabIndex={-1}>
        {feed.needsKey && <KeyForm />}
        {feed.problem && !feed.needsKey && (
          <p class="notice bad" role="alert">
            {t('no_connection')} ({feed.problem})
          </p>
        )}
        {shown && <shown.Body key={shown.id} />}
      </main>
    </>
  )
}
