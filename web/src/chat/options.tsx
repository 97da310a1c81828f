import { t } from '../text'
import type { Options } from './types'

// Ollama's names; the step is the field's. Empty: what the model brings along.
const SAMPLING = [
  ['temperature', 0.1],
  ['top_k', 1],
  ['top_p', 0.05],
  ['min_p', 0.01],
  ['repeat_penalty', 0.05],
  ['presence_penalty', 0.1],
  ['frequency_penalty', 0.1],
  ['num_predict', 1],
  ['num_ctx', 256],
  ['seed', 1],
] as const

export function OptionsForm({ options, change }: { options: Options; change: (options: Options) => void }) {
  const set = (part: Partial<Options>) => change({ ...options, ...part })
  const setValue = (name: string, value: string) => set({ values: { ...options.values, [name]: value } })
  return (
    <details class="card">
      <summary>{t('options')}</summary>
      <label>
        {t('system_prompt')}
        <textarea rows={3} value={options.system} onInput={(event) => set({ system: event.currentTarget.value })} />
      </label>
      <div class="fields">
        <label>
          {t('thinking')}
          <select
            value={options.think}
            onChange={(event) => set({ think: event.currentTarget.value as Options['think'] })}
          >
            <option value="">{t('as_model')}</option>
            <option value="on">{t('on')}</option>
            <option value="off">{t('off')}</option>
          </select>
        </label>
        {SAMPLING.map(([name, step]) => (
          <label>
            <code>{name}</code>
            <input
              type="number"
              step={step}
              placeholder={t('as_model')}
              value={options.values[name] ?? ''}
              onInput={(event) => setValue(name, event.currentTarget.value)}
            />
          </label>
        ))}
      </div>
      <label>
        <code>stop</code> ({t('one_a_line')})
        <textarea
          rows={2}
          value={options.values.stop ?? ''}
          onInput={(event) => setValue('stop', event.currentTarget.value)}
        />
      </label>
      <label>
        {t('tools_json')}
        <textarea rows={3} value={options.tools} onInput={(event) => set({ tools: event.currentTarget.value })} />
      </label>
    </details>
  )
}
