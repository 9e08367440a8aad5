// The page at /account, an example of a front end. `account-session.js` holds the session, and
// `account-passkeys.js` speaks WebAuthn; what is here shows and asks.
import { canUsePasskeys, createPasskey, usePasskey } from './account-passkeys.js'
import { Refusal, call, page, refresh, signOut, tokens } from './account-session.js'

const find = (selector) => document.querySelector(selector)
const format = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium', timeStyle: 'short' })
const when = (text) => format.format(new Date(text))
const views = ['#signing-in', '#second-step', '#signed-in'].map(find)
const [signingIn, secondStep, signedIn] = views
let second // the problem `second-factor-required`, while it is open

// What each form does. A refusal is shown, and the button waits meanwhile.
const forms = {
  'sign-in': ({ email, password }) => enter('auth/login', { email, password }),
  'passkey-sign-in': async () => {
    const { challenge, passkey_options } = await call('POST', 'auth/login/passkey-options')
    await enter('auth/login/passkey', { challenge, passkey: await usePasskey(passkey_options) })
  },
  'code-sign-in': ({ code }) => complete({ code }),
  'passkey-second': async () => complete({ passkey: await usePasskey(second.passkey_options) }),
  'start-over': () => show(signingIn),
  'sign-out': signOut,
  'end-others': async () => {
    await call('DELETE', 'auth/sessions')
    await showSessions()
    say('You are signed out everywhere else.')
  },
  'add-passkey': async ({ name }) => {
    const credential = await createPasskey(await call('POST', 'auth/passkeys/options'))
    await showCodes(await call('POST', 'auth/passkeys', { name, credential }))
    await Promise.all([showPasskeys(), showFactors()])
    say(`The passkey ${name} was added.`)
  },
  'start-totp': async () => {
    const { secret, qr_code } = await call('POST', 'auth/totp')
    find('#qr-code').src = qr_code
    find('#secret').textContent = secret.match(/.{1,4}/g).join(' ')
    find('#start-totp').hidden = true
    find('#confirm-totp').hidden = false
    find('#first-code').focus()
  },
  'confirm-totp': async ({ code }) => {
    await showCodes(await call('POST', 'auth/totp/confirm', { code }))
    await Promise.all([showFactors(), showSessions()])
  },
  'remove-totp': async () => {
    await call('DELETE', 'auth/totp')
    await showFactors()
    say('The app was removed.')
  },
  'renew-codes': async () => {
    await showCodes(await call('POST', 'auth/recovery-codes'))
    await showFactors()
  },
  'create-token': async ({ name, days }, data) => {
    const order = { name, scopes: data.getAll('scope'), expires_in: days * 86_400 }
    const { token } = await call('POST', 'auth/tokens', order)
    await showOnce(`The token ${name}`, [token])
    await showTokens()
  },
  'prove-password': ({ password }) => proveWith({ password }),
  'prove-code': ({ code }) => proveWith({ code }),
  'prove-passkey': async () => {
    const { passkey_options } = await call('POST', 'auth/login/passkey-options')
    await proveWith({ passkey: await usePasskey(passkey_options) })
  },
}

async function submit(event) {
  const form = event.target
  if (form.method === 'dialog') return
  event.preventDefault()
  const alert = find('dialog[open] [role=alert]') ?? find('#alert')
  const button = form.querySelector('button')
  alert.textContent = find('#status').textContent = ''
  button.disabled = true
  const data = new FormData(form)
  try {
    await forms[form.id](Object.fromEntries(data), data)
    form.reset()
  } catch (error) {
    if (!(error instanceof Refusal || error instanceof DOMException)) throw error
    alert.textContent = error instanceof Refusal ? error.message : 'No passkey was used.'
    form.querySelector('input')?.select()
  } finally {
    button.disabled = false
  }
}

async function enter(path, body) {
  try {
    await tokens(path, body)
  } catch (refusal) {
    if (refusal.problem?.code !== 'second-factor-required') throw refusal
    second = refusal.problem
    find('#passkey-second').hidden = !(canUsePasskeys && second.passkey_options)
    find('#code-sign-in').hidden = second.methods.every((method) => method === 'passkey')
    return show(secondStep)
  }
  await showAccount()
}

const complete = (answer) =>
  enter('auth/login/second-factor', { challenge: second.challenge, ...answer })

// Fresh authentication: what an operation asks for is proved in a dialog, and the page goes on.
page.prove = async () => {
  const [factors, passkeys] = await Promise.all(['auth/factors', 'auth/passkeys'].map(optional))
  const hasCodes = Boolean(factors?.totp || factors?.recovery_codes_left)
  // An account with a second factor needs it here too.
  find('#prove-password').hidden = hasCodes || Boolean(passkeys?.length)
  find('#prove-code').hidden = !hasCodes
  find('#prove-passkey').hidden = !(canUsePasskeys && passkeys?.length)
  const dialog = find('#proof')
  dialog.returnValue = ''
  dialog.querySelector('[role=alert]').textContent = ''
  dialog.showModal()
  await new Promise((closed) => dialog.addEventListener('close', closed, { once: true }))
  return dialog.returnValue === 'proved'
}

async function proveWith(proof) {
  await tokens('auth/reauthenticate', proof, { bearer: true })
  find('#proof').close('proved')
}

