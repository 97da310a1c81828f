// Light, dark, or as the system has it.
export const THEMES = ['auto', 'light', 'dark'] as const
export type Theme = (typeof THEMES)[number]

const THEME = 'hearth.theme'

export const getTheme = () => (localStorage.getItem(THEME) as Theme | null) ?? 'auto'

export function applyTheme(theme = getTheme()) {
  localStorage.setItem(THEME, theme)
  if (theme === 'auto') delete document.documentElement.dataset.theme
  else document.documentElement.dataset.theme = theme
}
