// Conversations with one model, or with two beside each other.
import { useEffect, useRef, useState } from 'preact/hooks'
import { useLoaded } from '../load'
import { Problem } from '../problem'
import { t } from '../text'
import type { Model } from '../views/models'
import { answer } from './answer'
import { Compose } from './compose'
import { exportFile } from './export'
import { LaneView } from './lane'
import { OptionsForm } from './options'
import * as store from './store'
import { NO_OPTIONS, type Conversation, type Lane, type Message } from './types'

const MODEL = 'hearth.model'

function fresh(model: string): Conversation {
  const id = Array.from(crypto.getRandomValues(new Uint32Array(3)), (n) => n.toString(36)).join('')
  return { id, title: '', changed: Date.now(), options: NO_OPTIONS, lanes: [{ model, messages: [] }] }
}

const wantedModel = () => decodeURIComponent(location.hash.split('/')[1] ?? '')

export function Chat() {
  const models = useLoaded<{ models: Model[] }>('/api/tags')
  const names = models.value?.models.map((model) => model.name) ?? []
  const [list, setList] = useState<Conversation[]>([])
  const [open, setOpen] = useState(() => fresh(wantedModel() || localStorage.getItem(MODEL) || ''))
  const [stop, setStop] = useState<AbortController | null>(null)
  const latest = useRef(open)
  latest.current = open

  useEffect(() => void store.all().then(setList, () => {}), [])
  useEffect(() => {
    const first = names[0]
    if (!first) return
    const lanes = open.lanes.map((lane) => (names.includes(lane.model) ? lane : { ...lane, model: first }))
    if (lanes.some((lane, i) => lane.model !== open.lanes[i].model)) setOpen({ ...open, lanes })
  }, [models.value])

  const change = (part: Partial<Conversation>) => {
    latest.current = { ...latest.current, ...part }
    setOpen(latest.current)
  }
  const setLane = (index: number, part: Partial<Lane>) =>
    change({ lanes: latest.current.lanes.map((lane, i) => (i === index ? { ...lane, ...part } : lane)) })
  const save = async () => {
    const conversation = { ...latest.current, changed: Date.now() }
    if (!conversation.lanes.some((lane) => lane.messages.length > 0)) return
    await store.put(conversation).catch(() => {})
    setList(await store.all().catch(() => [conversation]))
  }
  const show = (conversation: Conversation) => {
    stop?.abort()
    latest.current = conversation
    setOpen(conversation)
  }

  // All lanes answer what they have.
  const run = async (lanes: number[]) => {
    const controller = new AbortController()
    setStop(controller)
    const id = latest.current.id
    await Promise.all(
      lanes.map((index) => {
        const lane = latest.current.lanes[index]
        const add = (message: Message) =>
          latest.current.id === id && setLane(index, { messages: [...lane.messages, message] })
        return answer(lane, latest.current.options, controller.signal, add)
      }),
    )
    setStop(null)
    if (latest.current.id === id) await save()
  }
  const every = () => latest.current.lanes.map((_, index) => index)
  const say = (content: string, images: string[]) => {
    const message: Message = { role: 'user', content, ...(images.length > 0 && { images }) }
    change({
      title: latest.current.title || content.slice(0, 60),
      lanes: latest.current.lanes.map((lane) => ({ ...lane, messages: [...lane.messages, message] })),
    })
    void run(every())
  }
  // The conversation goes on from there in another way.
  const edit = (lane: number, index: number, content: string) => {
    const messages = latest.current.lanes[lane].messages
    setLane(lane, { messages: [...messages.slice(0, index), { ...messages[index], content }] })
    void run([lane])
  }
  const again = (lane: number, index: number) => {
    setLane(lane, { messages: latest.current.lanes[lane].messages.slice(0, index) })
    void run([lane])
  }
  const twoLanes = open.lanes.length > 1
  const compare = () => {
    const lanes = latest.current.lanes
    const other = names.find((name) => name !== lanes[0].model) ?? lanes[0].model
    const questions = lanes[0].messages.filter((message) => message.role === 'user').slice(0, 1)
    change({ lanes: twoLanes ? [lanes[0]] : [lanes[0], { model: other, messages: lanes[0].messages.length > 0 ? questions : [] }] })
  }

  return (
    <div class="chat">
      <h1 class="unseen">{t('nav_chat')}</h1>
      <aside aria-label={t('conversations')}>
        <button class="primary" onClick={() => show(fresh(open.lanes[0].model))}>
          {t('new_conversation')}
        </button>
        <ul>
          {list.map((one) => (
            <li>
              <button class="plain-button" aria-current={one.id === open.id ? 'true' : undefined} onClick={() => show(one)}>
                {one.title || t('untitled')}
              </button>
              <button
                class="small"
                aria-label={t('delete_conversation', { title: one.title })}
                onClick={async () => {
                  await store.remove(one.id)
                  setList(await store.all())
                  if (one.id === open.id) show(fresh(open.lanes[0].model))
                }}
              >
                ×
              </button>
            </li>
          ))}
        </ul>
        <p class="quiet">{t('kept_here')}</p>
      </aside>
      <div class="talk">
        <Problem text={models.problem} />
        {models.value && names.length === 0 && <p>{t('no_models')}</p>}
        <div class={twoLanes ? 'lanes two' : 'lanes'}>
          {open.lanes.map((lane, index) => (
            <section aria-label={lane.model}>
              <label>
                {twoLanes ? t('model_number', { number: index + 1 }) : t('model')}
                <select
                  value={lane.model}
                  disabled={stop !== null}
                  onChange={(event) => {
                    setLane(index, { model: event.currentTarget.value })
                    if (index === 0) localStorage.setItem(MODEL, event.currentTarget.value)
                  }}
                >
                  {names.map((name) => (
                    <option>{name}</option>
                  ))}
                </select>
              </label>
              <LaneView
                messages={lane.messages}
                busy={stop !== null}
                edit={(at, content) => edit(index, at, content)}
                again={(at) => again(index, at)}
              />
            </section>
          ))}
        </div>
        <Compose model={open.lanes[0].model} stop={stop} say={say} />
        <div class="buttons">
          <button disabled={stop !== null} aria-pressed={twoLanes} onClick={compare}>
            {t('side_by_side')}
          </button>
          <button disabled={open.lanes[0].messages.length === 0} onClick={() => exportFile(open, 'md')}>
            {t('export_markdown')}
          </button>
          <button disabled={open.lanes[0].messages.length === 0} onClick={() => exportFile(open, 'json')}>
            {t('export_json')}
          </button>
        </div>
        <OptionsForm options={open.options} change={(options) => change({ options })} />
      </div>
    </div>
  )
}
