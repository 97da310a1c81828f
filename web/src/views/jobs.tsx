// The batch queue: how far each job is, and what can be done with it.
import { useEffect, useState } from 'preact/hooks'
import { ask } from '../api'
import { useAction, useLoaded, words } from '../load'
import { Problem } from '../problem'
import { number, seconds, t, type Key } from '../text'

interface Job {
  key: string
  name: string
  state: 'running' | 'paused' | 'done' | 'cancelled' | 'expired'
  items: number
  steps: Record<string, number>
  steps_total: number
  jobs_per_minute: number
  left_s: { p50: number; p90: number } | null
  problem: string
}
interface Line {
  key: string
  steps: Record<string, { text: string | null; error: string | null }>
}

const REFRESH_MS = 2000
const SHOWN = 20

export function Jobs() {
  const { value, problem, load } = useLoaded<{ jobs: Job[] }>('/hearth/jobs')
  useEffect(() => {
    const timer = setInterval(() => void load(), REFRESH_MS)
    return () => clearInterval(timer)
  }, [load])
  const held = value?.jobs.find((job) => job.state === 'running' && job.problem)?.problem
  return (
    <>
      <h1>{t('nav_jobs')}</h1>
      <Problem text={problem} />
      {held && (
        <p class="notice warning" role="status">
          {t('jobs_wait')} {held}
        </p>
      )}
      {value?.jobs.length === 0 && (
        <p>
          {t('no_jobs')} <code>hearth batch run WORKFLOW.toml --out FILE.jsonl</code>
        </p>
      )}
      {value?.jobs.map((job) => (
        <One key={job.key} job={job} after={load} />
      ))}
    </>
  )
}

function One({ job, after }: { job: Job; after: () => Promise<void> }) {
  const { busy, problem, run } = useAction(() => void after())
  const count = (state: string) => job.steps[state] ?? 0
  const ended = count('done') + count('failed') + count('cancelled')
  const act = (action: string) => () => void run(() => ask('POST', `/hearth/jobs/${encodeURIComponent(job.key)}/${action}`))
  const open = job.state === 'running' || job.state === 'paused'
  return (
    <section class="card" aria-label={job.name}>
      <h2>
        {job.name} <span class="badge idle">{t(`job_${job.state}` as Key)}</span>
      </h2>
      <progress value={ended} max={Math.max(1, job.steps_total)} aria-label={t('job_progress')} />
      <p>
        {t('job_counts', { items: number(job.items), done: number(count('done')), total: number(job.steps_total) })}
        {count('failed') > 0 && ` ${t('job_failed', { count: number(count('failed')) })}`}
        {job.state === 'running' && ` ${t('job_speed', { speed: number(job.jobs_per_minute, 1) })}`}
        {job.state === 'running' && job.left_s && ` ${t('job_left', { p50: seconds(job.left_s.p50), p90: seconds(job.left_s.p90) })}`}
      </p>
      <Problem text={problem} />
      <div class="buttons">
        {job.state === 'running' && (
          <button disabled={busy} onClick={act('pause')}>
            {t('job_pause')}
          </button>
        )}
        {job.state === 'paused' && (
          <button disabled={busy} onClick={act('resume')}>
            {t('job_resume')}
          </button>
        )}
        {open && (
          <button disabled={busy} onClick={act('cancel')}>
            {t('job_cancel')}
          </button>
        )}
        {count('failed') > 0 && (
          <button disabled={busy} onClick={act('retry')}>
            {t('job_retry')}
          </button>
        )}
      </div>
      <Results job={job} />
    </section>
  )
}

// The first items that are complete.
function Results({ job }: { job: Job }) {
  const [open, setOpen] = useState(false)
  const [lines, setLines] = useState<Line[]>([])
  const [problem, setProblem] = useState('')
  useEffect(() => {
    if (!open) return
    ask<{ results: Line[] }>('GET', `/hearth/jobs/${encodeURIComponent(job.key)}/first?count=${SHOWN}`).then(
      (answer) => setLines(answer.results),
      (error) => setProblem(words(error)),
    )
  }, [open, job.key, job.steps.done])
  return (
    <details onToggle={(event) => setOpen(event.currentTarget.open)}>
      <summary>{t('job_results')}</summary>
      <Problem text={problem} />
      {lines.map((line) => (
        <section aria-label={line.key}>
          <h3>{line.key}</h3>
          <dl>
            {Object.entries(line.steps).map(([name, step]) => (
              <>
                <dt>{name}</dt>
                <dd class="plain">{step.error ?? step.text}</dd>
              </>
            ))}
          </dl>
        </section>
      ))}
    </details>
  )
}
