// A user who signs in on this page stays signed in, over reloads and expired tokens, until they sign
// out.
//
// `login` and its kind are filled in with `transport: cookie`: the refresh token is then in a cookie
// that no script can read, and the access token in memory. Without it, the session ends at a reload.
import { prove } from './proof.js'

const OPERATIONS = { refresh: 'auth/refresh', logout: 'auth/logout', account: 'auth/me' }
const MARK = 'docs-session' // in localStorage: whose session is in the cookie, and since when
const EARLY_MS = 30_000 // a token is renewed when it has less than this left
const PATIENCE_MS = 10_000 // with the server, and with a tab that has the turn
const ENDED = new Set(['session-revoked', 'token-reused', 'invalid-token', 'account-disabled'])

const bar = document.getElementById('session')
const trouble = document.createElement('span')
trouble.setAttribute('role', 'alert')
bar.querySelector('.in').append(' ', trouble)
const repeated = new Set() // operations of which the next answer is that of the repetition
let system
let mark = localStorage.getItem(MARK) // of the session that this tab is in, if it is in the cookie
let expires = Infinity // of the access token, in milliseconds since 1970
let renewing

const token = (name) => system?.authSelectors.authorized()?.getIn([name, 'value'])
const isInCookie = () => Boolean(mark) && !token('refreshToken')

// `isNew` for a sign-in, of which the other tabs are told: a mark that changes is an event to them.
function keep(answer, isNew = true) {
  expires = Date.now() + answer.expires_in * 1000
  if (answer.refresh_token) {
    mark = null
    hold('refreshToken', answer.refresh_token)
  } else {
    const user = subject(answer.access_token)
    mark = localStorage.getItem(MARK)
    if (isNew || !mark?.startsWith(`${user} `)) mark = `${user} ${Date.now()}`
    localStorage.setItem(MARK, mark)
    drop('refreshToken')
  }
  hold('accessToken', answer.access_token)
}

function forget() {
  // Somebody else may have signed in since, in another tab.
  if (localStorage.getItem(MARK) === mark) localStorage.removeItem(MARK)
  mark = null
  expires = Infinity
  drop('accessToken', 'refreshToken')
}

// The user of an access token; of one that was pasted and is none, undefined.
function subject(jwt) {
  try {
    return JSON.parse(atob(jwt.split('.')[1].replaceAll('-', '+').replaceAll('_', '/'))).sub
  } catch {
    return undefined
  }
}

function hold(name, value) {
  const schema = system.specSelectors.specJson().getIn(['components', 'securitySchemes', name])
  system.authActions.authorize({ [name]: { name, schema: schema.toJS(), value } })
}

function drop(...names) {
  const held = names.filter(token)
  if (held.length) system.authActions.logout(held)
}

// The answer, with its body; its status is 0 if there was none, or not in time.
async function send(operation, bearer) {
  const headers = bearer ? { Authorization: `Bearer ${bearer}` } : {}
  const method = operation === 'account' ? 'GET' : 'POST'
  const signal = AbortSignal.timeout(PATIENCE_MS)
  try {
    const answer = await fetch(OPERATIONS[operation], { method, headers, signal })
    const body = answer.status === 204 ? {} : await answer.json()
    return { ok: answer.ok, status: answer.status, body }
  } catch {
    return { ok: false, status: 0 }
  }
}

// Exchanges the refresh token, and says whether there is a new access token.
function renew() {
  const work = async () => {
    const held = token('accessToken')
    const bearer = isInCookie() ? undefined : token('refreshToken')
    const { ok, status, body } = await send('refresh', bearer)
    if (ok && held && subject(held) !== subject(body.access_token)) return startOver()
    if (ok) keep(body, false)
    // Only a refusal ends the session: a busy server says nothing of it.
    else if ([401, 403].includes(status)) forget()
    return ok
  }
  renewing ??= inTurn(work).finally(() => { renewing = undefined })
  return renewing
}

// Tabs take turns, so that each sends the cookie that the one before it was given. A tab that keeps
// its turn is passed over: to send the same cookie twice does no harm.
const inTurn = (work) =>
  navigator.locks
    ?.request('refresh', { signal: AbortSignal.timeout(PATIENCE_MS) }, work)
    .catch(work) ?? work()

// The cookie is somebody else's, who has signed in in another tab, and so must the page be. What
// waits for this never goes on, and so sends nothing in their name.
function startOver() {
  location.reload()
  return new Promise(() => {})
}

const canRenew = () => isInCookie() || Boolean(token('refreshToken'))
const isDue = () => Date.now() > expires - EARLY_MS && canRenew()

async function beforeRequest(request) {
  const bearer = `Bearer ${token('accessToken')}`
  const isOurs = !request.loadSpec && request.headers?.Authorization === bearer
  if (isOurs && isDue() && (await renew())) {
    request.headers.Authorization = `Bearer ${token('accessToken')}`
  }
  return request
}

// Keeps the tokens that an operation has returned, and remedies what can be remedied: a token that
// has expired after all, and a sign-in that is too old for the operation, which is then repeated.
async function afterAnswer(path, method, { ok, body, err }) {
  const code = err?.response?.body?.code
  const isOurs = wasSent(path, method, token('accessToken'))
  const isRepeated = repeated.delete(`${method} ${path}`)
  if (ok && body?.access_token) keep(body)
  else if (ok && path === `/${OPERATIONS.logout}`) forget()
  else if (isOurs && ENDED.has(code)) forget()
  else if (isOurs && code === 'token-expired' && !isRepeated && canRenew()) {
    if (await renew()) repeat(path, method)
  } else if (code === 'authentication-too-old') proveAgain(path, method)
}

function wasSent(path, method, bearer) {
  const request = system.specSelectors.mutatedRequestFor(path, method)
  return request?.getIn(['headers', 'Authorization']) === `Bearer ${bearer}`
}

function repeat(path, method) {
  repeated.add(`${method} ${path}`)
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
  bar.querySelector('b').textContent = trouble.textContent = ''
  if (!held) return
  const { ok, body } = await send('account', held)
  if (ok && token('accessToken') === held) {
    bar.querySelector('b').textContent = body.email ?? body.username ?? ''
  }
}

async function signOut() {
  trouble.textContent = ''
  if (isDue()) await renew()
  // An access token that was pasted into the dialog is good for it too.
  const { ok, status } = await send('logout', token('accessToken'))
  if (ok || status === 401) forget()
  else trouble.textContent = 'You are still signed in: try again in a moment.'
}

bar.querySelector('button').addEventListener('click', signOut)
// Another tab has signed in or out.
addEventListener('storage', ({ key, newValue }) => {
  if (key !== MARK || token('refreshToken')) return
  if (!token('accessToken')) mark = newValue // else it is this user's only once renewed
  if (newValue) renew()
  else forget()
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
