// A session in a browser: the access token in memory, the refresh token in a cookie that no script
// can read. Copy this file to your front end; it needs nothing but the API.

// Where the API is. A front end with an origin of its own, on the same site, names it here, and the
// operator adds that origin to CORS_ORIGINS.
const api = document.baseURI

const PATIENCE_MS = 10_000 // with an exchange of the cookie, and with a tab that has the turn
const tabs = new BroadcastChannel('session')
let accessToken
let refreshing

// What the page does: `prove()` has the user prove who they are and says whether they did, and
// `signedOut()` shows the way in.
export const page = { prove: async () => false, signedOut() {} }

export class Refusal extends Error {
  constructor(problem, status) {
    super(words(problem))
    this.problem = problem
    this.status = status
  }
}

// The answer of an operation. What can be remedied is, once: an access token that has expired, and
// a sign-in that is too old for this.
export async function call(method, path, body, headers) {
  const remedies = { 'token-expired': refresh, 'authentication-too-old': page.prove }
  for (;;) {
    const { data, problem, status } = await send(method, path, { body, headers, bearer: true })
    if (!problem) return data
    const remedy = remedies[problem.code]
    delete remedies[problem.code]
    if (remedy && (await remedy())) continue
    if (status === 401 && problem.code !== 'authentication-too-old') forget()
    throw new Refusal(problem, status)
  }
}

// Signs in, or proves again who is signed in, with one of the operations that return tokens.
export async function tokens(path, body, { bearer = false } = {}) {
  const proof = { ...body, transport: 'cookie' }
  const { data, problem, status } = await send('POST', path, { body: proof, bearer, cookie: true })
  if (problem) throw new Refusal(problem, status)
  await keep(data)
  return data
}

// Goes on with the session of the cookie, if there is one: after a reload, or when the access token
// has expired. Tabs take turns, so that each sends the cookie that the one before it was given. A
// tab that keeps its turn is passed over: to send the same cookie twice does no harm.
export function refresh() {
  const work = async () => {
    for (let seconds = 1; ; seconds *= 2) {
      const signal = AbortSignal.timeout(PATIENCE_MS)
      const { data, status } = await send('POST', 'auth/refresh', { cookie: true, signal })
      if (data) await keep(data)
      // Only a refusal ends the session. A lost answer, or a busy server, says nothing of it.
      if (data || [401, 403].includes(status) || seconds > 8) return Boolean(data)
      await new Promise((over) => setTimeout(over, seconds * 1000))
    }
  }
  const signal = AbortSignal.timeout(PATIENCE_MS)
  const turn = () => navigator.locks?.request('refresh', { signal }, work).catch(work) ?? work()
  refreshing ??= turn().finally(() => (refreshing = undefined))
  return refreshing
}

export async function signOut() {
  const { problem, status } = await send('POST', 'auth/logout', { cookie: true })
  // A session that had ended is refused: anything else leaves it as it is.
  if (problem && status !== 401) throw new Refusal(problem, status)
  tabs.postMessage('signed out')
  forget()
}

async function send(method, path, { body, headers, bearer, cookie, signal }) {
  headers = { ...headers }
  if (body) headers['Content-Type'] = 'application/json'
  if (bearer && accessToken) headers.Authorization = `Bearer ${accessToken}`
  // Only where the API sets or reads the cookie: elsewhere it lets no other origin send any.
  const credentials = cookie ? 'include' : 'omit'
  const request = { method, headers, credentials, signal, body: body && JSON.stringify(body) }
  try {
    const answer = await fetch(new URL(path, api), request)
    const data = answer.status === 204 ? {} : await answer.json()
    return answer.ok ? { data } : { problem: data, status: answer.status }
  } catch {
    return { problem: {}, status: 0 } // there was no answer, or it was not the API's
  }
}

async function keep({ access_token }) {
  // Another tab may have signed somebody else in: the cookie is theirs, and so must the page be.
  if (accessToken && subject(access_token) !== subject(accessToken)) {
    location.reload()
    await new Promise(() => {}) // nothing more is sent, in their name
  }
  accessToken = access_token
}

function forget() {
  accessToken = undefined
  page.signedOut()
}

function subject(token) {
  return JSON.parse(atob(token.split('.')[1].replaceAll('-', '+').replaceAll('_', '/'))).sub
}

function words({ detail, errors = [] }) {
  if (errors.length) return errors.map(({ pointer, detail }) => `${pointer} ${detail}`).join('; ')
  return detail ?? 'There was no answer. Please try again in a moment.'
}

tabs.onmessage = () => accessToken && forget()
