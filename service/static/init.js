// Swagger UI, and what this page adds to it.
import { contents } from './docs-contents.js'
import { errors } from './docs-errors.js'
import { reading } from './docs-reading.js'
import { samples } from './docs-samples.js'
import { session } from './docs-session.js'

// Swagger UI's dark style is a class, which its top bar would set. We have no top bar.
const dark = matchMedia('(prefers-color-scheme: dark)')
const follow = () => document.documentElement.classList.toggle('dark-mode', dark.matches)
dark.addEventListener('change', follow)
follow()

const ui = SwaggerUIBundle({
  dom_id: '#swagger-ui',
  url: 'openapi.json', // relative to the page, for proxies that add a prefix
  layout: 'BaseLayout',
  plugins: [reading, errors, samples, session.plugin],
  onComplete() {
    contents(ui)
    session.resume(ui)
  },
  requestInterceptor: session.beforeRequest,
  deepLinking: true,
  defaultModelsExpandDepth: 0,
  displayOperationId: true,
  docExpansion: 'list',
  filter: true,
  persistAuthorization: false, // it would keep tokens where every script can read them
  queryConfigEnabled: false, // the address of the page configures nothing
  syntaxHighlight: { theme: 'tomorrow-night' },
  tryItOutEnabled: true,
  validatorUrl: null,
})
