// Texts in the user's language, and figures as people write them there.
import en from './lang/en.json'

export type Key = keyof typeof en
export const LANGUAGES = { en: 'English', es: 'Español', de: 'Deutsch' } as const
export type Language = keyof typeof LANGUAGES

const LANGUAGE = 'hearth.language'
const others: Record<Exclude<Language, 'en'>, () => Promise<{ default: Record<Key, string> }>> = {
  es: () => import('./lang/es.json'),
  de: () => import('./lang/de.json'),
}

let texts: Record<Key, string> = en
let language: Language = 'en'

export const getLanguage = () => language

function preferred(): Language {
  const chosen = localStorage.getItem(LANGUAGE)
  const found = [chosen, ...navigator.languages].map((name) => name?.slice(0, 2)).find((name) => name && name in LANGUAGES)
  return (found as Language | undefined) ?? 'en'
}

export async function loadLanguage(wanted = preferred()) {
  texts = wanted === 'en' ? en : (await others[wanted]()).default
  language = wanted
  document.documentElement.lang = wanted
}

export async function setLanguage(wanted: Language) {
  localStorage.setItem(LANGUAGE, wanted)
  await loadLanguage(wanted)
}

// "{name}" in a text stands for a value.
export function t(key: Key, values: Record<string, string | number> = {}) {
  return texts[key].replace(/\{(\w+)\}/g, (whole, name) => String(values[name] ?? whole))
}

export const number = (value: number, digits = 0) =>
  value.toLocaleString(language, { minimumFractionDigits: digits, maximumFractionDigits: digits })

const UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB']
export function bytes(value: number) {
  let unit = 0
  while (Math.abs(value) >= 1000 && unit < UNITS.length - 1) {
    value /= 1024
    ++unit
  }
  return `${number(value, unit === 0 || value >= 100 ? 0 : value >= 10 ? 1 : 2)} ${UNITS[unit]}`
}

export const percent = (ratio: number) => `${number(ratio * 100)} %`

export function seconds(value: number) {
  if (value < 1) return `${number(value * 1000)} ms`
  return value < 100 ? `${number(value, 1)} s` : `${number(value / 60)} min`
}

export const date = (unix: number) => new Date(unix * 1000).toLocaleDateString(language)
