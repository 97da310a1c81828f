// What a model would take before it is loaded, and what would make it fit.
import { useEffect, useState } from 'preact/hooks'
import { ask } from '../api'
import { useAction, words } from '../load'
import { Problem } from '../problem'
import { bytes, number, t } from '../text'

interface Device {
  name: string
  layers: number
  weights_bytes: number
  cache_bytes: number
  workspace_bytes: number
  driver_bytes: number
  total_bytes: number
  free_bytes: number
}
interface Offer {
  text: string
  context: number
  kv_type: string
  quantization: string
  close: { pid: number; name: string; bytes: number }[]
}
interface Plan {
  layers: number
  layers_on_gpu: number
  fits: boolean
  context: number
  kv_type: string
  devices: Device[]
  offers: Offer[]
  cause: string
  remedy: string
}
interface Wish {
  context?: number
  kv_type?: string
}

export function PlanView({ model, pull }: { model: string; pull: (name: string) => void }) {
  const [wish, setWish] = useState<Wish>({})
  const [plan, setPlan] = useState<Plan | null>(null)
  const [unread, setUnread] = useState('')
  const { busy, problem, run } = useAction()
  useEffect(() => {
    let current = true
    ask<Plan>('POST', '/hearth/plan', { model, ...wish }).then(
      (value) => current && (setPlan(value), setUnread('')),
      (error) => current && setUnread(words(error)),
    )
    return () => void (current = false)
  }, [model, wish])
  if (unread) return <Problem text={unread} />
  if (!plan) return <p role="status">{t('planning')}</p>
  const columns: [string, (device: Device) => number][] = [
    [t('part_weights'), (device) => device.weights_bytes],
    [t('part_cache'), (device) => device.cache_bytes],
    [t('part_workspace'), (device) => device.workspace_bytes],
    [t('part_context'), (device) => device.driver_bytes],
    [t('in_all'), (device) => device.total_bytes],
    [t('free'), (device) => device.free_bytes],
  ]
  return (
    <div class="plan">
      <div class="scroll" tabIndex={0} role="region" aria-label={t('plan_of', { name: model })}>
        <table>
          <thead>
            <tr>
              <th scope="col">{t('where')}</th>
              <th scope="col">{t('layers')}</th>
              {columns.map(([title]) => (
                <th scope="col">{title}</th>
              ))}
            </tr>
          </thead>
          <tbody>
            {plan.devices.map((device) => (
              <tr>
                <th scope="row">{device.name}</th>
                <td>
                  {device.layers}/{plan.layers}
                </td>
                {columns.map(([, value]) => (
                  <td>{bytes(value(device))}</td>
                ))}
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      {plan.cause && (
        <p>
          {plan.cause}. {plan.remedy && `${t('fix')}: ${plan.remedy}`}
        </p>
      )}
      <Problem text={problem} />
      <div class="buttons">
        <button
          class="primary"
          disabled={busy}
          onClick={() =>
            run(() => ask('POST', '/hearth/load', { model, context: plan.context, kv_type: plan.kv_type }))
          }
        >
          {busy ? t('loading') : t('load_with', { context: number(plan.context), kv: plan.kv_type })}
        </button>
      </div>
      {plan.offers.length > 0 && <h3>{t('would_help')}</h3>}
      <ul class="offers">
        {plan.offers.map((offer) => (
          <li>
            {offer.text}{' '}
            {offer.quantization ? (
              <button onClick={() => pull(`${model.split(':')[0]}:${offer.quantization.toLowerCase()}`)}>
                {t('look_for', { name: offer.quantization })}
              </button>
            ) : (
              offer.close.length === 0 && (
                <button onClick={() => setWish({ context: offer.context, kv_type: offer.kv_type })}>
                  {t('take_offer')}
                  <span class="unseen"> {offer.text}</span>
                </button>
              )
            )}
          </li>
        ))}
      </ul>
    </div>
  )
}
