// The table of contents: beside the operations where there is room, and folded above them elsewhere.
// Any link with `data-operation` leads to that operation and opens it.

const nav = document.getElementById('contents')
const wide = matchMedia('(min-width: 75rem)')
const fold = () => { nav.firstElementChild.open = wide.matches }

export function contents({ specSelectors, layoutActions }) {
  const tags = specSelectors.taggedOperations().map((tag) => tag.get('operations').toJS()).toJS()
  const tagOf = {}
  for (const [tag, operations] of Object.entries(tags)) {
    for (const { operation } of operations) tagOf[operation.operationId] = tag
  }
  const schemas = made('li', {}, link('Schemas', address(), { schemas: '' }))
  nav.querySelector('ul').replaceChildren(...Object.entries(tags).map(entry), schemas)
  nav.hidden = false
  wide.addEventListener('change', fold)
  fold()

  document.addEventListener('click', (event) => {
    const { operation, tag = tagOf[operation], schemas } = event.target.closest('a')?.dataset ?? {}
    const show = (...path) => layoutActions.show(path, true)
    if (schemas !== undefined) {
      show('components', 'schemas')
      arrive('.models')
    } else if (operation) {
      show('operations-tag', tag)
      show('operations', tag, operation)
      arrive(`#${CSS.escape(`operations-${tag}-${operation}`)}`)
    } else if (tag) {
      show('operations-tag', tag)
      arrive(`#${CSS.escape(`operations-tag-${tag}`)}`)
    } else return
    event.preventDefault()
  })
}

function arrive(selector) {
  if (!wide.matches) fold()
  const target = document.querySelector(selector)
  target.scrollIntoView()
  target.querySelector('button, a').focus({ preventScroll: true })
}

// The address of an operation or a tag. It does not begin with `#`: Swagger UI would scroll to the
// top of the page.
export const address = (...path) => `${location.pathname}#/${path.join('/')}`

function entry([tag, operations]) {
  const items = operations.map(({ operation: { operationId } }) =>
    made('li', {}, link(operationId, address(tag, operationId), { operation: operationId })))
  return made('li', {}, link(tag, address(tag), { tag }), made('ul', {}, ...items))
}

function link(textContent, href, data) {
  const a = made('a', { href, textContent })
  Object.assign(a.dataset, data)
  return a
}

function made(name, properties, ...children) {
  const element = Object.assign(document.createElement(name), properties)
  element.append(...children)
  return element
}
