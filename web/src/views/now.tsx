// What runs where, how fast, and what is in the way.
import { Line } from '../line'
import { useFeed, type Figures, type Gpu, type History, type ModelFigures, type Part } from '../figures'
import { bytes, number, percent, seconds, t, type Key } from '../text'

const KINDS: Part['kind'][] = ['weights', 'cache', 'workspace', 'context', 'process']

export function Now() {
  const { figures, history } = useFeed()
  if (!figures) return <p>{t('waiting_for_figures')}</p>
  return (
    <>
      <h1>{t('nav_now')}</h1>
      <Top figures={figures} />
      <div class="grid">
        {figures.gpus.map((gpu) => (
          <GpuCard key={gpu.id} gpu={gpu} busy={history.busy_ratio[gpu.id] ?? []} />
        ))}
        <Speed figures={figures} history={history} />
      </div>
      <h2>{t('loaded_models')}</h2>
      {figures.loading.map((name) => (
        <p key={name}>{t('is_loading', { name })}</p>
      ))}
      {figures.models.length === 0 && figures.loading.length === 0 && <p>{t('no_model_loaded')}</p>}
      <div class="grid">
        {figures.models.map((model) => (
          <ModelCard key={model.name} model={model} />
        ))}
      </div>
    </>
  )
}

const SIGNS = { good: '✓', idle: '○', warning: '!', bad: '✗' }

function Top({ figures: { headline } }: { figures: Figures }) {
  const own = headline.cause === ''
  return (
    <p class={`notice ${headline.tone}`} role="status">
      <span class="sign" aria-hidden="true">
        {SIGNS[headline.tone]}
      </span>
      <span>
        <strong>{own ? t(`headline_${headline.tone}` as Key) : `${headline.cause}.`}</strong>
        {headline.remedy && (
          <>
            {' '}
            {t('fix')}: {headline.remedy}
          </>
        )}
        {headline.cause_id && (
          <>
            {' '}
            <a href={`#doctor/${headline.cause_id}`}>{t('more')}</a>
          </>
        )}
      </span>
    </p>
  )
}

function GpuCard({ gpu, busy }: { gpu: Gpu; busy: number[] }) {
  const used = gpu.free_bytes === null ? null : gpu.total_bytes - gpu.free_bytes
  const known = gpu.parts.reduce((sum, part) => sum + part.bytes, 0)
  const rest = used === null ? 0 : Math.max(0, used - known)
  return (
    <section class="card" aria-label={gpu.name}>
      <h2>
        {gpu.name} <small>GPU {gpu.ordinal}</small>
      </h2>
      <div
        class="bar"
        role="img"
        aria-label={t('memory_of', { used: bytes(used ?? known), total: bytes(gpu.total_bytes) })}
      >
        {gpu.parts.map((part) => (
          <span class={`part ${part.kind}`} style={{ flexGrow: part.bytes / gpu.total_bytes }} />
        ))}
        {rest > 0 && <span class="part other" style={{ flexGrow: rest / gpu.total_bytes }} />}
        <span style={{ flexGrow: Math.max(0, 1 - (known + rest) / gpu.total_bytes) }} />
      </div>
      <p>{t('memory_of', { used: bytes(used ?? known), total: bytes(gpu.total_bytes) })}</p>
      <ul class="legend">
        {KINDS.flatMap((kind) => gpu.parts.filter((part) => part.kind === kind)).map((part) => (
          <li>
            <span class={`swatch ${part.kind}`} aria-hidden="true" /> {part.owner || `PID ${part.pid}`}{' '}
            <span class="quiet">{t(`part_${part.kind}`)}</span> {bytes(part.bytes)}
          </li>
        ))}
        {rest > 0 && (
          <li>
            <span class="swatch other" aria-hidden="true" /> {t('part_other')} {bytes(rest)}
          </li>
        )}
      </ul>
      <h3>
        {t('busy')} {percent(gpu.busy_ratio)}
      </h3>
      <Line values={busy} most={1} label={t('busy_chart', { now: percent(gpu.busy_ratio) })} />
      <p class="quiet">{sensors(gpu)}</p>
      {gpu.throttled.length > 0 && <p class="warning-text">{t('throttled', { why: gpu.throttled.join(', ') })}</p>}
    </section>
  )
}

