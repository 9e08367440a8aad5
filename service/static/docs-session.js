// A user who signs in on this page stays signed in, over reloads and expired tokens, until they sign
// out.
//
// `login` and its kind are filled in with `transport: cookie`: the refresh token is then in a cookie
// that no script can read, and the access token in memory. Without it, the session ends at a reload.
import { prove } from './proof.js'

const OPERATIONS = { refresh: 'auth/refresh', logout: 'auth/logout', account: 'auth/me' }
const MARK = 'docs-session' // in localStorage: there is a session in the cookie
const EARLY_MS = 30_000 // a token is renewed when it has less than this left
const ENDED = new Set(['session-revoked', 'token-reused', 'invalid-token', 'account-disabled'])

const bar = document.getElementById('session')
let system
let expires = Infinity // of the access token, in milliseconds since 1970
let renewing

const token = (name) => system?.authSelectors.authorized()?.getIn([name, 'value'])
const isInCookie = () => localStorage.getItem(MARK) === 'cookie'

function keep(answer) {
  expires = Date.now() + answer.expires_in * 1000
  if (answer.refresh_token) {
    localStorage.removeItem(MARK)
    hold('refreshToken', answer.refresh_token)
  } else {
    localStorage.setItem(MARK, 'cookie')
    drop('refreshToken')
  }
  hold('accessToken', answer.access_token)
}

function forget() {
  localStorage.removeItem(MARK)
  expires = Infinity
  drop('accessToken', 'refreshToken')
}

function hold(name, value) {
  const schema = system.specSelectors.specJson().getIn(['components', 'securitySchemes', name])
  system.authActions.authorize({ [name]: { name, schema: schema.toJS(), value } })
}

function drop(...names) {
  const held = names.filter(token)
  if (held.length) system.authActions.logout(held)
}

async function send(operation, bearer) {
  const headers = bearer ? { Authorization: `Bearer ${bearer}` } : {}
  const method = operation === 'account' ? 'GET' : 'POST'
  return fetch(OPERATIONS[operation], { method, headers })
}

// Exchanges the refresh token, and says whether there is a new access token. Tabs take turns, so
// that each sends the cookie that the one before it was given.
function renew() {
  const work = async () => {
    const answer = await send('refresh', isInCookie() ? undefined : token('refreshToken'))
    if (answer.ok) keep(await answer.json())
    // Only a refusal ends the session: a busy server says nothing of it.
    else if ([401, 403].includes(answer.status)) forget()
    return answer.ok
  }
  const turn = () => navigator.locks?.request('refresh', work) ?? work()
  renewing ??= turn().finally(() => { renewing = undefined })
  return renewing
}

const canRenew = () => isInCookie() || Boolean(token('refreshToken'))

async function beforeRequest(request) {
  const bearer = `Bearer ${token('accessToken')}`
  const isOurs = !request.loadSpec && request.headers?.Authorization === bearer
  if (isOurs && Date.now() > expires - EARLY_MS && canRenew() && (await renew())) {
    request.headers.Authorization = `Bearer ${token('accessToken')}`
  }
  return request
}

// Keeps the tokens that an operation has returned, and remedies what can be remedied: a token that
// has expired after all, and a sign-in that is too old for the operation, which is then repeated.
async function afterAnswer(path, method, { ok, body, err }) {
  const code = err?.response?.body?.code
  if (ok && body?.access_token) keep(body)
  else if (ok && path === `/${OPERATIONS.logout}`) forget()
  else if (ENDED.has(code) && wasSent(path, method, token('accessToken'))) forget()
  else if (code === 'token-expired' && canRenew() && (await renew())) repeat(path, method)
  else if (code === 'authentication-too-old') proveAgain(path, method)
}

function wasSent(path, method, bearer) {
  const request = system.specSelectors.requestFor(path, method)
  return request?.getIn(['headers', 'Authorization']) === `Bearer ${bearer}`
}

function repeat(path, method) {
  const operation = system.specSelectors.specResolvedSubtree(['paths', path, method])
  system.specActions.execute({ path, method, operation })
}

const resolved = (schema, schemas) =>
  (schema?.$ref ? schemas[schema.$ref.split('/').pop()] : schema)

function proveAgain(path, method) {
  const { schemas } = system.specSelectors.specJson().get('components').toJS()
  const proofs = Object.entries(schemas.Reauthentication.properties)
    .map(([name, schema]) => ({ name, ...resolved(schema, schemas) }))
    .filter((schema) => schema.type === 'string' && !schema.enum) // no choice proves anything
  const transport = isInCookie() ? { transport: 'cookie' } : {}
  prove(token('accessToken'), proofs, transport, (answer) => {
    keep(answer)
    repeat(path, method)
  })
}

// Where a body may ask for the cookie, its example does.
function withCookies(document) {
  const schemas = document.components?.schemas ?? {}
  for (const operation of Object.values(document.paths).flatMap(Object.values)) {
    const body = operation.requestBody?.content?.['application/json']
    const transport = resolved(body?.schema, schemas)?.properties?.transport
    if (body?.example && resolved(transport, schemas)?.enum?.includes('cookie')) {
      body.example = { ...body.example, transport: 'cookie' }
    }
  }
  return document
}

async function show() {
  const held = token('accessToken')
  bar.dataset.state = held ? 'in' : 'out'
  bar.querySelector('b').textContent = ''
  if (!held) return
  const answer = await send('account', held)
  const account = answer.ok ? await answer.json() : {}
  if (token('accessToken') === held) {
    bar.querySelector('b').textContent = account.email ?? account.username ?? ''
  }
}

async function signOut() {
  // An access token that was pasted into the dialog is good for it too.
  await send('logout', token('accessToken'))
  forget()
}

bar.querySelector('button').addEventListener('click', signOut)
// Another tab has signed in or out.
addEventListener('storage', ({ key, newValue }) => {
  if (key !== MARK) return
  if (newValue) renew()
  else if (!token('refreshToken')) forget()
})

const shown = (original) => (...given) => {
  original(...given)
  show()
}

export const session = {
  beforeRequest,
  // Goes on with the session that an earlier visit has left in the cookie.
  resume(ui) {
    system = ui
    if (isInCookie()) renew()
  },
  plugin: () => ({
    statePlugins: {
      auth: { wrapActions: { authorize: shown, logout: shown } },
      spec: {
        wrapActions: {
          updateJsonSpec: (original) => (document) =>
            original(isSecureContext ? withCookies(document) : document),
          setResponse: (original) => (path, method, response) => {
            original(path, method, response)
            afterAnswer(path, method, response)
          },
        },
      },
    },
  }),
}
