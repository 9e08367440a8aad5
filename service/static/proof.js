// An operation that requires a recent sign-in asks for a proof, and is then tried again.
const dialog = document.getElementById('proof')
const form = dialog.querySelector('form')
const refusal = dialog.querySelector('[role=alert]')
let proved = () => {}

// The form for `proofs`, the names and formats of what `reauthenticate` takes: a password, a code.
function offer(proofs) {
  const titled = (name) => name[0].toUpperCase() + name.slice(1)
  form.kind.replaceChildren(...proofs.map(({ name }) => new Option(titled(name), name)))
  form.kind.hidden = proofs.length < 2
  form.kind.onchange = () => {
    const { name, format } = proofs[form.kind.selectedIndex]
    form.proof.type = format === 'password' ? 'password' : 'text'
    form.proof.autocomplete = format === 'password' ? 'current-password' : 'one-time-code'
    form.proof.labels[0].firstElementChild.textContent = titled(name)
    form.proof.value = ''
  }
  form.kind.onchange()
}

// Asks until the user has proved who they are, and calls `then` with the new tokens, or gives up.
// `more` are other members of the request.
export function prove(token, proofs, more, then) {
  if (dialog.open) return
  offer(proofs)
  refusal.textContent = ''
  proved = async () => {
    const answer = await fetch('auth/reauthenticate', {
      method: 'POST',
      headers: { Authorization: `Bearer ${token}`, 'Content-Type': 'application/json' },
      body: JSON.stringify({ ...more, [form.kind.value]: form.proof.value }),
    })
    const body = await answer.json()
    if (!answer.ok) {
      refusal.textContent = body.detail
      form.proof.select()
      return
    }
    dialog.close()
    then(body)
  }
  dialog.showModal()
  form.proof.focus()
}

form.addEventListener('submit', (event) => {
  event.preventDefault()
  form.go.disabled = true
  proved()
    .catch((error) => { refusal.textContent = String(error) })
    .finally(() => { form.go.disabled = false })
})
form.cancel.addEventListener('click', () => dialog.close())
dialog.addEventListener('close', () => form.reset())