function sensors(gpu: Gpu) {
  const texts: string[] = []
  if (gpu.utilization_ratio !== null) texts.push(t('nvml_average', { value: percent(gpu.utilization_ratio) }))
  if (gpu.sm_hertz !== null) texts.push(`${number(gpu.sm_hertz / 1e6)} MHz`)
  if (gpu.power_watts !== null)
    texts.push(
      number(gpu.power_watts) + (gpu.power_limit_watts === null ? ' W' : ` / ${number(gpu.power_limit_watts)} W`),
    )
  if (gpu.temperature_celsius !== null) texts.push(`${number(gpu.temperature_celsius)} °C`)
  if (gpu.pcie_generation !== null && gpu.pcie_lanes !== null)
    texts.push(`PCIe ${gpu.pcie_generation}.0 x${gpu.pcie_lanes}`)
  return texts.join(' · ')
}

function Speed({ figures, history }: { figures: Figures; history: History }) {
  const now = figures.models.reduce((sum, model) => sum + model.tokens_per_second, 0)
  const values = history.tokens_per_second
  return (
    <section class="card" aria-label={t('speed')}>
      <h2>{t('speed')}</h2>
      <p class="large">
        {number(now, now < 10 ? 1 : 0)} <small>{t('tokens_per_second')}</small>
      </p>
      <Line values={values} most={Math.max(1, ...values)} label={t('speed_chart', { now: number(now, 1) })} />
      <dl class="facts">
        <dt>{t('answers_running')}</dt>
        <dd>{figures.running}</dd>
        <dt>{t('requests_waiting')}</dt>
        <dd>{figures.waiting}</dd>
      </dl>
    </section>
  )
}

function ModelCard({ model }: { model: ModelFigures }) {
  const whole = model.layers_on_gpu === model.layers
  const facts: [Key, string][] = [
    ['layers_on_gpu', `${model.layers_on_gpu}/${model.layers}`],
    ['tokens_per_second', number(model.tokens_per_second, 1)],
    ['prompt_tokens_per_second', number(model.prompt_tokens_per_second)],
    ['running_and_waiting', `${model.running} / ${model.waiting}`],
    ['context', number(model.context_tokens)],
    ['cache_free', model.pages > 0 ? percent(model.pages_free / model.pages) : '-'],
    ['memory_gpu_host', `${bytes(model.gpu_bytes)} / ${bytes(model.host_bytes)}`],
  ]
  if (model.bytes_per_second > 0) {
    const limit = model.limit_bytes_per_second
    facts.push([
      'read_rate',
      `${bytes(model.bytes_per_second)}/s` +
        (limit > 0 ? ` (${percent(model.bytes_per_second / limit)} ${t('of_limit')})` : ''),
    ])
  }
  if (model.expires_seconds !== null) facts.push(['expires', seconds(Math.max(0, model.expires_seconds))])
  return (
    <section class="card" aria-label={model.name}>
      <h3>
        {model.name} <span class={`badge ${whole ? 'good' : model.cause ? 'warning' : 'idle'}`}>
          {model.layers_on_gpu}/{model.layers} GPU
        </span>
      </h3>
      <dl class="facts">
        {facts.map(([name, value]) => (
          <>
            <dt>{t(name)}</dt>
            <dd>{value}</dd>
          </>
        ))}
      </dl>
      {model.cause && (
        <p>
          {model.cause}. {model.remedy && `${t('fix')}: ${model.remedy}`}
        </p>
      )}
      {model.last_change && <p class="quiet">{model.last_change}</p>}
    </section>
  )
}