page.signedOut = () => {
  for (const form of document.forms) form.reset()
  for (const shown of document.querySelectorAll('ul, #who, #secret')) shown.replaceChildren()
  show(signingIn)
}

async function showAccount() {
  const { email } = await call('GET', 'auth/me')
  find('#who').textContent = email
  await Promise.all([showSessions(), showPasskeys(), showFactors(), showTokens()])
  show(signedIn)
}

async function showSessions() {
  const sessions = await call('GET', 'auth/sessions?limit=100')
  list('#sessions', sessions, ({ id, ip, user_agent, current, last_used_at }) => ({
    name: program(user_agent),
    about: current ? 'This session' : `${ip}, last used ${when(last_used_at)}`,
    action: current ? null : ['End', () => call('DELETE', `auth/sessions/${id}`)],
  }))
  find('#end-others').hidden = sessions.length < 2
}

async function showPasskeys() {
  const passkeys = await optional('auth/passkeys')
  find('#passkeys').hidden = !passkeys
  find('#add-passkey').hidden = !canUsePasskeys
  list('#passkeys', passkeys ?? [], ({ id, name, created_at, last_used_at }) => ({
    name,
    about: last_used_at ? `Last used ${when(last_used_at)}` : `Added ${when(created_at)}`,
    action: ['Remove', () => call('DELETE', `auth/passkeys/${id}`)],
  }))
}

async function showFactors() {
  const factors = await optional('auth/factors')
  find('#factors').hidden = !factors
  const { totp: app, recovery_codes_left: left } = factors ?? {}
  const shown = app ? [{ name: 'An app is set up', about: `Since ${when(app.created_at)}` }] : []
  if (left) shown.push({ name: 'Recovery codes', about: `${left} are left; each works once` })
  list('#factors', shown, (item) => item)
  find('#confirm-totp').hidden = true
  find('#qr-code').removeAttribute('src')
  find('#secret').textContent = ''
  find('#start-totp').hidden = Boolean(app)
  find('#remove-totp').hidden = !app
  find('#renew-codes').hidden = !app && !left
}

async function showTokens() {
  const owned = await optional('auth/tokens')
  find('#tokens').hidden = !owned
  list('#tokens', owned ?? [], ({ id, name, prefix, scopes, expires_at }) => ({
    name,
    about: `${prefix}..., ${scopes.join(', ')}, expires ${when(expires_at)}`,
    action: ['Revoke', () => call('DELETE', `auth/tokens/${id}`)],
  }))
  if (owned && !find('#scopes input')) await offerScopes()
}

// The specification says which scopes there are.
async function offerScopes() {
  const { components } = await call('GET', 'openapi.json')
  for (const scope of components.schemas.Scope.enum) {
    const box = made('input', { type: 'checkbox', name: 'scope', value: scope })
    const label = made('label', { className: 'aside' })
    label.append(box, ` ${scope}`)
    find('#scopes').append(label)
  }
}

// The answer, or undefined where the API has no such operation.
async function optional(path) {
  try {
    return await call('GET', path)
  } catch (refusal) {
    if (refusal.status !== 404) throw refusal
  }
}

const made = (tag, properties) => Object.assign(document.createElement(tag), properties)

function list(section, items, describe) {
  find(`${section} ul`).replaceChildren(...items.map((item) => entry(section, describe(item))))
}

function entry(section, { name, about, action }) {
  const item = made('li')
  item.append(made('strong', { textContent: name }), made('span', { textContent: about }))
  if (action) {
    const [label, act] = action
    const button = made('button', { type: 'button', className: 'second', textContent: label })
    button.ariaLabel = `${label} ${name}`
    button.addEventListener('click', () => remove(section, item, button, act))
    item.append(button)
  }
  return item
}

async function remove(section, item, button, act) {
  find('#alert').textContent = ''
  button.disabled = true
  try {
    await act()
    item.remove()
    find(`${section} h2`).focus()
  } catch (error) {
    if (!(error instanceof Refusal)) throw error
    find('#alert').textContent = error.message
    button.disabled = false
  }
}

// They come with the first second factor, and when they are renewed.
async function showCodes({ recovery_codes }) {
  if (recovery_codes) await showOnce('Your recovery codes', recovery_codes)
}

async function showOnce(title, secrets) {
  const dialog = find('#once')
  find('#once-title').textContent = title
  find('#secrets').textContent = secrets.join('\n')
  dialog.showModal()
  await new Promise((closed) => dialog.addEventListener('close', closed, { once: true }))
  find('#secrets').textContent = ''
}

// What a browser calls itself, without what all of them claim; other programs say it in one word.
function program(agent) {
  const [, name, version] = agent.match(/(Firefox|Edg|Chrome|Version)\/(\d+)/) ?? []
  const known = { Edg: 'Edge', Version: 'Safari' }[name] ?? name
  return known ? `${known} ${version}` : agent || 'Unknown program'
}

function say(text) {
  find('#status').textContent = text
}

function show(view) {
  for (const one of views) one.hidden = one !== view
  find('#alert').textContent = find('#status').textContent = ''
  view.querySelector(view === signedIn ? 'h1' : 'input').focus()
}

document.addEventListener('submit', submit)
find('#passkey-sign-in').hidden = !canUsePasskeys
if (await refresh()) await showAccount()
else show(signingIn)
