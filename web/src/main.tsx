import { render } from 'preact'
import { App } from './app'
import { startFeed } from './figures'
import { applyTheme } from './theme'
import { loadLanguage } from './text'

applyTheme()
startFeed()
void loadLanguage().then(() => render(<App />, document.getElementById('app')!))
