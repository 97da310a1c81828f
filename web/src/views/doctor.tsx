// What is wrong, what shows it, and what to do.
import { useEffect, useState } from 'preact/hooks'
import { useFeed } from '../figures'
import { ask } from '../api'
import { useLoaded } from '../load'
import { Problem } from '../problem'
import { t, type Key } from '../text'

interface Fix {
  where: string
  steps: string[]
}
interface Report {
  outcome: 'healthy' | 'findings' | 'unknown'
  findings: {
    id: string
    what: string
    confidence: string
    evidence: { source: string; text: string }[]
    decider?: string
    fix: Fix[]
  }[]
  checked: string[]
  unread: string[]
}

export function Doctor() {
  const { figures } = useFeed()
  const { value, problem, load } = useLoaded<Report>('/hearth/doctor')
  return (
    <>
      <h1>{t('nav_doctor')}</h1>
      <Explained />
      <h2>{t('from_figures')}</h2>
      {figures?.findings.length === 0 && <p>{t('nothing_wrong')}</p>}
      {figures?.findings.map((finding) => (
        <p class="notice warning">
          <span>
            <strong>{finding.cause}</strong> {finding.remedy && `${t('fix')}: ${finding.remedy}`}
          </span>
        </p>
      ))}
      <h2>{t('examination')}</h2>
      <Problem text={problem} />
      {!value && !problem && <p role="status">{t('examining')}</p>}
      {value && <p>{t(`outcome_${value.outcome}` as Key)}</p>}
      {value?.findings.map((finding) => (
        <section class="card" aria-label={finding.what}>
          <h3>
            {finding.what} <span class="badge idle">{t(`confidence_${finding.confidence}` as Key)}</span>
          </h3>
          {finding.evidence.length > 0 && <h4>{t('evidence')}</h4>}
          <ul>
            {finding.evidence.map((one) => (
              <li>
                {one.text} <span class="quiet">({one.source})</span>
              </li>
            ))}
          </ul>
          {finding.fix.map((fix) => (
            <>
              <h4>
                {t('fix')} {fix.where}
              </h4>
              <ul>
                {fix.steps.map((step) => (
                  <li>{step.startsWith('$ ') ? <code>{step.slice(2)}</code> : step}</li>
                ))}
              </ul>
            </>
          ))}
        </section>
      ))}
      {value && value.checked.length > 0 && (
        <details>
          <summary>{t('checked', { count: value.checked.length })}</summary>
          <ul>
            {value.checked.map((one) => (
              <li>{one}</li>
            ))}
          </ul>
        </details>
      )}
      <div class="buttons">
        <button onClick={() => void load()}>{t('examine_again')}</button>
      </div>
    </>
  )
}

// The page of one cause: #doctor/ID.
function Explained() {
  const [id, setId] = useState(() => location.hash.split('/')[1] ?? '')
  const [text, setText] = useState('')
  useEffect(() => {
    const go = () => setId(location.hash.split('/')[1] ?? '')
    addEventListener('hashchange', go)
    return () => removeEventListener('hashchange', go)
  }, [])
  useEffect(() => {
    setText('')
    if (id)
      ask<{ text: string }>('GET', `/hearth/causes/${encodeURIComponent(id)}`).then(
        (page) => setText(page.text),
        () => setText(''),
      )
  }, [id])
  return text ? (
    <section class="card" aria-label={id}>
      <div class="plain">{text}</div>
    </section>
  ) : null
}
