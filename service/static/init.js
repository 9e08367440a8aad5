// Swagger UI's dark style is a class, which its top bar would set. We have no top bar.
const dark = matchMedia('(prefers-color-scheme: dark)')
const follow = () => document.documentElement.classList.toggle('dark-mode', dark.matches)
dark.addEventListener('change', follow)
follow()

// Who signs in on this page is signed in on it, until they sign out.
function signIn(system, path, { ok, body }) {
  if (!ok) return
  if (body?.access_token) {
    system.preauthorizeApiKey('accessToken', body.access_token)
    // It is in a cookie, out of reach, if that was asked for.
    if (body.refresh_token) system.preauthorizeApiKey('refreshToken', body.refresh_token)
  }
  if (path === '/auth/logout') system.authActions.logout(['accessToken', 'refreshToken'])
}

// What requires fresh authentication asks for it, and is tried again.
function proveAgain(system, path, method, { err }) {
  if (err?.response?.body?.code !== 'authentication-too-old') return
  const token = system.authSelectors.authorized().getIn(['accessToken', 'value'])
  const { schemas } = system.specSelectors.specJson().get('components').toJS()
  const resolved = (schema) => (schema.$ref ? schemas[schema.$ref.split('/').pop()] : schema)
  const proofs = Object.entries(schemas.Reauthentication.properties)
    .map(([name, schema]) => ({ name, ...resolved(schema) }))
    .filter((schema) => schema.type === 'string' && !schema.enum) // no choice proves anything
  prove(token, proofs, (body) => {
    signIn(system, '/auth/reauthenticate', { ok: true, body })
    const operation = system.specSelectors.specResolvedSubtree(['paths', path, method])
    system.specActions.execute({ path, method, operation })
  })
}

// An example is there to be read: filled in, it would be a filter that nobody asked for.
function unfilled(parameter) {
  if (!parameter || parameter.get('required')) return parameter
  const example = parameter.get('example')
  const told = example ? ` For example, \`${example}\`.` : ''
  return parameter
    .update('description', (text = '') => text + told)
    .delete('example')
    .deleteIn(['schema', 'example'])
}

const plugin = {
  statePlugins: {
    spec: {
      wrapActions: {
        setResponse: (original, system) => (path, method, response) => {
          original(path, method, response)
          signIn(system, path, response)
          proveAgain(system, path, method, response)
        },
      },
      wrapSelectors: {
        parameterWithMetaByIdentity: (original) => (state, ...key) => unfilled(original(...key)),
      },
    },
  },
}

SwaggerUIBundle({
  dom_id: '#swagger-ui',
  url: 'openapi.json', // relative to the page, for proxies that add a prefix
  layout: 'BaseLayout',
  plugins: [() => plugin],
  deepLinking: true,
  defaultModelsExpandDepth: 0,
  displayRequestDuration: true,
  docExpansion: 'list',
  filter: true,
  persistAuthorization: false,
  queryConfigEnabled: false, // the address of the page configures nothing
  syntaxHighlight: { theme: 'tomorrow-night' },
  tryItOutEnabled: true,
  validatorUrl: null,
})
