// The commands, for the address that the page was read from.
document.getElementById('address').textContent = new URL('.', location).href.replace(/\/$/, '')

// A link from a mail leads to `#/<id of a form>?token=...`; without one this is the landing page.
// Without the token the form asks for it, because mail programs break links.
const [home, task] = document.querySelectorAll('main')
const title = document.title
let token

function follow() {
  const [route, query] = location.hash.split('?')
  const form = [...document.forms].find(({ id }) => route === `#/${id}`)
  token = new URLSearchParams(query).get('token')
  if (token) history.replaceState(null, '', route) // out of sight, out of the history
  show(form?.id)
  if (form && !token) ask(form)
}

function ask(form) {
  form.querySelector('h1 ~ p').after(document.getElementById('paste').content.cloneNode(true))
  form.querySelector('input').focus()
}

function show(id) {
  home.hidden = Boolean(id)
  task.hidden = !id
  for (const panel of task.querySelectorAll('form, section')) panel.hidden = panel.id !== id
  for (const message of task.querySelectorAll('[role=alert]')) message.textContent = ''
  for (const form of document.forms) form.reset()
  for (const field of document.querySelectorAll('.paste')) field.remove()
  veil()
  const heading = id && document.querySelector(`#${id} h1`)
  document.title = heading ? heading.textContent : title
  if (heading) (document.querySelector(`#${id} input`) ?? heading).focus()
}

function veil() {
  for (const form of document.forms) {
    const shown = form.querySelector('[type=checkbox]')
    if (shown) form.elements.new_password.type = shown.checked ? 'text' : 'password'
  }
}

async function send(event) {
  event.preventDefault()
  const form = event.target
  const button = form.querySelector('button')
  const message = form.querySelector('[role=alert]')
  message.textContent = ''
  button.disabled = true
  const problem = await refusal(form)
  button.disabled = false
  if (!problem) return show(`${form.id}-done`)
  if (isDead(problem)) return show('dead-link')
  message.textContent = words(problem)
  form.querySelector('input, button').focus()
}

// The problem, null if there is none, or {} if the answer is not the API's.
async function refusal(form) {
  const fields = { token, ...Object.fromEntries(new FormData(form)) }
  fields.token = fields.token.trim().split('token=').at(-1) // the whole link may have been pasted
  const body = JSON.stringify(fields)
  const headers = { 'Content-Type': 'application/json' }
  try {
    const answer = await fetch(form.action, { method: 'POST', headers, body })
    return answer.status === 204 ? null : { ...(await answer.json()) }
  } catch {
    return {}
  }
}

function isDead({ code, errors = [] }) {
  return code === 'token-invalid' || errors.some(({ pointer }) => pointer === '/token')
}

function words({ detail, errors = [] }) {
  const error = errors.find(({ pointer }) => pointer === '/new_password')
  if (error) return `The password ${error.detail}.`
  return detail ?? 'There was no answer. Please try again in a moment.'
}

task.addEventListener('submit', send)
task.addEventListener('change', veil)
addEventListener('hashchange', follow)
follow()
