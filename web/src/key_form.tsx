import { useState } from 'preact/hooks'
import { getKey, setKey } from './api'
import { t } from './text'

export function KeyForm() {
  const [text, setText] = useState(getKey())
  return (
    <form
      class="card"
      onSubmit={(event) => {
        event.preventDefault()
        setKey(text)
      }}
    >
      <h2>{t('key_needed')}</h2>
      <p>{t('key_help')}</p>
      <label>
        {t('key')}
        <input type="password" autocomplete="off" value={text} onInput={(event) => setText(event.currentTarget.value)} />
      </label>
      <button class="primary">{t('key_use')}</button>
    </form>
  )
}
